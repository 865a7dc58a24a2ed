"""docs/back_ends.md is what the entries say; ``REVIEW=1 pytest`` of this file writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

from agent_trace_otel.delivery.vendor_table import VENDORS
from agent_trace_otel.delivery.vendors import Variable, Vendor

PAGE = Path(__file__).parents[2] / "docs" / "back_ends.md"
HEAD = """\
# Back ends by name

`--to NAME` of `ship`, `export`, `import`, `collect`, `setup` and `doctor`; `AGENT_TRACE_TO`; `at.configure(to="NAME")`;
or `to = "NAME"` under `[otlp]` of the config file. Keys and settings come from the environment, under the names that
the vendor's own libraries use where it has any, else from `[otlp.keys]` of the config file. There
`agent-trace setup --to NAME --write` puts them for coding agents' hooks, which don't get your environment. With
`--endpoint URL` beside it, the URL is yours (a proxy, a gateway) and the rest the vendor's.
`agent-trace doctor --to NAME` sends one span and tells the answer.

This page is made of `agent_trace_otel/delivery/vendor_table.py`. Nothing in it was tried against a hosted service,
which takes an account; each entry says what it was held against.
"""


def section(vendor: Vendor) -> str:
    lines = [f"\n## {vendor.name}", "", f"[{vendor.title}]({vendor.docs}). {sentence(vendor.recognises)}", ""]
    url = f"`{vendor.base}{vendor.path}`" if vendor.base else f"your own, with the path `{vendor.path}`"
    lines.append(f"- URL: {url}{also_from(vendor)}")
    if "{region}" in vendor.base:
        named = ", ".join(f"`{name}`" for name in vendor.regions) or f"like `{vendor.region_pattern}`"
        default = f", by default `{vendor.region}`" if vendor.region else ""
        variables = "".join(f", or {name}" for name in vendor.region_from)
        lines.append(f"- regions: {named} (`--to {vendor.name}:REGION`{variables}){default}")
    lines += [f"- {variable_line(variable)}" for variable in vendor.variables]
    if vendor.headers:
        lines.append("- headers: " + ", ".join(f"`{name}: {value}`" for name, value in vendor.headers.items()))
    limits = [f"{vendor.max_body_bytes:,} bytes a request"]
    limits += [f"{vendor.max_attribute_chars:,} characters a value"] if vendor.max_attribute_chars else []
    limits += ["gzip"] if vendor.gzip else []
    limits += [f"says yes with {' or '.join(map(str, sorted(vendor.accepted)))}"] if len(vendor.accepted) > 1 else []
    lines.append(f"- sent: {', '.join(limits)}")
    lines.append(f"- checked: {vendor.checked}")
    return "\n".join(lines) + "\n"


def variable_line(variable: Variable) -> str:
    names = " or ".join(f"`{name}`" for name in (variable.name, *variable.also))
    default = {None: "", "": ", optional"}.get(variable.default, f", by default `{variable.default}`")
    return f"{names}: {variable.meaning}{default}"


def also_from(vendor: Vendor) -> str:
    names = " or ".join(f"`{name}`" for name in vendor.base_from)
    return f"; {names} names {'it' if not vendor.base else 'another'}" if names else ""


def sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}.".replace("Gen_ai", "gen_ai").replace("gen_ai.*", "`gen_ai.*`")


def test_the_page_is_what_the_entries_say() -> None:
    page = HEAD + "".join(section(vendor) for vendor in VENDORS.values())
    if os.environ.get("REVIEW"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page
