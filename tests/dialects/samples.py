"""Recorded spans of other instrumentations, and what is read from each: shared by the tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent_trace_otel import semconv
from agent_trace_otel.dialects import Given, read

DATA = Path(__file__).parents[1] / "data" / "dialects"
NAMES = sorted(path.stem for path in DATA.glob("*.jsonl"))
FACTS = (
    semconv.OPERATION_NAME,
    semconv.PROVIDER_NAME,
    semconv.REQUEST_MODEL,
    semconv.RESPONSE_MODEL,
    semconv.RESPONSE_ID,
    semconv.RESPONSE_FINISH_REASONS,
    semconv.USAGE_INPUT_TOKENS,
    semconv.USAGE_CACHE_READ_INPUT_TOKENS,
    semconv.USAGE_CACHE_WRITE_INPUT_TOKENS,
    semconv.USAGE_OUTPUT_TOKENS,
    semconv.USAGE_REASONING_OUTPUT_TOKENS,
    semconv.TOOL_NAME,
    semconv.TOOL_CALL_ID,
    semconv.AGENT_NAME,
    semconv.MCP_METHOD_NAME,
)
SAID = (
    semconv.SYSTEM_INSTRUCTIONS,
    semconv.INPUT_MESSAGES,
    semconv.OUTPUT_MESSAGES,
    semconv.TOOL_CALL_ARGUMENTS,
    semconv.TOOL_CALL_RESULT,
)


def samples(name: str) -> list[dict[str, Any]]:
    """Return the recorded spans of a dialect, in the order they ended."""
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def given(sample: dict[str, Any], *, at_start: bool = False) -> Given:
    """Return a recorded span as it was when it ended, or when it began."""
    attributes = sample["attributes"]
    if at_start:
        attributes = {name: attributes[name] for name in sample["known_at_start"] if name in attributes}
    events = () if at_start else [(name, values) for name, values in sample["events"]]
    return Given(attributes, sample["name"], sample["scope"], events)


def facts(sample: dict[str, Any]) -> dict[str, Any]:
    """Return what is read from a span: facts, and what was said, parsed where it is JSON."""
    reading = read(given(sample))
    told: dict[str, Any] = {"name": sample["name"], "dialects": list(reading.dialects)}
    told |= {name: reading.attributes[name] for name in FACTS if name in reading.attributes}
    told |= {name: _parsed(reading.attributes[name]) for name in SAID if name in reading.attributes}
    return told | ({"announces": True} if reading.announces else {})


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
