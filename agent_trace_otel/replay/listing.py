"""Sessions -> the table of `agent-trace list`, as text or JSON.

Comes in: a trace directory, a width. Goes out: text. Called by the list command. Reads meta.json alone, the timelines
of sessions without an end, which it never writes to, and for first prompts and costs, where they are shown, the
timelines of the sessions that are shown.
"""

from __future__ import annotations

import json
import time

from agent_trace_otel.replay.columns import DIM, RESET, Column, fitting, padded, taken
from agent_trace_otel.replay.costs import SessionCost, dollars, recorded, rounded
from agent_trace_otel.replay.durations import age, brief
from agent_trace_otel.replay.terminal import PIPE_WIDTH, columns_in, cut, one_line
from agent_trace_otel.store.index import SessionIndex, open_regular
from agent_trace_otel.store.lines import is_object, read_event, text_of
from agent_trace_otel.store.reader import Session, session_folders, started_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_SHORTEST = 8  # characters of an id
_AGENT_WIDTH = 24
_NARROWEST_AGENT = 8
_COST_WIDTH = 9
_NARROWEST_PROMPT = 16
_PROMPT_LINES = 200  # of a timeline, among which the first prompt is looked for
_PROMPT = b'"user_prompt"'
_START = b'{"event_type":"session_start",'
_TELL_COST = (b'{"event_type":"llm_response",', b'{"event_type":"session_end",')
_COST = b'"cost_usd":'
_RED, _YELLOW = "\033[31m", "\033[33m"
_COLUMNS = (
    Column("AGE", "age", 5),
    Column("DURATION", "duration", 9, 3),
    Column("CALLS", "calls", 6, 4),
    Column("LLM", "models", 5, 6),
    Column("ERRORS", "errors", 6, 1),
    Column("TOKENS", "tokens", 10, 5),
)
_STATE_WIDTH = 9


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


def table(
    sessions: list[Session], *, id_length: int, width: int = PIPE_WIDTH, colour: bool, now: float | None = None
) -> Iterator[str]:
    """Yield the lines of the table: heading first, then one a session; costs and first prompts where they fit.

    Args:
        sessions: in the order to show.
        id_length: characters of an id to show, see `unambiguous`.
        width: columns of a line.
        colour: whether to write ANSI colours.
        now: unix seconds that ages are counted to; the time of day when None.
    """
    now = time.time() if now is None else now
    dim, red, yellow, reset = (DIM, _RED, _YELLOW, RESET) if colour else ("", "", "", "")
    names = {name: one_line(name, _AGENT_WIDTH) or "-" for name in {session.agent_name for session in sessions}}
    widest = max([len("AGENT"), *map(columns_in, names.values())])
    shown, agent_width, left = _layout(width - id_length - 2 - _STATE_WIDTH, widest)
    names = {name: padded(cut(text, agent_width), agent_width) for name, text in names.items()}
    # both are in the timeline, which is read where there is room for both
    prompt_width = left - _COST_WIDTH - 2
    has_more = prompt_width >= _NARROWEST_PROMPT
    titles = "".join(f" {_COLUMNS[n].heading:>{_COLUMNS[n].width}}" for n in shown)
    more, prompt = (f"{'COST':>{_COST_WIDTH}}", "    PROMPT") if has_more else ("", "")
    yield f"{dim}{'ID':<{id_length}}  {'AGENT':<{agent_width}}{titles}{more}  STATE{prompt}{reset}\n"
    takes_all = len(shown) == len(_COLUMNS)
    for session in sessions:
        errors, state = f"{session.errors:>7}", session.state
        cells = (
            f"{age(now - session.started_at):>6}",
            f"{brief(session.duration_ms / 1000):>10}",
            f"{session.tool_calls:>7}",
            f"{session.llm_requests:>6}",
            f"{red}{errors}{reset}" if session.errors else errors,
            f"{session.total_tokens:>11}",
        )
        if has_more:
            usd, first = told_in_timeline(session)
            more = f"{'' if usd is None else dollars(usd):>{_COST_WIDTH}}"
            prompt = f"{' ' * (_STATE_WIDTH - len(state))}{one_line(first, prompt_width)}" if first else ""
        figures = "".join(cells if takes_all else [cells[n] for n in shown])
        yield (
            f"{session.session_id[:id_length]:<{id_length}}  {names[session.agent_name]}{figures}{more}  "
            f"{state if state == 'ended' else yellow + state + reset}{prompt}\n"
        )


def as_json(sessions: list[Session]) -> str:
    """Return the sessions as a JSON array; times in unix seconds, durations in milliseconds, costs in US dollars."""
    rows: list[dict[str, object]] = []
    for session in sessions:
        usd, prompt = told_in_timeline(session)
        rows.append({**summary(session), "cost_usd": rounded(usd), "first_prompt": prompt})
    return json.dumps(rows, indent=2) + "\n"


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


def told_in_timeline(session: Session) -> tuple[float | None, str | None]:
    """Return what a session cost in US dollars and what it was first asked, each None where its timeline doesn't say.

    The cost is what was recorded: no price is looked up. Prompts that nobody typed are passed over.
    """
    cost, prompt = SessionCost(), None
    has_cost = session.llm_requests > 0
    looks_until = _PROMPT_LINES
    try:
        with open_regular(session.events_path) as file:
            for number, line in enumerate(file):
                if number < looks_until and _PROMPT in line:
                    event = read_event(line)
                    data = event.get("data")
                    if event.get("event_type") == "user_prompt" and is_object(data) and not data.get("source"):
                        prompt, looks_until = text_of(data, "prompt"), 0
                elif has_cost and line.startswith(_START):
                    cost.add_start()
                elif has_cost and line.startswith(_TELL_COST) and _COST in line:
                    _add_cost(cost, read_event(line))
                elif number >= looks_until and not has_cost:
                    break
    except OSError:  # it is gone, or was never there: nothing is told
        pass
    return cost.total, prompt


def unambiguous(sessions: list[Session]) -> int:
    """Return how many characters tell all ids apart, at least 8: cut so, they can be pasted into other commands."""
    length = _SHORTEST
    while len({session.session_id[:length] for session in sessions}) < len(sessions):
        length += 1
    return length


def _layout(room: int, widest: int) -> tuple[list[int], int, int]:
    """Return which of `_COLUMNS` are shown beside an agent's name, its width, and the columns left over."""
    kept = fitting(_COLUMNS, room - min(widest, _NARROWEST_AGENT))
    left = room - taken(kept)
    agent_width = max(min(widest, left), len("AGENT"))
    return [n for n, column in enumerate(_COLUMNS) if column in kept], agent_width, left - agent_width


def _add_cost(cost: SessionCost, event: dict[str, Any]) -> None:
    data = event.get("data")
    if not is_object(data):
        return
    match event.get("event_type"):
        case "llm_response":
            cost.add_call(recorded(data))
        case "session_end":
            cost.add_end(data)
        case _:
            pass
