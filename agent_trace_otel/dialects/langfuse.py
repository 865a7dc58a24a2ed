"""Langfuse's SDK (scope ``langfuse-sdk``), 3.x and 4.x.

Source: its `_client/attributes.py` and `langfuse/openai.py`, and our recording. Usage comes in the provider's words, or
in Langfuse's own: buckets that don't overlap (``input``, ``input_cached_tokens``, ``output_reasoning_tokens`` ...), so
all that begin alike are added up (`langchain/CallbackHandler.py`, `_parse_usage_model`).
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel import semconv
from agent_trace_otel.dialects import said
from agent_trace_otel.dialects.given import Given, Values, count, first, member, parsed, table, text
from agent_trace_otel.dialects.openllmetry import arguments
from agent_trace_otel.dialects.table import Dialect

_OPERATIONS = {
    "generation": semconv.CHAT,
    "embedding": semconv.EMBEDDINGS,
    "tool": semconv.EXECUTE_TOOL,
    "agent": semconv.INVOKE_AGENT,
    "chain": "invoke_workflow",
    "span": "invoke_workflow",
    "retriever": "retrieval",
    "evaluator": "invoke_workflow",
    "guardrail": "invoke_workflow",
}


def _derived(given: Given) -> dict[str, Any]:
    values = given.attributes
    kind = text(values.get("langfuse.observation.type"))
    operation = _OPERATIONS.get(kind) if kind else None
    if operation is None:
        return {}
    asked, got = (first(values, f"langfuse.observation.{side}") for side in ("input", "output"))
    found: dict[str, Any] = {semconv.OPERATION_NAME: operation}
    if operation in semconv.MODEL_OPERATIONS:
        found |= {semconv.INPUT_MESSAGES: said.read(_messages(asked)), **usage(values)}
        found[semconv.OUTPUT_MESSAGES] = said.answered(got) if got is not None else None
        found[semconv.REQUEST_MODEL] = text(values.get("langfuse.observation.model.name"))
    elif operation == semconv.EXECUTE_TOOL:
        found |= {semconv.TOOL_NAME: given.name, semconv.TOOL_CALL_ARGUMENTS: arguments(asked)}
        found[semconv.TOOL_CALL_RESULT] = got
    elif operation == semconv.INVOKE_AGENT:
        found[semconv.AGENT_NAME] = given.name
    return found


def _messages(asked: object) -> object:
    given = parsed(asked)
    inner: object = member(given, "messages", "input", "prompt")
    return given if inner is None else inner


def usage(values: Values) -> dict[str, Any]:
    """Return token counts from ``langfuse.observation.usage_details``."""
    told = table(values.get("langfuse.observation.usage_details"))
    cost = table(values.get("langfuse.observation.cost_details"))
    found: dict[str, Any] = {semconv.COST: member(cost, "total")}
    if told is None:
        return found
    details = member(told, "prompt_tokens_details", "input_tokens_details")
    read = first(told, "cache_read_input_tokens", "input_cached_tokens", "input_cache_read")
    found[semconv.USAGE_CACHE_READ_INPUT_TOKENS] = count(member(details, "cached_tokens") if details else read)
    written = first(told, "cache_creation_input_tokens", "input_cache_creation")
    found[semconv.USAGE_CACHE_WRITE_INPUT_TOKENS] = count(written)
    thought = member(member(told, "completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
    thought = first(told, "output_reasoning_tokens", "output_reasoning") if thought is None else thought
    found[semconv.USAGE_REASONING_OUTPUT_TOKENS] = count(thought)
    if "prompt_tokens" in told or details is not None:  # OpenAI's words: cached tokens are among the others
        found[semconv.USAGE_INPUT_TOKENS] = count(first(told, "prompt_tokens", "input_tokens"))
        found[semconv.USAGE_OUTPUT_TOKENS] = count(first(told, "completion_tokens", "output_tokens"))
    else:
        found[semconv.USAGE_INPUT_TOKENS] = _sum(told, ("input", "cache_"))
        found[semconv.USAGE_OUTPUT_TOKENS] = _sum(told, ("output",))
    return found


def _sum(told: Values, beginnings: tuple[str, ...]) -> int | None:
    numbers = [count(value) for name, value in told.items() if name.startswith(beginnings)]
    return sum(number for number in numbers if number is not None) if numbers else None


LANGFUSE = Dialect(
    name="langfuse",
    scopes=("langfuse-sdk",),
    marks=("langfuse.",),
    names={
        "langfuse.observation.model.name": semconv.RESPONSE_MODEL,
        "langfuse.session.id": semconv.CONVERSATION_ID,
        "session.id": semconv.CONVERSATION_ID,
        "langfuse.trace.session_id": semconv.CONVERSATION_ID,
    },
    derived=_derived,
    content=(
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.trace.input",
        "langfuse.trace.output",
    ),
)
