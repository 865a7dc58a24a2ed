"""What a capture path asks before a call, and the context that it runs the call in.

Comes in: the caller's context and process. Goes out: yes or no, a context, variables for child processes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api

from agent_trace_otel import content, identity, pipeline

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span


def content_text(value: object) -> str | None:
    """Return what may be told of a value: JSON text, or the string that it is; None when content is not captured."""
    return content.to_text(value) if pipeline.settings().capture_content else None


def captures_content() -> bool:
    """Tell whether prompts, answers, arguments and results may be told."""
    return pipeline.settings().capture_content


def traces_here() -> bool:
    """Tell whether a call that is made here and now gets a span, of a session or of a trace of its own."""
    return pipeline.tracer() is not None and (identity.current() is not None or not pipeline.serves_only_sessions())


def in_session() -> bool:
    """Tell whether what happens here and now belongs to a session; a few dictionary look-ups when it doesn't."""
    return pipeline.tracer(needed=False) is not None and identity.current() is not None


def is_of_session(path: str) -> bool:
    """Tell whether a file belongs to what is written of the current session, and of others beside it."""
    owner = identity.current()
    return owner is not None and path.startswith(os.path.join(owner.trace_dir, ""))  # noqa: PTH118 - a text is compared


def environment_of(span: Span) -> dict[str, str]:
    """Return the variables that make a child process join the current session under a span; none outside a session."""
    owner = identity.current()
    if owner is None:
        return {}
    token = context_api.attach(context_of(span))
    try:
        return owner.environment()
    finally:
        context_api.detach(token)


def context_of(span: Span) -> Context:
    """Return the context to run a span's call in: the span is current, and its session known."""
    ctx = context_api.get_current()
    if identity.of_context(ctx) is None:
        owner = identity.of_process()
        if owner is not None:
            ctx = context_api.set_value(identity.SESSION_KEY, owner, ctx)
    return trace_api.set_span_in_context(span, ctx)
