"""The redacted copy of a span: what is written to disk and what is sent are this copy, never the original.

Comes in: an ended (or just started) span of anybody's. Goes out: a ReadableSpan that holds no secret and nothing that
OTLP can't encode. A copy is needed because an ended span can't be changed, and must not be: other processors of the
same provider see it too. Called by `processor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Status

from agent_trace_otel import dialects, guard, semconv
from agent_trace_otel.encodable import encodable_text, encodable_value
from agent_trace_otel.redact import Redactor
from agent_trace_otel.store.spans_file import encode_attribute, encode_text

CONTENT_ATTRIBUTES = frozenset(
    {
        semconv.INPUT_MESSAGES,
        semconv.OUTPUT_MESSAGES,
        semconv.SYSTEM_INSTRUCTIONS,
        semconv.TOOL_CALL_ARGUMENTS,
        semconv.TOOL_CALL_RESULT,
        semconv.MCP_PARAMS,
        semconv.MCP_RESULT,
        semconv.TEXT,
    }
)
"""Attributes of our own that hold what was said; those of other instrumentations are known to `dialects`."""

_MAX_RESOURCES = 64
_SHORT, _MAX_KNOWN = 64, 4096
_NOTHING: Mapping[str, Any] = {}
_SAME, _LEFT_OUT = object(), object()


class CleanSpan(ReadableSpan):
    """A span whose values have been through a `Cleaner`; it reports the dropped counts of the original."""

    def __init__(self, original: ReadableSpan, **values: Any) -> None:
        super().__init__(**values)
        self._original = original

    @property
    def dropped_attributes(self) -> int:
        """How many attributes the original dropped."""
        return self._original.dropped_attributes

    @property
    def dropped_events(self) -> int:
        """How many events the original dropped."""
        return self._original.dropped_events

    @property
    def dropped_links(self) -> int:
        """How many links the original dropped."""
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
        self._redacted_content = _text_only(redactor) if capture_content else None
        """What becomes of content by its text alone; None if more has to be asked."""
        self._texts: dict[str, str] = {}
        self._pairs: dict[tuple[str, str], tuple[Any, str]] = {}
        self._resources: dict[int, tuple[Resource, Resource]] = {}
        self._scopes: dict[int, tuple[InstrumentationScope, InstrumentationScope]] = {}

    def text(self, text: str) -> str:
        """Clean a span name or a status description."""
        found = self._texts.get(text)
        if found is None:
            try:
                found = encodable_text(text if self._redactor is None else self._redactor.text(text))
            except Exception as error:  # noqa: BLE001 - a redactor that was overridden may raise; the span is written
                found = _withheld(error)
            if len(text) <= _SHORT:
                _remember(self._texts, text, found)
        return found

    def attributes(self, raw: Mapping[str, Any]) -> Mapping[str, Any]:
        """Clean a mapping of attributes; ``raw`` itself if nothing had to be withheld."""
        return self.encoded(raw, _NOTHING, _NOTHING)[0]

    def encoded(
        self, raw: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], list[str]]:
        """Clean a mapping of attributes and encode it for spans.jsonl, in one pass.

        Args:
            raw: the attributes.
            before: attributes that have been cleaned already,
            after: and what became of them.

        Returns:
            ``raw`` itself if nothing had to be withheld, else a clean copy; and each attribute as OTLP JSON.
        """
        clean: dict[str, Any] | None = None
        encoded: list[str] = []
        pairs = self._pairs
        for key, value in raw.items():
            if type(value) is str and len(value) <= _SHORT and key not in CONTENT_ATTRIBUTES:
                found = pairs.get((key, value)) or self._pair_to_come_again(key, value)
            elif before.get(key) is value and key in before:
                kept = after.get(key, _LEFT_OUT)
                found = (_SAME if kept is value else kept, "" if kept is _LEFT_OUT else encode_attribute(key, kept))
            else:
                found = self._pair(key, value)
            kept, text = found
            if kept is not _SAME:
                if clean is None:
                    clean = dict(raw)
                del clean[key]
                if kept is _LEFT_OUT:
                    continue
                clean[self.text(key)] = kept
            encoded.append(text)
        return raw if clean is None else clean, encoded

    def encoded_as_it_is(self, key: str, value: str) -> str | None:
        """Return a text attribute as OTLP JSON, None if it does not stay as it is."""
        if key not in CONTENT_ATTRIBUTES:
            kept, text = self._pairs.get((key, value)) or self._pair_to_come_again(key, value)
        elif self._redacted_content is None:
            kept, text = self._pair(key, value)
        else:
            is_same = self._redacted_content(value) is value and encodable_text(value) is value
            return encode_text(key, value) if is_same else None
        return text if kept is _SAME else None

    def _pair_to_come_again(self, key: str, value: str) -> tuple[Any, str]:
        """Remember what becomes of a short value: names, models and ids come again with every span."""
        found = self._pair(key, value)
        _remember(self._pairs, (key, value), found)
        return found

    def _pair(self, key: str, value: object) -> tuple[Any, str]:
        """Return what is kept of one attribute (or `_SAME`, or `_LEFT_OUT`) and its encoding."""
        if not self._capture_content and dialects.is_content(key):
            return _LEFT_OUT, ""
        try:
            kept = value if self._redactor is None else self._redactor.pair(key, value)
        except Exception as error:  # noqa: BLE001 - as above
            kept = _withheld(error)
        kept = encodable_value(kept)
        clean_key = self.text(key)
        return _SAME if kept is value and clean_key is key else kept, encode_attribute(clean_key, kept)

    def span(self, span: ReadableSpan, attributes: Mapping[str, Any] | None) -> ReadableSpan:
        """Return the copy, or the span itself if it holds nothing to withhold.

        Args:
            span: the ended span.
            attributes: its attributes, cleaned; None if they are as they were.
        """
        name, status, resource = self.text(span.name), span.status, self.resource(span.resource)
        events, links = ((), ()) if is_bare(span) else (span.events, span.links)
        if attributes is None:
            untold = not events and not links and not status.description
            untold = untold and self.scope(span.instrumentation_scope) is span.instrumentation_scope
            if untold and resource is span.resource and name == span.name:
                return span
            attributes = span.attributes or {}
        if status.description:
            status = Status(status.status_code, self.text(status.description))
        return CleanSpan(
            span,
            name=name,
            context=span.context,
            parent=span.parent,
            resource=resource,
            attributes=attributes,
            events=self._events(events) if events else (),
            links=self._links(links) if links else (),
            kind=span.kind,
            status=status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=self.scope(span.instrumentation_scope),
        )

    def resource(self, resource: Resource) -> Resource:
        """Clean a resource; the few there are in a process are cleaned once."""
        found = self._resources.get(id(resource))
        if found is not None and found[0] is resource:
            return found[1]
        attributes, schema_url = self.attributes(resource.attributes), self.text(resource.schema_url)
        is_same = attributes is resource.attributes and schema_url == resource.schema_url
        cleaned = resource if is_same else Resource(attributes, schema_url)
        if len(self._resources) >= _MAX_RESOURCES:
            self._resources.clear()
        self._resources[id(resource)] = (resource, cleaned)
        return cleaned

    def scope(self, scope: InstrumentationScope | None) -> InstrumentationScope | None:
        """Clean an instrumentation scope; the few there are in a process are cleaned once."""
        if scope is None:
            return None
        found = self._scopes.get(id(scope))
        if found is not None and found[0] is scope:
            return found[1]
        raw = dict(scope.attributes or {})
        attributes = self.attributes(raw)
        texts = [scope.name, scope.version or "", scope.schema_url or ""]
        clean = [self.text(text) for text in texts]
        is_same = attributes is raw and clean == texts
        cleaned = scope if is_same else InstrumentationScope(clean[0], clean[1], clean[2], attributes)
        if len(self._scopes) >= _MAX_RESOURCES:
            self._scopes.clear()
        self._scopes[id(scope)] = (scope, cleaned)
        return cleaned

    def _events(self, events: Sequence[Event]) -> tuple[Event, ...]:
        return tuple(
            Event(
                self.text(event.name),
                self._bounded(self._told(event.name, event.attributes), event.dropped_attributes),
                event.timestamp,
            )
            for event in events
        )

    def _told(self, event: str, attributes: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Leave what was said out of an event of messages, if it is not to be captured."""
        if self._capture_content or not attributes:
            return attributes
        return {name: value for name, value in attributes.items() if not dialects.is_content(name, event)}

    def _links(self, links: Sequence[Link]) -> tuple[Link, ...]:
        return tuple(Link(link.context, self._bounded(link.attributes, link.dropped_attributes)) for link in links)

    def _bounded(self, raw: Mapping[str, Any] | None, dropped: int) -> BoundedAttributes:
        bounded = BoundedAttributes(attributes=self.attributes(raw or {}))
        bounded.dropped = dropped
        return bounded


def _withheld(error: Exception) -> str:
    guard.report("redact a value", error)
    return "[REDACTED:error]"


def _text_only(redactor: Redactor | None) -> Callable[[str], str] | None:
    """Return how a redactor reads content if its key never matters: nobody overrode it or called the key a secret."""
    if redactor is None:
        return str
    stock = type(redactor).pair is Redactor.pair and type(redactor).text is Redactor.text
    return redactor.text if stock and all(redactor.pair(key, "x") == "x" for key in CONTENT_ATTRIBUTES) else None


def _remember(cache: dict[Any, Any], key: object, value: object) -> None:
    if len(cache) >= _MAX_KNOWN:
        cache.clear()
    cache[key] = value


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    """Return a span's attributes as a plain dict of the caller's own.

    The SDK's own mapping iterates in Python, an item at a time, but has a copy() in C.
    """
    held: Any = getattr(span, "_attributes", None) or span.attributes
    if not held:
        return {}
    copy = getattr(held, "copy", None)
    return dict(held) if copy is None else copy()


def is_bare(span: ReadableSpan) -> bool:
    """Tell whether a span has neither events nor links.

    Asking the SDK copies both under a lock, for nothing nearly always; where its names change, it is asked.
    """
    return len(getattr(span, "_events", "?")) == 0 == len(getattr(span, "_links", "?"))
