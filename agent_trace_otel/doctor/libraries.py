"""Libraries, as doctor sees them: what instrumentors would meet here, what can't be patched, what runs could not do.

Comes in: the environment. Goes out: facts and their section. Called by `report`. What can be patched is tried in
processes of their own, several at once, since it means importing the library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from typing import Final

from agent_trace_otel import instrumentation
from agent_trace_otel.capture.run.problems import Problem, problems
from agent_trace_otel.doctor.section import Section, counted

_AT_ONCE: Final = 4
_INSTRUMENTATION: Final = re.compile(r"(?:opentelemetry|openinference)-instrumentation-(?:genai-)?(.+?)(?:-v2)?")
"""OpenTelemetry's own, OpenLLMetry's and OpenInference's, by the library that they trace."""
_OTHER_SDKS: Final = {
    "ddtrace": "Datadog's tracer",
    "logfire": "Logfire",
    "traceloop-sdk": "OpenLLMetry",
    "langfuse": "Langfuse",
    "arize-phoenix-otel": "Phoenix",
    "braintrust": "Braintrust",
    "sentry-sdk": "Sentry",
    "opentelemetry-distro": "opentelemetry-instrument",
}
"""Distributions that bring, or set up, a tracer provider of their own."""


@dataclass(frozen=True, slots=True)
class Library:
    """What one instrumentor meets here."""

    name: str
    distribution: str
    installed: str
    supported: str
    fits: bool
    opt_in: bool
    unpatched: tuple[tuple[str, str], ...] | None = None
    """Place and reason; None when it was not tried."""
    beside: tuple[str, ...] = ()
    """Distributions that are installed here and trace the same library, when they are switched on."""


@dataclass(frozen=True, slots=True)
class LibraryFacts:
    """The libraries of this interpreter, and what recent runs could not do."""

    libraries: tuple[Library, ...] = ()
    others: Mapping[str, str] | None = None
    """Other tracing SDKs that are installed here, with their version."""
    runs: tuple[Problem, ...] = ()


def look_at_libraries(environ: Mapping[str, str], *, tries: bool = False) -> LibraryFacts:
    """Ask for installed versions, and read what runs have left behind.

    Args:
        environ: tells where runs leave it.
        tries: whether each library is imported, to see what of it can be patched.
    """
    rows = instrumentation.survey()
    wanted = [row.name for row in rows if row.distribution and row.fits and tries]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        unpatched = dict(zip(wanted, pool.map(instrumentation.check, wanted), strict=True))
    instrumentations = _other_instrumentations()
    libraries = tuple(
        Library(
            row.name,
            row.distribution,
            row.installed,
            row.supported,
            row.fits,
            row.opt_in,
            tuple((one.target, one.reason) for one in unpatched[row.name]) if row.name in unpatched else None,
            tuple(other for other, of in instrumentations if of == row.name.replace("_", "-")),
        )
        for row in rows
        if row.distribution
    )
    others = {name: found for name in _OTHER_SDKS if (found := _version(name))}
    return LibraryFacts(libraries, others, tuple(problems(environ)))


def section_of_libraries(found: LibraryFacts) -> Section:
    """Return what there is to say of libraries."""
    here = [one for one in found.libraries if one.installed]
    lines = [(one.name, f"{one.distribution} {one.installed}{_fit(one)}") for one in here]
    absent = [one.name for one in found.libraries if not one.installed]
    if absent:
        lines.append(("not here", ", ".join(absent)))
    if any(one.fits and one.unpatched is None for one in here):
        lines.append(("patches", "not tried (agent-trace doctor --libraries does it, in some seconds)"))
    notes: list[str] = []
    for one in here:
        if not one.fits:
            notes.append(f"{one.distribution} {one.installed} is not traced: versions {one.supported} are")
        notes += [f"{one.name}: can't patch {place}: {reason}" for place, reason in one.unpatched or ()]
        if one.beside and one.fits:
            notes.append(f"{one.name} may be traced by {' and '.join(one.beside)} too: a call's spans are told as one")
    for name, number in (found.others or {}).items():
        notes.append(f"{name} {number} is installed: where {_OTHER_SDKS[name]} sets up a provider, ours joins it")
    for problem in found.runs:
        times = f" ({problem.count} times)" if problem.count > 1 else ""
        notes.append(f"a run could not {problem.what}: {problem.why}{times}")
    return Section("libraries", tuple(lines), asdict(found), notes=tuple(notes))


def _fit(one: Library) -> str:
    if not one.fits:
        return f" (not traced: wants {one.supported})"
    if one.unpatched is None:
        return ""
    return f" ({counted(len(one.unpatched), 'place')} can't be patched)" if one.unpatched else ", patched whole"


def _other_instrumentations() -> list[tuple[str, str]]:
    """Return the instrumentations of others that are installed here: distribution, and the library that it traces."""
    names = sorted({str(found.metadata["Name"]).lower().replace("_", "-") for found in distributions()})
    return [(name, matched.group(1)) for name in names if (matched := _INSTRUMENTATION.fullmatch(name))]


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
