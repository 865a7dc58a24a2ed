"""From what a capture path saw to an OpenTelemetry span, its start and its end; the processor does the rest.

Functions that start a span return None when nothing is to be traced, and every other function takes that None.
What happens between calls is `point_events`; `start` is the one place that calls a tracer.
"""

from __future__ import annotations

from agent_trace_otel.spans.calls import (
    messages_json,
    model_request_attributes,
    start_agent,
    start_model_call,
    start_plain,
    start_process,
    start_request,
    start_tool,
    start_turn,
    text_message,
)
from agent_trace_otel.spans.endings import end, end_tool
from agent_trace_otel.spans.sessions import end_session, end_sessions_at_exit, start_session
from agent_trace_otel.spans.surroundings import (
    captures_content,
    content_text,
    context_of,
    environment_of,
    in_session,
    is_of_session,
    traces_here,
)

__all__ = [
    "captures_content",
    "content_text",
    "context_of",
    "end",
    "end_session",
    "end_sessions_at_exit",
    "end_tool",
    "environment_of",
    "in_session",
    "is_of_session",
    "messages_json",
    "model_request_attributes",
    "start_agent",
    "start_model_call",
    "start_plain",
    "start_process",
    "start_request",
    "start_session",
    "start_tool",
    "start_turn",
    "text_message",
    "traces_here",
]
