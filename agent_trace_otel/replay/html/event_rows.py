"""Events -> rows of the page, each with its detail, for all that no span tells.

Comes in: a SessionIndex and the keys of the rows that spans made. Goes out: (Row, detail) pairs in order of time.
Called by `page`.

A call is one row, by its span if it has one; its events tell of calls that are open and of folders without spans. What
happens at one moment (a prompt, a decision) is a row without a duration.
"""

from __future__ import annotations

from agent_trace_otel import semconv
from agent_trace_otel.replay.html.details import of_events
from agent_trace_otel.replay.html.rows import LATEST, OPEN, Row, plain, told_by
from agent_trace_otel.store.lines import as_text, is_list, text_of, tokens_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet
    from typing import Any

    from agent_trace_otel.replay.html.details import Detail
    from agent_trace_otel.store.index import SessionIndex

_POINTS = {
    "user_prompt": "prompt",
    "assistant_response": "response",
    "decision": "decision",
    "file_read": "file",
    "file_write": "file",
    "llm_response": "model",
    "error": "error",
}


def event_rows(index: SessionIndex, spans: AbstractSet[str]) -> Iterator[tuple[Row, Detail]]:
    """Yield a row for each event and each call that ``spans`` doesn't tell already.

    The caller adds the keys of the rows it got to ``spans``. A row that was yielded may get its end later, from a
    session_end.
    """
    reading = _Events(index, spans)
    for ordinal in index.order:
        found = reading.read(ordinal)
        if found is not None:
            yield from found


class _Events:
    def __init__(self, index: SessionIndex, spans: AbstractSet[str]) -> None:
        self._index = index
        self._spans = spans
        self._runs: dict[str, Row] = {}  # sessions that have begun and not ended

    def read(self, ordinal: int) -> list[tuple[Row, Detail]] | None:
        index = self._index
        event_type, partner = index.event_types[ordinal], index.partners[ordinal]
        if event_type in ("tool_result", "llm_response", "error") and partner >= 0:
            return None  # told by its call
        data = index.data(ordinal)
        start = _nanoseconds(index.timestamps[ordinal])
        if event_type in ("tool_call", "llm_request"):
            return self._call(ordinal, data, start)
        if event_type == "session_start":
            return self._session_start(ordinal, data, start)
        if event_type == "session_end" and self._ends_run(text_of(data, "span_id"), start):
            return None
        return [*self._turn_of(event_type, data, start), self._point(ordinal, event_type, data, start)]

    def _call(self, ordinal: int, data: dict[str, Any], start: int) -> list[tuple[Row, Detail]] | None:
        index = self._index
        key = text_of(data, "span_id") or f"call {ordinal}"
        if key in self._spans:
            return None
        kind = "tool" if index.event_types[ordinal] == "tool_call" else "model"
        row = Row(key, text_of(data, "parent_span_id"), kind, start)
        row.agent = text_of(data, "agent")
        end = index.partners[ordinal]
        closing = index.data(end) if end >= 0 else {}
        if end < 0:
            row.outcome = OPEN
        else:
            row.end = start + max(0, _nanoseconds((index.duration_ms(end) or 0.0) / 1000))
            row.failed = index.event_types[end] == "error"
            row.outcome = text_of(closing, "outcome") or (semconv.OUTCOME_ERROR if row.failed else "")
        if kind == "tool":
            name = index.tool_name(ordinal)
            summary = told_by(name, data.get("arguments"))
        else:
            row.tokens = tokens_of(closing)
            name = text_of(closing, "model") or text_of(data, "model")
            summary = plain(text_of(closing, "content_preview"))
        row.say(name or "?", " · ".join(filter(None, (summary, text_of(closing, "message")))))
        return [(row, of_events(data, closing))]

    def _session_start(self, ordinal: int, data: dict[str, Any], start: int) -> list[tuple[Row, Detail]] | None:
        span = text_of(data, "span_id")
        if span in self._spans:
            return None
        row = Row(span or f"session {ordinal}", "", "session", start)
        row.outcome = OPEN
        command = data.get("command")
        row.say(text_of(data, "agent_name") or "session", " ".join(map(as_text, command)) if is_list(command) else "")
        self._runs[span] = row
        return [(row, of_events(data, {}))]

    def _ends_run(self, span: str, at: int) -> bool:
        """Let a run end; of a writer that names no span for its end, or another, the only one that it can be."""
        if span not in self._runs and span in self._spans:
            return True
        run = self._runs.pop(span, None) or (self._runs.popitem()[1] if len(self._runs) == 1 else None)
        if run is None:
            return False
        run.end, run.outcome = max(at, run.start), ""
        return True

    def _turn_of(self, event_type: str, data: dict[str, Any], start: int) -> list[tuple[Row, Detail]]:
        """Return a row for the turn that a prompt begins, as long as no span tells of it."""
        span, parent = text_of(data, "span_id"), text_of(data, "parent_span_id")
        if event_type != "user_prompt" or not parent or span in self._spans:
            return []
        row = Row(span, parent, "turn", start)
        row.outcome = OPEN
        row.say("turn", _prompt(data))
        return [(row, of_events({}, {}))]

    def _point(self, ordinal: int, event_type: str, data: dict[str, Any], start: int) -> tuple[Row, Detail]:
        kind = _POINTS.get(event_type, "event")
        row = Row(f"event {ordinal}", text_of(data, "span_id"), kind, start)
        row.agent = text_of(data, "agent")
        row.failed = kind == "error"
        if kind == "prompt":
            row.say(text_of(data, "source").replace("_", " ") or "prompt", _prompt(data))
        elif kind == "response":
            row.say("response", plain(text_of(data, "text")))
        elif kind == "decision":
            row.say(text_of(data, "choice") or "decision", text_of(data, "reason"))
        elif kind == "file":
            row.say("read" if event_type == "file_read" else "write", text_of(data, "uri"))
        elif kind == "model":
            row.tokens = tokens_of(data)
            row.say(text_of(data, "model") or "?", plain(text_of(data, "content_preview")))
        elif kind == "error":
            row.say(text_of(data, "tool_name") or text_of(data, "error") or "error", text_of(data, "message"))
        else:
            row.say(event_type, text_of(data, "tool_name"))
        return row, of_events(data, {})


def _prompt(data: dict[str, Any]) -> str:
    """Return what a prompt says; of one that nobody typed, the summary that the client put into it."""
    prompt = text_of(data, "prompt")
    said, end, _ = prompt.partition("<summary>")[2].partition("</summary>")
    return said if end and data.get("source") else prompt


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9) if 0 <= seconds < LATEST else 0
