"""Span names of the GenAI convention: ``chat gpt-4o`` -> what is known before any attribute is set.

Called by the tables of instrumentations that set their attributes after the start, so that a call is told when it
begins.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel import semconv
from agent_trace_otel.dialects.given import Given

_TARGETS = {
    **dict.fromkeys(semconv.MODEL_OPERATIONS, semconv.REQUEST_MODEL),
    semconv.EXECUTE_TOOL: semconv.TOOL_NAME,
    semconv.INVOKE_AGENT: semconv.AGENT_NAME,
    "invoke_workflow": semconv.AGENT_NAME,
}


def by_name(given: Given) -> dict[str, Any]:
    """Return operation and target, as far as no attribute says them."""
    operation, _, target = given.name.partition(" ")
    named = _TARGETS.get(operation)
    if named is None:
        return {}
    found = {semconv.OPERATION_NAME: operation, **({named: target} if target else {})}
    return {name: value for name, value in found.items() if name not in given.attributes}
