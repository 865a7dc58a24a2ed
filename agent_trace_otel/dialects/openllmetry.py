"""OpenLLMetry (traceloop-sdk and opentelemetry-instrumentation-* of Traceloop), 0.4x to 0.6x.

Model calls speak gen_ai; this table is for workflows, tasks, agents and tools. Source: its semconv_ai package and the
decorators of traceloop-sdk. Its input tokens of Anthropic are the sum with cached ones (`_set_token_usage`).
"""

from __future__ import annotations

from typing import Any, cast

from agent_trace_otel import semconv
from agent_trace_otel.dialects.given import Given, Values, member, parsed, text, unquoted
from agent_trace_otel.dialects.table import Dialect

_OPERATIONS = {
    "workflow": "invoke_workflow",
    "task": "invoke_workflow",
    "agent": semconv.INVOKE_AGENT,
    "tool": semconv.EXECUTE_TOOL,
}
_SESSIONS = ("session_id", "conversation_id", "thread_id", "chat_id")


def _derived(given: Given) -> dict[str, Any]:
    values = given.attributes
    kind = text(values.get("traceloop.span.kind"))
    found: dict[str, Any] = {semconv.CONVERSATION_ID: _session(values)}
    if kind is None:
        return found
    found[semconv.OPERATION_NAME] = _OPERATIONS.get(kind.lower())
    name = text(values.get("traceloop.entity.name"))
    if kind == "tool":
        found[semconv.TOOL_NAME] = name
        found[semconv.TOOL_CALL_ARGUMENTS] = arguments(values.get("traceloop.entity.input"))
        found[semconv.TOOL_CALL_RESULT] = unquoted(values.get("traceloop.entity.output"))
    elif kind in ("agent", "workflow"):
        found[semconv.AGENT_NAME] = name
    return found


def arguments(value: object) -> object:
    """Return what a function was called with: ``{"args": [], "kwargs": {...}}`` where it is nothing but keywords."""
    call = parsed(value)
    keywords: object = member(call, "kwargs")
    if isinstance(keywords, dict) and not member(call, "args"):
        return cast("object", keywords)
    inputs: object = member(call, "inputs")  # of the LangChain callbacks
    return cast("object", inputs) if isinstance(inputs, dict) else value


def _session(values: Values) -> str | None:
    prefix = "traceloop.association.properties."
    return next((found for name in _SESSIONS if (found := text(values.get(prefix + name)))), None)


LEAST_EXACT = "openllmetry"
"""Whose numbers to believe last: of a stream of Anthropic's it adds the output tokens of the first event to those of
the last one, which include them."""

OPENLLMETRY = Dialect(
    name=LEAST_EXACT,
    scopes=("opentelemetry.instrumentation.openai.v", "opentelemetry.instrumentation.anthropic"),
    marks=("traceloop.",),
    derived=_derived,
    content=(
        "traceloop.entity.input",
        "traceloop.entity.output",
        "traceloop.prompt.template",
        "traceloop.prompt.template_variables",
    ),
)
