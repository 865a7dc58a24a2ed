"""What calls cost, by the table, against what Claude Code says that its sessions cost."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transcript_lines import told

from agent_trace_otel import prices
from agent_trace_otel.capture.hooks.transcript.reader import TranscriptReader
from agent_trace_otel.prices import cost_usd, missing_hint

RECORDED = Path(__file__).parent / "data" / "claude_code"

needs_prices = pytest.mark.skipif(
    importlib.util.find_spec("genai_prices") is None, reason="the extra `cost` is not installed"
)


def summed(facts: list[Any]) -> float:
    costs = [
        cost_usd("anthropic", fact["model"], fact["usage"], at_ns=fact["started_ns"])
        for fact in facts
        if fact["kind"] == "call" and fact["usage"]
    ]
    return sum(cost for cost in costs if cost is not None)


@needs_prices
@pytest.mark.parametrize(
    ("name", "unexplained"),
    [
        ("basic", 0.0),
        ("parallel_reads", 0.0),
        ("api_retry", 0.0),
        ("refusal", 0.0),
        ("resume", 0.0),
        ("fork", 0.0),
        ("subagent", 0.0),
        ("nested_fg", 0.0),
        ("compact", 0.005484),  # no transcript shows the call that compacts
    ],
)
def test_calls_add_up_to_what_the_client_says_that_the_session_cost(name: str, unexplained: float) -> None:
    own = re.compile(rf"transcript_{name}_(sub_agent-|[0-9a-f]{{8}}-).*\.jsonl").fullmatch
    facts = [fact for path in RECORDED.iterdir() if own(path.name) for fact in told(TranscriptReader(path))]
    client = max(fact["usd"] for fact in facts if fact["kind"] == "cost")  # a fork's counts on from its origin's
    assert summed(facts) == pytest.approx(client - unexplained)


@needs_prices
def test_cached_input_has_prices_of_its_own() -> None:
    million = 1_000_000
    model = "claude-opus-5-5"
    costs = {
        name: cost_usd("anthropic", model, {name: million})
        for name in ("input", "cache_read", "cache_creation", "output", "reasoning")
    }
    assert costs == {"input": 4.0, "cache_read": 0.2, "cache_creation": 5.0, "output": 20.0, "reasoning": 0.0}
    assert cost_usd("anthropic", model, {"cache_creation": million, "cache_creation_1h": million}) == 8.0
    assert cost_usd("anthropic", model, {"web_searches": 1000}) == 10.0


@needs_prices
def test_providers_are_named_as_the_convention_names_them() -> None:
    usage = {"input": 1000, "output": 1000}
    assert cost_usd("openai", "gpt-5", usage) == 0.01125
    assert cost_usd("gcp.gemini", "gemini-2.5-flash", usage) == pytest.approx(0.0028)


@needs_prices
@pytest.mark.parametrize(
    ("provider", "model", "usage"),
    [
        ("anthropic", "no-such-model", {"input": 1}),
        ("no-such-provider", "claude-opus-5-5", {"input": 1}),
        ("anthropic", "", {"input": 1}),
        ("anthropic", "claude-opus-5-5", {}),
        ("anthropic", "claude-opus-5-5", {"input": -1}),
    ],
)
def test_what_has_no_price_costs_none(provider: str, model: str, usage: dict[str, int]) -> None:
    assert cost_usd(provider, model, usage) is None


@needs_prices
def test_a_speed_without_a_known_price_costs_none() -> None:
    usage = {"input": 1000}
    assert cost_usd("anthropic", "claude-haiku-4-5", usage, speed="fast") is None
    assert cost_usd("anthropic", "claude-opus-5-5", usage, speed="warp") is None


def test_without_the_extra_there_is_no_cost_but_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    prices._pricing.cache_clear()
    try:
        assert cost_usd("anthropic", "claude-opus-5-5", {"input": 1}) is None
        assert missing_hint() == 'no prices, so no cost of single model calls: pip install "agent-trace-otel[cost]"'
    finally:
        prices._pricing.cache_clear()


def test_importing_the_module_loads_no_prices() -> None:
    code = "import sys, agent_trace_otel.prices; print([m for m in ('genai_prices', 'pydantic') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
