"""Spans of other instrumentations through our processor: content left out, secrets withheld, everything else kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from samples import NAMES, samples

from agent_trace_otel import AgentTraceSpanProcessor
from agent_trace_otel.testing import Recorded, recording

SAID = ("How is the weather", "It is sunny", "sunny in Paris", "Be brief", "Paris")
SECRET = "sk-" + "proj-4fGq8Zt1Xw9Lm2Rb7Nc3"


def tell(found: list[dict[str, Any]], *, processor: AgentTraceSpanProcessor) -> None:
    """Let a provider make the spans again, all in one trace of an agent."""
    provider = TracerProvider()
    provider.add_span_processor(processor)
    with provider.get_tracer("x").start_as_current_span("agent", attributes={"gen_ai.operation.name": "invoke_agent"}):
        for sample in found:
            span = provider.get_tracer(sample["scope"]).start_span(sample["name"], attributes=sample["attributes"])
            for name, values in sample["events"]:
                span.add_event(name, values)
            span.end()


def written(directory: Path) -> str:
    return "\n".join(path.read_text() for path in directory.rglob("*") if path.suffix in (".ndjson", ".jsonl"))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_that_was_said_is_written_where_content_is_not_captured(name: str, tmp_path: Path) -> None:
    with recording(tmp_path, AGENT_TRACE_CAPTURE_CONTENT="false"):
        tell(samples(name), processor=AgentTraceSpanProcessor())
    told = written(tmp_path)
    assert [text for text in SAID if text in told] == []
    assert all(f'"{sample["name"]}"' in told for sample in samples(name))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_said_is_written_otherwise(name: str, tmp_path: Path) -> None:
    with recording(tmp_path):
        tell(samples(name), processor=AgentTraceSpanProcessor())
    told = written(tmp_path)
    said = {text for text in SAID if any(text in str(sample) for sample in samples(name))}
    assert {text for text in said if text in told} == said


@pytest.mark.parametrize("name", NAMES)
def test_secrets_are_withheld_wherever_a_dialect_says_them(name: str, tmp_path: Path) -> None:
    def planted(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("How is the weather?", SECRET).replace("sunny", SECRET).replace("Paris", SECRET)
        if isinstance(value, dict):
            return {key: planted(item) for key, item in value.items()}
        return [planted(item) for item in value] if isinstance(value, list) else value

    with recording(tmp_path):
        tell(planted(samples(name)), processor=AgentTraceSpanProcessor())
    assert SECRET not in written(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_spans_are_written_as_they_are(name: str, recorded: Recorded) -> None:
    tell(samples(name), processor=AgentTraceSpanProcessor(redact=False))
    found: dict[str, list[Any]] = {}
    for span in (span for folder in recorded.sessions() for span in recorded.spans(folder)):
        found.setdefault(span.name, []).append(dict(span.attributes or {}))
    for sample in samples(name):
        kept = found[sample["name"]].pop(0)
        plain = {key: tuple(value) if isinstance(value, list) else value for key, value in sample["attributes"].items()}
        assert {key: kept[key] for key in plain} == plain


def test_a_session_is_chosen_by_what_the_dialect_calls_it(recorded: Recorded) -> None:
    provider = TracerProvider()
    provider.add_span_processor(AgentTraceSpanProcessor())
    named = {"langfuse.observation.type": "agent", "session.id": "talk-1"}
    with provider.get_tracer("langfuse-sdk").start_as_current_span("agent", attributes=named):
        provider.get_tracer("http").start_span("GET", attributes={"session.id": "of-a-browser"}).end()
    assert [path.name for path in recorded.trace_dir.iterdir() if path.is_dir()] == ["talk-1"]
