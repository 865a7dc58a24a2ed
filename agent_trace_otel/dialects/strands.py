"""Strands Agents' own spans (scope ``strands.telemetry.tracer``).

Source: its `telemetry/tracer.py` and `models/*.py`, and our recording of 1.x. Messages are span events, in the
blocks of Bedrock's Converse. Input tokens are the provider's: Bedrock and Anthropic leave out cached ones, and there
the total is the sum of all; OpenAI and Google count them in.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel import semconv
from agent_trace_otel.dialects import said
from agent_trace_otel.dialects.given import Given, Values, count, first, member, members, parsed, text
from agent_trace_otel.dialects.named_spans import by_name
from agent_trace_otel.dialects.table import Dialect

_CACHED = (
    (semconv.USAGE_CACHE_READ_INPUT_TOKENS, "gen_ai.usage.cache_read_input_tokens"),
    ("gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write_input_tokens"),
)


def _derived(given: Given) -> dict[str, Any]:
    values = given.attributes
    found = {**by_name(given), semconv.USAGE_INPUT_TOKENS: _input_tokens(values)}
    operation = values.get(semconv.OPERATION_NAME)
    if operation == semconv.EXECUTE_TOOL:
        for name, details in given.events:
            if name == "gen_ai.tool.message":
                found[semconv.TOOL_CALL_ARGUMENTS] = details.get("content")
            elif name == said.CHOICE_EVENT:
                found[semconv.TOOL_CALL_RESULT] = _text_of(details.get("message"))
    return found


def _input_tokens(values: Values) -> int | None:
    plain = count(values.get(semconv.USAGE_INPUT_TOKENS))
    cached = sum(count(first(values, *names)) or 0 for names in _CACHED)
    output = count(values.get(semconv.USAGE_OUTPUT_TOKENS)) or 0
    if plain is None or not cached or count(values.get("gen_ai.usage.total_tokens")) != plain + cached + output:
        return None
    return plain + cached


def _text_of(result: object) -> object:
    """Return the text of a tool's result, if it is nothing but texts."""
    blocks = members(parsed(result))
    texts = [text(member(block, "text")) for block in blocks]
    return "\n".join(each for each in texts if each) if texts and all(texts) else result


STRANDS = Dialect(name="strands", scopes=("strands.telemetry",), marks=("event_loop.",), derived=_derived)
