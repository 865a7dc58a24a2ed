"""What a session's folder holds already: its runs, and which spans; so that an import adds only what is missing.

Comes in: a folder, which may not exist. Goes out: `FolderState`. Called by `session_import`. A run that hooks recorded
has other times than its transcript, so what stands there of it stays as it is; ids are the same on both ways.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agent_trace_otel import identity, process
from agent_trace_otel.process import ProcessIdentity
from agent_trace_otel.store.folder import EVENTS
from agent_trace_otel.store.written import objects_in, written_in

_MICROSECOND: Final = 1_000
_SLACK: Final = 5 * 1_000_000_000
"""By how many ns the hook that told of a run's beginning may be later than the first line of the transcript."""


@dataclass(slots=True)
class KnownRun:
    """One run that the folder tells of."""

    number: int
    started_ns: int
    trace_id: str
    span_id: str
    parent_span_id: str
    client: ProcessIdentity | None
    """The process that was told, None for one that nobody told."""
    ended_ns: int = 0
    """When it ended; 0 while it is open."""
    is_new: bool = False
    """Whether the folder has nothing of it yet."""

    @property
    def context(self) -> tuple[str, str]:
        """Its span, as (trace id, span id) in hex."""
        return self.trace_id, self.span_id

    def was_imported(self, began: int) -> bool:
        """Tell whether it was told by an import of the transcript whose run began at ``began``."""
        return self.client is None and abs(self.started_ns - began) <= _MICROSECOND

    def may_go_on(self) -> bool:
        """Tell whether somebody may be recording it just now."""
        return self.ended_ns == 0 and (self.client is None or process.is_running(self.client) is not False)


@dataclass(slots=True)
class FolderState:
    """What is known of one session."""

    session_id: str
    runs: list[KnownRun] = field(default_factory=list[KnownRun])
    finished: frozenset[str] = frozenset()
    """Ids of spans that have ended, in hex."""
    mentioned: set[str] = field(default_factory=set[str])
    """Ids of spans that events name, ended or not."""

    def run_in(self, after: int, began: int) -> KnownRun | None:
        """Return the run that is the transcript's which began at ``began``, when the one before had ended ``after``."""
        return next((run for run in self.runs if after < run.started_ns <= began + _SLACK), None)

    def before(self, run: KnownRun) -> KnownRun | None:
        """Return the run before one."""
        earlier = (one for one in self.runs if one.started_ns < run.started_ns)
        return max(earlier, key=lambda one: one.started_ns, default=None)

    def add(self, began: int) -> KnownRun:
        """Add a run that nobody has told of yet, and return it."""
        number = max((run.number for run in self.runs), default=0) + 1
        trace_id = next((run.trace_id for run in self.runs), f"{identity.trace_id_of(self.session_id):032x}")
        span_id = f"{identity.derived_span_id(self.session_id, 'run', str(number)):016x}"
        run = KnownRun(number, began, trace_id, span_id, "", None, is_new=True)
        self.runs.append(run)
        return run

    def last_end(self) -> int:
        """Return when the last run ended, 0 if it is open or there is none."""
        last = max(self.runs, key=lambda run: run.started_ns, default=None)
        return last.ended_ns if last is not None else 0


def state_of(folder: Path, session_id: str) -> FolderState:
    """Read what a folder tells of a session."""
    state = FolderState(session_id, finished=written_in(folder).spans)
    ends: dict[str, int] = {}
    for event, data in _events(folder / EVENTS):
        state.mentioned.update(str(data[name]) for name in ("span_id", "parent_span_id") if data.get(name))
        at = round(float(event["timestamp"]) * 1e6) * _MICROSECOND
        if event.get("event_type") == "session_start":
            state.runs.append(_run(len(state.runs) + 1, at, data, session_id))
        elif event.get("event_type") == "session_end":
            ends[str(data.get("span_id"))] = at
    for run in state.runs:
        run.ended_ns = ends.get(run.span_id, 0)
    return state


def _run(number: int, at: int, data: Mapping[str, Any], session_id: str) -> KnownRun:
    span_id = str(data.get("span_id") or "")
    # lines may stand in any order; the id tells the number
    ids = (f"{identity.derived_span_id(session_id, 'run', str(count)):016x}" for count in range(1, number + 64))
    number = next((count for count, known in enumerate(ids, 1) if known == span_id), number)
    client = None
    if isinstance(data.get("pid"), int):
        about = (str(data.get(name, "")) for name in ("pid_start", "boot_id", "host"))
        client = ProcessIdentity(data["pid"], *about)
    trace_id = str(data.get("trace_id") or f"{identity.trace_id_of(session_id):032x}")
    return KnownRun(number, at, trace_id, span_id, str(data.get("parent_span_id") or ""), client)


def _events(path: Path) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for event in objects_in(path):
        data = event.get("data")
        with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
            float(event["timestamp"])
            if isinstance(data, dict):
                yield event, data
