"""strace for AI agents: every prompt, model call, tool call and failure as OpenTelemetry spans.

    import agent_trace_otel as at

    @at.trace_tool
    def search(query: str) -> list[str]: ...

    with at.session("my-agent"):
        search("where is the bug")

Names are loaded when they are first used: importing the package loads neither the OpenTelemetry SDK nor an exporter.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # what type checkers read as True; importing typing would cost every command 4 ms
if TYPE_CHECKING:
    from agent_trace_otel.capture.decorators import trace_agent, trace_llm_call, trace_tool
    from agent_trace_otel.capture.events import (
        log_assistant_response,
        log_decision,
        log_file_read,
        log_file_write,
        log_user_prompt,
    )
    from agent_trace_otel.capture.sessions import end_session, start_session
    from agent_trace_otel.capture.sessions import session_scope as session
    from agent_trace_otel.exporter import FileSpanExporter
    from agent_trace_otel.identity import Session
    from agent_trace_otel.identity import current as current_session
    from agent_trace_otel.instrumentation import instrument, uninstrument
    from agent_trace_otel.pipeline import configure, force_flush
    from agent_trace_otel.processor.session_processor import AgentTraceSpanProcessor
    from agent_trace_otel.redact import Redactor
    from agent_trace_otel.store.events import SessionMeta

__version__ = "0.1.0"

_WHERE = {
    "AgentTraceSpanProcessor": ("processor.session_processor", "AgentTraceSpanProcessor"),
    "FileSpanExporter": ("exporter", "FileSpanExporter"),
    "Redactor": ("redact", "Redactor"),
    "Session": ("identity", "Session"),
    "SessionMeta": ("store.events", "SessionMeta"),
    "configure": ("pipeline", "configure"),
    "current_session": ("identity", "current"),
    "end_session": ("capture.sessions", "end_session"),
    "force_flush": ("pipeline", "force_flush"),
    "instrument": ("instrumentation", "instrument"),
    "log_assistant_response": ("capture.events", "log_assistant_response"),
    "log_decision": ("capture.events", "log_decision"),
    "log_file_read": ("capture.events", "log_file_read"),
    "log_file_write": ("capture.events", "log_file_write"),
    "log_user_prompt": ("capture.events", "log_user_prompt"),
    "session": ("capture.sessions", "session_scope"),
    "start_session": ("capture.sessions", "start_session"),
    "trace_agent": ("capture.decorators", "trace_agent"),
    "trace_llm_call": ("capture.decorators", "trace_llm_call"),
    "trace_tool": ("capture.decorators", "trace_tool"),
    "uninstrument": ("instrumentation", "uninstrument"),
}

__all__ = [
    "AgentTraceSpanProcessor",
    "FileSpanExporter",
    "Redactor",
    "Session",
    "SessionMeta",
    "configure",
    "current_session",
    "end_session",
    "force_flush",
    "instrument",
    "log_assistant_response",
    "log_decision",
    "log_file_read",
    "log_file_write",
    "log_user_prompt",
    "session",
    "start_session",
    "trace_agent",
    "trace_llm_call",
    "trace_tool",
    "uninstrument",
]


def __getattr__(name: str) -> object:
    try:
        module, attribute = _WHERE[name]
    except KeyError:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg) from None
    value = getattr(import_module(f"{__name__}.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
