"""A line of spans.jsonl, parsed: the spans in it, whatever a foreign line has in their place.

Comes in: an ExportTraceServiceRequest in OTLP's JSON. Goes out: its objects. Called by views that read spans without
OpenTelemetry.
"""

from __future__ import annotations

from agent_trace_otel.store.lines import is_list, is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def scopes_of(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the ScopeSpans of a request."""
    for resource in objects(request, "resourceSpans"):
        yield from objects(resource, "scopeSpans")


def spans_of(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the spans of a request."""
    for scope in scopes_of(request):
        yield from objects(scope, "spans")


def objects(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects of a list member."""
    values = holder.get(name)
    return [value for value in values if is_object(value)] if is_list(values) else []
