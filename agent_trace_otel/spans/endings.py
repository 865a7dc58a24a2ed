"""How a span ends: with an outcome, or with what a tool returned.

Comes in: a span, None for a call that is not traced; how the call went. Called by capture paths through `spans`.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Status, StatusCode

from agent_trace_otel import content, pipeline, semconv

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_MAX_STACK = 64 * 1024


def end(  # noqa: PLR0913 - one argument a way to end
    span: Span | None,
    attributes: Mapping[str, Any] | None = None,
    *,
    outcome: str = semconv.OUTCOME_OK,
    error: BaseException | None = None,
    message: str = "",
    end_ns: int | None = None,
) -> None:
    """End a span, saying how it went.

    Args:
        span: the span, None for a call that is not traced.
        attributes: what is known only now.
        outcome: a value of agent_trace.outcome; with ``error`` it follows from the error.
        error: the exception that ended the call. What is no `Exception` (KeyboardInterrupt, a task's cancellation,
            SystemExit) interrupts the call and is not its failure: the status stays unset.
        message: why a failed call failed; by default what ``error`` says, else the outcome.
        end_ns: unix nanoseconds, now by default.
    """
    if span is None:
        return
    if error is not None:
        outcome = semconv.OUTCOME_ERROR if isinstance(error, Exception) else semconv.OUTCOME_INTERRUPTED
    final: dict[str, Any] = {**(attributes or {}), semconv.OUTCOME: outcome}
    if outcome in semconv.FAILED_OUTCOMES:
        description = outcome
        if error is not None:
            final[semconv.ERROR_TYPE], description = _record_exception(span, error)
        elif message:
            told_type = str(final.setdefault(semconv.ERROR_TYPE, outcome))
            span.add_event(
                semconv.EXCEPTION_EVENT,
                {semconv.EXCEPTION_TYPE: told_type, semconv.EXCEPTION_MESSAGE: message},
                end_ns,
            )
        span.set_status(Status(StatusCode.ERROR, message or description))
    span.set_attributes(final)
    span.end(end_ns)


def end_tool(span: Span | None, result: object) -> None:
    """End a tool call that returned."""
    if span is None:
        return
    try:
        if result is not None and pipeline.settings().capture_content:
            span.set_attribute(semconv.TOOL_CALL_RESULT, content.to_text(result))
        span.set_attribute(semconv.OUTCOME, semconv.OUTCOME_OK)
    finally:
        span.end()


def _record_exception(span: Span, error: BaseException) -> tuple[str, str]:
    """Add the one ``exception`` event (semantic conventions, exceptions) and return (error.type, message)."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ in (None, "builtins") else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - a __str__ of the user's
        message = f"<{kind.__qualname__}: str failed>"
    try:
        stack = "".join(traceback.format_exception(kind, error, error.__traceback__))
    except Exception:  # noqa: BLE001 - formatting calls __str__ and reads sources
        stack = ""
    message = content.cut(message, content.MAX_TEXT)
    span.add_event(
        semconv.EXCEPTION_EVENT,
        {
            semconv.EXCEPTION_TYPE: name,
            semconv.EXCEPTION_MESSAGE: message,
            semconv.EXCEPTION_STACKTRACE: content.cut(stack, _MAX_STACK),
        },
    )
    return name, message
