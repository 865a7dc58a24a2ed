"""Logfire's own instrumentation of model clients (scopes ``logfire.openai``, ``logfire.anthropic``).

Source: our recording of 4.x, and `logfire/_internal/integrations/llm_providers` for older ones. A streamed call is told
by two spans: one that ends before the stream begins and knows no answer, then a log that knows it all. The numbers of
caching and reasoning stand in ``gen_ai.usage.raw`` alone, in the provider's words; input tokens count cached ones.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel import semconv
from agent_trace_otel.dialects import said
from agent_trace_otel.dialects.given import Given, count, member, parsed, table, text
from agent_trace_otel.dialects.table import Dialect

_SCOPES = ("logfire.openai", "logfire.anthropic")


def _derived(given: Given) -> dict[str, Any]:
    values = given.attributes
    found: dict[str, Any] = {}
    raw = parsed(values.get("gen_ai.usage.raw"))
    prompt = member(raw, "prompt_tokens_details", "input_tokens_details")
    answer = member(raw, "completion_tokens_details", "output_tokens_details")
    read = count(member(prompt, "cached_tokens"))
    found[semconv.USAGE_CACHE_READ_INPUT_TOKENS] = (
        count(member(raw, "cache_read_input_tokens")) if read is None else read
    )
    found[semconv.USAGE_CACHE_WRITE_INPUT_TOKENS] = count(member(raw, "cache_creation_input_tokens"))
    found[semconv.USAGE_REASONING_OUTPUT_TOKENS] = count(member(answer, "reasoning_tokens"))
    request, response = table(values.get("request_data")), table(values.get("response_data"))
    if semconv.OPERATION_NAME not in values and request is not None and given.scope.startswith(_SCOPES):
        found[semconv.OPERATION_NAME] = semconv.CHAT if member(request, "messages", "input") else None
        found[semconv.REQUEST_MODEL] = text(request.get("model"))
    if semconv.INPUT_MESSAGES not in values:
        found[semconv.INPUT_MESSAGES] = said.read(member(request, "messages", "input"))
    if semconv.OUTPUT_MESSAGES not in values:
        message = member(response, "message", "combined_chunk_content")
        found[semconv.OUTPUT_MESSAGES] = said.answered(message) if message is not None else None
        usage = member(response, "usage")
        found[semconv.USAGE_INPUT_TOKENS] = count(member(usage, "prompt_tokens", "input_tokens"))
        found[semconv.USAGE_OUTPUT_TOKENS] = count(member(usage, "completion_tokens", "output_tokens"))
    return {name: value for name, value in found.items() if name not in values}


def announces(given: Given) -> bool:
    """Tell whether a span that has ended is the first of the two that tell a streamed call."""
    values = given.attributes
    if not given.scope.startswith(_SCOPES) or values.get("logfire.span_type") == "log":
        return False
    answers = (semconv.OUTPUT_MESSAGES, semconv.USAGE_OUTPUT_TOKENS, semconv.RESPONSE_ID, "response_data")
    return "request_data" in values and not any(name in values for name in answers)


LOGFIRE = Dialect(
    name="logfire",
    scopes=_SCOPES,
    marks=("gen_ai.usage.raw",),
    names={"operation.cost": semconv.COST},
    derived=_derived,
    content=("request_data", "response_data", "logfire.msg"),
)
