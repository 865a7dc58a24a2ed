"""A session whose process died -> its open calls and its runs closed in the folder, once, so that it can be sent whole.

Comes in: a session folder. Goes out: lines in spans.jsonl and events.ndjson (`lost_spans`), and meta.json with an end.
Called by `shipping`, and never while the process lives.

Everything ends when the last sign of life was seen. A process of this machine is known by pid, start time and boot; of
one on another machine, or of a session that names none, only its silence can tell, so a day of it is waited for. The
ids of what is written follow from what was open, so a second attempt after a kill repeats no line.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from agent_trace_otel import process
from agent_trace_otel.delivery.lost_spans import Envelope, Lost, lost_call, lost_parent, lost_run
from agent_trace_otel.delivery.span_ids import SpanIds
from agent_trace_otel.semconv import SERVICE_NAME
from agent_trace_otel.store.events import SessionMeta
from agent_trace_otel.store.folder import EVENTS, META, SPANS, SessionFolder
from agent_trace_otel.store.index import open_regular
from agent_trace_otel.store.lines import is_object, read_event, read_head, text_of
from agent_trace_otel.store.span_heads import IS_REMOTE, heads_in
from agent_trace_otel.store.spans_file import TRACE_FLAGS, parse_line
from agent_trace_otel.store.tally import tally

GRACE: Final = 2.0
"""Seconds of silence after a process is gone: one that records for it may still write."""
SILENCE: Final = 24 * 3600.0
"""The same where nobody can know whether the process lives."""
NEVER: Final = float("inf")
_LOCK_SECONDS: Final = 5.0
_OPENING: Final = frozenset({b"tool_call", b"llm_request"})
_CLOSING: Final = frozenset({b"tool_result", b"llm_response", b"error"})
_times_in = re.compile(rb'"(?:startTimeUnixNano|endTimeUnixNano)":"?([0-9]{1,19})').findall
# of the calls of a sub-agent, as `span_events.tail` ends their events
_agent_in = re.compile(
    rb'"agent":("(?:[^"\\]|\\.)*")(?:,"mcp":true)?,"trace_id":"[0-9a-f]{32}","span_id":"[0-9a-f]{16}",'
    rb'"parent_span_id":"([0-9a-f]{16})"\}\}\n$'
).search
_OWN_SCOPE: Final = b'"name":"agent_trace_otel"'


class _Story:
    """What the events of a session say, read once: what is open, who wrote it, and when it was last heard of."""

    def __init__(self, folder: Path) -> None:
        self.starts: list[dict[str, Any]] = []
        self.calls: dict[bytes, dict[str, Any]] = {}
        self.agents: dict[int, str] = {}
        """Names of sub-agents, by the span that their calls hang under."""
        self.last = 0.0
        ended: set[str] = set()
        early: set[bytes] = set()
        for line in _lines(folder / EVENTS):
            head = read_head(line)
            if head is None:
                continue
            event_type, at, event_id, parent_id = head[:4]
            self.last = max(self.last, float(at))
            if event_type in _OPENING:
                if agent := _agent_in(line):
                    self.agents[int(agent[2], 16)] = json.loads(agent[1])
                if event_id in early:
                    early.discard(event_id)
                else:
                    self.calls[event_id] = read_event(line)
            elif event_type in _CLOSING and parent_id:
                if self.calls.pop(parent_id, None) is None:
                    early.add(parent_id)
            elif event_type == b"session_start":
                self.starts.append(read_event(line))
            elif event_type == b"session_end":
                ended.add(text_of(_data(read_event(line)), "span_id"))
        self.runs = [
            (number, start)
            for number, start in enumerate(self.starts, 1)
            if text_of(_data(start), "span_id") and text_of(_data(start), "span_id") not in ended
        ]

    def silence_wanted(self, grace: float) -> float:
        """Return for how many seconds nothing must have been written before what is open is lost."""
        wanted = grace if self.starts else SILENCE
        for start in self.starts:
            runs = _is_running(_data(start))
            if runs:
                return NEVER
            if runs is None:
                wanted = SILENCE
        return wanted


def seconds_until_lost(folder: Path, grace: float = GRACE) -> float | None:
    """Return in how many seconds what is open in a session may be closed; None if nothing is, `NEVER` while it runs.

    Args:
        folder: the session folder.
        grace: seconds of silence that are enough once the process is gone.
    """
    try:
        story = _Story(folder)
    except OSError:
        return None
    if not story.runs and not story.calls:
        return None
    return max(story.silence_wanted(grace) - _silent_for(folder), 0.0)


def close_lost(folder: Path, grace: float = GRACE) -> int:
    """Close what is open in a session that is lost; return how many spans were written.

    Args:
        folder: the session folder.
        grace: as `seconds_until_lost` takes it.

    Raises:
        OSError: the folder can't be read or written.
        StoreError: it is a symlink or another user's.
    """
    files = SessionFolder(folder.parent, folder.name)
    with files.locked(_LOCK_SECONDS) as is_held:
        story = _Story(folder)
        if not is_held or story.silence_wanted(grace) > _silent_for(folder):
            return 0
        spans = _Spans(folder)
        lost = list(_lost(folder, story, spans))
        end_ns = max(round(story.last * 1e9), spans.last_ns)
        written = 0
        for one in lost:
            if int(one.span_id, 16) not in spans.present:
                files.append_span(spans.envelope(folder, story).line(one.span(end_ns)))
                written += 1
        for one in lost:
            event = one.event(folder.name, end_ns)
            if event is not None:
                files.append_event(event)
        if lost:
            files.replace_meta(_meta(folder, story, end_ns).to_json())
        files.close()
    return written


class _Spans:
    """What spans.jsonl says: which spans there are, and what they have in common."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / SPANS
        self.present = SpanIds()
        self.flags: dict[bytes, int] = {}
        """W3C trace flags by trace id."""
        self.last_ns = 0
        self._typical: bytes = b""
        for line in _lines(self._path):
            for head in heads_in(line):
                self.present.add(head.span_id)
                self.flags.setdefault(head.trace_id, head.flags & TRACE_FLAGS)
                if not self._typical or (_OWN_SCOPE not in self._typical and _OWN_SCOPE in line):
                    self._typical = line
            self.last_ns = max([self.last_ns, *map(int, _times_in(line))])

    def trace_flags(self, trace_id: str) -> int:
        """Return the flags of a trace; sampled, if none of its spans has ended."""
        return self.flags.get(trace_id.encode(), 1)

    def orphans(self, known: set[int]) -> Iterator[tuple[int, str, int]]:
        """Yield (span id, trace id, earliest start) of parents of this process that are neither here nor known."""
        found: dict[int, tuple[str, int]] = {}
        for line in _lines(self._path):
            for head in heads_in(line):
                parent = head.parent_id
                if parent and not head.flags & IS_REMOTE and parent not in self.present and parent not in known:
                    start = min(map(int, _times_in(line)), default=self.last_ns)
                    _, before = found.get(parent, ("", start))
                    found[parent] = (head.trace_id.decode(), min(start, before))
        yield from ((span_id, *rest) for span_id, rest in found.items())

    def envelope(self, folder: Path, story: _Story) -> Envelope:
        """Return resource and scope: those of a span that is there, else what the session's start says."""
        try:
            resource = parse_line(self._typical)["resourceSpans"][0]
            members = dict(resource.pop("scopeSpans")[0])
            members.pop("spans")
            return Envelope(resource, members.pop("scope", {}), members)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            name = next((text_of(_data(start), "agent_name") for start in story.starts), "") or folder.name
            attributes = [{"key": SERVICE_NAME, "value": {"stringValue": name}}]
            return Envelope({"resource": {"attributes": attributes}}, {"name": "agent_trace_otel"})


def _lost(folder: Path, story: _Story, spans: _Spans) -> Iterator[Lost]:
    """Yield what has to be closed: calls, parents that only their children know, runs."""
    session_id = folder.name
    known: set[int] = set()
    for event in story.calls.values():
        call = lost_call(event, session_id, spans.trace_flags(text_of(_data(event), "trace_id")))
        if call is not None:
            known.add(int(call.span_id, 16))
            yield call
    roots: dict[str, str] = {}
    outside: set[int] = set()
    for start in story.starts:
        data = _data(start)
        roots[text_of(data, "trace_id")] = text_of(data, "span_id")
        outside.add(_number(text_of(data, "parent_span_id")))
        known.add(_number(text_of(data, "span_id")))
    above = {_number(text_of(_data(event), "parent_span_id")): event for event in story.calls.values()}
    of_calls = [
        (span_id, text_of(_data(event), "trace_id"), round(float(event.get("timestamp") or 0) * 1e9))
        for span_id, event in above.items()
        if span_id and span_id not in spans.present and span_id not in known
    ]
    for span_id, trace_id, start_ns in {one[0]: one for one in [*of_calls, *spans.orphans(known)]}.values():
        if span_id not in outside:
            place = (f"{span_id:016x}", trace_id, roots.get(trace_id, ""))
            agent = story.agents.get(span_id, "")
            yield lost_parent(*place, start_ns, session_id, spans.trace_flags(trace_id), agent)
    for number, start in story.runs:
        run = lost_run(start, session_id, number, spans.trace_flags(text_of(_data(start), "trace_id")))
        if run is not None:
            yield run


def _meta(folder: Path, story: _Story, end_ns: int) -> SessionMeta:
    try:
        meta = SessionMeta.from_json((folder / META).read_bytes(), session_id=folder.name)
    except (OSError, ValueError):
        meta = SessionMeta(folder.name)
    counted = tally(folder / EVENTS)
    first = float(story.starts[0].get("timestamp") or 0) if story.starts else 0.0
    meta.started_at = meta.started_at or first or end_ns / 1e9
    meta.tool_calls, meta.llm_requests = counted.tool_calls, counted.llm_requests
    meta.errors, meta.total_tokens = counted.errors, counted.total_tokens
    if story.runs:
        meta.ended_at = end_ns / 1e9
        meta.total_duration_ms = round((meta.ended_at - meta.started_at) * 1000, 3)
    return meta


def _lines(path: Path) -> Iterator[bytes]:
    try:
        file = open_regular(str(path))
    except FileNotFoundError:
        return
    with file:
        yield from file


def _silent_for(folder: Path) -> float:
    times = [path.stat().st_mtime for path in (folder / EVENTS, folder / SPANS) if os.path.lexists(path)]
    return time.time() - max(times, default=0.0)


def _is_running(start: Mapping[str, Any]) -> bool | None:
    pid, host = start.get("pid"), start.get("host")
    if not isinstance(pid, int) or not isinstance(host, str):
        return None
    return process.is_running(
        process.ProcessIdentity(pid, text_of(dict(start), "pid_start"), text_of(dict(start), "boot_id"), host)
    )


def _data(event: Mapping[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    return data if is_object(data) else {}


def _number(span_id: str) -> int:
    try:
        return int(span_id or "0", 16)
    except ValueError:
        return 0
