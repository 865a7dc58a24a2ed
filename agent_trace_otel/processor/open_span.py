"""What the processor remembers of a span between its start and its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as trace_api
from opentelemetry.trace import SpanKind

from agent_trace_otel import dialects, semconv

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from agent_trace_otel.identity import Session
    from agent_trace_otel.processor.folding import ModelCall
    from agent_trace_otel.processor.plain_tools import PlainCall
    from agent_trace_otel.processor.span_copy import Cleaner
    from agent_trace_otel.store.span_events import Kind
    from agent_trace_otel.store.writer import SessionWriter

SCOPE_NAME = dialects.OURS
"""Instrumentation scope of the spans that `spans` makes."""


class OpenSpan:
    """One open span; every field is set when it begins, and a class with slots is the cheapest to fill."""

    __slots__ = (
        "above",
        "agent",
        "call",
        "calls",
        "clean",
        "cleaner",
        "in_model",
        "in_tool",
        "inherited",
        "is_foreign",
        "kind",
        "muted",
        "opened",
        "parent_id",
        "plain",
        "points",
        "raw",
        "session",
        "span_id",
        "tail",
        "trace_id",
        "writer",
    )

    above: OpenSpan | None
    """The open span that it began in."""
    call: ModelCall | None
    """What it was, once it has ended, if it was a model call."""
    calls: list[ModelCall] | None
    """The model calls that have ended in it."""
    agent: str
    """Name of the sub-agent it belongs to, empty for the main one."""
    raw: Mapping[str, Any]
    clean: Mapping[str, Any]
    """What its opening event tells, as it came and without secrets."""
    cleaner: Cleaner
    is_foreign: bool
    """Another instrumentation made it: what it says has to be read (`dialects`)."""
    kind: Kind
    in_model: bool
    in_tool: bool
    """Whether it is or hangs under a model call, a tool call."""
    muted: bool
    """Its story is told by an open span around it: no event of its own."""
    opened: bool
    """Its opening event is written."""
    inherited: bool
    """It was started by the parent of this forked process, which will end it."""
    plain: PlainCall | None
    """What the straight way knows of it, if it is a plain tool call so far."""
    points: set[str] | None
    """Ids of its span events that were written when they were logged."""
    session: Session | None
    """The session that its context named."""
    trace_id: str
    span_id: str
    parent_id: str
    tail: str
    """The members that close the ``data`` of each of its events."""
    writer: SessionWriter | None
    """Its session's; None while its trace has none."""


def is_of_ours(span: ReadableSpan) -> bool:
    """Tell whether `spans` made a span."""
    scope = span.instrumentation_scope
    return scope is not None and scope.name == SCOPE_NAME


def is_told_by_sender(span: ReadableSpan, session: Session | None) -> bool:
    """Tell if an MCP request is handled in a process that joined the session, for a sender in another one of it."""
    above = span.parent
    if span.kind is not SpanKind.SERVER or above is None or not above.is_remote:
        return False
    if session is None or session.root is not None or session.parent is None:
        return False
    joined = trace_api.get_current_span(session.parent).get_span_context()
    is_of_session = above.trace_id == joined.trace_id and above.span_id != joined.span_id
    return is_of_session and semconv.MCP_METHOD_NAME in (span.attributes or {})
