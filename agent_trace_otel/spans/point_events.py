"""What happens between calls: decisions, prompts, responses, files -> events on the current span, told at once.

Comes in: what a capture path saw. Goes out: span events (OpenTelemetry specification, trace API, "Add Events") on the
current span if it is one that is written, else on the session's, or on the program's where another process has opened
the session; and word to the processors, which write each event's line now and not when its span ends.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as trace_api

from agent_trace_otel import content, identity, pipeline, semconv
from agent_trace_otel.processor import recording
from agent_trace_otel.spans.sessions import of_program

if TYPE_CHECKING:
    from opentelemetry.trace import Span


class _Clock:
    """Unix nanoseconds that never repeat in this process: a point event's id is made of its time."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.RLock()

    def now(self) -> int:
        with self._lock:
            self._last = max(self._last + 1, time.time_ns())
            return self._last

    def renew_lock(self) -> None:
        self._lock = threading.RLock()


_clock = _Clock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_clock.renew_lock)


def log_decision(choice: str, reason: str = "", alternatives: Sequence[str] = ()) -> None:
    """Log a choice between alternatives."""
    attributes = {
        semconv.DECISION_CHOICE: content.to_text(choice),
        semconv.DECISION_REASON: content.to_text(reason),
        semconv.DECISION_ALTERNATIVES: tuple(content.to_text(item) for item in alternatives),
    }
    _log(semconv.DECISION_EVENT, attributes)


def log_user_prompt(text: str) -> None:
    """Log what the user said."""
    _log_text(semconv.USER_PROMPT_EVENT, text)


def log_assistant_response(text: str) -> None:
    """Log what the agent answered."""
    _log_text(semconv.ASSISTANT_RESPONSE_EVENT, text)


def log_file(event: str, path: str | os.PathLike[str], more: Mapping[str, Any] | None = None) -> None:
    """Log that a file or resource was read or written.

    Args:
        event: ``semconv.FILE_READ_EVENT`` or ``semconv.FILE_WRITE_EVENT``.
        path: a path, or a URI such as ``https://…``.
        more: further attributes.
    """
    where = content.to_text(os.fspath(path))
    _log(event, {semconv.MCP_RESOURCE_URI if "://" in where else semconv.FILE_PATH: where, **(more or {})})


def log_told(span: Span | None, name: str, attributes: Mapping[str, Any], at: int) -> None:
    """Log what happened in another program's call, at ``at`` unix nanoseconds, on a span that is open."""
    if span is None or not span.is_recording():
        return
    span.add_event(name, attributes, at)
    recording.announce_event(span.get_span_context().span_id, name, attributes, at)


def _log_text(event: str, text: str) -> None:
    _log(event, {semconv.TEXT: content.to_text(text) if pipeline.settings().capture_content else ""}, of_session=True)


def _log(name: str, attributes: Mapping[str, Any], *, of_session: bool = False) -> None:
    """Add an event to the current span, else (or for what is the session's) to the session's; it is written at once."""
    if pipeline.tracer() is None:
        return
    span = trace_api.get_current_span()
    owner = identity.current()
    if of_session and owner is not None and owner.root is not None:
        span = owner.root
    elif not (span.is_recording() and recording.is_recorded(span.get_span_context().span_id)):
        program = None if owner is None else owner.root or of_program()
        if program is None:
            return
        span = program
    log_told(span, name, attributes, _clock.now())
