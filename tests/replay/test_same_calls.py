"""Rows of a page that tell one call: which is shown, what it takes over, where what stood in the others goes."""

from __future__ import annotations

from typing import Any

from agent_trace_otel.replay.html.rows import Row
from agent_trace_otel.replay.html.same_calls import folded


def row(key: str, kind: str, parent: str = "", **known: Any) -> Row:
    """Return a row with a name, from 0 to 10 unless it is said otherwise."""
    made = Row(key, parent, kind, known.pop("start", 0), known.pop("end", 10))
    made.say(known.pop("name", key), known.pop("summary", ""))
    for name, value in known.items():
        setattr(made, name, value)
    return made


def shown(*rows: Row) -> dict[str, tuple[str, int]]:
    """Return parent and tokens of the rows that stay."""
    return {one.key: (one.parent, one.tokens) for one in folded(list(rows))}


def test_an_inner_model_call_is_its_outer_one() -> None:
    rows = [row("o", "model", "agent"), row("http", "generic", "o"), row("i", "model", "http", tokens=5, cost=1.0)]
    assert shown(*rows, row("get", "generic", "i"), row("agent", "agent")) == {
        "o": ("agent", 5),
        "http": ("o", 0),
        "get": ("o", 0),
        "agent": ("", 0),
    }
    assert rows[0].cost == 1.0


def test_numbers_that_are_not_to_be_relied_on_give_way() -> None:
    assert shown(row("o", "model", tokens=6, is_rough=True), row("i", "model", "o", tokens=5)) == {"o": ("", 5)}
    assert shown(row("o", "model", tokens=6), row("i", "model", "o", tokens=5, is_rough=True)) == {"o": ("", 6)}


def test_a_span_that_names_one_beside_it_is_that_call() -> None:
    assert shown(row("a", "model", tokens=5), row("b", "model", same=("a",), tokens=5)) == {"a": ("", 5)}


def test_names_that_go_round_in_a_circle_leave_one() -> None:
    assert set(shown(row("a", "model", same=("b",)), row("b", "model", same=("a",)))) == {"b"}
    assert len(shown(row("a", "model", "b"), row("b", "model", "a"))) == 1


def test_a_request_over_mcp_is_the_tool_call_around_it() -> None:
    rows = [row("t", "tool"), row("m", "tool", "t", over_mcp=True), row("s", "tool", "m", over_mcp=True)]
    assert shown(*rows) == {"t": ("", 0)}


def test_a_request_over_mcp_is_the_call_that_an_agent_told_meanwhile() -> None:
    of_agent = row("t", "tool", name="mcp__demo__search", arguments='{"q":1}')
    request = row("m", "tool", name="search", start=1, end=2, over_mcp=True, arguments='{"q":1}')
    later = row("l", "tool", name="search", start=11, end=12, over_mcp=True, arguments='{"q":1}')
    assert set(shown(of_agent, request, later)) == {"t", "l"}
