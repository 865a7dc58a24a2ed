"""The trace directory, as doctor sees it: where sessions go, which there are, how much they take.

Comes in: the directory asked for, the environment. Goes out: facts and their section. Called by `report`.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from agent_trace_otel import config
from agent_trace_otel.doctor.section import Section, counted
from agent_trace_otel.errors import AgentTraceError, SessionNotFoundError
from agent_trace_otel.replay.durations import age
from agent_trace_otel.replay.listing import sessions_newest_first
from agent_trace_otel.replay.sizes import size
from agent_trace_otel.store.reader import find_trace_dir

_MUCH: Final = 5_000_000_000  # bytes, from which on prune is worth a word


@dataclass(frozen=True, slots=True)
class TraceDirectory:
    """Where sessions are read, and new ones written."""

    path: str
    exists: bool = False
    writable: bool = False
    sessions: int = 0
    states: Mapping[str, int] = field(default_factory=dict[str, int])
    """How many are ended, running, crashed, unknown."""
    newest: float | None = None
    """When the newest began, in unix seconds."""
    bytes: int = 0
    refused: int = 0
    """Session folders that are symbolic links or another user's."""
    error: str = ""
    folders: tuple[str, ...] = field(default=(), repr=False)
    """Of the sessions, newest first; for those who look into them."""


def look_at_trace_directory(given: str | None, environ: Mapping[str, str]) -> TraceDirectory:
    """Find the trace directory as every reader does, else where a session would be written."""
    try:
        path = find_trace_dir(given)
    except SessionNotFoundError:
        named = given or str(config.load(environ, complain=lambda _: None).trace_dir)
        return TraceDirectory(named, writable=can_make(Path(named)))
    except AgentTraceError as error:
        return TraceDirectory(given or str(config.load(environ, complain=lambda _: None).trace_dir), error=str(error))
    path = str(Path(path).absolute())
    try:
        sessions, refused = sessions_newest_first(path)
    except AgentTraceError as error:
        return TraceDirectory(path, exists=True, error=str(error))
    states = Counter(session.state for session in sessions)
    return TraceDirectory(
        path,
        exists=True,
        writable=os.access(path, os.W_OK | os.X_OK),
        sessions=len(sessions),
        states={state: states[state] for state in ("running", "crashed", "ended", "unknown") if states[state]},
        newest=sessions[0].started_at if sessions else None,
        bytes=sum(_bytes_in(session.folder) for session in sessions),
        refused=refused,
        folders=tuple(session.folder for session in sessions),
    )


def section_of_trace_directory(found: TraceDirectory, now: float | None = None) -> Section:
    """Return what there is to say of the trace directory."""
    lines = [("path", found.path), ("writable", "yes" if found.writable else "no")]
    if not found.exists:
        lines.append(("sessions", "none yet"))
    else:
        states = ", ".join(f"{count:,} {state}" for state, count in found.states.items())
        lines.append(("sessions", f"{found.sessions:,}" + (f" ({states})" if states else "")))
    if found.newest is not None:
        lines.append(("newest", f"{age((time.time() if now is None else now) - found.newest)} ago"))
    if found.exists:
        lines.append(("disk use", size(found.bytes)))
    problems = [found.error] if found.error else []
    if not found.writable and not found.error:
        problems.append(f"{found.path} can't be written: nothing is recorded there")
    notes: list[str] = []
    if found.refused:
        notes.append(f"{counted(found.refused, 'folder')} left out: symbolic links, or another user's")
    if found.states.get("crashed"):
        notes.append(f"{counted(found.states['crashed'], 'session')} crashed: agent-trace list shows which")
    if found.bytes > _MUCH:
        notes.append("agent-trace prune --older-than 30d --dry-run tells what could go")
    facts = asdict(found)
    del facts["folders"]
    return Section("trace directory", tuple(lines), facts, tuple(problems), tuple(notes))


def can_make(path: Path) -> bool:
    """Tell whether a directory that is not there could be made."""
    nearest = next((above for above in path.absolute().parents if above.exists()), Path("/"))
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def _bytes_in(folder: str) -> int:
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries if entry.is_file())
    except OSError:
        return 0
