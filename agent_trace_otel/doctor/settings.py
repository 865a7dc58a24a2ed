"""The settings in force, as doctor sees them: each with where it comes from, never a key.

Comes in: the environment, and the back end that was asked about. Goes out: facts and their section. Called by `report`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from agent_trace_otel import config
from agent_trace_otel.delivery.configured import configured_target
from agent_trace_otel.delivery.otlp import protocol_warning, shown_url
from agent_trace_otel.delivery.target import Target
from agent_trace_otel.doctor.section import Section
from agent_trace_otel.errors import AgentTraceError

_ON_OFF: Final = {True: "on", False: "off"}
_OF_BACK_END: Final = ("to", "endpoint", "otel_endpoint", "headers")
_SHOWN: Final = (
    "trace_dir",
    *_OF_BACK_END,
    "redact",
    "redaction",
    "capture_content",
    "trace_per",
    "service_name",
    "max_value_bytes",
    "exit_timeout",
    "sending",
)


@dataclass(frozen=True, slots=True)
class SettingsFacts:
    """The settings in force here; never a header's value."""

    config_file: str
    has_config_file: bool = False
    url: str = ""
    """The final URL without keys, empty when nothing is sent."""
    vendor: str = ""
    headers: tuple[str, ...] = ()
    """Names alone."""
    keys_from: tuple[str, ...] = ()
    """Variables that the keys among the headers are taken from."""
    keys_in_file: tuple[str, ...] = ()
    """Those of them that the config file holds."""
    sending: bool = True
    redact: bool = True
    capture_content: bool = True
    service_name: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict[str, str])
    """Where each setting that is no default comes from: a variable's name, or the config file."""
    warning: str = ""
    unknown: tuple[str, ...] = ()
    """What looks like a setting and is none."""
    is_file_open: bool = False
    """Whether others may read the config file, which holds keys."""
    is_disabled: bool = False
    """Whether OTEL_SDK_DISABLED turns recording off as well."""
    errors: tuple[str, ...] = ()
    target: Target | None = field(default=None, repr=False)
    """The back end, for those who send to it."""


def look_at_settings(environ: Mapping[str, str], asked: Target | None = None) -> SettingsFacts:
    """Read the settings as a traced program would, noting what can't be understood.

    Args:
        environ: the environment.
        asked: a back end that the command line names, in place of the configured one.
    """
    errors: list[str] = []
    path = config.config_file(environ)
    found = config.load(environ, complain=lambda error: errors.append(str(error)))
    target = asked
    try:
        target = asked or configured_target(found, environ)
    except AgentTraceError as error:
        errors.append(str(error))
    named = config.sources(environ)
    return SettingsFacts(
        str(path),
        has_config_file=path.exists(),
        url=shown_url(target.url) if target is not None else "",
        vendor=target.vendor if target is not None else "",
        headers=tuple(target.headers) if target is not None else (),
        keys_from=target.key_names if target is not None else (),
        keys_in_file=tuple(found.keys),
        sending=found.sending,
        redact=found.redact,
        capture_content=found.capture_content,
        service_name=found.service_name,
        sources={
            name: source
            for name, source in named.items()
            if name in _SHOWN and (asked is None or name not in _OF_BACK_END)
        },
        warning=(protocol_warning(target.url, found.protocol) or "") if target is not None else "",
        unknown=tuple(config.unknown(environ)),
        is_file_open=(bool(found.keys) or named.get("headers") == str(path)) and _others_may_read(path),
        is_disabled=environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true",
        errors=tuple(errors),
        target=target,
    )


def section_of_settings(found: SettingsFacts) -> Section:
    """Return what there is to say of the settings."""
    file = found.config_file if found.has_config_file else f"{found.config_file} (none there)"
    lines = [("config file", file), ("sent to", _sent_to(found))]
    if found.url and found.headers:
        lines.append(("headers", ", ".join(found.headers) + _keys(found)))
    lines += [
        ("redaction", "on" if found.redact else "OFF: secrets are stored and sent as they are"),
        ("content", "captured" if found.capture_content else "left out"),
    ]
    if found.service_name:
        lines.append(("service", found.service_name))
    for source in dict.fromkeys(found.sources.values()):
        names = ", ".join(name for name in found.sources if found.sources[name] == source)
        lines.append(("from", f"{'the config file' if source == found.config_file else source}: {names}"))
    notes = [found.warning] if found.warning else []
    notes += found.unknown
    if found.is_disabled:
        notes.append("OTEL_SDK_DISABLED is true: programs with a provider of ours record nothing")
    if not found.redact:
        notes.append("redaction is OFF: secrets in prompts, arguments and results are stored, and sent, as they are")
    only_here = [name for name in found.keys_from if name not in found.keys_in_file]
    if found.sources.get("otel_endpoint", "").startswith("OTEL_") and not _is_ours(found):
        notes.append("hooks don't see OTEL_* variables: agent-trace setup --to NAME or --endpoint URL tells them")
    elif only_here and found.sources.get("to") == found.config_file:
        notes.append(f"hooks don't get {' and '.join(only_here)} of your environment: agent-trace setup --to keeps it")
    problems = list(found.errors)
    if found.is_file_open:
        problems.append(f"{found.config_file} holds keys, and others can read it: chmod 600 {found.config_file}")
    facts = asdict(replace(found, target=None))
    del facts["target"]
    return Section("settings", tuple(lines), facts, tuple(problems), tuple(notes))


def _sent_to(found: SettingsFacts) -> str:
    if not found.url:
        return "nothing is sent" if not found.errors else "nothing is sent, for the reason above"
    named = f"{found.url} ({found.vendor})" if found.vendor else found.url
    return named if found.sending else f"{named}; sending is off"


def _keys(found: SettingsFacts) -> str:
    return f" (keys of {', '.join(found.keys_from)})" if found.keys_from else ""


def _is_ours(found: SettingsFacts) -> bool:
    return "to" in found.sources or "endpoint" in found.sources


def _others_may_read(path: Path) -> bool:
    try:
        return os.name == "posix" and bool(path.stat().st_mode & 0o077)
    except OSError:
        return False
