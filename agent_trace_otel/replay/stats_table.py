"""The figures of a session as tables for a terminal.

Comes in: a Session, what `stats.figures` found, a width. Goes out: lines of text. Called by the stats command.
Everything recorded passes through `terminal.one_line` on its way.
"""

from __future__ import annotations

import os

from agent_trace_otel.replay.columns import Column, ending_of, table, taken
from agent_trace_otel.replay.costs import dollars
from agent_trace_otel.replay.durations import brief, milliseconds
from agent_trace_otel.replay.terminal import one_line
from agent_trace_otel.replay.text import state_line
from agent_trace_otel.store.reader import DEFAULT_TRACE_DIR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from agent_trace_otel.store.reader import Session

_BOLD, _RESET = "\033[1m", "\033[0m"
_NAME_WIDTH = 30
_MOST_ROWS = 15  # of files, retries and loops each; --json has all
_MOST_NAMES = 3
_CALL_WIDTH = 80
_BY_WIDTH = 20  # columns that names of agents take behind a path
_NOTICED = 0.00005  # dollars; less is what rounding leaves
_TOOLS = (
    Column("CALLS", "calls", 6),
    Column("ERRORS", "errors", 6),
    Column("OPEN", "open", 4, 1),
    Column("P50", "p50_ms", 8, 3),
    Column("P95", "p95_ms", 8, 2),
    Column("MAX", "max_ms", 8, 4),
    Column("TOTAL", "total_ms", 9, 1),
)
_MODELS = (
    Column("CALLS", "calls", 6),
    Column("ERRORS", "errors", 6, 2),
    Column("P50", "p50_ms", 7, 5),
    Column("P95", "p95_ms", 7, 6),
    Column("INPUT", "input_tokens", 9, 1),
    Column("CACHED", "cached_tokens", 9, 4),
    Column("OUTPUT", "output_tokens", 8, 1),
    Column("REASON", "reasoning_tokens", 8, 3),
    Column("TOKENS", "total_tokens", 9, 3),
    Column("COST", "cost_usd", 9),
)
_ALWAYS = frozenset({"calls", "errors", "p50_ms", "p95_ms"})
_FILES = (Column("READS", "reads", 5), Column("WRITES", "writes", 6))
_RETRIES = (Column("CALLS", "calls", 5), Column("ERRORS", "errors", 6), Column("LAST", "last", 5))
_LOOPS = (Column("ROUNDS", "rounds", 6),)


def lines(session: Session, found: dict[str, Any], *, width: int, colour: bool) -> Iterator[str]:
    """Yield the lines that show figures, none wider than ``width``."""
    bold, reset = (_BOLD, _RESET) if colour else ("", "")
    agent = f" {session.agent_name}" if session.agent_name else ""
    yield f"{bold}{one_line(f'{session.session_id}{agent}', width)}{reset}\n"
    yield from _wrapped(_in_all(session), width)
    project, main = _project(session), session.agent_name or "main"
    by = "by" if any(who["agent"] for row in found["files"] for who in row["by"]) else ""  # else it was the main agent
    room = width - taken(_FILES) - (_BY_WIDTH if by else 0)
    tables = (
        ("TOOL", _named(found["tools"]), _TOOLS, ""),
        ("MODEL", _named(found["models"]), _used(_MODELS, found["models"]), ""),
        ("FILE", [_touched(row, project, main, room) for row in found["files"]], _FILES, by),
        ("RETRIED", [(_call(row), row) for row in found["retries"]], _RETRIES, ""),
        ("LOOP", [(" → ".join(map(_call, row["calls"])), row) for row in found["loops"]], _LOOPS, ""),
    )
    for heading, named, columns, last in tables:
        if not named:
            continue
        yield "\n"
        yield from table(heading, named[:_MOST_ROWS], columns, _shown, width, colour=colour, last=last)
        if len(named) > _MOST_ROWS:
            yield f"… {len(named) - _MOST_ROWS:,} more: --json has all\n"
        if heading == "MODEL":
            yield from _wrapped(_cost(found), width)


def _in_all(session: Session) -> Iterator[str]:
    yield brief(session.duration_ms / 1000)
    yield _counted(session.tool_calls, "tool call")
    yield _counted(session.llm_requests, "LLM call")
    yield _counted(session.errors, "error")
    yield f"{session.total_tokens:,} tokens"
    if session.state != "ended":
        yield state_line(session)


def _cost(found: dict[str, Any]) -> Iterator[str]:
    """Yield what is to be said of the session's cost, and of the models whose calls have no price."""
    cost = found["cost"]
    own, unexplained = cost["session_usd"], cost["unexplained_usd"]
    if own is not None:
        yield f"{dollars(own)} by the agent's own count"
    elif sum(row["cost_usd"] is not None for row in found["models"]) > 1:
        yield f"{dollars(cost['calls_usd'])} in all"
    if unexplained and unexplained >= _NOTICED:
        yield f"{dollars(unexplained)} of it in no call"
    unpriced = [row for row in found["models"] if row["unpriced_calls"]]
    if unpriced:
        names = [one_line(row["name"], _NAME_WIDTH) for row in unpriced]
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        calls = _counted(cost["unpriced_calls"], "call")
        yield f"no price is known of {' '.join(names[:_MOST_NAMES])}{more} ({calls})"


def _used(columns: Sequence[Column], rows: Sequence[dict[str, Any]]) -> list[Column]:
    """Return the columns that say something: no zeros alone, and no sum of what stands beside it."""
    has_parts = all(row["input_tokens"] + row["output_tokens"] == row["total_tokens"] for row in rows)
    kept = [column for column in columns if column.key != "total_tokens" or not has_parts]
    return [column for column in kept if column.key in _ALWAYS or any(row[column.key] for row in rows)]


def _named(rows: Sequence[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(one_line(row["name"], _NAME_WIDTH), row) for row in rows]


def _touched(row: dict[str, Any], project: str, main: str, room: int) -> tuple[str, dict[str, Any]]:
    by = ", ".join(who["agent"] or main for who in row["by"])
    return ending_of(row["path"].removeprefix(project), room), {**row, "by": one_line(by, room)}


def _call(call: dict[str, Any]) -> str:
    agent = f" [{call['agent']}]" if call["agent"] else ""
    return one_line(f"{call['tool']} {call['argument']}", _CALL_WIDTH) + one_line(agent, _NAME_WIDTH)


def _project(session: Session) -> str:
    """Return the directory whose .agent-traces holds a session, with its separator; paths are shown from there."""
    trace_dir = os.path.dirname(os.path.abspath(session.folder))
    return os.path.join(os.path.dirname(trace_dir), "") if trace_dir.endswith(os.sep + DEFAULT_TRACE_DIR) else ""


def _wrapped(parts: Iterable[str], width: int) -> Iterator[str]:
    """Yield parts joined by commas, in lines that break between them where they can."""
    line = ""
    for part in parts:
        if line and len(line) + 2 + len(part) + 1 > width:
            yield f"{line},\n"
            line = ""
        line = f"{line}, {part}" if line else part
    while len(line) > width:
        at = line.rfind(" ", 0, width + 1)
        at = at if at > 0 else width
        yield f"{line[:at]}\n"
        line = line[at:].lstrip()
    if line:
        yield f"{line}\n"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _shown(key: str, value: Any) -> str:  # noqa: ANN401 - a figure, or a word for one
    if key == "cost_usd":
        return "-" if value is None else dollars(value)
    if value is None or (key == "open" and not value):
        return ""
    return value if isinstance(value, str) else milliseconds(value) if key.endswith("_ms") else f"{value:,}"
