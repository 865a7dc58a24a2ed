"""OTLP protobuf -> spans as the SDK's ReadableSpan, member by member.

Comes in: an ExportTraceServiceRequest message. Goes out: one reader a span, as `stored_span` gives them for OTLP JSON.
Called by `decoding`. Ids, times, flags, trace state, links, events, scope, resource and dropped counts are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.common.v1 import common_pb2 as common
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from agent_trace_otel.store.spans_file import IS_REMOTE, TRACE_FLAGS
from agent_trace_otel.store.stored_span import StoredEvent, StoredLink, StoredSpan

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.trace.v1 import trace_pb2
    from opentelemetry.sdk.trace import ReadableSpan

_TRACE_ID, _SPAN_ID = 16, 8  # bytes
_KINDS = {0: SpanKind.INTERNAL, **{kind.value + 1: kind for kind in SpanKind}}
_CODES = {code.value: code for code in StatusCode}
_NO_STATE = TraceState()


def readers_of(request: ExportTraceServiceRequest, flags: int) -> Iterator[Callable[[], ReadableSpan]]:
    """Yield one function a span, in the request's order; each returns its span or raises ValueError.

    ``flags`` are W3C trace flags that every span has besides its own.
    """
    for resource_spans in request.resource_spans:
        resource = _resource(resource_spans.resource.SerializeToString(deterministic=True), resource_spans.schema_url)
        for scope_spans in resource_spans.scope_spans:
            scope = _scope(scope_spans.scope.SerializeToString(deterministic=True), scope_spans.schema_url)
            for span in scope_spans.spans:
                yield partial(_span, span, resource, scope, flags)


# A client has one resource and a few scopes. The same object each time is cleaned and encoded once, further on.


@lru_cache(maxsize=64)
def _resource(encoded: bytes, schema_url: str) -> Resource:
    return Resource(attributes(resource_pb2.Resource.FromString(encoded).attributes), schema_url or None)


@lru_cache(maxsize=64)
def _scope(encoded: bytes, schema_url: str) -> InstrumentationScope | None:
    scope = common.InstrumentationScope.FromString(encoded)
    if not encoded and not schema_url:
        return None
    return InstrumentationScope(scope.name, scope.version or None, schema_url or None, attributes(scope.attributes))


def _span(span: trace_pb2.Span, resource: Resource, scope: InstrumentationScope | None, flags: int) -> ReadableSpan:
    flags |= span.flags
    context = _context(span.trace_id, span.span_id, flags, span.trace_state, is_remote=False)
    parent = None
    if any(span.parent_span_id):
        parent = _context(span.trace_id, span.parent_span_id, flags, "", is_remote=bool(flags & IS_REMOTE))
    code = _CODES.get(span.status.code, StatusCode.UNSET)
    return StoredSpan(
        name=span.name,
        context=context,
        parent=parent,
        resource=resource,
        attributes=attributes(span.attributes),
        events=[
            StoredEvent(event.name, attributes(event.attributes), event.time_unix_nano, event.dropped_attributes_count)
            for event in span.events
        ],
        links=[_link(link) for link in span.links],
        kind=_KINDS.get(span.kind, SpanKind.INTERNAL),
        # the SDK keeps a description of errors only, and warns about any other
        status=Status(code, (span.status.message or None) if code is StatusCode.ERROR else None),
        start_time=span.start_time_unix_nano,
        end_time=span.end_time_unix_nano,
        instrumentation_scope=scope,
        dropped=(span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count),
    )


def _link(link: trace_pb2.Span.Link) -> StoredLink:
    is_remote = bool(link.flags & IS_REMOTE)
    context = _context(link.trace_id, link.span_id, link.flags, link.trace_state, is_remote=is_remote)
    return StoredLink(context, attributes(link.attributes), link.dropped_attributes_count)


def _context(trace_id: bytes, span_id: bytes, flags: int, state: str, *, is_remote: bool) -> SpanContext:
    if len(trace_id) != _TRACE_ID or len(span_id) != _SPAN_ID:
        msg = f"a trace id of {len(trace_id)} bytes and a span id of {len(span_id)}, not 16 and 8"
        raise ValueError(msg)
    return SpanContext(
        int.from_bytes(trace_id, "big"),
        int.from_bytes(span_id, "big"),
        is_remote,
        TraceFlags(flags & TRACE_FLAGS),
        TraceState.from_header([state]) if state else _NO_STATE,
    )


def attributes(pairs: Iterable[common.KeyValue]) -> dict[str, Any]:
    """Return attributes with plain values; a map stays a map, a list a tuple."""
    return {pair.key: _value(pair.value) for pair in pairs}


def value(given: common.AnyValue) -> Any:  # noqa: ANN401 - any value of OTLP
    """Return a plain value."""
    return _value(given)


def _value(given: common.AnyValue) -> Any:  # noqa: ANN401 - any value of OTLP
    form = given.WhichOneof("value")
    if form == "string_value":
        return given.string_value
    return None if form is None else _FORMS[form](given)


_FORMS: Mapping[str, Callable[[common.AnyValue], Any]] = {
    "bool_value": lambda given: given.bool_value,
    "int_value": lambda given: given.int_value,
    "double_value": lambda given: given.double_value,
    "bytes_value": lambda given: given.bytes_value,
    "array_value": lambda given: tuple(_value(item) for item in given.array_value.values),
    "kvlist_value": lambda given: attributes(given.kvlist_value.values),
}
