"""Where and when something began that another program did: what stands in for the context and the clock.

Made by capture paths that report (hooks, proxies), read by `spans`, which starts the spans.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from agent_trace_otel.identity import Session


@dataclass(frozen=True, slots=True)
class Told:
    """Where and when one span of a reported session begins."""

    owner: Session
    at: int
    """Unix nanoseconds."""
    key: tuple[str, str] | None = None
    """Kind and key of `identity.derived_span_id`; None for a random id."""
    parent: SpanContext | None = None
    """What it hangs under, ended or not; None for the session's own span."""
    links: tuple[Link, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the reporting path knows beside the arguments of the call."""

    def context(self) -> Context:
        """Return the context that the span starts in."""
        ctx = self.owner.context(context_api.Context())
        return ctx if self.parent is None else trace_api.set_span_in_context(NonRecordingSpan(self.parent), ctx)


def link_to(trace_id: str, span_id: str, attributes: Mapping[str, Any] | None = None) -> Link:
    """Return a link to a span that is known by its ids alone, in hex."""
    return Link(SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(0)), attributes)
