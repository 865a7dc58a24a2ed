"""Parsed OTLP JSON -> the spans it was written from, as the SDK's ReadableSpan.

Comes in: an ExportTraceServiceRequest object of `spans_file`. Goes out: read-only spans with ids, nanosecond times,
kind, status, attributes with their types, events, links, resource and scope. Called through `spans_file` only, since
this module loads the OpenTelemetry SDK.

What OTLP doesn't carry can't come back: of a parent only its span id and whether it was remote are known (it gets the
span's own trace flags). Enums may be names or numbers, 64-bit integers text or numbers, ids of either case, as OTLP's
JSON mapping allows; unknown members are ignored.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from agent_trace_otel.store.spans_file import IS_REMOTE, TRACE_FLAGS, bytes_of_base64

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

_DROPPED = "droppedAttributesCount"
_SPAN_IDS = 1 << 64
_KINDS: dict[int | str, SpanKind] = {
    0: SpanKind.INTERNAL,  # trace.proto: unspecified is to be read as internal
    "SPAN_KIND_UNSPECIFIED": SpanKind.INTERNAL,
    **{kind.value + 1: kind for kind in SpanKind},
    **{f"SPAN_KIND_{kind.name}": kind for kind in SpanKind},
}
_CODES: dict[int | str, StatusCode] = {
    **{code.value: code for code in StatusCode},
    **{f"STATUS_CODE_{code.name}": code for code in StatusCode},
}


class StoredSpan(ReadableSpan):
    """A span read back; unlike the SDK's own it knows how much was dropped without holding the SDK's bounded lists."""

    def __init__(self, *, dropped: tuple[int, int, int], **parts: Any) -> None:
        """Take ReadableSpan's own arguments and the numbers of dropped attributes, events and links."""
        super().__init__(**parts)
        self._dropped = dropped

    @property
    def dropped_attributes(self) -> int:
        """Return how many attributes the span lost to a limit."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """Return how many events the span lost to a limit."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """Return how many links the span lost to a limit."""
        return self._dropped[2]


class StoredEvent(Event):
    """A span event read back, with its count of dropped attributes."""

    def __init__(self, name: str, attributes: dict[str, Any], timestamp: int, dropped: int) -> None:
        super().__init__(name, attributes, timestamp)
        self._dropped = dropped

    @property
    def dropped_attributes(self) -> int:
        """Return how many attributes were lost to a limit."""
        return self._dropped


class StoredLink(Link):
    """A link read back, with its count of dropped attributes."""

    def __init__(self, context: SpanContext, attributes: dict[str, Any], dropped: int) -> None:
        super().__init__(context, attributes)
        self._dropped = dropped

    @property
    def dropped_attributes(self) -> int:
        """Return how many attributes were lost to a limit."""
        return self._dropped


def spans_of_request(request: Mapping[str, Any]) -> list[ReadableSpan]:
    """Return all spans of a parsed ExportTraceServiceRequest, in its order.

    Raises:
        ValueError: a member is not what OTLP's JSON mapping says; the message names the first one found.
    """
    return [read() for read in readers_of_request(request)]


def readers_of_request(request: Mapping[str, Any], *, flags: int = 0) -> list[Callable[[], ReadableSpan]]:
    """Return one function a span of a request, in its order; each returns its span or raises ValueError.

    For callers who take what they can: one bad span is no reason to lose the others. ``flags`` are W3C trace flags that
    every span has besides its own.

    Raises:
        ValueError: what the spans lie in is not what OTLP's JSON mapping says.
    """
    with _told():
        return list(_readers(request, flags))


def _readers(request: Mapping[str, Any], flags: int) -> Iterator[Callable[[], ReadableSpan]]:
    for resource_spans in _list(request, "resourceSpans"):
        attributes = attributes_in(resource_spans.get("resource") or {})
        resource = Resource(attributes, _optional_text(resource_spans, "schemaUrl"))
        for scope_spans in _list(resource_spans, "scopeSpans"):
            scope = _scope(scope_spans.get("scope") or {}, _optional_text(scope_spans, "schemaUrl"))
            for span in _list(scope_spans, "spans"):
                yield partial(_read, span, resource, scope, flags)


def _read(span: Mapping[str, Any], resource: Resource, scope: InstrumentationScope | None, flags: int) -> ReadableSpan:
    with _told():
        return _span(span, resource, scope, flags)


@contextmanager
def _told() -> Generator[None]:
    """Turn what foreign JSON makes Python raise into a ValueError that says what was found."""
    try:
        yield
    except (TypeError, AttributeError, KeyError, OverflowError, RecursionError) as error:
        msg = f"not an OTLP span: {type(error).__name__}: {error}"
        raise ValueError(msg) from None


def _scope(scope: Mapping[str, Any], schema_url: str | None) -> InstrumentationScope | None:
    if not scope and not schema_url:
        return None
    name, version = _optional_text(scope, "name") or "", _optional_text(scope, "version")
    return InstrumentationScope(name, version, schema_url, attributes_in(scope))


def _span(span: Mapping[str, Any], resource: Resource, scope: InstrumentationScope | None, flags: int) -> StoredSpan:
    context = _context(span, is_remote=False, flags=flags)
    parent = None
    if parent_id := int(span.get("parentSpanId") or "0", 16):
        if not 0 < parent_id < _SPAN_IDS:
            msg = "parentSpanId is not 8 bytes"
            raise ValueError(msg)
        is_remote = bool(_int(span.get("flags")) & IS_REMOTE)
        parent = SpanContext(context.trace_id, parent_id, is_remote, context.trace_flags)
    dropped = tuple(_int(span.get(f"dropped{what}Count")) for what in ("Attributes", "Events", "Links"))
    return StoredSpan(
        name=_text(span.get("name") or ""),
        context=context,
        parent=parent,
        resource=resource,
        attributes=attributes_in(span),
        events=[_event(event) for event in _list(span, "events")],
        links=[_link(link) for link in _list(span, "links")],
        kind=_KINDS[span.get("kind") or 0],
        status=_status(span.get("status") or {}),
        start_time=_int(span.get("startTimeUnixNano")),
        end_time=_int(span.get("endTimeUnixNano")),
        instrumentation_scope=scope,
        dropped=cast("tuple[int, int, int]", dropped),
    )


def _context(holder: Mapping[str, Any], *, is_remote: bool, flags: int = 0) -> SpanContext:
    trace_id, span_id = bytes.fromhex(holder["traceId"]), bytes.fromhex(holder["spanId"])
    if len(trace_id) != 16 or len(span_id) != 8:  # noqa: PLR2004 - trace.proto, Span.trace_id and span_id
        msg = "traceId is not 16 bytes or spanId not 8"
        raise ValueError(msg)
    own_flags = TraceFlags(_int(holder.get("flags")) & TRACE_FLAGS | flags)
    state = TraceState.from_header([holder.get("traceState") or ""])
    return SpanContext(int.from_bytes(trace_id, "big"), int.from_bytes(span_id, "big"), is_remote, own_flags, state)


def _status(status: Mapping[str, Any]) -> Status:
    code = _CODES[status.get("code") or 0]
    # the SDK keeps a description of errors only, and warns about any other
    return Status(code, (_optional_text(status, "message") or None) if code is StatusCode.ERROR else None)


def _event(event: Mapping[str, Any]) -> Event:
    time = _int(event.get("timeUnixNano"))
    return StoredEvent(_text(event.get("name") or ""), attributes_in(event), time, _int(event.get(_DROPPED)))


def _link(link: Mapping[str, Any]) -> Link:
    context = _context(link, is_remote=bool(_int(link.get("flags")) & IS_REMOTE))
    return StoredLink(context, attributes_in(link), _int(link.get(_DROPPED)))


def attributes_in(holder: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes that an object of OTLP JSON has, with plain values.

    Raises:
        ValueError, TypeError, AttributeError, KeyError: they are none.
    """
    return _key_values(_list(holder, "attributes"))


def _key_values(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    return {_text(pair.get("key") or ""): _any_value(pair.get("value") or {}) for pair in pairs}


def _any_value(value: Mapping[str, Any]) -> object:
    for form, content in value.items():
        if form in _FORMS and content is not None:
            return _FORMS[form](content)
    return None


def _list(holder: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    items: object = holder.get(name) or []
    if isinstance(items, list):
        return cast("list[dict[str, Any]]", items)
    msg = f"{name} is no list"
    raise TypeError(msg)


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = f"{value!r} is no text"
        raise TypeError(msg)
    return value


def _optional_text(holder: Mapping[str, Any], name: str) -> str | None:
    value = holder.get(name)
    return None if value is None else _text(value)


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        msg = f"{value!r} is no boolean"
        raise TypeError(msg)
    return value


def _int(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return int(value)
    msg = f"{value!r} is no integer"
    raise TypeError(msg)


_FORMS: Mapping[str, Callable[[Any], Any]] = {
    "stringValue": _text,
    "boolValue": _bool,
    "intValue": _int,
    "doubleValue": float,
    "bytesValue": bytes_of_base64,
    "arrayValue": lambda array: tuple(_any_value(item) for item in _list(array, "values")),
    "kvlistValue": lambda pairs: _key_values(_list(pairs, "values")),
}
