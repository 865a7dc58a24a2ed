"""Rows of spans -> the same without those that tell a call once more.

Comes in: the rows of a page, in no order. Goes out: the rows to show; what stood in one that is left out stands in the
one that tells its call. Called by `page`. The timeline's own lines are folded by `store.repeated`.

Inside a model call there is no other one; a span names others of the same call (``agent_trace.duplicates``); a call
over MCP is part of the tool call that it stands in, or of one that an agent told meanwhile (``mcp__<server>__<tool>``).
"""

from __future__ import annotations

from agent_trace_otel.replay.html.rows import LATEST, Row
from agent_trace_otel.store.lines import as_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_OF_AGENT = "mcp__"


def folded(rows: list[Row]) -> list[Row]:
    """Return the rows to show; those that tell for others take over what only they know."""
    by_key = {row.key: row for row in rows}
    teller: dict[str, Row] = {}
    for row in rows:
        if row.kind == "model":
            outer = next((above for above in _above(row, by_key) if above.kind == "model"), None)
            if outer is None:
                outer = next((by_key[key] for key in row.same if _is_beside(row, by_key.get(key), by_key)), None)
        elif row.over_mcp:
            outer = next((above for above in _above(row, by_key) if above.kind == "tool"), None)
        else:
            continue
        if outer is not None and _shown(outer, teller) is not row:
            teller[row.key] = outer
    teller |= _told_by_agents([row for row in rows if row.kind == "tool" and row.key not in teller])
    for row in rows:
        shown = _shown(row, teller)
        if shown is not row:
            _take_over(shown, row)
    for row in rows:
        above = by_key.get(row.parent)
        if above is not None and row.key not in teller:
            row.parent = _shown(above, teller).key
    return [row for row in rows if row.key not in teller]


def _above(row: Row, by_key: dict[str, Row]) -> Iterator[Row]:
    """Yield what a row stands in, from the inside; rows may go round in a circle."""
    seen = {row.key}
    above = by_key.get(row.parent)
    while above is not None and above.key not in seen:
        yield above
        seen.add(above.key)
        above = by_key.get(above.parent)


def _is_beside(row: Row, other: Row | None, by_key: dict[str, Row]) -> bool:
    """Tell whether another row is of a model call, and not inside this one."""
    if other is None or other.kind != "model" or other is row:
        return False
    return all(above is not row for above in _above(other, by_key))


def _told_by_agents(tools: list[Row]) -> dict[str, Row]:
    told: dict[str, list[Row]] = {}
    for row in tools:
        if not row.over_mcp and row.name.startswith(_OF_AGENT):
            told.setdefault(_text(row), []).append(row)
    found: dict[str, Row] = {}
    for row in sorted(tools, key=_start) if told else ():
        if row.over_mcp:
            same = told.get(_text(row), [])
            outer = next((one for one in same if _is_meanwhile(row, one) and one.name.endswith(f"__{row.name}")), None)
            if outer is not None:
                same.remove(outer)
                found[row.key] = outer
    return found


def _is_meanwhile(row: Row, outer: Row) -> bool:
    return outer.start <= row.start <= (LATEST * 1e9 if outer.end is None else outer.end)


def _shown(row: Row, teller: dict[str, Row]) -> Row:
    seen: set[str] = set()
    while row.key in teller and row.key not in seen:
        seen.add(row.key)
        row = teller[row.key]
    return row


def _take_over(shown: Row, row: Row) -> None:
    if row.kind == "model" and row.tokens and (not shown.tokens or (shown.is_rough and not row.is_rough)):
        shown.tokens, shown.is_rough = row.tokens, row.is_rough
    shown.cost = shown.cost or row.cost
    shown.summary = shown.summary or row.summary


def _start(row: Row) -> int:
    return row.start


def _text(row: Row) -> str:
    return as_text(row.arguments)
