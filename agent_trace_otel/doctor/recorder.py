"""The recorder, as doctor sees it: does it run, what has it got, what could it not do.

Comes in: the environment. Goes out: facts and their section. Called by `report`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from agent_trace_otel import __version__
from agent_trace_otel.capture.hooks import state
from agent_trace_otel.capture.hooks.intake import control
from agent_trace_otel.doctor.section import Section, counted
from agent_trace_otel.doctor.storage import can_make
from agent_trace_otel.replay.durations import age

_LOG_BYTES: Final = 64 * 1024


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


def look_at_recorder(environ: Mapping[str, str]) -> RecorderFacts:
    """Ask the recorder, and look at what lies in its directory."""
    directory = state.directory(environ)
    if not os.path.lexists(directory):
        can = can_make(Path(directory))
        return RecorderFacts(directory, error="" if can else f"{directory} can't be made: hooks record nothing")
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
    notes: list[str] = []
    if said is not None and said["version"] != __version__:
        notes.append(f"the recorder is of version {said['version']}; the next hook of {__version__} replaces it")
    waiting = f"{counted(found.spooled, 'event')} wait for a recorder" if found.spooled else "empty"
    lines += [("spool", waiting), ("journals", str(found.journals))]
    if found.last_error:
        lines.append(("last error", found.last_error))
    lines.append(("log", f"{found.directory}/{state.LOG}"))
    return Section("recorder", tuple(lines), asdict(found), tuple(problems), tuple(notes))


def _last_error(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line for line in reversed(lines) if " WARNING " in line or " ERROR " in line), "")
