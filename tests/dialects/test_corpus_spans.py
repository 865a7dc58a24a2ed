"""Spans that other instrumentations made of real traffic: what is read from them is what the traffic says.

They are of the official GenAI instrumentations, OpenInference, OpenLLMetry and Anthropic's client.

The corpus is not part of the repository: AGENT_TRACE_CORPUS names its directory, else ``../shared/corpus``.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent_trace_otel import semconv
from agent_trace_otel.dialects import Given, read
from agent_trace_otel.model_io import StreamReading, read_response

CORPUS = Path(os.environ.get("AGENT_TRACE_CORPUS") or Path(__file__).parents[3] / "shared" / "corpus")
COUNTED = (semconv.USAGE_INPUT_TOKENS, semconv.USAGE_OUTPUT_TOKENS)
CACHED = (semconv.USAGE_CACHE_READ_INPUT_TOKENS, semconv.USAGE_REASONING_OUTPUT_TOKENS)
OPERATIONS = {"openai.embeddings": semconv.EMBEDDINGS, "openai.completions": semconv.TEXT_COMPLETION}


def _rows(path: str) -> list[Any]:
    file = CORPUS / path
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


@cache
def _answers() -> dict[tuple[str, str], str]:
    files = sorted((CORPUS / "llm").glob("*.jsonl"))
    found = {
        (row["api"], row["sha1"]): row["response"].get("text", "") for f in files for row in _rows(f"llm/{f.name}")
    }
    assert found
    return found


def _said(row: dict[str, Any]) -> dict[str, Any]:
    """Return what the recorded answer says, read by what the instrumentors read answers with."""
    text = _answers()[row["api"], row["sha1"]]
    if not row["stream"]:
        return read_response(json.loads(text))
    reading = StreamReading()
    for line in text.splitlines():
        if line.startswith("data:") and line[5:].strip() != "[DONE]":
            reading.add(json.loads(line[5:]))
    return reading.attributes()


def _texts(messages: str | None) -> list[str]:
    parts = [part for message in json.loads(messages or "[]") for part in message["parts"]]
    texts = [part["content"] for part in parts if part["type"] == "text" and part["content"]]
    return [*texts, *(f"{part['name']} {part['arguments']}" for part in parts if part["type"] == "tool_call")]


def _calls() -> list[Any]:
    return [
        pytest.param(row, span, id=f"{dialect}-{number}-{span['scope'].partition('@')[0]}")
        for dialect in ("genai", "openinference", "openllmetry")
        for number, row in enumerate(_rows(f"dialects/{dialect}.jsonl"), 1)
        for span in row["spans"]
    ]


@pytest.mark.skipif(not CORPUS.exists(), reason="no corpus here")
@pytest.mark.parametrize(("row", "span"), _calls())
def test_a_span_says_what_the_traffic_says(row: dict[str, Any], span: dict[str, Any]) -> None:
    scope = span["scope"].partition("@")[0]
    events = [(event["name"], event.get("attributes") or {}) for event in span["events"]]
    found = read(Given(span["attributes"], span["name"], scope, events)).attributes
    assert found[semconv.OPERATION_NAME] == OPERATIONS.get(row["api"], semconv.CHAT)
    assert found[semconv.REQUEST_MODEL]
    assert set(span["attributes"]) <= set(found)
    if row["status"] != 200 or (row["api"], row["sha1"]) not in _answers():
        return
    said = _said(row)
    names = [semconv.RESPONSE_MODEL, semconv.RESPONSE_ID, semconv.USAGE_INPUT_TOKENS]
    # OpenLLMetry adds up what Anthropic's stream says twice, and counts a stream itself where no usage was sent
    is_exact = scope != "opentelemetry.instrumentation.anthropic" or not row["stream"]
    names += [semconv.USAGE_OUTPUT_TOKENS] if is_exact else []
    known = [name for name in names if name in said]
    assert {name: found.get(name) for name in known} == {name: said[name] for name in known}
    for name in CACHED:
        assert not found.get(name) or found[name] == said[name]
    if semconv.OUTPUT_MESSAGES in found:
        assert _texts(found[semconv.OUTPUT_MESSAGES]) == _texts(said[semconv.OUTPUT_MESSAGES])
        assert found[semconv.RESPONSE_FINISH_REASONS]
