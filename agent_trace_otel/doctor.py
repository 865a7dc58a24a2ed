"""What is configured, what is recorded, and what is wrong: facts of this machine -> the report of `agent-trace doctor`.

Comes in: the trace directory asked for, the environment, the working directory. Goes out: sections of lines for people,
the same facts as JSON, and the problems among them. Called by `cli`. Functions named ``look_at_...`` ask the system,
``section_of_...`` are pure.

Nothing here changes anything, starts a recorder, or shows a key.
"""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from agent_trace_otel import __version__, config
from agent_trace_otel.capture.hooks import state
from agent_trace_otel.capture.hooks.intake import control
from agent_trace_otel.capture.hooks.setup import installation, settings
from agent_trace_otel.capture.hooks.setup.agents import AGENTS
from agent_trace_otel.delivery.otlp import shown_url, traces_url
from agent_trace_otel.errors import AgentTraceError, SessionNotFoundError
from agent_trace_otel.replay.durations import age
from agent_trace_otel.replay.terminal import one_line
from agent_trace_otel.store.reader import find_trace_dir, session_folders

_LABEL: Final = 12
_LOG_BYTES: Final = 64 * 1024
_OTEL: Final = "OTEL_EXPORTER_OTLP_*; hooks don't see these variables"


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report."""

    title: str
    lines: tuple[tuple[str, str], ...]
    """Label and text."""
    facts: Any
    """The same for programs."""
    problems: tuple[str, ...] = ()
    """What is broken and what to do, a line each."""


@dataclass(frozen=True, slots=True)
class TraceDirectory:
    """Where sessions are read, and new ones written."""

    path: str
    exists: bool = False
    writable: bool = False
    sessions: int = 0
    refused: int = 0
    """Session folders that are symbolic links or another user's."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class RecorderFacts:
    """The resident process of hooks."""

    directory: str
    status: Mapping[str, Any] | None = None
    """What it says of itself, None when it doesn't answer."""
    is_locked: bool = False
    spooled: int = 0
    journals: int = 0
    last_error: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class SettingsFacts:
    """The settings in force here; never a header's value."""

    config_file: str
    has_config_file: bool = False
    endpoint: str = ""
    """The final URL without keys, empty when nothing is sent."""
    is_otel_endpoint: bool = False
    headers: tuple[str, ...] = ()
    sending: bool = True
    redact: bool = True
    capture_content: bool = True
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HookFacts:
    """Settings files of coding agents that call us."""

    files: tuple[tuple[str, str], ...] = ()
    """Agent and path."""
    missing: tuple[str, ...] = ()
    """Programs that those files name and that are gone."""
    outdated: tuple[str, ...] = field(default=())
    """Copies of the hook program that are not this version's."""


def examine(trace_dir: str | None, environ: Mapping[str, str], here: Path) -> list[Section]:
    """Look at everything and return the report."""
    return [
        section_of_trace_directory(look_at_trace_directory(trace_dir, environ)),
        section_of_recorder(look_at_recorder(environ), time.time()),
        section_of_settings(look_at_settings(environ)),
        section_of_hooks(look_at_hooks(environ, here)),
    ]


def look_at_trace_directory(given: str | None, environ: Mapping[str, str]) -> TraceDirectory:
    """Find the trace directory as every reader does, else where a session would be written."""
    try:
        path = find_trace_dir(given)
    except SessionNotFoundError:
        named = given or str(config.load(environ, complain=lambda _: None).trace_dir)
        return TraceDirectory(named, writable=_can_make(Path(named)))
    except AgentTraceError as error:
        return TraceDirectory(given or str(config.load(environ, complain=lambda _: None).trace_dir), error=str(error))
    path = str(Path(path).absolute())
    try:
        folders, refused = session_folders(path)
    except AgentTraceError as error:
        return TraceDirectory(path, exists=True, error=str(error))
    return TraceDirectory(path, exists=True, writable=_is_writable(path), sessions=len(folders), refused=refused)


def section_of_trace_directory(found: TraceDirectory) -> Section:
    """Return what there is to say of the trace directory."""
    sessions = f"{found.sessions}" if found.exists else "none yet"
    if found.refused:
        sessions += f", and {found.refused} folders that are links or another user's"
    problems = [found.error] if found.error else []
    if not found.writable and not found.error:
        problems.append(f"{found.path} can't be written: nothing is recorded there")
    lines = (("path", found.path), ("writable", _yes(found.writable)), ("sessions", sessions))
    return Section("trace directory", lines, asdict(found), tuple(problems))


def look_at_recorder(environ: Mapping[str, str]) -> RecorderFacts:
    """Ask the recorder, and look at what lies in its directory."""
    directory = state.directory(environ)
    if not os.path.lexists(directory):
        can_make = _can_make(Path(directory))
        return RecorderFacts(directory, error="" if can_make else f"{directory} can't be made: hooks record nothing")
    if Path(directory).is_symlink() or (hasattr(os, "getuid") and Path(directory).stat().st_uid != os.getuid()):
        return RecorderFacts(directory, error=f"{directory} is a symbolic link or another user's: hooks don't use it")
    return RecorderFacts(
        directory,
        control.ask(directory, control.STATUS),
        is_locked=state.is_locked(directory),
        spooled=len(list(Path(directory, state.SPOOL).glob("[!.]*.hook"))),
        journals=len(list(Path(directory, state.JOURNALS).glob("[!.]*.ndjson"))),
        last_error=_last_error(Path(directory, state.LOG)),
    )


def section_of_recorder(found: RecorderFacts, now: float) -> Section:
    """Return what there is to say of the recorder.

    Args:
        found: the facts.
        now: unix seconds that ages are counted to.
    """
    said = found.status
    problems = [found.error] if found.error else []
    lines: list[tuple[str, str]] = []
    if said is not None:
        lines += [
            ("running", f"pid {said['pid']}, version {said['version']}, for {age(now - said['since'])}"),
            ("sessions", f"{said['open_sessions']} open"),
            ("received", f"{said['frames']} events, {said['spooled']} from the spool, {said['waiting']} waiting"),
        ]
        if said["failures"]:
            failed = ", ".join(f"{count} x {place}" for place, count in said["failures"].items())
            problems.append(f"the recorder could not do everything: {failed}; see {found.directory}/{state.LOG}")
    elif found.is_locked:
        lines.append(("running", "no answer"))
        problems.append("a recorder is there but does not answer: it is leaving, or stuck (then end its process)")
    else:
        lines.append(("running", "no (the first hook starts it)"))
    waiting = f"{found.spooled} events wait for a recorder" if found.spooled else "empty"
    lines += [("spool", waiting), ("journals", str(found.journals))]
    if found.last_error:
        lines.append(("last error", found.last_error))
    lines.append(("log", f"{found.directory}/{state.LOG}"))
    return Section("recorder", tuple(lines), asdict(found), tuple(problems))


def look_at_settings(environ: Mapping[str, str]) -> SettingsFacts:
    """Read the settings as a traced program would, noting what can't be understood."""
    errors: list[str] = []
    path = config.config_file(environ)
    found = config.load(environ, complain=lambda error: errors.append(str(error)))
    endpoint = found.endpoint or found.otel_endpoint or ""
    url = ""
    try:
        url = shown_url(traces_url(endpoint)) if endpoint else ""
    except AgentTraceError as error:
        errors.append(str(error))
    return SettingsFacts(
        str(path),
        has_config_file=path.exists(),
        endpoint=url,
        is_otel_endpoint=found.endpoint is None and found.otel_endpoint is not None,
        headers=tuple(found.headers),
        sending=found.sending,
        redact=found.redact,
        capture_content=found.capture_content,
        errors=tuple(errors),
    )


def section_of_settings(found: SettingsFacts) -> Section:
    """Return what there is to say of the settings."""
    endpoint = found.endpoint or "none: nothing is sent"
    if found.endpoint and found.headers:
        endpoint += f" with {', '.join(found.headers)}"
    if found.endpoint and found.is_otel_endpoint:
        endpoint += f" ({_OTEL})"
    if not found.sending:
        endpoint += " (sending is off: OTEL_TRACES_EXPORTER or OTEL_SDK_DISABLED)"
    lines = (
        ("config file", found.config_file if found.has_config_file else f"{found.config_file} (none there)"),
        ("endpoint", endpoint),
        ("redaction", "on" if found.redact else "OFF: secrets are stored and sent as they are"),
        ("content", "captured" if found.capture_content else "left out"),
    )
    return Section("settings", lines, asdict(found), found.errors)


def look_at_hooks(environ: Mapping[str, str], here: Path) -> HookFacts:
    """Read the settings files of all agents, for this directory and for the user."""
    home, script = installation.home(environ), installation.script_path(environ)
    files: list[tuple[str, str]] = []
    names_script = False
    for agent in AGENTS.values():
        paths = (agent.settings_file(scope, here, home, environ) for scope in agent.files)
        for path in dict.fromkeys(path for path in paths if path is not None):
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            if settings.holds_ours(text):
                files.append((agent.name, str(path)))
                names_script = names_script or script.name in text
    if not names_script:
        return HookFacts(tuple(files))
    try:
        is_current = script.read_text(encoding="utf-8") == installation.script()
    except (OSError, UnicodeDecodeError):
        return HookFacts(tuple(files), missing=(str(script),))
    return HookFacts(tuple(files), outdated=() if is_current else (str(script),))


def section_of_hooks(found: HookFacts) -> Section:
    """Return what there is to say of registered hooks."""
    lines = [*found.files] or [("registered", "none here (agent-trace setup registers them)")]
    lines += [("note", f"{path} is not of this version: run agent-trace setup again") for path in found.outdated]
    problems = [f"{path} is gone, so hooks record nothing: run agent-trace setup again" for path in found.missing]
    return Section("hooks", tuple(lines), asdict(found), tuple(problems))


def as_text(sections: list[Section], width: int) -> Iterator[str]:
    """Yield the report for people, wrapped to ``width`` columns; paths are never cut."""
    yield f"agent-trace {__version__}, Python {sys.version.split()[0]}\n"
    for section in sections:
        yield f"\n{section.title}\n"
        marked = [("!", "", problem) for problem in section.problems]
        for mark, label, text in [*((" ", *line) for line in section.lines), *marked]:
            first = f"{mark} {label:<{_LABEL}}" if label else f"{mark} "
            yield (
                textwrap.fill(
                    one_line(text, None),
                    width,
                    initial_indent=first,
                    subsequent_indent=" " * len(first),
                    break_long_words=False,
                    break_on_hyphens=False,
                )
                + "\n"
            )
    count = sum(len(section.problems) for section in sections)
    yield f"\n{count} problem{'' if count == 1 else 's'}\n" if count else "\nno problems\n"


def as_json(sections: list[Section]) -> dict[str, Any]:
    """Return the report for programs: facts by section, and all problems."""
    problems = [problem for section in sections for problem in section.problems]
    facts = {section.title.replace(" ", "_"): section.facts for section in sections}
    return {"version": __version__, "ok": not problems, "problems": problems, **facts}


def _last_error(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line for line in reversed(lines) if " WARNING " in line or " ERROR " in line), "")


def _is_writable(path: str) -> bool:
    return os.access(path, os.W_OK | os.X_OK)


def _can_make(path: Path) -> bool:
    """Tell whether a directory that is not there could be made."""
    nearest = next((above for above in path.absolute().parents if above.exists()), Path("/"))
    return nearest.is_dir() and _is_writable(str(nearest))


def _yes(value: bool) -> str:  # noqa: FBT001 - its only argument
    return "yes" if value else "no"
