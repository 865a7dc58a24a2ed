"""The body of a request -> its spans, and how many of them are none.

Comes in: bytes and their content type. Goes out: `Decoded`. Called by `serving`. One bad span is told to the client as
a partial success; what lies around it, if bad, refuses the request. Every span counts as sampled: only those are
exported, while many exporters (Python's, for one) leave the W3C flag out of OTLP.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import TraceFlags

from agent_trace_otel.capture.collect import protobuf_spans
from agent_trace_otel.capture.collect.answers import ENCODINGS, JSON, RefusedError
from agent_trace_otel.store.stored_span import readers_of_request

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_UINT32, _UINT64 = 2**32 - 1, 2**64 - 1
_ALSO_PROTOBUF = ("application/protobuf", "application/vnd.google.protobuf")


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a request held. ``reason`` tells of the first span that is none."""

    spans: list[ReadableSpan]
    rejected: int = 0
    reason: str = ""


def encoding_of(content_type: str) -> str:
    """Return which of `ENCODINGS` a Content-Type header names.

    Raises:
        RefusedError: none of them.
    """
    named = content_type.partition(";")[0].strip().lower()
    found = ENCODINGS[0] if named in _ALSO_PROTOBUF else named
    if found not in ENCODINGS:
        msg = f"Content-Type {named[:60] or 'none'!r} is not OTLP: it is {' or '.join(ENCODINGS)}"
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, msg)
    return found


def spans_of(body: bytes, encoding: str) -> Decoded:
    """Return the spans of an export request.

    Raises:
        RefusedError: the body is no ExportTraceServiceRequest.
    """
    return _decoded(_readers_of_json(body) if encoding == JSON else _readers_of_protobuf(body))


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body.

    Raises:
        RefusedError: it is none.
    """
    try:
        found: object = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is no JSON object")
    return cast("dict[str, Any]", found)


def _readers_of_json(body: bytes) -> Iterable[Callable[[], ReadableSpan]]:
    try:
        return readers_of_request(json_object(body), flags=TraceFlags.SAMPLED)
    except ValueError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None


def _readers_of_protobuf(body: bytes) -> Iterable[Callable[[], ReadableSpan]]:
    try:
        return protobuf_spans.readers_of(ExportTraceServiceRequest.FromString(body), TraceFlags.SAMPLED)
    except DecodeError:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is no ExportTraceServiceRequest") from None


def _decoded(readers: Iterable[Callable[[], ReadableSpan]]) -> Decoded:
    spans: list[ReadableSpan] = []
    rejected, reason = 0, ""
    for read in readers:
        found = _span(read)
        if isinstance(found, str):
            rejected, reason = rejected + 1, reason or found
        else:
            spans.append(found)
    return Decoded(spans, rejected, reason)


def _span(read: Callable[[], ReadableSpan]) -> ReadableSpan | str:
    """Return a span, or why it is none."""
    try:
        span = read()
    except ValueError as error:
        return str(error)
    if span.context is None or not span.context.is_valid:
        return "a span without a trace id or a span id"
    times = (span.start_time or 0, span.end_time or 0, *(event.timestamp for event in span.events))
    dropped = (
        *(span.dropped_attributes, span.dropped_events, span.dropped_links),
        *(event.dropped_attributes for event in span.events),
        *(link.dropped_attributes for link in span.links),
    )
    # JSON holds any number, a back end's protobuf does not, and one such span would cost its whole batch
    if not all(0 <= time <= _UINT64 for time in times) or not all(0 <= count <= _UINT32 for count in dropped):
        return "a span with a number that is out of range"
    return span
