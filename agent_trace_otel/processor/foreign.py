"""A span that another instrumentation made -> what it says, in the convention's names.

Called by `processor`, at the span's start and at its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agent_trace_otel import dialects
from agent_trace_otel.processor.span_copy import is_bare

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


def read(span: ReadableSpan, attributes: Mapping[str, Any]) -> dialects.Reading:
    """Return what a span says; ``attributes`` are its own, copied."""
    scope = span.instrumentation_scope
    name = scope.name if scope is not None else ""
    if not dialects.may_be_read(attributes, name):
        return dialects.Reading((), attributes)
    events = () if is_bare(span) else [(event.name, event.attributes or {}) for event in span.events]
    return dialects.read(dialects.Given(attributes, span.name, name, events))
