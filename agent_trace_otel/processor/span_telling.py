"""What an open span tells at its start and at its end, and what is written with it: pure, beside what it remembers.

Called by `processor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agent_trace_otel import semconv
from agent_trace_otel.store import span_events

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from agent_trace_otel.processor.open_span import OpenSpan
    from agent_trace_otel.store.writer import SessionWriter


def read_opening(state: OpenSpan, raw: Mapping[str, Any]) -> None:
    """Take over what the opening event of the span's kind tells."""
    state.raw = {key: raw[key] for key in span_events.OPENING_ATTRIBUTES[state.kind] if key in raw}
    state.clean = state.cleaner.attributes(state.raw)


def stamps(state: OpenSpan, writer: SessionWriter, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the span is written and sent with beside its own attributes."""
    stamps: dict[str, Any] = {}
    if writer.is_named and semconv.SESSION_ID not in raw:
        stamps[semconv.SESSION_ID] = writer.session_id
    if state.call is not None and state.call.same:
        stamps[semconv.DUPLICATES] = tuple(state.call.same)
    return stamps


def read_closing(state: OpenSpan, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the closing event of the span's kind tells, clean; the span's copy is spared cleaning it again."""
    raw = {key: told[key] for key in span_events.CLOSING_ATTRIBUTES[state.kind] if key in told}
    clean = state.cleaner.attributes(raw)
    state.raw, state.clean = {**state.raw, **raw}, {**state.clean, **clean}
    return clean


def tail(state: OpenSpan, told: Mapping[str, Any]) -> str:
    """Return the members that close the ``data`` of each of a span's events."""
    is_mcp = state.kind == "tool" and semconv.MCP_METHOD_NAME in told
    return span_events.tail(state.trace_id, state.span_id, state.parent_id, state.agent, is_mcp=is_mcp)


def is_told_by(above: OpenSpan, kind: span_events.Kind, raw: Mapping[str, Any]) -> bool:
    """Tell if a call has an outer span already, whose story is its own; ``above`` knows what it hangs under."""
    return (kind == "model" and above.in_model) or (kind == "tool" and above.in_tool and semconv.MCP_METHOD_NAME in raw)


def is_sub_agent(raw: Mapping[str, Any]) -> bool:
    """Tell whether an agent is one that another one started."""
    return raw.get(semconv.OPERATION_NAME) == semconv.INVOKE_AGENT and raw.get(semconv.SCOPE) != semconv.SCOPE_TURN


def failure(span: ReadableSpan) -> span_events.Failure:
    """Return what a failed span says of its failure: its last exception event, else the status description."""
    description = span.status.description or ""
    for event in reversed(span.events):
        if event.name == semconv.EXCEPTION_EVENT and event.attributes:
            message = event.attributes.get(semconv.EXCEPTION_MESSAGE) or description
            return span_events.Failure(str(message), str(event.attributes.get(semconv.EXCEPTION_TYPE) or ""))
    return span_events.Failure(description, "")
