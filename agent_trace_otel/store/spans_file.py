"""spans.jsonl, the lossless log: one finished span -> one line of OTLP JSON, and the file read back.

Comes in: ended spans, already redacted and made encodable. Goes out: ExportTraceServiceRequest objects, one a line,
that the OpenTelemetry Collector's otlpjsonfile receiver reads as well. `encode_line` is called by the store for every
span; the reading half by delivery, by the CLI's export and by tests. Importing this module loads no OpenTelemetry.

The encoding is OTLP's JSON mapping (opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding"): ids are hex,
64-bit integers decimal strings, enums integers, keys lowerCamelCase. Lines are ASCII, so no reader can split them at
U+2028 and the like.
"""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from agent_trace_otel.encodable import INT64_MAX, INT64_MIN, encodable_value

if TYPE_CHECKING:
    import os

    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import Link, SpanContext, Status

TRACE_FLAGS: Final = 0xFF  # SpanFlags of opentelemetry-proto's trace.proto
HAS_IS_REMOTE: Final = 0x100
IS_REMOTE: Final = 0x200

_LINE_START: Final = b'{"resourceSpans":'
_MAX_KEYS, _MAX_KEY_LENGTH, _MAX_ENVELOPES = 4096, 128, 64

_T = TypeVar("_T")

_quote = encode_basestring_ascii


class _KeyPrefixes(dict[str, str]):
    """Attribute key -> ``{"key":"...","value":``. The keys of spans repeat; a flood of new ones empties the cache."""

    def __missing__(self, key: str) -> str:
        prefix = f'{{"key":{_quote(key)},"value":'
        if len(key) <= _MAX_KEY_LENGTH:
            if len(self) >= _MAX_KEYS:
                self.clear()
            self[key] = prefix
        return prefix


_key_prefixes = _KeyPrefixes()

# (id(resource), id(scope)) -> both objects, the text before a span and the text after it. The entry holds the objects:
# as long as it is here, neither id can come to mean another object.
_envelopes: dict[tuple[int, int], tuple[object, object, str, str]] = {}


def encode_attribute(key: str, value: object) -> str:
    """Return one attribute as a KeyValue, for `encode_line`."""
    return f"{_key_prefixes[key]}{_any_value(value)}}}"


def encode_text(key: str, value: str) -> str:
    """Return one text attribute as a KeyValue."""
    return f'{_key_prefixes[key]}{{"stringValue":{_quote(value)}}}}}'


def encode_line(span: ReadableSpan, attributes: Iterable[str] | None = None, *, is_bare: bool = False) -> bytes:
    """Return one span as one line of spans.jsonl, newline included.

    ``attributes`` are the span's, encoded by `encode_attribute`, where the caller has done so already; ``is_bare`` says
    that it has neither events nor links, where the caller has looked already.

    Everything the span knows is kept. ``flags`` holds the W3C trace flags in its low byte and whether the parent is
    remote above it (trace.proto, Span.flags). A value of a type that OTLP has no form for becomes ``str(value)``.
    """
    # every traced call waits for this: what is nearly always absent costs a test and no call
    context = cast("SpanContext", span.context)
    parent, status = span.parent, span.status
    events, links = ((), ()) if is_bare else (span.events, span.links)
    flags = context.trace_flags & TRACE_FLAGS | HAS_IS_REMOTE
    parent_id = more = ""
    if parent is not None:
        parent_id = f',"parentSpanId":"{parent.span_id:016x}"'
        if parent.is_remote:
            flags |= IS_REMOTE
    if dropped := span.dropped_attributes:
        more = f',"droppedAttributesCount":{dropped}'
    if events:
        more += f',"events":[{",".join([_event(event) for event in events])}]'
    if dropped := span.dropped_events:
        more += f',"droppedEventsCount":{dropped}'
    if links:
        more += f',"links":[{",".join([_link(link) for link in links])}]'
    if dropped := span.dropped_links:
        more += f',"droppedLinksCount":{dropped}'
    own = _attributes(span.attributes) if attributes is None else f',"attributes":[{",".join(attributes)}]'
    before, after = envelope_of(span)
    # kind: OTLP's enum has SPAN_KIND_UNSPECIFIED in front of the API's first one
    return (
        f'{before}"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}"'
        f'{_trace_state(context)}{parent_id},"flags":{flags},"name":{_quote(span.name)},"kind":{span.kind.value + 1}'
        f',"startTimeUnixNano":"{span.start_time or 0}","endTimeUnixNano":"{span.end_time or 0}"'
        f'{own}{more},"status":{_status(status)}{after}'
    ).encode("ascii")


class LineFrame:
    """What the lines of some spans have in common: resource, scope, name and kind, encoded once.

    For spans with a local parent and no trace state, events, links or status.
    """

    __slots__ = ("_after", "_before", "_name_and_kind")

    def __init__(self, span: ReadableSpan) -> None:
        self._before, self._after = envelope_of(span)
        self._name_and_kind = f'"name":{_quote(span.name)},"kind":{span.kind.value + 1}'

    def line(  # noqa: PLR0913 - what is left of a span
        self,
        trace_id: str,
        span_id: str,
        parent_id: str,
        trace_flags: int,
        times: tuple[int, int],
        attributes: str,
    ) -> bytes:
        """Return one span's line; ids are hex, times unix nanoseconds, attributes encoded and joined by commas."""
        flags = trace_flags & TRACE_FLAGS | HAS_IS_REMOTE
        return (
            f'{self._before}"traceId":"{trace_id}","spanId":"{span_id}","parentSpanId":"{parent_id}","flags":{flags}'
            f',{self._name_and_kind},"startTimeUnixNano":"{times[0]}","endTimeUnixNano":"{times[1]}"'
            f',"attributes":[{attributes}],"status":{{}}{self._after}'
        ).encode("ascii")


def envelope_of(span: ReadableSpan) -> tuple[str, str]:
    """Return the text of a line before and after its one span: resource and scope."""
    resource, scope = span.resource, span.instrumentation_scope
    identity = (id(resource), id(scope))
    cached = _envelopes.get(identity)
    if cached is not None:
        return cached[2], cached[3]
    scope_text, scope_schema = "", ""
    if scope is not None:
        version = f',"version":{_quote(scope.version)}' if scope.version is not None else ""
        scope_text = f'"name":{_quote(scope.name)}{version}{_attributes(scope.attributes)}'
        scope_schema = _schema_url(scope.schema_url)
    before = (
        f'{{"resourceSpans":[{{"resource":{{{_attributes(resource.attributes)[1:]}}},'
        f'"scopeSpans":[{{"scope":{{{scope_text}}},"spans":[{{'
    )
    after = f"}}]{scope_schema}}}]{_schema_url(resource.schema_url)}}}]}}\n"
    if len(_envelopes) >= _MAX_ENVELOPES:
        _envelopes.clear()
    _envelopes[identity] = (resource, scope, before, after)
    return before, after


def _schema_url(url: str | None) -> str:
    return f',"schemaUrl":{_quote(url)}' if url else ""


def _trace_state(context: SpanContext) -> str:
    state = context.trace_state
    return f',"traceState":{_quote(state.to_header())}' if state else ""


def _event(event: Event) -> str:
    dropped = f',"droppedAttributesCount":{event.dropped_attributes}' if event.dropped_attributes else ""
    start = f'"timeUnixNano":"{event.timestamp}","name":{_quote(event.name)}'
    return f"{{{start}{_attributes(event.attributes)}{dropped}}}"


def _link(link: Link) -> str:
    context = link.context
    flags = context.trace_flags & TRACE_FLAGS | HAS_IS_REMOTE | (IS_REMOTE if context.is_remote else 0)
    ids = f'"traceId":"{context.trace_id:032x}","spanId":"{context.span_id:016x}"{_trace_state(context)}'
    dropped = f',"droppedAttributesCount":{link.dropped_attributes}' if link.dropped_attributes else ""
    return f'{{{ids},"flags":{flags}{_attributes(link.attributes)}{dropped}}}'


def _status(status: Status) -> str:
    code, message = status.status_code.value, status.description
    if not message:
        return f'{{"code":{code}}}' if code else "{}"
    return f'{{"message":{_quote(message)},"code":{code}}}'


def _attributes(attributes: Mapping[str, Any] | None) -> str:
    """Return the member `attributes` with a comma in front, nothing when there are none."""
    if not attributes:
        return ""
    # the SDK's BoundedAttributes iterates in Python, an item at a time; its copy() is one dict copy in C
    copy = getattr(attributes, "copy", None)
    items = (copy() if copy is not None else attributes).items()
    return f',"attributes":[{",".join(_key_values(items))}]'


def _key_values(items: Iterable[tuple[str, object]]) -> list[str]:
    return [
        f'{_key_prefixes[key]}{{"stringValue":{_quote(value)}}}}}'  # what most values are, without one more call
        if type(value) is str
        else f"{_key_prefixes[key]}{_any_value(value)}}}"
        for key, value in items
    ]


def _any_value(value: object) -> str:
    if isinstance(value, str):
        return f'{{"stringValue":{_quote(value)}}}'
    if value is None:
        return "{}"
    if isinstance(value, bool):
        return '{"boolValue":true}' if value else '{"boolValue":false}'
    if isinstance(value, int) and INT64_MIN <= value <= INT64_MAX:
        return f'{{"intValue":"{int.__repr__(value)}"}}'
    if isinstance(value, float):
        return f'{{"doubleValue":{_double(value)}}}'
    if isinstance(value, bytes):
        return f'{{"bytesValue":"{b2a_base64(value, newline=False).decode()}"}}'
    value = encodable_value(value)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, object]", value).items()
        return f'{{"kvlistValue":{{"values":[{",".join(_key_values(pairs))}]}}}}'
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[object]", value)
        return f'{{"arrayValue":{{"values":[{",".join([_any_value(item) for item in items])}]}}}}'
    return _any_value(value)


def _double(value: float) -> str:
    if value - value == 0:  # false for NaN and the infinities, which JSON has no numbers for
        return float.__repr__(value)
    return '"NaN"' if value != value else '"Infinity"' if value > 0 else '"-Infinity"'  # noqa: PLR0124


def parse_line(line: bytes) -> dict[str, Any]:
    """Return one line as the ExportTraceServiceRequest object it is, its content unchecked.

    Raises:
        ValueError: the line holds no JSON object with a list `resourceSpans`.
    """
    try:
        request = json.loads(line)
    except RecursionError:
        msg = "nested too deeply"
        raise ValueError(msg) from None
    if isinstance(request, dict):
        found = cast("dict[str, Any]", request)
        if isinstance(found.get("resourceSpans"), list):
            return found
    msg = "no resourceSpans"
    raise ValueError(msg)


def bytes_of_base64(text: str) -> bytes:
    """Return what a `bytesValue` holds, in the standard or the URL-safe alphabet, with or without padding.

    Raises:
        ValueError: the text is not base64.
    """
    digits = text.rstrip("=").replace("-", "+").replace("_", "/")
    return a2b_base64(digits + "=" * (-len(digits) % 4))


def spans_of_line(line: bytes) -> list[ReadableSpan]:
    """Return the spans of one line, of ours, of the Collector's file exporter or of another producer.

    Loads the OpenTelemetry SDK.

    Raises:
        ValueError: the line, or a span in it, is not OTLP JSON.
    """
    from agent_trace_otel.store.stored_span import spans_of_request  # the SDK, only when asked for

    return spans_of_request(parse_line(line))


class SpansReader:
    """A spans.jsonl file, read from its start by each iteration, a line in memory at a time.

    A torn, foreign or unreadable line is passed over and counted in ``skipped``; only opening the file can raise.

        reader = SpansReader(folder / "spans.jsonl")
        for span in reader.spans(): ...
        print(f"{reader.skipped} unreadable lines")
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Final = Path(path)
        self.skipped = 0

    def requests(self) -> Iterator[dict[str, Any]]:
        """Yield each readable line as a parsed ExportTraceServiceRequest, without making spans of it."""
        return self.each(lambda line: [parse_line(line)])

    def spans(self) -> Iterator[ReadableSpan]:
        """Yield each span of each readable line, in file order. Loads the OpenTelemetry SDK."""
        return self.each(spans_of_line)

    def each(self, parse: Callable[[bytes], list[_T]]) -> Iterator[_T]:
        """Yield what ``parse`` makes of each line, in file order; a line that it raises ValueError for is skipped."""
        self.skipped = 0
        with self.path.open("rb") as file:
            for line in file:
                yield from self._parsed(line, parse)

    def _parsed(self, line: bytes, parse: Callable[[bytes], list[_T]]) -> list[_T]:
        with suppress(ValueError):
            return [] if line.isspace() else parse(line)
        self.skipped += 1
        rest = after_tear(line)
        with suppress(ValueError):
            return parse(rest) if rest else []
        return []


def after_tear(line: bytes) -> bytes:
    """Return what may be whole of an unreadable line, empty if nothing can be."""
    # A write cut short leaves half a line, and another process's line may follow on the same one. Inside JSON text
    # a quote is escaped, so this can only be where a line was meant to start.
    start = line.rfind(_LINE_START, 1)
    return line[start:] if start > 0 else b""


def read_spans(path: str | os.PathLike[str]) -> Iterator[ReadableSpan]:
    """Yield the spans of a spans.jsonl file; `SpansReader` tells as well what could not be read."""
    return SpansReader(path).spans()


def requests_of(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Yield the parsed lines of a spans.jsonl file; `SpansReader` tells as well what could not be read."""
    return SpansReader(path).requests()
