"""LangSmith's runs, handed on to OpenTelemetry (scope ``langsmith``).

Source: its `_internal/otel/_otel_exporter.py`, and our recording of 0.4. What a run was given and gave back stands in
``gen_ai.prompt`` and ``gen_ai.completion``, as the JSON of a client or of a function. Input tokens count cached ones;
the numbers of caching and reasoning stand in its metadata.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel import model_io, semconv
from agent_trace_otel.dialects import said
from agent_trace_otel.dialects.given import Given, Values, count, first, member, table, text
from agent_trace_otel.dialects.table import Dialect

_OPERATIONS = {
    "llm": semconv.CHAT,
    "tool": semconv.EXECUTE_TOOL,
    "chain": "invoke_workflow",
    "retriever": "retrieval",
    "embedding": semconv.EMBEDDINGS,
    "prompt": "invoke_workflow",
    "parser": "invoke_workflow",
}
_SESSIONS = tuple(f"langsmith.metadata.{name}" for name in ("session_id", "thread_id", "conversation_id"))


def _derived(given: Given) -> dict[str, Any]:
    values = given.attributes
    operation = _OPERATIONS.get(text(values.get("langsmith.span.kind")) or "")
    if operation is None:
        return {}
    found: dict[str, Any] = {semconv.OPERATION_NAME: operation, semconv.CONVERSATION_ID: first(values, *_SESSIONS)}
    asked, got = table(values.get("gen_ai.prompt")), table(values.get("gen_ai.completion"))
    if operation in semconv.MODEL_OPERATIONS:
        found |= _model_call(values, asked, got)
    elif operation == semconv.EXECUTE_TOOL:
        found[semconv.TOOL_NAME] = first(values, semconv.TOOL_NAME) or given.name
        found[semconv.TOOL_CALL_ARGUMENTS] = member(asked, "input") or values.get("gen_ai.prompt")
        found[semconv.TOOL_CALL_RESULT] = member(got, "output") or values.get("gen_ai.completion")
    return found


def _model_call(values: Values, asked: Values | None, got: Values | None) -> dict[str, Any]:
    request = model_io.read_request(asked or {})
    found: dict[str, Any] = dict(model_io.read_response(got)) if got is not None else {}
    found |= {semconv.INPUT_MESSAGES: said.json_text(request.messages), **request.attributes}
    found[semconv.SYSTEM_INSTRUCTIONS] = said.json_text(request.system)
    if got is not None and not found.get(semconv.OUTPUT_MESSAGES):
        found[semconv.OUTPUT_MESSAGES] = said.answered(member(got, "output", "messages") or got)
    used = table(first(values, "langsmith.metadata.usage_metadata", "langsmith.usage_metadata"))
    if used is not None:
        prompt, answer = member(used, "input_token_details"), member(used, "output_token_details")
        found[semconv.USAGE_INPUT_TOKENS] = count(used.get("input_tokens"))
        found[semconv.USAGE_OUTPUT_TOKENS] = count(used.get("output_tokens"))
        found[semconv.USAGE_CACHE_READ_INPUT_TOKENS] = count(member(prompt, "cache_read"))
        found[semconv.USAGE_CACHE_WRITE_INPUT_TOKENS] = count(member(prompt, "cache_creation"))
        found[semconv.USAGE_REASONING_OUTPUT_TOKENS] = count(member(answer, "reasoning"))
    return found


LANGSMITH = Dialect(
    name="langsmith",
    scopes=("langsmith",),
    marks=("langsmith.",),
    names={"langsmith.metadata.ls_model_name": semconv.REQUEST_MODEL},
    derived=_derived,
    content=("gen_ai.prompt", "gen_ai.completion"),
)
