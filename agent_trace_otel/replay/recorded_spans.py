"""spans.jsonl -> the spans of a session as plain values, without OpenTelemetry.

Comes in: the path of a spans.jsonl. Goes out: RecordedSpan objects in file order, a line in memory at a time. Called
by the HTML page, Perfetto's export and notes, which want more than the timeline says. A line or a span that can't be
read is passed over and counted.
"""

from __future__ import annotations

import os

from agent_trace_otel.dialects import Given, read
from agent_trace_otel.store.lines import is_object
from agent_trace_otel.store.requests import objects, scopes_of
from agent_trace_otel.store.spans_file import SpansReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_FAILED = 2  # STATUS_CODE_ERROR of opentelemetry-proto's trace.proto
_LATEST = 1 << 63  # nanoseconds; beyond it is no time
_DEEPEST = 64


class RecordedSpan:
    """One span: ids in hex, times in unix nanoseconds, attributes as plain values.

    ``events`` are (time, name, attributes), ``links`` (trace id, span id). ``message`` is the status's; ``failed``
    tells whether the status is ERROR. ``told`` is what the attributes say in the convention's names, whoever wrote
    them, and ``dialects`` how they say it; ``announces`` tells whether another span tells the same call.
    """

    __slots__ = (
        "announces",
        "attributes",
        "dialects",
        "end",
        "events",
        "failed",
        "links",
        "message",
        "name",
        "parent",
        "span",
        "start",
        "told",
        "trace",
    )

    def __init__(self, found: dict[str, Any], scope: str = "") -> None:
        self.trace, self.span, self.parent = (_text(found, key) for key in ("traceId", "spanId", "parentSpanId"))
        self.name = _text(found, "name")
        self.start, end = _nanoseconds(found.get("startTimeUnixNano")), _nanoseconds(found.get("endTimeUnixNano"))
        self.end = max(self.start, end)
        self.attributes = _attributes(found)
        status = found.get("status")
        self.failed = is_object(status) and status.get("code") in (_FAILED, "STATUS_CODE_ERROR")
        self.message = _text(status, "message") if is_object(status) else ""
        self.events = [
            (_nanoseconds(event.get("timeUnixNano")), _text(event, "name"), _attributes(event))
            for event in objects(found, "events")
        ]
        told = [(name, attributes) for _, name, attributes in self.events]
        reading = read(Given(self.attributes, self.name, scope, told))
        self.told, self.dialects = reading.attributes, reading.dialects
        self.announces = reading.announces and not self.failed
        self.links = [(_text(link, "traceId"), _text(link, "spanId")) for link in objects(found, "links")]


class SpansFile:
    """The spans of a file; ``unreadable`` counts the lines and spans that the last reading passed over.

    A missing file, or anything but a regular one, has none.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.unreadable = 0

    def __iter__(self) -> Iterator[RecordedSpan]:
        self.unreadable = 0
        if os.path.islink(self._path) or not os.path.isfile(self._path):
            return
        reader = SpansReader(self._path)
        for request in reader.requests():
            for scope in scopes_of(request):
                about = scope.get("scope")
                name = _text(about, "name") if is_object(about) else ""
                yield from self._read(objects(scope, "spans"), name)
        self.unreadable += reader.skipped

    def _read(self, found: list[dict[str, Any]], scope: str) -> Iterator[RecordedSpan]:
        for values in found:
            try:
                span = RecordedSpan(values, scope)
            except ValueError:
                self.unreadable += 1
                continue
            if span.span:
                yield span
            else:
                self.unreadable += 1


def _attributes(holder: dict[str, Any]) -> dict[str, Any]:
    return {_text(pair, "key"): _value(pair.get("value"), 0) for pair in objects(holder, "attributes")}


def _value(value: Any, depth: int) -> Any:  # noqa: ANN401 - JSON
    """Return what an AnyValue holds (opentelemetry-proto, common.proto)."""
    if not is_object(value) or depth > _DEEPEST:
        return None
    for kind, inner in value.items():
        if kind == "intValue" and isinstance(inner, str):
            return int(inner)
        if kind == "arrayValue" and is_object(inner):
            return [_value(item, depth + 1) for item in objects(inner, "values")]
        if kind == "kvlistValue" and is_object(inner):
            return {_text(pair, "key"): _value(pair.get("value"), depth + 1) for pair in objects(inner, "values")}
        return inner
    return None


def _nanoseconds(value: object) -> int:
    """Return a time.

    Raises:
        ValueError: it is none.
    """
    time = int(value) if isinstance(value, (str, int)) else 0
    if not 0 <= time < _LATEST:
        msg = f"no time: {value}"
        raise ValueError(msg)
    return time


def _text(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""
