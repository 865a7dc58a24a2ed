"""A run before it begins: its session, and the variables that its processes are started with.

Comes in: the environment, the settings and the options of the command. Goes out: a `Plan` and an environment. Called by
`command`, which has a program to start: nothing here loads OpenTelemetry, and all but `planned` is pure.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from agent_trace_otel import ids
from agent_trace_otel.capture.mcp.naming import name_of

if TYPE_CHECKING:
    from agent_trace_otel.store.writer import Runs

SITE: Final = str(Path(__file__).parent / "site")
"""Holds nothing but our sitecustomize.py."""
WATCH_VARIABLE: Final = "AGENT_TRACE_RUN_WATCH"
"""``openai=openai;mcp=mcp,fastmcp;files=``: instrumentors, and whose import switches each on; nobody's: at once."""
REPORTS_VARIABLE: Final = "AGENT_TRACE_RUN_REPORTS"
"""The named pipe that processes tell the command through what became of their tracing."""

_TRACEPARENT_LENGTHS: Final = [2, 32, 16, 2]
_NEVER_TRACED: Final = frozenset("IES")
_TAKE_A_VALUE: Final = frozenset("WXcm")


class Plan(NamedTuple):
    """One run: the session it opens, or the one that it is started in."""

    command: tuple[str, ...]
    session_id: str
    name: str
    trace_dir: Path
    joins: bool = False
    """Whether it is a part of a session that another process has opened and will close."""
    number: int = 1
    """Which process run of the session this is."""
    previous: tuple[str, str] | None = None
    """The span of the run before, as (trace id, span id) in hex."""
    parent: str = ""
    """The TRACEPARENT that the run's session hangs under."""
    flags: str = "01"
    """The trace flags of a session without one: whether it is sent."""
    service_name: str | None = None
    """What its processes are to be called where nothing else says; None where something does."""
    redact: bool | None = None
    watched: Mapping[str, Sequence[str]] = {}
    """Instrumentor -> modules whose import switches it on."""
    began: int = 0
    """Unix nanoseconds."""

    @property
    def traceparent(self) -> str:
        """What the processes hang under: the span that `session` will start, whose id follows from the session's."""
        if self.joins:
            return self.parent
        version, trace_id, _, flags = (
            self.parent or f"00-{ids.trace_id_of(self.session_id):032x}--{self.flags}"
        ).split("-")
        return f"{version}-{trace_id}-{ids.derived_span_id(self.session_id, 'run', str(self.number)):016x}-{flags}"

    def environment(self, given: Mapping[str, str], reports: str = "") -> dict[str, str]:
        """Return the variables of the program.

        Args:
            given: the command's own.
            reports: the path of the named pipe, empty if there is none.
        """
        found = {
            **given,
            "PYTHONPATH": _with_site(given.get("PYTHONPATH", "")),
            "AGENT_TRACE_SESSION_ID": self.session_id,
            "AGENT_TRACE_DIR": str(self.trace_dir),
            "TRACEPARENT": self.traceparent,
            WATCH_VARIABLE: ";".join(f"{name}={','.join(modules)}" for name, modules in self.watched.items()),
            REPORTS_VARIABLE: reports,
        }
        if not self.parent:
            found.pop("TRACESTATE", None)
        if self.service_name is not None:
            found["AGENT_TRACE_SERVICE_NAME"] = self.service_name
        if self.redact is not None:
            found["AGENT_TRACE_REDACT"] = str(self.redact).lower()
        return found


def planned(  # noqa: PLR0913 - the options of the command
    command: Sequence[str],
    *,
    name: str = "",
    redact: bool | None = None,
    trace_dir: Path | None = None,
    watched: Mapping[str, Sequence[str]],
    environ: Mapping[str, str] | None = None,
) -> Plan:
    """Return what a run is to be: a session of its own, unless a traced process has started it.

    Args:
        command: the program's command line.
        name: the session's; by default the program's.
        redact: False records values as they are; None is as the settings say.
        trace_dir: where the session's folder goes; by default as the settings say.
        watched: instrumentor -> modules whose import switches it on.
        environ: the command's own variables, by default the process's.
    """
    given = os.environ if environ is None else environ
    trace_dir, service_name = _settings(trace_dir, given)
    named, parent = given.get("AGENT_TRACE_SESSION_ID", "").strip(), _valid(given.get("TRACEPARENT", ""))
    session_id = ids.folder_name(named) if named else ids.new_id()
    name = name or program_of(command)
    by_others = service_name or given.get("OTEL_SERVICE_NAME"), given.get("OTEL_RESOURCE_ATTRIBUTES", "")
    is_named = bool(by_others[0]) or "service.name=" in by_others[1]
    joins = bool(named and parent)
    before = _runs_before(trace_dir, session_id) if named and not joins else None
    return Plan(
        tuple(command),
        session_id,
        name,
        trace_dir,
        joins=joins,
        number=1 if before is None else before.count + 1,
        previous=None if before is None else before.last,
        parent=parent,
        service_name=None if is_named or joins else name,
        redact=redact,
        watched=watched,
        began=time.time_ns(),
    )


def _settings(trace_dir: Path | None, environ: Mapping[str, str]) -> tuple[Path, str | None]:
    """Return the trace directory and the service's name, by the rule of `config`, which takes longer to load."""
    home = environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - joined below
    if Path(home, "agent-trace", "config.toml").exists():
        from agent_trace_otel import config

        # what can't be understood is said by those who record
        in_force = config.load(environ, complain=lambda _: None, trace_dir=trace_dir)
        return in_force.trace_dir, in_force.service_name
    named = trace_dir or Path(environ.get("AGENT_TRACE_DIR") or ".agent-traces")
    try:
        return named.expanduser().absolute(), environ.get("AGENT_TRACE_SERVICE_NAME") or None
    except (OSError, RuntimeError):  # the working directory was removed; nobody's home is known
        return named, None


def program_of(command: Sequence[str]) -> str:
    """Return the name of the program that a command line runs: ``agent`` for ``uv run python agent.py``."""
    if "-c" in command:
        return Path(command[0]).name
    return name_of(command).removesuffix(".py") or Path(command[0]).name


def never_traced(command: Sequence[str]) -> str:
    """Return the option that keeps an interpreter from PYTHONPATH or sitecustomize, such as ``-I``; else nothing."""
    if not command or not Path(command[0]).name.startswith(("python", "pypy")):
        return ""
    words = iter(command[1:])
    for word in words:
        if not word.startswith("-") or word.startswith("--") or word == "-":
            return ""
        for place, letter in enumerate(word[1:], 1):
            if letter in _NEVER_TRACED:
                return f"-{letter}"
            if letter in _TAKE_A_VALUE:
                if letter in "cm":
                    return ""
                if place == len(word) - 1:
                    next(words, "")
                break
    return ""


def _with_site(path: str) -> str:
    """Return PYTHONPATH with our directory first, and once."""
    return os.pathsep.join([SITE, *(part for part in path.split(os.pathsep) if part != SITE)] if path else [SITE])


def _valid(traceparent: str) -> str:
    """Return a TRACEPARENT that can be followed (W3C Trace Context, section 3.2), else nothing."""
    text = traceparent.strip()
    parts = text.split("-")
    try:
        numbers = [int(part, 16) for part in parts]
    except ValueError:
        return ""
    is_valid = [len(part) for part in parts] == _TRACEPARENT_LENGTHS and numbers[1] and numbers[2]
    return text.lower() if is_valid and parts[0] != "ff" else ""


def _runs_before(trace_dir: Path, session_id: str) -> Runs:
    from agent_trace_otel.store.writer import runs_of

    return runs_of(trace_dir, session_id)
