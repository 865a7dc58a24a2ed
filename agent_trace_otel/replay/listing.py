"""Sessions -> the table of `agent-trace list`, as text or JSON.

Comes in: a trace directory. Goes out: text. Called by the list command. Reads meta.json alone, and the timeline only of
sessions without an end, which it never writes to.
"""

from __future__ import annotations

import json
import time

from agent_trace_otel.replay.durations import age, brief
from agent_trace_otel.replay.terminal import one_line
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session, session_folders, started_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SHORTEST = 8  # characters of an id
_AGENT_WIDTH = 24
_HEADINGS = ("AGE", "DURATION", "CALLS", "LLM", "ERRORS", "TOKENS")
_RED, _DIM, _YELLOW, _RESET = "\033[31m", "\033[2m", "\033[33m", "\033[0m"


def sessions_newest_first(trace_dir: str) -> tuple[list[Session], int]:
    """Return the sessions of a trace directory, counted, and the number of folders refused.

    Raises:
        StoreError: the directory or a timeline that must be counted can't be read.
    """
    folders, refused = session_folders(trace_dir)
    sessions = [Session(folder) for folder in folders]
    for session in sessions:
        if session.ended_at is None:
            with SessionIndex(session.events_path) as index:
                session.recount(index)
        if not session.started_at:
            session.started_at = started_at(session)
    sessions.sort(key=lambda session: (session.started_at, session.session_id), reverse=True)
    return sessions, refused


def table(sessions: list[Session], *, id_length: int, colour: bool, now: float | None = None) -> Iterator[str]:
    """Yield the lines of the table: heading first, then one a session.

    Args:
        sessions: in the order to show.
        id_length: characters of an id to show, see `unambiguous`.
        colour: whether to write ANSI colours.
        now: unix seconds that ages are counted to; the time of day when None.
    """
    now = time.time() if now is None else now
    dim, red, yellow, reset = (_DIM, _RED, _YELLOW, _RESET) if colour else ("", "", "", "")
    names = {session.agent_name for session in sessions}
    shown = {name: one_line(name, _AGENT_WIDTH) or "-" for name in names}
    agent_width = max([len("AGENT"), *map(len, shown.values())])
    ages = "{:>5} {:>9} {:>6} {:>5} {:>6} {:>10}".format(*_HEADINGS)
    yield f"{dim}{'ID':<{id_length}}  {'AGENT':<{agent_width}} {ages}  STATE{reset}\n"
    for session in sessions:
        errors, state = f"{session.errors:>6}", session.state
        yield (
            f"{session.session_id[:id_length]:<{id_length}}  {shown[session.agent_name]:<{agent_width}} "
            f"{age(now - session.started_at):>5} "
            f"{brief(session.duration_ms / 1000):>9} {session.tool_calls:>6} {session.llm_requests:>5} "
            f"{red + errors + reset if session.errors else errors} {session.total_tokens:>10}  "
            f"{state if state == 'ended' else yellow + state + reset}\n"
        )


def as_json(sessions: list[Session]) -> str:
    """Return the sessions as a JSON array; times in unix seconds, durations in milliseconds."""
    return json.dumps([summary(session) for session in sessions], indent=2) + "\n"


def summary(session: Session) -> dict[str, object]:
    """Return what is known of a session without its events."""
    return {
        "session_id": session.session_id,
        "agent_name": session.agent_name,
        "command": session.command,
        "state": session.state,
        "started_at": session.started_at or None,
        "ended_at": session.ended_at,
        "duration_ms": session.duration_ms,
        "tool_calls": session.tool_calls,
        "llm_requests": session.llm_requests,
        "errors": session.errors,
        "total_tokens": session.total_tokens,
    }


def unambiguous(sessions: list[Session]) -> int:
    """Return how many characters tell all ids apart, at least 8: cut so, they can be pasted into other commands."""
    length = _SHORTEST
    while len({session.session_id[:length] for session in sessions}) < len(sessions):
        length += 1
    return length
