"""spans.jsonl -> what the timeline has no event for: other MCP requests than calls, and what hooks told on the way.

Comes in: the path of a spans.jsonl. Goes out: notes by time, and entries with notes between them. Called by the replay
command when everything is to be shown.
"""

from __future__ import annotations

from heapq import merge

from agent_trace_otel import semconv
from agent_trace_otel.replay.recorded_spans import SpansFile
from agent_trace_otel.store.lines import as_text
from agent_trace_otel.store.span_events import kind_of, point

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from agent_trace_otel.replay.recorded_spans import RecordedSpan
    from agent_trace_otel.replay.timeline import Entry

_PREFIX = semconv.HOOK_EVENT.removesuffix("hook")  # of what has no convention; it says nothing to a reader
_SAID = (semconv.MCP_PARAMS, semconv.MCP_RESULT)


class SpanNote:
    """One thing that only spans.jsonl tells.

    ``offset`` is seconds since the session's first event, ``duration_ms`` None for what has none, ``message`` what went
    wrong, ``details`` one text for each line.
    """

    __slots__ = ("details", "duration_ms", "message", "name", "offset")

    def __init__(
        self, name: str, offset: float, details: list[str], duration_ms: float | None = None, message: str | None = None
    ) -> None:
        self.name = name
        self.offset = offset
        self.details = details
        self.duration_ms = duration_ms
        self.message = message


def span_notes(path: str, first: float) -> list[SpanNote]:
    """Return the notes of a file in order of time; ``first`` is when the session began, in unix seconds."""
    found = [note for span in SpansFile(path) for note in _of_span(span, first)]
    found.sort(key=_offset)
    return found


def with_notes(entries: Iterable[Entry], notes: Iterable[SpanNote]) -> Iterator[Entry | SpanNote]:
    """Yield entries and notes in order of time."""
    return merge(entries, notes, key=_offset)


def _of_span(span: RecordedSpan, first: float) -> Iterator[SpanNote]:
    method = span.told.get(semconv.MCP_METHOD_NAME)
    if method is not None and kind_of(span.told) == "agent":
        message = span.message or str(span.attributes.get(semconv.ERROR_TYPE, "error")) if span.failed else None
        said = {name: span.attributes[name] for name in _SAID if name in span.attributes}
        yield SpanNote(span.name, span.start / 1e9 - first, _details(said), (span.end - span.start) / 1e6, message)
    for time, name, attributes in span.events:
        if name != semconv.EXCEPTION_EVENT and point(name, attributes, 0) is None:
            yield SpanNote(name.removeprefix(_PREFIX), time / 1e9 - first, _details(attributes))


def _details(attributes: dict[str, Any]) -> list[str]:
    return [f"{name.removeprefix(_PREFIX)}: {as_text(value)}" for name, value in attributes.items()]


def _offset(item: Entry | SpanNote) -> float:
    return item.offset
