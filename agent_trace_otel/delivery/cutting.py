"""A span that is too large for a back end -> the same span, its longest values cut where that can be seen.

Comes in: a span as protobuf and a number of bytes. Goes out: a copy that fits, with the same ids, times and status;
JSON stays JSON, and every cut says how much is missing: ``[cut: 18.2 KB]``. The folder keeps the span whole. Called by
`sender`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from agent_trace_otel.delivery.protobuf import Item

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_SHORT: Final = 64  # bytes of a value that is left alone
_TRIES: Final = 4
_OVERHEAD: Final = 8  # tag and length of the span in its list
_MAX_JSON: Final = 64 * 2**20

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def cut(item: Item, limit: int) -> Item:
    """Return the span in at most ``limit`` bytes of protobuf, or as small as it can be made."""
    span = Span()
    span.CopyFrom(item.span)
    for _ in range(_TRIES):
        over = span.ByteSize() + _OVERHEAD - limit
        if over <= 0:
            break
        values = [value for value in _texts(span) if len(value.string_value) > _SHORT]
        if not values:
            break
        sizes = [len(value.string_value.encode()) for value in values]
        longest = _level(sizes, sum(sizes) - over)
        for value, size in zip(values, sizes, strict=True):
            if size > longest:
                value.string_value = cut_text(value.string_value, longest)
    _drop(span, limit)
    return item._replace(span=span, size=span.ByteSize() + _OVERHEAD)


def with_short_values(item: Item, limit: int) -> Item:
    """Return the span with no value of an attribute longer than ``limit`` characters; the same one if none is."""
    if not has_long_value(item.span, limit):
        return item
    span = Span()
    span.CopyFrom(item.span)
    for value in _values(span):
        if len(value.string_value) > limit:
            value.string_value = cut_text(value.string_value, limit)
    return item._replace(span=span, size=span.ByteSize() + _OVERHEAD)


def has_long_value(span: Span, limit: int) -> bool:
    """Tell whether some value of an attribute is longer than ``limit`` characters."""
    return span.ByteSize() > limit and any(len(value.string_value) > limit for value in _values(span))


def cut_text(text: str, limit: int) -> str:
    """Return a text in at most about ``limit`` bytes of UTF-8; JSON is cut value by value and stays JSON."""
    size = len(text.encode())
    if size <= limit:
        return text
    if text[:1] in {"{", "["} and size <= _MAX_JSON:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return _cut_plain(text, limit)
        each = limit
        while each >= _SHORT // 2:
            shorter = _encode(_shortened(value, each))
            if len(shorter.encode()) <= limit:
                return shorter
            each //= 2
    return _cut_plain(text, limit)


def shown_size(size: int) -> str:
    """Return a number of bytes for people: ``640 B``, ``18.2 KB``, ``1.2 MB``."""
    if size < 1000:  # noqa: PLR2004 - one kilobyte
        return f"{size} B"
    return f"{size / 1000:.1f} KB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"  # noqa: PLR2004 - one megabyte


def _cut_plain(text: str, limit: int) -> str:
    data = text.encode()
    mark = f"… [cut: {shown_size(len(data))}]"
    kept = data[: max(limit - len(mark.encode()), 0)].decode(errors="ignore")
    return f"{kept}… [cut: {shown_size(len(data) - len(kept.encode()))}]"


def _shortened(value: Any, limit: int) -> Any:  # noqa: ANN401 - any JSON value
    """Cut every text in a JSON value, and every list and object after so many bytes; their shape stays."""
    if isinstance(value, str):
        return value if len(value.encode()) <= limit else _cut_plain(value, limit)
    if isinstance(value, list):
        return _first(cast("Any", value), limit)
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        kept: dict[str, Any] = {}
        size = 0
        for key, item in members.items():
            if size > limit * 2:
                missing = {name: members[name] for name in members if name not in kept}
                kept["…"] = f"[cut: {shown_size(len(_encode(missing)))}]"
                break
            kept[key] = _shortened(item, limit)
            size += len(key) + len(_encode(kept[key]))
        return kept
    return value


def _first(items: list[Any], limit: int) -> list[Any]:
    kept: list[Any] = []
    size = 0
    for item in items:
        if size > limit * 2:
            return [*kept, f"[cut: {shown_size(len(_encode(items[len(kept) :])))}]"]
        kept.append(_shortened(item, limit))
        size += len(_encode(kept[-1]))
    return kept


def _level(sizes: list[int], budget: int) -> int:
    """Return the length to cut the longest values to, so that all of them together take the budget."""
    left, count = budget, len(sizes)
    for size in sorted(sizes):
        if size * count > left:
            return max(left // count, _SHORT)
        left -= size
        count -= 1
    return max(sizes)


def _texts(span: Span) -> Iterator[AnyValue]:
    yield from _texts_of(span.attributes)
    for event in span.events:
        yield from _texts_of(event.attributes)
    for link in span.links:
        yield from _texts_of(link.attributes)


def _values(span: Span) -> Iterator[AnyValue]:
    """Yield every value of every attribute, and those inside it."""
    holders: tuple[Span | Span.Event | Span.Link, ...] = (span, *span.events, *span.links)
    waiting = [pair.value for holder in holders for pair in holder.attributes]
    while waiting:
        value = waiting.pop()
        yield value
        waiting += value.array_value.values
        waiting += [pair.value for pair in value.kvlist_value.values]


def _texts_of(pairs: Iterable[KeyValue]) -> Iterator[AnyValue]:
    for pair in pairs:
        yield from _texts_in(pair.value)


def _texts_in(value: AnyValue) -> Iterator[AnyValue]:
    form = value.WhichOneof("value")
    if form == "bytes_value" and len(value.bytes_value) > _SHORT:
        value.string_value = f"[cut: {shown_size(len(value.bytes_value))}]"  # half a binary value is none
    elif form == "string_value":
        yield value
    elif form == "array_value":
        for item in value.array_value.values:
            yield from _texts_in(item)
    elif form == "kvlist_value":
        yield from _texts_of(value.kvlist_value.values)


def _drop(span: Span, limit: int) -> None:
    """Leave out what still makes the span too large, and count it: events, links, then attributes from the largest."""
    if span.ByteSize() + _OVERHEAD <= limit:
        return
    span.dropped_events_count += len(span.events)
    span.dropped_links_count += len(span.links)
    del span.events[:], span.links[:]
    over = span.ByteSize() + _OVERHEAD - limit
    kept = sorted(span.attributes, key=lambda pair: pair.ByteSize())
    while kept and over > 0:
        over -= kept.pop().ByteSize() + 2  # tag and length
    span.dropped_attributes_count += len(span.attributes) - len(kept)
    del span.attributes[:]
    span.attributes.extend(kept)
    if span.ByteSize() + _OVERHEAD > limit:
        span.name, span.status.message = cut_text(span.name, _SHORT), cut_text(span.status.message, _SHORT)
