"""The redacted copy of a span: what is written to disk and what is sent are this copy, never the original.

Comes in: an ended (or just started) span of anybody's. Goes out: a ReadableSpan that holds no secret and nothing that
OTLP can't encode. A copy is needed because an ended span can't be changed, and must not be: other processors of the
same provider see it too. Called by `processor`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status

from agent_trace_otel import semconv
from agent_trace_otel.encodable import encodable_text, encodable_value

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from agent_trace_otel.redact import Redactor

CONTENT_ATTRIBUTES = frozenset(
    {
        semconv.INPUT_MESSAGES,
        semconv.OUTPUT_MESSAGES,
        semconv.SYSTEM_INSTRUCTIONS,
        semconv.TOOL_CALL_ARGUMENTS,
        semconv.TOOL_CALL_RESULT,
        semconv.TEXT,
    }
)
"""Attributes that hold what was said; left out when content is not to be captured."""

_MAX_RESOURCES = 64


class CleanSpan(ReadableSpan):
    """A span whose values have been through a `Cleaner`; it reports the dropped counts of the original."""

    def __init__(self, original: ReadableSpan, **values: Any) -> None:  # noqa: ANN401 - ReadableSpan's own arguments
        super().__init__(**values)
        self._original = original

    @property
    def dropped_attributes(self) -> int:
        return self._original.dropped_attributes

    @property
    def dropped_events(self) -> int:
        return self._original.dropped_events

    @property
    def dropped_links(self) -> int:
        return self._original.dropped_links


class Cleaner:
    """Takes secrets, unwanted content and what can't be encoded out of spans.

    Args:
        redactor: withholds secrets; None when redaction is off.
        capture_content: False leaves out arguments, results and messages.
    """

    def __init__(self, redactor: Redactor | None, *, capture_content: bool = True) -> None:
        self._redactor = redactor
        self._capture_content = capture_content
        self._resources: dict[int, tuple[Resource, Resource]] = {}

    def text(self, text: str) -> str:
        """Clean a span name or a status description."""
        return encodable_text(text if self._redactor is None else self._redactor.text(text))

    def attributes(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Clean a mapping of attributes."""
        redactor, clean = self._redactor, {}
        for key, value in raw.items():
            kind = type(value)
            if kind is bool or kind is float or value is None:
                clean[key] = value
                continue
            if not self._capture_content and key in CONTENT_ATTRIBUTES:
                continue
            kept = value if redactor is None else redactor.pair(key, value)
            clean[encodable_text(key)] = encodable_text(kept) if type(kept) is str else encodable_value(kept)
        return clean

    def span(self, span: ReadableSpan, name: str, attributes: Mapping[str, Any]) -> CleanSpan:
        """Return the copy; name and attributes are given, since the caller has cleaned most of them already."""
        status = span.status
        if status.description:
            status = Status(status.status_code, self.text(status.description))
        return CleanSpan(
            span,
            name=name,
            context=span.context,
            parent=span.parent,
            resource=self.resource(span.resource),
            attributes=attributes,
            events=self._events(span.events) if span.events else (),
            links=self._links(span.links) if span.links else (),
            kind=span.kind,
            status=status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def resource(self, resource: Resource) -> Resource:
        """Clean a resource; the few there are in a process are cleaned once."""
        found = self._resources.get(id(resource))
        if found is not None and found[0] is resource:
            return found[1]
        cleaned = Resource(self.attributes(resource.attributes), resource.schema_url)
        if len(self._resources) >= _MAX_RESOURCES:
            self._resources.clear()
        self._resources[id(resource)] = (resource, cleaned)
        return cleaned

    def _events(self, events: Sequence[Event]) -> tuple[Event, ...]:
        return tuple(
            Event(self.text(event.name), self._bounded(event.attributes, event.dropped_attributes), event.timestamp)
            for event in events
        )

    def _links(self, links: Sequence[Link]) -> tuple[Link, ...]:
        return tuple(Link(_context(link), self._bounded(link.attributes, link.dropped_attributes)) for link in links)

    def _bounded(self, raw: Mapping[str, Any] | None, dropped: int) -> BoundedAttributes:
        bounded = BoundedAttributes(attributes=self.attributes(raw or {}))
        bounded.dropped = dropped
        return bounded


def _context(link: Link) -> SpanContext:
    return link.context
