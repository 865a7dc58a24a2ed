"""A session whose process died -> its open calls and its runs closed in the folder, once, so that it can be sent whole.

Comes in: a session folder. Goes out: lines in spans.jsonl and events.ndjson (`lost_spans`), and meta.json with an end.
Called by `shipping`, and never while the process lives.

Everything ends when the last sign of life was seen. A process of this machine is known by pid, start time and boot; of
one on another machine, or of a session that names none, only its silence can tell, so a day of it is waited for. The
ids of what is written follow from what was open, so a second attempt after a kill repeats no line.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent_trace_otel.delivery.lost_spans import Envelope, Lost, lost_call, lost_parent, lost_run
from agent_trace_otel.delivery.lost_story import GRACE, Run, Story, data_of, lines_of
from agent_trace_otel.delivery.span_ids import SpanIds
from agent_trace_otel.semconv import SERVICE_NAME
from agent_trace_otel.store.events import SessionMeta
from agent_trace_otel.store.folder import EVENTS, META, SPANS, SessionFolder
from agent_trace_otel.store.lines import text_of
from agent_trace_otel.store.span_heads import IS_REMOTE, heads_in
from agent_trace_otel.store.spans_file import TRACE_FLAGS, parse_line
from agent_trace_otel.store.tally import tally

_LOCK_SECONDS: Final = 5.0
_times_in = re.compile(rb'"(?:startTimeUnixNano|endTimeUnixNano)":"?([0-9]{1,19})').findall
_OWN_SCOPE: Final = b'"name":"agent_trace_otel"'


def seconds_until_lost(folder: Path, grace: float = GRACE) -> float | None:
    """Return in how many seconds what is open in a session may be closed; None if nothing is, `NEVER` while it runs.

    Args:
        folder: the session folder.
        grace: seconds of silence that are enough once the process is gone.
    """
    try:
        story = Story(folder)
    except OSError:
        return None
    if not story.unfinished and not story.calls:
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
        story = Story(folder)
        if not is_held or story.silence_wanted(grace) > _silent_for(folder):
            return 0
        spans = _Spans(folder)
        lost = [(one, _end_of(story, run, spans)) for one, run in _lost(folder.name, story, spans)]
        written = 0
        for one, end_ns in lost:
            if int(one.span_id, 16) not in spans.present:
                files.append_span(spans.envelope(folder, story).line(one.span(end_ns)))
                written += 1
        for one, end_ns in lost:
            event = one.event(folder.name, end_ns)
            if event is not None:
                files.append_event(event)
        if lost:
            files.replace_meta(_meta(folder, story, spans).to_json())
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
        for line in lines_of(self._path):
            for head in heads_in(line):
                self.present.add(head.span_id)
                self.flags.setdefault(head.trace_id, head.flags & TRACE_FLAGS)
                if not self._typical or (_OWN_SCOPE not in self._typical and _OWN_SCOPE in line):
                    self._typical = line
            self.last_ns = max([self.last_ns, *map(int, _times_in(line))])

    def trace_flags(self, trace_id: str) -> int:
        """Return the flags of a trace; sampled, if none of its spans has ended."""
        return self.flags.get(trace_id.encode(), 1)

    def orphans(self) -> dict[int, tuple[str, int]]:
        """Return parents of this process that are not here: span id -> trace id and the earliest start below it."""
        found: dict[int, tuple[str, int]] = {}
        for line in lines_of(self._path):
            for head in heads_in(line):
                parent = head.parent_id
                if parent and not head.flags & IS_REMOTE and parent not in self.present:
                    start = min(map(int, _times_in(line)), default=self.last_ns)
                    _, before = found.get(parent, ("", start))
                    found[parent] = (head.trace_id.decode(), min(start, before))
        return found

    def envelope(self, folder: Path, story: Story) -> Envelope:
        """Return resource and scope: those of a span that is there, else what the session's start says."""
        try:
            resource = parse_line(self._typical)["resourceSpans"][0]
            members = dict(resource.pop("scopeSpans")[0])
            members.pop("spans")
            return Envelope(resource, members.pop("scope", {}), members)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            name = next((text_of(data_of(start), "agent_name") for start in story.starts), "") or folder.name
            attributes = [{"key": SERVICE_NAME, "value": {"stringValue": name}}]
            return Envelope({"resource": {"attributes": attributes}}, {"name": "agent_trace_otel"})


def _lost(session_id: str, story: Story, spans: _Spans) -> Iterator[tuple[Lost, Run]]:
    """Yield what has to be closed, and its run: calls, parents that only their children know, runs."""
    known: set[int] = set()
    above: dict[int, tuple[str, int]] = {}
    for event, run in story.calls.values():
        call = lost_call(event, session_id, spans.trace_flags(text_of(data_of(event), "trace_id")))
        if call is not None:
            known.add(_number(call.span_id))
            above.setdefault(_number(call.parent_id), (call.trace_id, call.start_ns))
            yield call, run
    outside = {0}
    for run in story.runs:
        outside.add(_number(text_of(data_of(run.start), "parent_span_id")))
        known.add(_number(run.ids[1]))
    orphans = {**{at: place for at, place in above.items() if at not in spans.present}, **spans.orphans()}
    for span_id, (trace_id, start_ns) in orphans.items():
        if span_id not in known | outside:
            run = story.run_at(trace_id, start_ns)
            root = run.ids[1] if run.ids[0] == trace_id else ""
            place = (f"{span_id:016x}", trace_id, root, start_ns, session_id)
            yield lost_parent(*place, spans.trace_flags(trace_id), story.agents.get(span_id, "")), run
    for run in story.unfinished:
        session = lost_run(run.start, session_id, run.number, spans.trace_flags(run.ids[0]))
        if session is not None:
            yield session, run


def _end_of(story: Story, run: Run, spans: _Spans) -> int:
    """Return when a run was last heard of; spans tell nothing of the runs before the last one."""
    last = round(run.last * 1e9)
    return max(last, spans.last_ns) if run is story.runs[-1] else last


def _meta(folder: Path, story: Story, spans: _Spans) -> SessionMeta:
    try:
        meta = SessionMeta.from_json((folder / META).read_bytes(), session_id=folder.name)
    except (OSError, ValueError):
        meta = SessionMeta(folder.name)
    counted = tally(folder / EVENTS)
    meta.started_at = meta.started_at or min((run.at for run in story.runs[1:]), default=story.runs[0].last)
    meta.tool_calls, meta.llm_requests = counted.tool_calls, counted.llm_requests
    meta.errors, meta.total_tokens = counted.errors, counted.total_tokens
    if story.runs[-1] in story.unfinished:
        meta.ended_at = _end_of(story, story.runs[-1], spans) / 1e9
        meta.total_duration_ms = round((meta.ended_at - meta.started_at) * 1000, 3)
    return meta


def _silent_for(folder: Path) -> float:
    times = [path.stat().st_mtime for path in (folder / EVENTS, folder / SPANS) if os.path.lexists(path)]
    return time.time() - max(times, default=0.0)


def _number(span_id: str) -> int:
    try:
        return int(span_id or "0", 16)
    except ValueError:
        return 0
