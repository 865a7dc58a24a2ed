"""Spans of any tracer -> session folders while they happen, and redacted copies to what sends.

`session_processor` is the one processor, the rest of the room is what it asks: which session a span belongs to, what
is remembered of an open one, which calls are one and the same, what is left after redaction.

Its name for users is loaded when it is first used: the rest of the room is wanted where no SDK is.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent_trace_otel.processor.session_processor import AgentTraceSpanProcessor, SessionSpanProcessor

__all__ = ["AgentTraceSpanProcessor", "SessionSpanProcessor"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from agent_trace_otel.processor import session_processor

        return getattr(session_processor, name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
