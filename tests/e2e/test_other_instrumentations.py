"""Other instrumentations, as they are today: beside ours and alone, and their spans read as they were when recorded."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from dialects.programs import BESIDE_OURS, DATA, HERE, PROGRAMS, python_with, record, run
from packages import UnavailableError

from agent_trace_otel import semconv
from agent_trace_otel.replay.recorded_spans import SpansFile
from agent_trace_otel.replay.stats import figures
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session
from agent_trace_otel.store.span_events import kind_of

sys.path.append(str(DATA.parents[1] / "dialects"))
from samples import facts

pytestmark = pytest.mark.e2e

OTHERS = ("genai", "openinference", "openllmetry")
CALLS = {
    *("openai-plain", "openai-stream", "openai-async", "responses-plain"),
    *("anthropic-plain", "anthropic-stream", "anthropic-async", "anthropic-helper"),
}
COMBINATIONS = [
    *[(other,) for other in OTHERS],
    *[("ours", other) for other in OTHERS],
    *[(other, "ours") for other in OTHERS],
    ("ours", *OTHERS),
]


@pytest.mark.parametrize("who", COMBINATIONS, ids="+".join)
def test_each_call_is_one_call_of_the_session(who: tuple[str, ...], tmp_path: Path) -> None:
    try:
        python = python_with(*BESIDE_OURS)
    except UnavailableError as error:
        pytest.skip(str(error))
    run([str(python), str(HERE / "beside_ours.py"), str(tmp_path), *who])
    told: dict[str, tuple[int, ...]] = {}
    spans: dict[str, int] = {}
    for folder in (path for path in tmp_path.iterdir() if path.is_dir()):
        session = Session(str(folder))
        with SessionIndex(session.events_path) as index:
            stats = figures(session, index)
        (model,) = stats["models"]
        numbers = [model[name] for name in ("input_tokens", "cached_tokens", "output_tokens")]
        told[session.agent_name] = (session.llm_requests, session.total_tokens, model["calls"], *numbers)
        found = [span for span in SpansFile(session.spans_path) if kind_of(span.told) == "model"]
        spans[session.agent_name] = len(found)
        named = {same for span in found for same in span.told.get(semconv.DUPLICATES, ())}
        assert len(who) > 3 or len({span.span for span in found} - named) == 1, session.agent_name
    assert told == dict.fromkeys(CALLS, (1, 120, 1, 100, 40, 20))
    # the others' spans are there; of OpenInference's call of OpenAI ours makes none inside
    assert all(spans[name] >= min(len(who), 2) for name in ("anthropic-plain", "anthropic-stream")), spans


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_spans_of_the_newest_version_are_read_as_recorded(name: str, tmp_path: Path) -> None:
    into = tmp_path / "samples.jsonl"
    try:
        record(name, into)
    except UnavailableError as error:
        pytest.skip(str(error))
    now = [facts(json.loads(line)) for line in into.read_text(encoding="utf-8").splitlines()]
    before: list[dict[str, Any]] = json.loads((DATA / "readings" / f"{name}.json").read_text(encoding="utf-8"))
    assert now == before
