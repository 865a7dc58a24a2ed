"""One session as this process writes it: lines into its folder, and meta.json beside them.

Called by `processor`. Failures to write are reported once, counted and swallowed: the traced program goes on.
"""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path

from agent_trace_otel import guard
from agent_trace_otel.errors import StoreError
from agent_trace_otel.store.events import SessionMeta, event_line
from agent_trace_otel.store.folder import EVENTS, SessionFolder
from agent_trace_otel.store.repeated import Repeated
from agent_trace_otel.store.tally import Tally, less, tally
from agent_trace_otel.store.written import Written, written_in

_META_INTERVAL_NS = 1_000_000_000
_LAST_META_WAIT = 1.0
_START_LINE = b'{"event_type":"session_start"'


@dataclass(frozen=True, slots=True)
class Runs:
    """The process runs of a session so far: how many, and the span of the last one as (trace id, span id) in hex."""

    count: int = 0
    last: tuple[str, str] | None = None


def runs_of(trace_dir: Path, session_id: str) -> Runs:
    """Count the session_start events in a folder that may not exist."""
    count, last = 0, None
    with contextlib.suppress(OSError), (trace_dir / session_id / EVENTS).open("rb") as lines:
        for line in lines:
            if line.startswith(_START_LINE):
                count += 1
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    data = json.loads(line)["data"]
                    last = (str(data["trace_id"]), str(data["span_id"]))
    return Runs(count, last)


class SessionWriter:
    """Writes one session. Methods may be called from any thread, and none of them raises."""

    __slots__ = (
        "_counted",
        "_ended",
        "_folder",
        "_has_root",
        "_in_meta",
        "_lock",
        "_meta",
        "_next_meta_ns",
        "_repeated",
        "_written",
        "begun",
        "is_named",
        "lost",
        "session_id",
    )

    def __init__(self, trace_dir: Path, session_id: str) -> None:
        self.session_id = session_id
        self.lost = 0
        """Lines that could not be written."""
        self.begun = False
        """Whether this process knows that the timeline has its session_start."""
        self.is_named = True
        """Whether the session's id is worth telling; else it is its trace's, until somebody names the session."""
        self._folder = SessionFolder(trace_dir, session_id)
        self._meta = SessionMeta(session_id)
        self._counted = Tally()
        self._repeated = Repeated()
        self._next_meta_ns = 0
        self._has_root = False
        self._ended = False
        self._lock = threading.RLock()
        self._in_meta = False
        """Whether the thread that holds the lock is writing meta.json."""
        self._written: Written | None = None
        """Ids of the lines that are in the folder already, while a story is told anew."""

    @property
    def folder(self) -> Path:
        """Where it writes."""
        return self._folder.path

    def skip_written(self) -> None:
        """From now on write only lines that the folder has not: a process that was killed is being caught up with.

        Spans and events have ids that follow from what they tell, so a story told anew repeats them.
        """
        self._written = written_in(self._folder.path)

    def write_all(self) -> None:
        """End what `skip_written` began."""
        self._written = None

    def begin_if_new(self) -> bool:
        """Tell whether no process has written an event of the session yet; asks the disk once."""
        if self.begun:
            return False
        self.begun = True
        return not self._folder.has_events()

    def begin(self, time_ns: int, agent_name: str, command: str) -> None:
        """Note how the session began; meta.json keeps what the first process noted."""
        self._meta.started_at = time_ns / 1e9
        self._meta.agent_name = agent_name
        self._meta.command = command
        self._has_root = True
        self._ended = False
        self.begun = True
        self._next_meta_ns = 0

    def event(  # noqa: PLR0913 - the keys of one line
        self,
        event_type: str,
        time_ns: int,
        event_id: str,
        data_json: str,
        *,
        parent_id: str = "",
        duration_ms: float | None = None,
    ) -> None:
        """Write one event."""
        if self._written is not None and event_id in self._written.events:
            return
        line = event_line(
            event_type,
            time_ns / 1e9,
            event_id,
            self.session_id,
            data_json,
            parent_id=parent_id,
            duration_ms=duration_ms,
        )
        try:
            self._folder.append_event(line)
        except (OSError, StoreError) as error:
            self._missed(error)
            return
        # an event from the future must not put off the next time for long
        if not 0 < self._next_meta_ns - time_ns <= _META_INTERVAL_NS or self._ended:
            self._next_meta_ns = time_ns + _META_INTERVAL_NS
            self.write_meta(time_ns)

    def span(self, line: bytes, span_id: str) -> bool:
        """Write one line of spans.jsonl; False if the span was there already."""
        if self._written is not None and span_id in self._written.spans:
            return False
        try:
            self._folder.append_span(line)
        except (OSError, StoreError) as error:
            self._missed(error)
        return True

    def end(self, time_ns: int) -> None:
        """Note that the session has ended, write meta.json for the last time and give the descriptors back."""
        self._meta.ended_at = time_ns / 1e9
        self._ended = True
        self.write_meta(time_ns, wait=_LAST_META_WAIT)
        self._folder.close()
        if self.lost:
            guard.logger.warning(
                "%d lines of session %s could not be written to its folder", self.lost, self.session_id
            )

    def close(self) -> None:
        """Give the descriptors back; a later write opens the files again."""
        self._folder.close()

    def write_meta(self, now_ns: int, *, wait: float = 0.0) -> None:
        """Bring meta.json up to date with what all processes have written to the timeline.

        A process that is at it just now is left alone, its work is as good as ours; after ``wait`` seconds, if some are
        given, meta.json is replaced all the same.
        """
        if not self._lock.acquire(blocking=self._ended):
            return  # another thread is at it
        try:
            if not self._in_meta:  # else a signal handler or finalizer has interrupted just this
                self._in_meta = True
                try:
                    self._replace_meta(now_ns, wait)
                finally:
                    self._in_meta = False
        except (OSError, StoreError) as error:
            guard.report("write the session folder", error)
        finally:
            self._lock.release()

    def _replace_meta(self, now_ns: int, wait: float) -> None:
        if self._folder.reopen_if_gone():
            guard.report("go on writing a session folder that was removed", StoreError(str(self._folder.path)))
            self._counted, self._repeated, self._next_meta_ns = Tally(), Repeated(), 0
            return  # the next event makes it anew
        with self._folder.locked(wait) as is_held:
            if is_held or wait:
                self._folder.replace_meta(self._current_meta(now_ns).to_json())

    def meta(self) -> SessionMeta:
        """Return the session's numbers as they are in its timeline now."""
        now_ns = int((self._meta.ended_at or self._meta.started_at) * 1e9)
        with contextlib.suppress(OSError, StoreError), self._lock:
            return self._current_meta(now_ns)
        return self._meta

    def _current_meta(self, now_ns: int) -> SessionMeta:
        """Return meta.json's next content; the timeline is the truth, however many processes write it."""
        known = self._folder.read_meta()
        before = SessionMeta(self.session_id)
        if known is not None:
            with contextlib.suppress(ValueError):
                before = SessionMeta.from_json(known, session_id=self.session_id)
        counted = self._count()
        started = min((at for at in (before.started_at, self._meta.started_at) if at), default=now_ns / 1e9)
        ended = self._meta.ended_at if self._ended else None if self._has_root else before.ended_at
        return SessionMeta(
            session_id=self.session_id,
            started_at=started,
            ended_at=ended,
            agent_name=before.agent_name or self._meta.agent_name,
            command=before.command or self._meta.command,
            tool_calls=counted.tool_calls,
            llm_requests=counted.llm_requests,
            errors=counted.errors,
            total_tokens=counted.total_tokens,
            total_duration_ms=round(((ended or now_ns / 1e9) - started) * 1000, 3),
        )

    def _count(self) -> Tally:
        """Add what the timeline has grown by, in this process or another, to what was counted before."""
        counted = self._counted
        new = tally(self._folder.path / EVENTS, counted.offset, self._repeated)
        self._counted = Tally(
            tool_calls=counted.tool_calls + new.tool_calls,
            llm_requests=counted.llm_requests + new.llm_requests,
            errors=counted.errors + new.errors,
            total_tokens=counted.total_tokens + new.total_tokens,
            offset=new.offset,
        )
        return less(self._counted, self._repeated)

    def _missed(self, error: Exception) -> None:
        self.lost += 1
        guard.report("write the session folder", error)

    def after_fork_in_child(self) -> None:
        """Forget a lock that a thread of the parent process may have held; whether the run goes on is the parent's."""
        self._lock = threading.RLock()
        self._in_meta = False
        self._has_root = False
