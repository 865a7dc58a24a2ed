"""What calls and sessions cost."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import pytest

from agent_trace_otel import prices
from agent_trace_otel.replay import costs
from agent_trace_otel.replay.costs import SessionCost

needs_prices = pytest.mark.skipif(
    importlib.util.find_spec("genai_prices") is None, reason="the extra `cost` is not installed"
)
AT = 1_795_000_000.0


def usage(**data: Any) -> dict[str, Any]:
    return {"provider": "anthropic", "model": "claude-opus-5-5", **data}


@pytest.mark.parametrize("odd", [None, "0.1", True, -0.1, "NaN", [0.1]])
def test_a_cost_that_is_none_is_not_taken_for_one(odd: object) -> None:
    assert costs.recorded({"cost_usd": odd}) is None
    assert costs.of_call({"cost_usd": odd, "model": "m"}, AT) is None


def test_a_recorded_cost_is_believed() -> None:
    assert costs.of_call(usage(cost_usd=0.5, input_tokens=1), AT) == 0.5
    assert costs.recorded({"cost_usd": 0}) == 0


@needs_prices
def test_cached_tokens_are_part_of_the_input_where_they_can_be() -> None:
    cached = {"cached_tokens": 1500, "cache_write_tokens": 300, "output_tokens": 40}
    expected = prices.cost_usd(
        "anthropic", "claude-opus-5-5", {"input": 12, "cache_read": 1500, "cache_creation": 300, "output": 40}
    )
    assert costs.of_call(usage(input_tokens=1812, **cached), AT) == expected
    assert costs.of_call(usage(input_tokens=12, **cached), AT) == expected


@needs_prices
def test_without_a_provider_the_models_name_decides() -> None:
    data = {"model": "claude-opus-5-5", "input_tokens": 1000}
    assert costs.of_call(data, AT) == costs.of_call(usage(input_tokens=1000), AT)


@pytest.mark.parametrize(
    "data", [{}, {"total_tokens": 9}, {"model": "claude-opus-5-5", "total_tokens": 9}, {"input_tokens": 9}]
)
def test_what_says_too_little_has_no_price(data: dict[str, Any]) -> None:
    assert costs.of_call(data, AT) is None


def session_cost(*steps: tuple[str, float | None]) -> SessionCost:
    cost = SessionCost()
    for what, usd in steps:
        if what == "call":
            cost.add_call(usd)
        elif what == "start":
            cost.add_start()
        else:
            cost.add_end({"cost_usd": usd})
    return cost


@pytest.mark.parametrize(
    ("steps", "total", "unexplained"),
    [
        ([], None, None),
        ([("start", None), ("end", None)], None, None),
        ([("start", None), ("call", 0.1), ("call", None), ("end", None)], 0.1, None),
        ([("start", None), ("call", 0.1), ("end", 0.3)], 0.3, 0.2),
        ([("start", None), ("call", 0.3), ("end", 0.1)], 0.1, 0.0),  # its own count is the client's affair
        ([("start", None), ("call", 0.1), ("end", 0.1)] * 3, 0.3, 0.0),
        ([("start", None), ("call", 0.1), ("end", 0.1), ("start", None), ("call", 0.4)], 0.5, None),
    ],
)
def test_a_sessions_cost(steps: list[tuple[str, float | None]], total: float | None, unexplained: float | None) -> None:
    cost = session_cost(*steps)
    assert costs.rounded(cost.total) == total
    assert cost.figures()["unexplained_usd"] == unexplained


def test_the_hint_comes_only_where_it_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    hint = costs.hint(session_cost(("call", None)).figures())
    assert hint is not None
    assert "agent-trace-otel[cost]" in hint
    assert costs.hint(session_cost(("call", 0.1)).figures()) is None


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (0.0, "$0.0000"),
        (0.00001, "<$0.0001"),
        (0.0254, "$0.0254"),
        (0.99996, "$1.00"),
        (1.5, "$1.50"),
        (1234.5, "$1,234.50"),
    ],
)
def test_dollars_are_short(usd: float, text: str) -> None:
    assert costs.dollars(usd) == text
