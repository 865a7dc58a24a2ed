"""Each instrumentation's own spans, as recorded (tests/e2e/dialects), are read right: golden readings, reviewed.

``REVIEW=1`` writes them anew.
"""

from __future__ import annotations

import json
import os

import pytest
from samples import DATA, NAMES, facts, given, samples

from agent_trace_otel import semconv
from agent_trace_otel.dialects import read
from agent_trace_otel.store.span_events import kind_of

MODEL_CALLS = {
    "anthropic": 2,
    "fastmcp": 0,
    "genai": 6,
    "google_adk": 2,
    "langfuse": 1,
    "langsmith": 1,
    "logfire": 4,
    "mcp": 0,
    "mlflow": 1,
    "openinference": 6,
    "openllmetry": 6,
    "pydantic_ai": 2,
    "strands": 2,
    "traceloop": 0,
    "vercel_ai": 3,
    "vercel_ai_legacy": 3,
}


@pytest.mark.parametrize("name", NAMES)
def test_recorded_spans_are_read_as_reviewed(name: str) -> None:
    golden = DATA / "readings" / f"{name}.json"
    told = [facts(sample) for sample in samples(name)]
    if os.environ.get("REVIEW"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert told == json.loads(golden.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_every_model_call_says_model_and_tokens_with_the_cached_ones(name: str) -> None:
    found = [read(given(sample)) for sample in samples(name)]
    calls = [reading.attributes for reading in found if kind_of(reading.attributes) == "model"]
    assert len(calls) == MODEL_CALLS[name]
    for call in calls:
        assert call.get(semconv.REQUEST_MODEL), call
        if semconv.OUTPUT_MESSAGES not in call:
            continue  # it failed, or another span tells its answer
        exact = 21 if name == "openllmetry" and call.get(semconv.REQUEST_STREAM) and "claude" in str(call) else 20
        usage = [call.get(key) for key in (semconv.USAGE_INPUT_TOKENS, semconv.USAGE_CACHE_READ_INPUT_TOKENS)]
        assert [*usage, call.get(semconv.USAGE_OUTPUT_TOKENS)] == [100, 40, exact], call


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_a_span_holds_is_lost(name: str) -> None:
    for sample in samples(name):
        read_of = read(given(sample)).attributes
        assert [key for key in sample["attributes"] if key not in read_of] == []
        unknown = {key: value for key, value in sample["attributes"].items() if not key.startswith("gen_ai.")}
        assert {key: read_of[key] for key in unknown} == unknown


@pytest.mark.parametrize("name", NAMES)
def test_what_a_span_is_taken_for_when_it_begins_is_what_it_is(name: str) -> None:
    for sample in samples(name):
        at_start = kind_of(read(given(sample, at_start=True)).attributes)
        assert at_start in ("generic", kind_of(read(given(sample)).attributes)), sample["name"]


@pytest.mark.parametrize("name", ["strands", "google_adk", "openinference", "vercel_ai_legacy", "anthropic", "genai"])
def test_calls_are_known_when_they_begin(name: str) -> None:
    for sample in samples(name):
        kind = kind_of(read(given(sample)).attributes)
        if kind in ("model", "tool"):
            assert kind_of(read(given(sample, at_start=True)).attributes) == kind, sample["name"]
