"""The thread that sends spans while the program runs: batches in, requests out, and what failed again later.

Comes in: batches of ended spans from the SDK's batch processor, each with the session folder that holds it. Goes out:
what `live_posting` makes of them: requests, and notes in the folders' ledgers. Made by `live`; loads the SDK.

Nothing is kept for a second try: a batch that can't be sent, or for which there is no room, leaves only the names of
its folders behind. What the back end has not acknowledged is then read from spans.jsonl, as `agent-trace ship` does it,
once the back end takes spans again and at most 500 a second. What this process does not get to stays for `ship`.

The thread runs from the start, since Python 3.12 and newer refuse to start one at exit, and is left behind when time is
up: a dead endpoint holds it for as long as the time-out, and the SDK's own exporter the program with it.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import OrderedDict, deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opentelemetry import context as context_api
from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY as SUPPRESS,  # pyright: ignore[reportPrivateUsage] - what the SDK's own exporters use
)
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from agent_trace_otel import guard
from agent_trace_otel.delivery.otlp import shown_url
from agent_trace_otel.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

    from agent_trace_otel.delivery.live_posting import LivePosting, Outcome
    from agent_trace_otel.delivery.target import Target

MAX_WAITING_SPANS: Final = 2048  # as many as the SDK's own queue in front of it
SPANS_A_SECOND: Final = 500
"""Of what is sent again: a back end that comes back is not to be run over."""
_SPANS_AGAIN: Final = 250
_LOCK_SECONDS: Final = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0


class Ended:
    """An ended span on its way, and the session folder that holds it; None if none does."""

    __slots__ = ("context", "folder", "span")

    def __init__(self, span: ReadableSpan, context: SpanContext, folder: Path | None) -> None:
        self.span = span
        self.context = context
        """What the SDK's batch processor asks for whether the span is sampled."""
        self.folder = folder

    def __getattr__(self, name: str) -> object:
        """Be the span for whatever else a batch processor may ask one day."""
        return getattr(self.span, name)


class LiveSender(SpanExporter):
    """Takes each batch at once and sends it in a daemon thread of its own, in order.

    Args:
        target: the back end.
        timeout: seconds for one request, None for that of the environment.
        shutdown_timeout: seconds that `shutdown` may take.
    """

    def __init__(self, target: Target, timeout: float | None, shutdown_timeout: float) -> None:
        self.failures = 0
        self.queued: deque[None] = deque()
        """One entry for each span in the batch processor's queue, so that it is known when that is full."""
        self._target = target
        self._timeout, self._shutdown_timeout = timeout, shutdown_timeout
        self.is_closed = False
        """Whether it was shut down."""
        self._start()
        # Before the batch processor registers its own, whose new thread needs a sender. Weak: it is never unregistered.
        start = weakref.WeakMethod(self._start)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=lambda: (method := start()) and method())

    def _start(self) -> None:
        """Begin with nothing waiting, here or anew in a forked child, where no thread but the forking one lives."""
        self._changed = threading.Condition()
        self.queued.clear()
        self._line: deque[Sequence[Ended]] = deque()
        self._line_spans = 0
        self._sending = False
        self._behind: OrderedDict[Path, None] = OrderedDict()
        """Folders with spans that were not acknowledged."""
        self._pause_until = self._again_at = 0.0
        self._pause_seconds = _FIRST_PAUSE
        self._pause_is_ours = True
        """Whether it is not the back end that asked for it, or can't be heard."""
        self._is_over = False
        self._post: LivePosting | None = None  # a child must not write to the parent's connection
        if not self.is_closed:
            threading.Thread(name="agent-trace-sender", target=self._run, daemon=True).start()

    # -- called by other threads ---------------------------------------------------------------------------------

    def export(self, spans: Sequence[Ended]) -> SpanExportResult:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride] - the queue in front holds what `live` has put there
        """Put the batch in line; when the back end is so slow that the line is full, leave it to the folders."""
        for _ in spans:
            if self.queued:
                self.queued.popleft()
        with self._changed:
            taken = not self.is_closed and (not self._line or self._line_spans + len(spans) <= MAX_WAITING_SPANS)
            if taken:
                self._line.append(tuple(spans))
                self._line_spans += len(spans)
                self._changed.notify_all()
        if not taken:
            self.leave_behind(spans, "already shut down" if self.is_closed else "the endpoint is too slow")
        return SpanExportResult.SUCCESS if taken else SpanExportResult.FAILURE

    def leave_behind(self, spans: Iterable[Ended], reason: str = "") -> None:
        """Leave spans to their folders, from which they are sent later."""
        folders = {span.folder for span in spans}
        if folders <= self._behind.keys():
            return  # of a flood, each one comes here
        with self._changed:
            self._behind.update((folder, None) for folder in folders if folder is not None)
            self._changed.notify_all()
        if reason:
            self._failed(reason)

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until nothing is left that could be sent now, but no longer than that; return whether all was sent."""
        with self._changed:
            self._changed.wait_for(self._is_idle, max(seconds, 0))
            return not self._line and not self._sending and not self._behind

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Wait until everything in line has been tried."""
        return self.wait_until_idle(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Give what is in line the time that was agreed, then leave the rest to `agent-trace ship`."""
        with self._changed:
            if self.is_closed:
                return
            self.is_closed = True
            if self._pause_is_ours:
                self._pause_until = 0.0  # once more, now or never
            self._changed.notify_all()
        self.wait_until_idle(self._shutdown_timeout)
        with self._changed:
            self._is_over = True
            self._line.clear()
            self._behind.clear()
            # urllib3 tidies up its connections at exit, but not those made while the program exits already
            posting, self._post = (None, self._post) if self._sending else (self._post, None)
            self._changed.notify_all()
        if posting is not None:
            posting.close()

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        # or a traced HTTP client would trace the export for ever
        context_api.attach(context_api.set_value(SUPPRESS, True))  # noqa: FBT003 - the SDK's way to say so
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work, self._seconds_to_wait())
                if self._is_over or (self.is_closed and self._is_idle()):
                    return
                batch = self._line.popleft() if self._line else ()
                self._line_spans -= len(batch)
                self._sending = True
            try:
                self._work(batch)
            except Exception as error:  # noqa: BLE001 - the next batch may fare better
                self.leave_behind(batch, f"{type(error).__name__}: {error}")
                self._pause(0.0, is_ours=True)
            with self._changed:
                self._sending = False
                self._changed.notify_all()

    def _work(self, batch: Sequence[Ended]) -> None:
        if batch and self._is_paused():
            self.failures += 1
            self.leave_behind(batch)
        elif batch:
            self._note(self._posting().send(batch))
        if self._is_time_for_more():
            with self._changed:
                folder, _ = self._behind.popitem(last=False)  # before it is read: what ends meanwhile puts it back
            outcome = self._posting().send_again(folder, _SPANS_AGAIN)
            self._again_at = time.monotonic() + outcome.sent / SPANS_A_SECOND
            if not outcome.is_done:
                outcome.left.add(folder)
            self._note(outcome)
            with self._changed:
                if outcome.sent and folder in self._behind:
                    # one session after the other: how far one was read is remembered of a few alone
                    self._behind.move_to_end(folder, last=False)

    def _posting(self) -> LivePosting:
        if self._post is None:
            from agent_trace_otel.delivery.live_posting import LivePosting

            self._post = LivePosting(self._target, self._timeout)
        return self._post

    def _note(self, outcome: Outcome) -> None:
        """Take what became of a request: what is to be sent later, and how much later."""
        if outcome.left:
            with self._changed:
                self._behind.update(dict.fromkeys(outcome.left))
        if outcome.is_locked:
            self._again_at = time.monotonic() + _LOCK_SECONDS
        if outcome.away is not None:
            self._pause(outcome.away.wait, is_ours=not outcome.away.wait and not outcome.away.is_silent)
        elif outcome.sent:
            self._pause_seconds = _FIRST_PAUSE
        if outcome.reason:
            self._failed(outcome.reason)

    def _pause(self, asked: float, *, is_ours: bool) -> None:
        self._pause_until = time.monotonic() + max(asked, self._pause_seconds)
        self._pause_seconds = min(self._pause_seconds * 2, _LONGEST_PAUSE)
        self._pause_is_ours = is_ours

    def _failed(self, reason: str) -> None:
        """Count a failure; log the first one of this target in the process as a warning, the rest at debug level."""
        self.failures += 1
        guard.report(
            f"send spans to {shown_url(self._target.url)} (they stay in the session folder)", DeliveryError(reason)
        )

    def _is_idle(self) -> bool:
        return not self._line and not self._sending and (not self._behind or self._is_paused())

    def _has_work(self) -> bool:
        return bool(self._line) or self._is_time_for_more() or (self.is_closed and self._is_idle()) or self._is_over

    def _is_paused(self) -> bool:
        return time.monotonic() < self._pause_until

    def _is_time_for_more(self) -> bool:
        return bool(self._behind) and time.monotonic() >= max(self._pause_until, self._again_at)

    def _seconds_to_wait(self) -> float | None:
        if not self._behind:
            return None
        return max(max(self._pause_until, self._again_at) - time.monotonic(), 0.0)
