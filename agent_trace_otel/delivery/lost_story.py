"""The timeline of a session, read for what is open in it, who wrote it, and when it was last heard of.

Comes in: a session folder. Goes out: a `Story`. Called by `lost`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from agent_trace_otel import process
from agent_trace_otel.store.folder import EVENTS
from agent_trace_otel.store.index import open_regular
from agent_trace_otel.store.lines import is_object, read_event, read_head, text_of

GRACE: Final = 2.0
"""Seconds of silence after a process is gone: one that records for it may still write."""
SILENCE: Final = 24 * 3600.0
"""The same where nobody can know whether the process lives."""
NEVER: Final = float("inf")
_OPENING: Final = frozenset({b"tool_call", b"llm_request"})
_CLOSING: Final = frozenset({b"tool_result", b"llm_response", b"error"})
# of the calls of a sub-agent, as `span_events.tail` ends their events
_agent_in = re.compile(
    rb'"agent":("(?:[^"\\]|\\.)*")(?:,"mcp":true)?,"trace_id":"[0-9a-f]{32}","span_id":"[0-9a-f]{16}",'
    rb'"parent_span_id":"([0-9a-f]{16})"\}\}\n$'
).search


class Run:
    """One run of a session: how it began, and when it was last heard of."""

    def __init__(self, number: int, start: dict[str, Any], at: float) -> None:
        self.number = number
        """From 1; 0 is what came before any run began."""
        self.start = start
        self.at = at
        self.last = at

    @property
    def ids(self) -> tuple[str, str]:
        """Trace id and span id of its session span, empty if it has none."""
        data = data_of(self.start)
        return text_of(data, "trace_id"), text_of(data, "span_id")


class Story:
    """What the events of a session say, read once: what is open, who wrote it, and when it was last heard of."""

    def __init__(self, folder: Path) -> None:
        self.runs = [Run(0, {}, 0.0)]
        self.calls: dict[bytes, tuple[dict[str, Any], Run]] = {}
        self.agents: dict[int, str] = {}
        """Names of sub-agents, by the span that their calls hang under."""
        ended: set[str] = set()
        early: set[bytes] = set()
        for line in lines_of(folder / EVENTS):
            head = read_head(line)
            if head is None:
                continue
            event_type, at, event_id, parent_id = head[:4]
            if event_type == b"session_start":
                self.runs.append(Run(len(self.runs), read_event(line), float(at)))
            run = self.runs[-1]
            run.last = max(run.last, float(at))
            if event_type in _OPENING:
                if agent := _agent_in(line):
                    self.agents[int(agent[2], 16)] = json.loads(agent[1])
                if event_id in early:
                    early.discard(event_id)
                else:
                    self.calls[event_id] = read_event(line), run
            elif event_type in _CLOSING and parent_id:
                if self.calls.pop(parent_id, None) is None:
                    early.add(parent_id)
            elif event_type == b"session_end":
                ended.add(text_of(data_of(read_event(line)), "span_id"))
        self.starts = [run.start for run in self.runs[1:]]
        self.unfinished = [run for run in self.runs if run.ids[1] and run.ids[1] not in ended]

    def run_at(self, trace_id: str, start_ns: int) -> Run:
        """Return the run that something of a trace belongs to which began then."""
        begun = [run for run in self.runs if run.ids[0] == trace_id and run.at * 1e9 <= start_ns]
        return begun[-1] if begun else self.runs[-1]

    def silence_wanted(self, grace: float) -> float:
        """Return for how many seconds nothing must have been written before what is open is lost."""
        wanted = grace if self.starts else SILENCE
        for start in self.starts:
            runs = _is_running(data_of(start))
            if runs:
                return NEVER
            if runs is None:
                wanted = SILENCE
        return wanted


def lines_of(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file of a session folder; a missing one has none."""
    try:
        file = open_regular(str(path))
    except FileNotFoundError:
        return
    with file:
        yield from file


def data_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event's own values, empty when it has none."""
    data = event.get("data")
    return data if is_object(data) else {}


def _is_running(start: Mapping[str, Any]) -> bool | None:
    pid, host = start.get("pid"), start.get("host")
    if not isinstance(pid, int) or not isinstance(host, str):
        return None
    return process.is_running(
        process.ProcessIdentity(pid, text_of(dict(start), "pid_start"), text_of(dict(start), "boot_id"), host)
    )
