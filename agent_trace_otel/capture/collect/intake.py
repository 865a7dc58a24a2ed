"""Received spans -> session folders, each once, before its sender is told that it is taken.

Comes in: the spans of one request. Goes out: lines in folders, copies to the back end, and what the client is told.
Called by `serving` from many threads, which take turns here: the processor is what takes the time, and it is Python.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from agent_trace_otel import guard
from agent_trace_otel.capture.collect.answers import RefusedError
from agent_trace_otel.capture.collect.logs.spans import LogSpans
from agent_trace_otel.capture.collect.sessions import CollectedSessions
from agent_trace_otel.pipeline import processor_for

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from agent_trace_otel import config
    from agent_trace_otel.capture.collect.logs.records import LogRecord

_PLACE: Final = "record the end of a span"
_RETRY_SECONDS: Final = 5
_ON_ITS_WAY: Final = 30.0
"""Seconds after which nothing is on its way any more of what a back end was sent."""


@dataclass(slots=True)
class Counts:
    """What a collector has done so far."""

    requests: int = 0
    spans: int = 0
    repeated: int = 0
    rejected: int = 0


class Intake:
    """What one collector writes.

    Args:
        settings: how spans are recorded, and where they are sent.
    """

    def __init__(self, settings: config.Settings) -> None:
        self.counts = Counts()
        self._lock = threading.Lock()
        self._recent = Recent()
        self._logs = LogSpans()
        self._sessions = CollectedSessions(settings)
        self._processor = processor_for(settings, self._sessions)
        self._processor.is_live = False
        self._processor.record(self._sessions.restore())
        self._sessions.finish_joins(older_than=0.0)
        self._sessions.rewrite_notebook()

    @property
    def sends(self) -> bool:
        """Whether spans are passed on."""
        return self._processor.delivery is not None

    def take(self, spans: Sequence[ReadableSpan]) -> tuple[int, str]:
        """Write spans; return how many of them could not be told, and why.

        Raises:
            RefusedError: they could not be written; the client is to send them again.
        """
        with self._lock:
            fresh = [span for span in spans if self._recent.add(span)]
            self.counts.requests += 1
            self.counts.repeated += len(spans) - len(fresh)
            if not fresh:
                return 0, ""
            try:
                return self._write(fresh)
            except BaseException:
                self._recent.forget(fresh)
                raise

    def _write(self, fresh: Sequence[ReadableSpan]) -> tuple[int, str]:
        """Write spans that have not come before; see `take`."""
        lost, untold = self._sessions.lost_lines(), guard.failures[_PLACE]
        self._sessions.learn(fresh)
        if self._processor.delivery is None:
            self._sessions.finish_joins(older_than=0.0)
        self._processor.record(fresh)
        if self._sessions.lost_lines() != lost:
            self._sessions.catch_up()
            msg = "the spans could not be written to disk; send them again later"
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, msg, retry_after=_RETRY_SECONDS)
        rejected = guard.failures[_PLACE] - untold
        self.counts.spans += len(fresh) - rejected
        self.counts.rejected += rejected
        return rejected, "the span could not be read" if rejected else ""

    def take_log(self, records: Sequence[LogRecord]) -> None:
        """Write what log events tell of a coding agent's session, unless its hooks tell it.

        Raises:
            RefusedError: it could not be written; the client is to send them again.
        """
        with self._lock:
            told = [span for span in self._logs.of(records) if not self._sessions.are_told(span)]
        if told:
            self.take(told)

    def look_after(self) -> None:
        """Do what is due from time to time: spans that found no session are only passed on."""
        with self._lock:
            self._sessions.finish_joins(older_than=_ON_ITS_WAY)
            for span in self._sessions.let_go():
                if self._processor.delivery is not None:
                    self._processor.delivery.on_end(span)

    def close(self) -> None:
        """Send what waits to be sent, within the exit time-out; what waits for a session stays on disk."""
        with self._lock:
            self._processor.shutdown()
            self._sessions.close()


class Recent:
    """The spans of the last while: clients send again what they got no answer for.

    Two generations of hashes, so that memory is bounded and nothing is looked up on disk.
    """

    GENERATION: Final = 100_000

    def __init__(self) -> None:
        self._new: set[int] = set()
        self._old: set[int] = set()

    def add(self, span: ReadableSpan) -> bool:
        """Remember a span; False if it was there."""
        key = _key(span)
        if key in self._new or key in self._old:
            return False
        if len(self._new) >= self.GENERATION:
            self._old, self._new = self._new, set()
        self._new.add(key)
        return True

    def forget(self, spans: Sequence[ReadableSpan]) -> None:
        """Take spans back that were not written."""
        for span in spans:
            self._new.discard(_key(span))
            self._old.discard(_key(span))


def _key(span: ReadableSpan) -> int:
    return hash((span.context.trace_id, span.context.span_id)) if span.context is not None else 0
