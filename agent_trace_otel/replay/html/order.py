"""Rows in no order -> rows as a tree, written from the top: each before what happened in it, siblings by time.

Comes in: the Row objects of `rows`. Goes out: a list of them with their depths. Pure; called by `page`.
"""

from __future__ import annotations

from agent_trace_otel.replay.html.rows import OPEN, Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_FRAMES = frozenset({"session", "turn", "agent"})


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Return the rows as a tree, none left out, whatever their parents and times claim.

    Of two rows with one key the later one counts: a span may have been written twice. A row whose parent is not there
    belongs to its sub-agent, else to the run of the session that it happened in; without either it stands by itself.
    """
    by_key = {row.key: row for row in rows}
    runs = sorted((row for row in by_key.values() if row.kind == "session"), key=_start)
    children: dict[str, list[Row]] = {}
    for row in sorted(by_key.values(), key=_start):
        if row.parent not in by_key and row.kind != "session":
            run = next((run.key for run in reversed(runs) if run.start <= row.start), runs[0].key if runs else "")
            if row.agent and row.parent:
                by_key[row.parent] = agent = _agent_of(row, run)
                children.setdefault(run, []).append(agent)
            else:
                row.parent = run
        children.setdefault(row.parent if row.parent in by_key else "", []).append(row)
    found: list[Row] = []
    seen: set[str] = set()
    _walk(children.get("", ()), children, seen, found)
    for row in by_key.values():  # those whose ancestors go round in a circle
        if row.key not in seen:
            _walk((row,), children, seen, found)
    _name_turns(found)
    return found


def end_frames(rows: list[Row]) -> None:
    """Let sessions, turns and sub-agents that nothing ended be over with the last thing in them.

    Args:
        rows: as `in_order` returns them.
    """
    latest: dict[str, int] = {}
    for row in reversed(rows):
        end = max(row.end or row.start, latest.get(row.key, 0))
        if row.outcome == OPEN and row.kind in _FRAMES:
            row.end, row.outcome = end, ""
        latest[row.parent] = max(latest.get(row.parent, 0), end)


def _name_turns(rows: list[Row]) -> None:
    """Number the turns, and let those say their prompt that don't yet."""
    turns = [row for row in rows if row.kind == "turn"]
    for number, turn in enumerate(turns, 1):
        turn.name = f"Turn {number}"
    silent = {turn.key: turn for turn in turns if not turn.summary}
    for row in rows:
        if row.kind == "prompt" and row.parent in silent:
            silent.pop(row.parent).summary = row.summary


def _walk(top: Iterable[Row], children: dict[str, list[Row]], seen: set[str], found: list[Row]) -> None:
    waiting = [(row, 0) for row in reversed(list(top))]
    while waiting:
        row, depth = waiting.pop()
        if row.key in seen:
            continue
        seen.add(row.key)
        row.depth = depth
        found.append(row)
        waiting += [(child, depth + 1) for child in reversed(children.get(row.key, ()))]


def _agent_of(row: Row, parent: str) -> Row:
    """Return a row for a sub-agent that is known by one of its calls alone, since it has not ended."""
    agent = Row(row.parent, parent, "agent", row.start)
    agent.outcome = OPEN
    agent.say(row.agent, "")
    return agent


def _start(row: Row) -> int:
    return row.start
