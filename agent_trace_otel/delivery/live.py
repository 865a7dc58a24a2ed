"""Ended spans -> an OTLP endpoint while the program runs, in batches and never in its way.

Comes in: the redacted copies of ended spans, and the session folder of each. Goes out: OTLP/HTTP protobuf requests.
Built by `pipeline` when a back end is named; this module loads the SDK, so it is imported only then.

    user's thread         BatchSpanProcessor's thread        sender thread (daemon)
    on_end -> queue  -->  batches -> LiveSender.export  -->  LivePosting, which may block for 10 s
    shutdown, force_flush: wait for the sender, but only as long as they were told

The SDK's own exporter takes any status below 400 and partial success for success, follows redirects, blocks 7 to 10 s
at exit and in force_flush when the endpoint is dead, and what its queue can't hold is lost with one log line. So the
queue and the batches are the SDK's, what happens to a batch is `live_sender`'s, and what can't be sent stays in
spans.jsonl.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace.export import BatchSpanProcessor

from agent_trace_otel.delivery.live_sender import Ended, LiveSender

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from agent_trace_otel.delivery.target import Target

SHUTDOWN_TIMEOUT: Final = 2.0
FLUSH_TIMEOUT: Final = 30.0
_QUEUE_SIZE: Final = 2048  # the SDK's default


def live_processor(
    target: Target, *, timeout: float | None = None, shutdown_timeout: float = SHUTDOWN_TIMEOUT
) -> LiveProcessor:
    """Return a span processor that sends sampled spans to a back end in the background.

    ``timeout`` is seconds for one request, None leaves it to OTEL_EXPORTER_OTLP_TIMEOUT (10 s); certificates,
    compression and the batch processor's OTEL_BSP_* are read from the environment as well. ``shutdown()`` returns
    within ``shutdown_timeout`` seconds, ``force_flush(ms)`` within its own argument, whatever the endpoint does. A back
    end that fails is told in one warning a process, through logging.

    Raises:
        ValueError: an OTEL_BSP_* variable makes no sense.
    """
    # Slow, since it loads requests, and the sender alone needs it. But not in its thread: a program that forks
    # meanwhile would have a child in which that import never ends.
    import agent_trace_otel.delivery.live_posting  # noqa: F401  # pyright: ignore[reportUnusedImport]

    return LiveProcessor(LiveSender(target, timeout, shutdown_timeout))


class LiveProcessor(BatchSpanProcessor):
    """The SDK's batch processor, whose queue drops nothing for ever and whose force_flush keeps to its timeout."""

    def __init__(self, sender: LiveSender) -> None:
        self._size = _queue_size()
        super().__init__(sender, max_queue_size=self._size)
        self._sender = sender

    def on_end(self, span: ReadableSpan) -> None:
        """Send a span that no session folder holds; what can't be sent is lost."""
        self.on_end_in(span, None)

    def on_end_in(self, span: ReadableSpan, folder: Path | None) -> None:
        """Send a span that is in a session folder's spans.jsonl, now or later."""
        context = span.context
        if context is None or not context.trace_flags.sampled or self._sender.is_closed:
            return
        ended, queued = Ended(span, context, folder), self._sender.queued
        if len(queued) >= self._size:
            self._sender.leave_behind((ended,), "more spans end than are sent")
            return
        queued.append(None)
        super().on_end(ended)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - it asks for the context alone

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        """Send what has ended so far; return whether that was done and succeeded in time (milliseconds)."""
        timeout = FLUSH_TIMEOUT if timeout_millis is None else timeout_millis / 1000
        deadline = time.monotonic() + timeout
        failures = self._sender.failures
        moved = super().force_flush(int(timeout * 1000))
        all_sent = self._sender.wait_until_idle(deadline - time.monotonic())
        return moved and all_sent and self._sender.failures == failures


def _queue_size() -> int:
    given = os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE", "")
    return int(given) if given.isdecimal() and int(given) else _QUEUE_SIZE
