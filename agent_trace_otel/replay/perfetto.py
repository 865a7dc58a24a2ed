"""A session -> Chrome's trace format, for ui.perfetto.dev, trace_processor and chrome://tracing.

Comes in: a session's folder. Goes out: pieces of one JSON document, streamed. Called by the export command. Format:
"Trace Event Format" (Google, Catapult project), the object form; times are microseconds since the session's beginning.

A slice ("X") for each span of spans.jsonl, "B" for each call that has not ended, an instant for each prompt, response,
decision and file event, an arrow for each link. Each agent has a lane, and more where it did several things at once. A
folder without spans is told from its events.
"""

from __future__ import annotations

import json

from agent_trace_otel import semconv
from agent_trace_otel.replay.lanes import OPEN, Slice, arrange
from agent_trace_otel.replay.recorded_spans import RecordedSpan, SpansFile
from agent_trace_otel.replay.terminal import escape
from agent_trace_otel.store.lines import is_list, is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent_trace_otel.replay.lanes import Lane
    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import Session

_PROCESS = 1
_LONGEST = 2_000  # characters of a value: enough to know it by; the folder has the whole
_LONGEST_NAME = 80
_MOST_MEMBERS = 64
_KINDS = {"tool_call": "tool", "llm_request": "model"}
_POINTS = {
    "user_prompt": "prompt",
    "assistant_response": "text",
    "decision": "choice",
    "file_read": "uri",
    "file_write": "uri",
}
"""Events that are shown as instants, and which member of their data names them."""
_UNTOLD = frozenset({semconv.KEY, semconv.SESSION_ID, semconv.CONVERSATION_ID, semconv.OPERATION_NAME, "trace_id"})
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


def as_chrome_trace(session: Session, index: SessionIndex) -> Iterator[str]:
    """Yield the pieces of one JSON object with ``traceEvents``, a line an event; of spans told twice the first."""
    trace = _Trace(session, index)
    # trace_processor takes an array of traceEvents only as the first member
    yield '{"traceEvents":[\n'
    before = ""
    for event in trace.events():
        yield before + _encode(event)
        before = ",\n"
    about = {"session_id": session.session_id, "agent": escape(trace.agent), "began_unix_ns": str(trace.origin)}
    yield f'\n],"displayTimeUnit":"ms","otherData":{_encode(about)}}}\n'


class _Trace:
    """One session: its slices, arranged in lanes, and what is told of each."""

    def __init__(self, session: Session, index: SessionIndex) -> None:
        self._index = index
        self._spans = SpansFile(session.spans_path)
        self._slices: dict[str, Slice] = {}
        self._links: list[tuple[str, str]] = []
        self._of_events: dict[str, int] = {}
        """The events whose calls no span tells of, by the slice's id."""
        agents: dict[str, tuple[str, str]] = {}
        for span in self._spans:
            self._add_span(span, agents)
        self._add_calls(agents, has_spans=bool(self._slices))
        self.agent = session.agent_name or "agent"
        self._lanes: list[Lane] = arrange(list(self._slices.values()), agents, self.agent)
        times = [one.start for one in self._slices.values()]
        if len(index):
            times.append(_ns(index.timestamps[index.order[0]]))
        self.origin = min(times, default=0)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield all trace events."""
        yield self._meta("process_name", 0, name=f"{self.agent} session")
        for tid, lane in enumerate(self._lanes, 1):
            yield self._meta("thread_name", tid, name=lane.name)
            yield self._meta("thread_sort_index", tid, sort_index=tid)
        left = dict(self._slices)  # of a session that runs there may be more spans by now
        for span in self._spans:
            one = left.pop(span.span, None)
            if one is not None:
                yield self._slice(one, _of_span(span))
        for key, ordinal in self._of_events.items():
            yield self._slice(self._slices[key], self._of_call(ordinal))
        yield from self._points()
        yield from self._arrows()

    # -- what there is -------------------------------------------------------------------------------------------

    def _add_span(self, span: RecordedSpan, agents: dict[str, tuple[str, str]]) -> None:
        if span.span in self._slices:
            return
        kind, name = _what(span)
        self._slices[span.span] = Slice(span.span, span.parent, span.start, span.end, kind, name)
        self._links += [(linked, span.span) for _, linked in span.links]
        if kind == "agent":
            number = span.told.get(semconv.AGENT_ID)
            key = number if isinstance(number, str) and number else span.span
            agents[span.span] = (key, f"{name} {key[:8]}")

    def _add_calls(self, agents: dict[str, tuple[str, str]], *, has_spans: bool) -> None:
        """Add the calls that only the timeline knows: open ones, and those of a folder without spans."""
        index = self._index
        ends = {str(index.data(end).get("span_id")) for end in index.of_type("session_end")}
        for ordinal in index.of_type("session_start", *_KINDS):
            data = index.data(ordinal)
            span = _text(data.get("span_id"))
            key = span or f"event {ordinal}"
            if key in self._slices or (has_spans and not span):
                continue
            kind = _KINDS.get(index.event_types[ordinal], "session")
            end = self._end_of(ordinal, is_over=key in ends)
            name = _text(data.get("agent_name")) if kind == "session" else index.tool_name(ordinal)
            parent, agent = data.get("parent_span_id"), data.get("agent")
            above = parent if isinstance(parent, str) else ""
            start = _ns(index.timestamps[ordinal])
            self._slices[key] = Slice(key, above, start, end, kind, _short(name or _text(data.get("model")) or kind))
            self._of_events[key] = ordinal
            if isinstance(agent, str) and agent:
                agents[key] = (above or agent, f"{agent} {above[:8]}".rstrip())

    def _end_of(self, ordinal: int, *, is_over: bool) -> int:
        index = self._index
        if index.event_types[ordinal] == "session_start":
            last = max((end for end in index.of_type("session_end")), default=None)
            foreign = last is not None and "span_id" not in index.data(last)
            return _ns(index.timestamps[last]) if last is not None and (is_over or foreign) else OPEN
        partner = index.partners[ordinal]
        return _ns(index.timestamps[partner]) if partner >= 0 else OPEN

    # -- what is told --------------------------------------------------------------------------------------------

    def _meta(self, what: str, tid: int, **arguments: str | int) -> dict[str, Any]:
        told = {key: escape(value) if isinstance(value, str) else value for key, value in arguments.items()}
        return {"ph": "M", "name": what, "pid": _PROCESS, "tid": tid, "args": told}

    def _slice(self, one: Slice, arguments: dict[str, Any]) -> dict[str, Any]:
        event: dict[str, Any] = {
            "ph": "B" if one.end == OPEN else "X",
            "name": escape(one.name),
            "cat": one.kind,
            "pid": _PROCESS,
            "tid": one.tid,
            "ts": self._microseconds(one.start),
        }
        if one.end != OPEN:
            event["dur"] = (one.end - one.start) / 1000
        return {**event, "args": _plain(arguments)}

    def _points(self) -> Iterator[dict[str, Any]]:
        index = self._index
        for ordinal in index.order:
            event_type = index.event_types[ordinal]
            if event_type not in _POINTS and (event_type != "error" or index.partners[ordinal] >= 0):
                continue
            data = index.data(ordinal)
            slice_ = self._slices.get(_text(data.get("span_id")))
            named = _text(data.get(_POINTS.get(event_type, "message")))
            what = event_type.replace("_", " ")
            yield {
                "ph": "i",
                "s": "t",
                "name": escape(_short(f"{what}: {named}" if named else what)),
                "cat": event_type,
                "pid": _PROCESS,
                "tid": slice_.tid if slice_ is not None else 1,
                "ts": self._microseconds(_ns(index.timestamps[ordinal])),
                "args": _plain({key: value for key, value in data.items() if key not in _UNTOLD}),
            }

    def _arrows(self) -> Iterator[dict[str, Any]]:
        for number, (source, target) in enumerate(self._links, 1):
            one, other = self._slices.get(source), self._slices.get(target)
            if one is None or other is None or one.start > other.start:
                continue
            common = {"name": "follows", "cat": "link", "id": number, "pid": _PROCESS}
            yield {"ph": "s", **common, "tid": one.tid, "ts": self._microseconds(one.start)}
            yield {"ph": "f", "bp": "e", **common, "tid": other.tid, "ts": self._microseconds(other.start)}

    def _of_call(self, ordinal: int) -> dict[str, Any]:
        """Return what is told of a call that no span tells of: what it was given, and what came of it."""
        index = self._index
        told = {key: value for key, value in index.data(ordinal).items() if key not in _UNTOLD}
        partner = index.partners[ordinal]
        if partner >= 0:
            told |= {key: value for key, value in index.data(partner).items() if key not in told and key not in _UNTOLD}
        return told

    def _microseconds(self, time: int) -> float:
        return (time - self.origin) / 1000


def _what(span: RecordedSpan) -> tuple[str, str]:
    """Return a span's kind, and what its slice is called."""
    operation = _text(span.told.get(semconv.OPERATION_NAME))
    if operation == semconv.INVOKE_AGENT:
        scope = span.told.get(semconv.SCOPE)
        name = _text(span.told.get(semconv.AGENT_NAME)) or span.name
        if scope == semconv.SCOPE_SESSION:
            return "session", _short(f"session {name}")
        return ("turn", "turn") if scope == semconv.SCOPE_TURN else ("agent", _short(name))
    if operation == semconv.EXECUTE_TOOL:
        return "tool", _short(_text(span.told.get(semconv.TOOL_NAME)) or span.name)
    return ("model" if operation in semconv.MODEL_OPERATIONS else "other"), _short(span.name)


def _of_span(span: RecordedSpan) -> dict[str, Any]:
    told = {name: value for name, value in span.attributes.items() if name not in _UNTOLD}
    return {**told, "span_id": span.span, **({"error": span.message or "failed"} if span.failed else {})}


def _plain(value: object, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    """Return a value that JSON can hold and a page can show, cut."""
    if isinstance(value, str):
        text = "\n".join(map(escape, value[:_LONGEST].split("\n")))
        return text + "…" if len(value) > _LONGEST else text
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return value if abs(value) < OPEN else str(value)
    if depth >= _MOST_DEPTH:
        return "…"
    if is_object(value):
        members = list(value.items())[:_MOST_MEMBERS]
        return {escape(str(name)[:_LONGEST_NAME]): _plain(member, depth + 1) for name, member in members}
    if is_list(value):
        return [_plain(member, depth + 1) for member in value[:_MOST_MEMBERS]]
    return _plain(str(value))


def _short(text: str) -> str:
    line = " ".join(text[: 4 * _LONGEST_NAME].split())
    return line if len(line) <= _LONGEST_NAME else line[: _LONGEST_NAME - 1] + "…"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _ns(seconds: float) -> int:
    return round(seconds * 1e6) * 1000  # as exact as a number of seconds is


_MOST_DEPTH = 6
