"""The one place that calls a tracer: a span's context, its session, its id and its time.

Called by `spans` alone, which knows what each kind of span is named and what it tells.
"""

from __future__ import annotations

import contextvars
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.trace import Link, SpanKind

from agent_trace_otel import identity, pipeline, semconv
from agent_trace_otel.ids import ids_of_next_span

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from agent_trace_otel.identity import Session
    from agent_trace_otel.spans.told import Told


def start(  # noqa: PLR0913 - what a span begins with
    name: str,
    kind: SpanKind,
    attributes: dict[str, Any],
    *,
    key: tuple[str, str] | None = None,
    began_ns: int | None = None,
    told: Told | None = None,
) -> Span | None:
    """Start a span in the caller's context, or as ``told``; None when nothing is to be traced.

    Args:
        name: the span's name.
        kind: the span's kind.
        attributes: filled in with the session's ids.
        key: kind and key of `identity.derived_span_id`; None for a random id.
        began_ns: unix nanoseconds, now by default.
        told: where and when, if another program did it.
    """
    tracer = pipeline.tracer()
    if tracer is None:
        return None
    if told is not None:
        return _start_told(tracer, name, kind, attributes, told)
    ctx = context_api.get_current()
    owner = identity.of_context(ctx)
    if owner is None:
        owner = identity.of_process()
        if owner is not None:
            has_parent = trace_api.get_current_span(ctx).get_span_context().is_valid
            ctx = context_api.set_value(identity.SESSION_KEY, owner, ctx) if has_parent else owner.context(ctx)
    if owner is not None:
        attributes[semconv.CONVERSATION_ID] = attributes[semconv.SESSION_ID] = owner.id
    elif pipeline.serves_only_sessions():
        return None
    if key is not None and owner is not None:
        return _start_keyed(tracer, name, ctx, kind, attributes, owner, key, start_ns=began_ns)
    if ids_of_next_span.get() is None:
        return tracer.start_span(name, ctx, kind, attributes, start_time=began_ns)
    # a signal handler that came while a span with derived ids was about to start
    return contextvars.copy_context().run(_start_with_random_ids, tracer, name, ctx, kind, attributes)


def _start_told(tracer: Tracer, name: str, kind: SpanKind, attributes: dict[str, Any], told: Told) -> Span:
    """Start a span of what another program did."""
    ctx = told.context()
    attributes.update(told.attributes)
    attributes[semconv.CONVERSATION_ID], attributes[semconv.SESSION_ID] = told.owner.id, told.owner.session_id
    if told.key is None:
        return tracer.start_span(name, ctx, kind, attributes, links=told.links, start_time=told.at)
    return _start_keyed(tracer, name, ctx, kind, attributes, told.owner, told.key, told.links, told.at)


def _start_keyed(  # noqa: PLR0913 - what a span is made of
    tracer: Tracer,
    name: str,
    ctx: Context,
    kind: SpanKind,
    attributes: dict[str, Any],
    owner: Session,
    key: tuple[str, str],
    links: Sequence[Link] = (),
    start_ns: int | None = None,
) -> Span:
    """Start a span with the id that all processes agree on; a turn may be a trace of its own, linked to its session."""
    trace_id = 0
    if key[0] == "turn" and pipeline.settings().trace_per == "turn":
        links = [*links, Link(trace_api.get_current_span(ctx).get_span_context())]
        ctx = trace_api.set_span_in_context(
            trace_api.INVALID_SPAN, context_api.set_value(identity.SESSION_KEY, owner, ctx)
        )
        trace_id = identity.derived_trace_id(owner.id, key[1])
    return start_with_id(tracer, name, ctx, kind, attributes, owner, key, trace_id, links, start_ns)


def start_with_id(  # noqa: PLR0913 - as above
    tracer: Tracer,
    name: str,
    ctx: Context,
    kind: SpanKind,
    attributes: dict[str, Any],
    owner: Session,
    key: tuple[str, str],
    trace_id: int,
    links: Sequence[Link],
    start_ns: int | None,
) -> Span:
    """Start a span with the id that is derived for it; ``trace_id`` counts where it has no parent."""
    span_id = identity.derived_span_id(owner.id, *key)
    attributes[semconv.KEY] = f"{span_id:016x}"
    given = ids_of_next_span.set((trace_id, span_id))
    try:
        return tracer.start_span(name, ctx, kind, attributes, links=links, start_time=start_ns)
    finally:
        ids_of_next_span.reset(given)


def _start_with_random_ids(tracer: Tracer, name: str, ctx: Context, kind: SpanKind, attributes: dict[str, Any]) -> Span:
    ids_of_next_span.set(None)
    return tracer.start_span(name, ctx, kind, attributes)
