"""Back ends by name: a vendor's entry and the environment -> a `Target`; and what an endpoint's host says about it.

Comes in: ``--to datadog``, ``--to honeycomb:eu``, or an endpoint's URL. Goes out: a `Target` with its final URL,
headers and limits, or one line that names what is missing. The entries themselves are data, in `vendor_table`.
Called by `otlp` for endpoints, by whatever takes ``--to``, and by doctor.

Keys are taken from the environment, go into a Target's headers, and are in no message and no repr.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from urllib.parse import SplitResult, urlsplit, urlunsplit

from agent_trace_otel.delivery.target import MAX_BODY_BYTES, Target
from agent_trace_otel.errors import UsageError

_TRACES_PATHS = ("/v1/traces", "/v2/trace/otlp")
_REGION = "{region}"
_NAMES = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that a vendor's entry is filled in with; named as the vendor names it where it does."""

    name: str
    meaning: str
    """What it holds, as the end of "... wants"."""
    is_key: bool = False
    """Whether its value is a secret."""
    default: str | None = None
    """None: it must be given. Empty: headers that use it are left out without it."""
    also: tuple[str, ...] = ()
    """Other names for the same."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """One back end, as data."""

    name: str
    """As in ``--to``."""
    title: str
    base: str
    """URL up to the path; ``{region}`` and ``{VARIABLE}`` are filled in. Empty: only a variable knows it."""
    docs: str
    """The page of its documentation that this entry follows."""
    checked: str
    """When and against what this entry was last held, or "not checked"."""
    recognises: str
    """What makes it show a GenAI trace as one, and what it does not keep."""
    path: str = "/v1/traces"
    base_from: tuple[str, ...] = ()
    """Variables that name another base, as the vendor's own libraries read them."""
    regions: Mapping[str, str] = field(default_factory=dict[str, str])
    """What ``--to name:region`` takes -> what stands for ``{region}``."""
    region: str = ""
    """The region when none is named; empty: one must be."""
    region_from: tuple[str, ...] = ()
    """Variables that name the region, as a name or as what stands for it."""
    region_pattern: str = ""
    """What other regions look like."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Name -> value, ``{VARIABLE}`` filled in; what follows "Basic " is base64 then (RFC 7617)."""
    variables: tuple[Variable, ...] = ()
    max_body_bytes: int = MAX_BODY_BYTES
    max_attribute_chars: int | None = None
    gzip: bool = False
    accepted: frozenset[int] = frozenset({200})
    wrong_hosts: Mapping[str, str] = field(default_factory=dict[str, str])
    """Hosts of its other services, which people mistake for this one (regular expression) -> the URL to use."""

    def is_at(self, host: str) -> bool:
        """Tell whether a host is one of this vendor's own for OTLP."""
        pattern = re.escape(urlsplit(self.base).hostname or "").replace(re.escape(_REGION), self._any_region())
        return bool(self.regions or self.region_pattern or "." in self.base) and _matches(pattern, host)

    def region_named(self, given: str) -> str | None:
        """Return what stands for ``{region}``, None when there is no such region."""
        lowered = given.strip().lower()
        if lowered in self.regions:
            return self.regions[lowered]
        return lowered if _matches(self._any_region(), lowered) else None

    def _any_region(self) -> str:
        known = [re.escape(value) for value in self.regions.values()]
        return f"(?:{'|'.join([*known, self.region_pattern] if self.region_pattern else known)})"


def resolve(name: str, environ: Mapping[str, str], *, endpoint: str | None = None) -> Target:
    """Return the back end that ``--to`` names.

    Args:
        name: a vendor, with a region after a colon where it has several: ``honeycomb:eu``.
        environ: where its keys and settings are looked for.
        endpoint: another base or full URL that speaks for it, such as a proxy in front; it gets the vendor's headers.

    Raises:
        UsageError: no such vendor or region, or a variable is missing; never shows a value.
    """
    wanted, _, region = name.strip().partition(":")
    vendor = named(wanted)
    values = _Values(vendor, environ)
    url = _url(vendor, region, values, endpoint)
    headers = {title: text for title, template in vendor.headers.items() if (text := values.header(template))}
    return _target(vendor, url, headers, values.used_keys())


def url_of(name: str, environ: Mapping[str, str], *, endpoint: str | None = None) -> str:
    """Return the final URL alone, for those who send nothing and need no key. Arguments and errors as `resolve`."""
    wanted, _, region = name.strip().partition(":")
    vendor = named(wanted)
    return _url(vendor, region, _Values(vendor, environ), endpoint)


def taken_from(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that `resolve` would take from the environment, for a process that has another one.

    Raises:
        UsageError: no such vendor.
    """
    wanted, _, region = name.strip().partition(":")
    vendor = named(wanted)
    names = [known for variable in vendor.variables for known in (variable.name, *variable.also)]
    names += [*vendor.base_from, *(() if region else vendor.region_from)]
    return {known: environ[known].strip() for known in names if environ.get(known, "").strip()}


def at(url: str, headers: Mapping[str, str] | None = None) -> Target:
    """Return the target that a final URL is: with its vendor's limits if the host is a vendor's."""
    host = urlsplit(url).hostname or ""
    vendor = next((one for one in vendors().values() if one.is_at(host)), None)
    return Target(url, dict(headers or {})) if vendor is None else _target(vendor, url, dict(headers or {}), ())


def path_at(host: str) -> str:
    """Return the path that an endpoint on this host gets when it has none.

    Raises:
        UsageError: spans don't belong there; says where they do.
    """
    for vendor in vendors().values():
        if vendor.is_at(host):
            return urlsplit(vendor.base).path + vendor.path
        for pattern, url in vendor.wrong_hosts.items():
            found = re.fullmatch(pattern, host)
            if found:
                right = url.format(**{name: value or "" for name, value in found.groupdict().items()})
                msg = f"{host} takes no OTLP traces: {vendor.title} takes them at {right} (--to {vendor.name})"
                raise UsageError(msg)
    return _TRACES_PATHS[0]


def named(name: str) -> Vendor:
    """Return a vendor by its name.

    Raises:
        UsageError: there is none; names the nearest and all.
    """
    known = vendors()
    lowered = name.strip().lower()
    if lowered in known:
        return known[lowered]
    near = get_close_matches(lowered, known, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    msg = f"no back end {name!r}: {meant}there are {', '.join(known)}; any other takes --endpoint URL"
    raise UsageError(msg)


def vendors() -> Mapping[str, Vendor]:
    """Return all entries by name."""
    from agent_trace_otel.delivery.vendor_table import VENDORS

    return VENDORS


class _Values:
    """The variables of one vendor, looked up once, with what was used of them."""

    def __init__(self, vendor: Vendor, environ: Mapping[str, str]) -> None:
        self._vendor, self._environ = vendor, environ
        self._known = {variable.name: variable for variable in vendor.variables}
        self._used: dict[str, None] = {}

    def first(self, names: tuple[str, ...]) -> str:
        return next((value for name in names if (value := self._environ.get(name, "").strip())), "")

    def filled(self, template: str) -> str:
        """Return a template with its variables in place; empty when one that may be missing is."""
        texts = {name: self._value(self._known[name]) for name in _NAMES.findall(template)}
        return "" if "" in texts.values() else _NAMES.sub(lambda found: texts[found[1]], template)

    def header(self, template: str) -> str:
        text = self.filled(template)
        if text.startswith("Basic "):
            return "Basic " + base64.b64encode(text.removeprefix("Basic ").encode()).decode()
        return text

    def used_keys(self) -> tuple[str, ...]:
        return tuple(self._used)

    def _value(self, variable: Variable) -> str:
        name = next((name for name in (variable.name, *variable.also) if self._environ.get(name, "").strip()), "")
        if not name:
            if variable.default is None:
                also = "".join(f" (or {other})" for other in variable.also)
                msg = f"{variable.name}{also} is not set: {self._vendor.title} wants {variable.meaning} there; "
                msg += f"see {self._vendor.docs}"
                raise UsageError(msg)
            return variable.default
        value = self._environ[name].strip()
        if not (value.isascii() and value.isprintable()):
            msg = f"{name} holds characters that can't be sent in a header (its value is not shown)"
            raise UsageError(msg)
        if variable.is_key:
            self._used[name] = None
        return value


def _url(vendor: Vendor, region: str, values: _Values, endpoint: str | None) -> str:
    if endpoint is not None:
        return _joined(endpoint, vendor, "the endpoint")
    of_environment = "" if region else values.first(vendor.base_from)
    return _joined(of_environment or _base(vendor, region, values), vendor, " or ".join(vendor.base_from))


def _base(vendor: Vendor, region: str, values: _Values) -> str:
    """Return the entry's own base with its region and variables in place."""
    given = region or values.first(vendor.region_from) or vendor.region
    if _REGION not in vendor.base:
        if region:
            msg = f"{vendor.title} has no regions: --to {vendor.name}"
            raise UsageError(msg)
        if not vendor.base:
            msg = f"{' or '.join(vendor.base_from)} is not set: it holds the URL of your own {vendor.title}; "
            msg += f"see {vendor.docs}"
            raise UsageError(msg)
        return values.filled(vendor.base)
    choices = ", ".join(vendor.regions) or f"one like {vendor.region_pattern}"
    if not given:
        known = " or ".join((*vendor.region_from, f"--to {vendor.name}:REGION"))
        msg = f"{vendor.title} wants a region: {known}; there are {choices}"
        raise UsageError(msg)
    found = vendor.region_named(given)
    if found is None:
        msg = f"{vendor.title} has no region {given!r}: there are {choices}"
        raise UsageError(msg)
    return vendor.base.replace(_REGION, found)


def _joined(base: str, vendor: Vendor, where: str) -> str:
    """Return base and path as one URL; what the base has of the path already is not repeated.

    Raises:
        UsageError: the base, which stands in ``where``, is no URL, or a host that takes no spans.
    """
    try:
        parts = urlsplit(base.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, usable = urlsplit(""), False
    if not usable or re.search(r"\s", base.strip()):
        msg = f"{where or vendor.title} is no URL such as https://host (--to {vendor.name})"
        raise UsageError(msg)
    path_at(parts.hostname or "")
    path = parts.path.rstrip("/")
    if not path.endswith(_TRACES_PATHS):
        overlaps = (at for at in range(len(vendor.path), 0, -1) if vendor.path[at : at + 1] in ("/", ""))
        overlap = next((at for at in overlaps if path.endswith(vendor.path[:at])), 0)
        path += vendor.path[overlap:]
    return urlunsplit(SplitResult(parts.scheme, parts.netloc, path, parts.query, ""))


def _target(vendor: Vendor, url: str, headers: dict[str, str], keys: tuple[str, ...]) -> Target:
    return Target(
        url,
        headers,
        vendor=vendor.name,
        max_body_bytes=vendor.max_body_bytes,
        max_attribute_chars=vendor.max_attribute_chars,
        gzip=vendor.gzip,
        accepted=vendor.accepted,
        key_names=keys,
    )


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None
