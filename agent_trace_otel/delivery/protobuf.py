"""OTLP JSON objects -> OTLP protobuf requests, member by member and without the SDK.

Comes in: parsed lines of spans.jsonl, ours or another producer's. Goes out: batches of spans and the
ExportTraceServiceRequest made of them, with the same ids, times, flags, counts and values. Called by `otlp.send_file`.

The protobuf library's own JSON reader can't take these lines, since OTLP writes ids as hex where protobuf's mapping has
base64 (opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding"); it is also five times slower.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from google.protobuf.json_format import ParseDict, ParseError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from agent_trace_otel.encodable import MAX_DEPTH, encodable_text, encodable_value
from agent_trace_otel.store.spans_file import bytes_of_base64

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_JSON_DEPTH: Final = 200  # of a resource's JSON object; protobuf's own limit, 100 messages, is reached before it


class Envelope(NamedTuple):
    """What spans are grouped by: a resource and a scope, each as canonical JSON text."""

    resource: str
    scope: str


class Item(NamedTuple):
    """One span of a batch and its size in bytes as protobuf."""

    envelope: Envelope
    span: Span
    size: int

    @property
    def span_id(self) -> int:
        """The span's id as a number."""
        return int.from_bytes(self.span.span_id, "big")


def items_of_request(request: Mapping[str, Any]) -> list[Item]:
    """Return the spans of a parsed ExportTraceServiceRequest.

    Raises:
        ValueError: a member is not what OTLP's JSON mapping says.
    """
    try:
        return list(_items(request))
    except (TypeError, AttributeError, KeyError, OverflowError, RecursionError, ParseError) as error:
        msg = f"not an OTLP span: {type(error).__name__}: {error}"
        raise ValueError(msg) from None


def _items(request: Mapping[str, Any]) -> Iterator[Item]:
    for resource_spans in request["resourceSpans"]:
        resource = _canonical(resource_spans, "resource")
        _resource(resource)
        for scope_spans in resource_spans.get("scopeSpans") or ():
            envelope = Envelope(resource, _canonical(scope_spans, "scope"))
            _scope(envelope.scope)
            for span in scope_spans.get("spans") or ():
                message = _span(span)
                yield Item(envelope, message, message.ByteSize() + 8)  # tag and length of the span in its list


def _canonical(holder: Mapping[str, Any], name: str) -> str:
    kept: dict[str, object] = {name: holder.get(name) or {}, "schemaUrl": holder.get("schemaUrl") or ""}
    return json.dumps(encodable_value(kept, _JSON_DEPTH), sort_keys=True)


# A resource and a scope hold no ids, so protobuf's own JSON reader can do them, with members that came after this code.
# A file has a handful of each.


@lru_cache(maxsize=256)
def _resource(text: str) -> ResourceSpans:
    return ParseDict(json.loads(text), ResourceSpans(), ignore_unknown_fields=True)


@lru_cache(maxsize=256)
def _scope(text: str) -> ScopeSpans:
    return ParseDict(json.loads(text), ScopeSpans(), ignore_unknown_fields=True)


def batches(items: Iterable[Item], *, max_bytes: int, max_spans: int) -> Iterator[list[Item]]:
    """Yield the items in order, in lists of at most ``max_spans`` that make requests of at most ``max_bytes``.

    A single span that is larger than ``max_bytes`` comes in a list of its own.
    """
    batch: list[Item] = []
    seen: set[str] = set()  # the envelopes counted already
    size = 0
    for item in items:
        added = item.size + sum(len(text) for text in item.envelope if text not in seen)
        if batch and (len(batch) >= max_spans or size + added > max_bytes):
            yield batch
            batch, size = [], 0
            seen.clear()
            added = item.size + sum(map(len, item.envelope))
        batch.append(item)
        seen.update(item.envelope)
        size += added
    if batch:
        yield batch


def request_of(items: Iterable[Item]) -> ExportTraceServiceRequest:
    """Return one request of all items, grouped by resource and scope in order of first appearance."""
    request = ExportTraceServiceRequest()
    resources: dict[str, ResourceSpans] = {}
    scopes: dict[Envelope, ScopeSpans] = {}
    for envelope, span, _ in items:
        scope_spans = scopes.get(envelope)
        if scope_spans is None:
            resource_spans = resources.get(envelope.resource)
            if resource_spans is None:
                resource_spans = resources[envelope.resource] = request.resource_spans.add()
                resource_spans.CopyFrom(_resource(envelope.resource))
            scope_spans = scopes[envelope] = resource_spans.scope_spans.add()
            scope_spans.CopyFrom(_scope(envelope.scope))
        scope_spans.spans.append(span)
    return request


def _span(span: Mapping[str, Any]) -> Span:
    get: Callable[[str], Any] = span.get
    kind: Any = get("kind")  # a number or a name
    return Span(
        trace_id=_id(span["traceId"], 16),
        span_id=_id(span["spanId"], 8),
        trace_state=encodable_text(get("traceState") or ""),
        parent_span_id=_id(span["parentSpanId"], 8) if get("parentSpanId") else b"",
        flags=int(get("flags") or 0),
        name=encodable_text(get("name") or ""),
        kind=kind,
        start_time_unix_nano=int(get("startTimeUnixNano") or 0),
        end_time_unix_nano=int(get("endTimeUnixNano") or 0),
        attributes=_key_values(get("attributes")),
        dropped_attributes_count=int(get("droppedAttributesCount") or 0),
        events=[_event(event) for event in get("events") or ()],
        dropped_events_count=int(get("droppedEventsCount") or 0),
        links=[_link(link) for link in get("links") or ()],
        dropped_links_count=int(get("droppedLinksCount") or 0),
        status=_status(span["status"]) if get("status") is not None else None,
    )


def _event(event: Mapping[str, Any]) -> Span.Event:
    return Span.Event(
        time_unix_nano=int(event.get("timeUnixNano") or 0),
        name=encodable_text(event.get("name") or ""),
        attributes=_key_values(event.get("attributes")),
        dropped_attributes_count=int(event.get("droppedAttributesCount") or 0),
    )


def _link(link: Mapping[str, Any]) -> Span.Link:
    return Span.Link(
        trace_id=_id(link["traceId"], 16),
        span_id=_id(link["spanId"], 8),
        trace_state=encodable_text(link.get("traceState") or ""),
        attributes=_key_values(link.get("attributes")),
        dropped_attributes_count=int(link.get("droppedAttributesCount") or 0),
        flags=int(link.get("flags") or 0),
    )


def _status(status: Mapping[str, Any]) -> Status:
    code: Any = status.get("code")
    return Status(code=code, message=encodable_text(status.get("message") or ""))


def _id(text: str, size: int) -> bytes:
    # checked here, since a back end would refuse the whole batch
    found = bytes.fromhex(text)
    if len(found) != size:
        msg = f"an id of {len(found)} bytes, not {size}"
        raise ValueError(msg)
    return found


def _key_values(pairs: Iterable[Mapping[str, Any]] | None, depth: int = MAX_DEPTH) -> list[KeyValue]:
    return [
        KeyValue(key=encodable_text(pair.get("key") or ""), value=_any_value(pair.get("value") or {}, depth))
        for pair in pairs or ()
    ]


def _any_value(value: Mapping[str, Any], depth: int) -> AnyValue:
    if depth < 0:
        msg = "a value is nested too deeply for protobuf"
        raise ValueError(msg)
    for form, content in value.items():
        if content is not None:
            if form == "stringValue":
                return AnyValue(string_value=encodable_text(content))
            if form in _FORMS:
                return _FORMS[form](content, depth - 1)
    return AnyValue()


def _array(content: Mapping[str, Any], depth: int) -> AnyValue:
    return AnyValue(array_value=ArrayValue(values=[_any_value(item, depth) for item in content.get("values") or ()]))


def _mapping(content: Mapping[str, Any], depth: int) -> AnyValue:
    return AnyValue(kvlist_value=KeyValueList(values=_key_values(content.get("values"), depth)))


_FORMS: Mapping[str, Callable[[Any, int], AnyValue]] = {
    "boolValue": lambda content, _: AnyValue(bool_value=content),
    "intValue": lambda content, _: AnyValue(int_value=int(content)),
    "doubleValue": lambda content, _: AnyValue(double_value=float(content)),
    "bytesValue": lambda content, _: AnyValue(bytes_value=bytes_of_base64(content)),
    "arrayValue": _array,
    "kvlistValue": _mapping,
}
