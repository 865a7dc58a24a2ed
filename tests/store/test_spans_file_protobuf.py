"""A line of spans.jsonl is, as protobuf, what the SDK's own encoder makes of the same span."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

from drawn_spans import make_span, spans
from google.protobuf.json_format import MessageToDict, ParseDict
from hypothesis import given, settings
from opentelemetry.exporter.otlp.proto.common import _internal as sdk_encoder
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, TraceFlags, TraceState

from agent_trace_otel.delivery.protobuf import items_of_request, request_of
from agent_trace_otel.store.spans_file import encode_line, parse_line

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

TRACE_FLAGS = 0xFF


def by_the_book(line: bytes) -> ExportTraceServiceRequest:
    """Read a line with protobuf's own JSON reader, ids turned from OTLP's hex into its base64."""
    request = json.loads(line)
    for span in request["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for holder in (span, *span.get("links", ())):
            for name in ("traceId", "spanId", "parentSpanId"):
                if name in holder:
                    holder[name] = b64encode(bytes.fromhex(holder[name])).decode()
    return ParseDict(request, ExportTraceServiceRequest())


PROBE = make_span(instrumentation_scope=InstrumentationScope("name", "1", "https://example.org/scope", {"a": 1}))
KNOWN = encode_spans([PROBE]).resource_spans[0].scope_spans[0]


def as_the_sdk_sends_it(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """Take off what the SDK's encoder leaves out: trace flags, a link's trace state, in 1.28 some of the scope."""
    for scope_spans in request.resource_spans[0].scope_spans:
        if not KNOWN.scope.attributes:
            scope_spans.scope.ClearField("attributes")
        if not KNOWN.schema_url:
            scope_spans.ClearField("schema_url")
        for span in scope_spans.spans:
            span.flags &= ~TRACE_FLAGS
            for link in span.links:
                link.flags &= ~TRACE_FLAGS
                link.ClearField("trace_state")
    return request


def encodes_none() -> bool:
    try:
        sdk_encoder._encode_value(None)
    except Exception:  # noqa: BLE001 - just that is raised
        return False
    return True


SDK_ENCODES_NONE = encodes_none()


def holds_none(line: bytes) -> bool:
    """Tell whether a value may be None, which the encoder of 1.28 leaves out with its key."""
    for member in (b'"status":{}', b'"scope":{}', b'"resource":{}'):
        line = line.replace(member, b"")
    return b"{}" in line


@settings(deadline=None, max_examples=150)
@given(spans)
def test_a_line_is_the_request_that_the_sdk_encodes(span: ReadableSpan) -> None:
    line = encode_line(span)
    read = by_the_book(line)
    ours = request_of(items_of_request(parse_line(line)))
    # as objects: two messages with a NaN are never equal
    assert MessageToDict(ours) == MessageToDict(read)
    if SDK_ENCODES_NONE or not holds_none(line):
        assert MessageToDict(as_the_sdk_sends_it(read)) == MessageToDict(encode_spans([span]))


def test_flags_and_trace_states_are_kept_where_the_sdk_drops_them() -> None:
    state = TraceState([("vendor", "1"), ("other", "2")])
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1), trace_state=state)
    remote = SpanContext(1, 3, is_remote=True, trace_flags=TraceFlags(3), trace_state=state)
    line = encode_line(make_span(context=context, parent=remote, links=[Link(remote), Link(context)]))
    span = by_the_book(line).resource_spans[0].scope_spans[0].spans[0]
    assert (span.flags, span.links[0].flags, span.links[1].flags) == (0x301, 0x303, 0x101)
    assert span.trace_state == span.links[0].trace_state == "vendor=1,other=2"
