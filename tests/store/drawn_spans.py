"""Spans as hypothesis draws them, with everything that OTLP can carry, and the facts to compare them by."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from agent_trace_otel.encodable import encodable_text, encodable_value

if TYPE_CHECKING:
    from collections.abc import Mapping

NASTY = ["", "\x00", "\u2028\u2029\u0085", "\ud800", "\udfff", "a\ud83d\ude00b", "日本語", '"\\\n', "🤖", "\u007f"]
text = st.text(st.characters(), max_size=20) | st.text(st.characters(categories=["Cs"])) | st.sampled_from(NASTY)
scalar = (
    text
    | st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**65), 2**65)
    | st.sampled_from([2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 0])
    | st.floats()
    | st.sampled_from([-0.0, math.nan, math.inf, -math.inf, 1.0, 5e-324])
    | st.binary(max_size=20)
)
value = st.recursive(scalar, lambda v: st.lists(v, max_size=4).map(tuple) | st.dictionaries(text, v, max_size=4))
attributes = st.dictionaries(text, value, max_size=6)
# what the SDK lets a resource and a scope hold in every version
plain_attributes = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10), st.text(max_size=5) | st.booleans()
)
nanoseconds = st.integers(0, 2**64 - 1)
count = st.integers(0, 2**32 - 1)
trace_state = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True),
    st.from_regex(r"[!-+\--<>-~]{1,9}", fullmatch=True),
    max_size=3,
).map(lambda pairs: TraceState(list(pairs.items())))
contexts = st.builds(
    SpanContext,
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    is_remote=st.booleans(),
    trace_flags=st.integers(0, 255).map(TraceFlags),
    trace_state=trace_state,
)


def bounded(values: Mapping[str, Any], dropped: int) -> BoundedAttributes:
    """Return the SDK's own container holding just these values: its cleaning would drop empty keys."""
    container = BoundedAttributes(immutable=False)
    container._dict = dict(values)
    container.dropped = dropped
    return container


def bounded_list(items: list[Any], dropped: int) -> BoundedList:
    container = BoundedList.from_seq(None, items)
    container.dropped = dropped
    return container


def encodable_attributes(drawn: dict[str, Any], dropped: int) -> BoundedAttributes:
    cleaned = encodable_value(drawn)
    assert isinstance(cleaned, dict)
    return bounded(cleaned, dropped)


held = st.builds(encodable_attributes, attributes, count)
clean_text = text.map(encodable_text)
events = st.builds(Event, name=clean_text, attributes=held, timestamp=nanoseconds)
links = st.builds(Link, context=contexts, attributes=held)
statuses = st.builds(
    lambda code, description: Status(code, description if code is StatusCode.ERROR else None),
    st.sampled_from(list(StatusCode)),
    clean_text,
)
spans = st.builds(
    ReadableSpan,
    name=clean_text,
    context=contexts,
    parent=st.none() | contexts,
    resource=st.builds(Resource, plain_attributes, st.sampled_from(["", "https://example.org/schema"])),
    attributes=held,
    events=st.builds(bounded_list, st.lists(events, max_size=3), count),
    links=st.builds(bounded_list, st.lists(links, max_size=3), count),
    kind=st.sampled_from(list(SpanKind)),
    status=statuses,
    start_time=nanoseconds,
    end_time=nanoseconds,
    instrumentation_scope=st.none()
    | st.builds(
        InstrumentationScope,
        clean_text,
        st.none() | clean_text,
        st.sampled_from(["", "https://example.org/scope"]),
        plain_attributes,
    ),
)


def typed(value: object) -> object:
    """Return a form that is equal only for equal types, NaN's and zero's sign included."""
    if isinstance(value, float):
        return ("float", struct.pack("<d", value) if not math.isnan(value) else "NaN")
    if isinstance(value, (list, tuple)):
        return [typed(item) for item in value]
    if hasattr(value, "items"):
        return {key: typed(item) for key, item in value.items()}
    return (type(value).__name__, value)


def context_facts(context: SpanContext) -> tuple[object, ...]:
    return (context.trace_id, context.span_id, int(context.trace_flags), list(context.trace_state.items()))


def facts(span: ReadableSpan) -> dict[str, object]:
    """Return everything OTLP keeps of a span, comparable."""
    scope, context = span.instrumentation_scope, span.context
    assert context is not None
    return {
        "name": span.name,
        "context": context_facts(context),
        "parent": (span.parent.span_id, span.parent.is_remote) if span.parent else None,
        "kind": span.kind,
        "times": (span.start_time, span.end_time),
        "attributes": (typed(span.attributes), span.dropped_attributes),
        "events": [(e.name, e.timestamp, typed(e.attributes), e.dropped_attributes) for e in span.events],
        "dropped_events": span.dropped_events,
        "links": [
            (context_facts(link.context), link.context.is_remote, typed(link.attributes), link.dropped_attributes)
            for link in span.links
        ],
        "dropped_links": span.dropped_links,
        "status": (span.status.status_code, span.status.description or None),
        "resource": (typed(span.resource.attributes), span.resource.schema_url),
        "scope": scope and (scope.name, scope.version, scope.schema_url, typed(scope.attributes)),
    }


def make_span(name: str = "work", **parts: Any) -> ReadableSpan:
    context = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, is_remote=False)
    given_parts: dict[str, Any] = {"context": context, "resource": Resource({}), "start_time": 1, "end_time": 2} | parts
    return ReadableSpan(name, **given_parts)
