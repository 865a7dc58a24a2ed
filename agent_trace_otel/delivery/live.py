"""Ended spans -> an OTLP endpoint while the program runs, in batches and never in its way.

Comes in: the redacted copies of ended spans. Goes out: OTLP/HTTP protobuf requests by the stock exporter. Built by
`pipeline.configure` when an endpoint is named; this module loads the SDK, so it is imported only then.

    user's thread         BatchSpanProcessor's thread        sender thread (daemon)
    on_end -> queue  -->  batches -> _BackgroundExporter --> OTLPSpanExporter.export, which may block for 10 s
    shutdown, force_flush: wait for the sender, but only as long as they were told

The SDK alone blocks 7 to 10 s at exit and in force_flush when the endpoint is dead, and force_flush ignores its
timeout. A new thread at exit is no way out: Python 3.12 and newer refuse to start one. So the sender runs from the
start and is left behind when time is up. What it did not send is still in spans.jsonl.
"""

from __future__ import annotations

import contextvars
import logging
import os
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.util.re import parse_env_headers

from agent_trace_otel import guard
from agent_trace_otel.delivery.otlp import shown_url
from agent_trace_otel.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

SHUTDOWN_TIMEOUT: Final = 2.0
FLUSH_TIMEOUT: Final = 30.0
MAX_WAITING_SPANS: Final = 2048  # as many as the SDK's own queue in front of it

_EXPORTER_LOGGERS: Final = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.common.http",
    "urllib3.connectionpool",
)


def live_processor(
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    timeout: float | None = None,
    shutdown_timeout: float = SHUTDOWN_TIMEOUT,
) -> SpanProcessor:
    """Return a span processor that sends sampled spans to ``url`` in the background.

    ``url`` is final, path included (see `otlp.traces_url`). ``headers`` win over OTEL_EXPORTER_OTLP_TRACES_HEADERS and
    OTEL_EXPORTER_OTLP_HEADERS. ``timeout`` is seconds for one request with its retries, None leaves it to the OTEL_*
    variables (10 s); certificates, compression and the batch processor's OTEL_BSP_* are read from there as well.
    ``shutdown()`` returns within ``shutdown_timeout`` seconds, ``force_flush(ms)`` within its own argument, whatever
    the endpoint does. An endpoint that fails is told in one warning a process, through logging.

    Raises:
        ValueError: an OTEL_BSP_* variable makes no sense.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # slow: loads requests

    merged = {**_headers_of_environment(), **(headers or {})}

    def new_exporter() -> SpanExporter:
        return OTLPSpanExporter(endpoint=url, headers=merged, timeout=timeout)

    for name in _EXPORTER_LOGGERS:
        logging.getLogger(name).addFilter(_not_from_a_sender)
    return _LiveProcessor(_BackgroundExporter(new_exporter, url, shutdown_timeout))


def _headers_of_environment() -> dict[str, str]:
    # read here and not left to the exporter: that of 1.28 forgets them when it is given headers
    names = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
    given = next((os.environ[name] for name in names if os.environ.get(name)), "")
    return dict(parse_env_headers(given, liberal=True))


class _LiveProcessor(BatchSpanProcessor):
    """The SDK's batch processor with a force_flush that keeps to its timeout."""

    def __init__(self, background: _BackgroundExporter) -> None:
        super().__init__(background)
        self._background = background

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        """Send what has ended so far; return whether that was done and succeeded in time (milliseconds)."""
        timeout = FLUSH_TIMEOUT if timeout_millis is None else timeout_millis / 1000
        deadline = time.monotonic() + timeout
        failures = self._background.failures
        moved = super().force_flush(int(timeout * 1000))
        idle = self._background.wait_until_idle(deadline - time.monotonic())
        return moved and idle and self._background.failures == failures


class _BackgroundExporter(SpanExporter):
    """Takes each batch at once and exports it in a daemon thread of its own, in order."""

    def __init__(self, new_exporter: Callable[[], SpanExporter], url: str, shutdown_timeout: float) -> None:
        self.failures = 0
        self._new_exporter = new_exporter
        self._target, self._query = shown_url(url), urlsplit(url).query
        self._shutdown_timeout = shutdown_timeout
        self._closed = False
        self._start()
        # Before the batch processor registers its own, whose new thread needs a sender. Weak: it is never unregistered.
        start = weakref.WeakMethod(self._start)
        os.register_at_fork(after_in_child=lambda: (method := start()) and method())

    def _start(self) -> None:
        """Begin with nothing waiting, here or anew in a forked child, where no thread but the forking one lives."""
        self._changed = threading.Condition()
        self._waiting: deque[tuple[contextvars.Context, Sequence[ReadableSpan]]] = deque()
        self._waiting_spans = 0
        self._sending = False
        self._exporter: SpanExporter | None = None  # a child must not write to the parent's connections
        if not self._closed:
            threading.Thread(name="agent-trace-sender", target=self._run, daemon=True).start()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Put the batch in line; refuse it when the endpoint is so slow that the line is full."""
        with self._changed:
            taken = not self._closed and (not self._waiting or self._waiting_spans + len(spans) <= MAX_WAITING_SPANS)
            if taken:
                # the context says "do not instrument this", or a traced HTTP client would trace the export for ever
                self._waiting.append((contextvars.copy_context(), tuple(spans)))
                self._waiting_spans += len(spans)
                self._changed.notify_all()
        if not taken:
            self._failed("the endpoint is too slow" if not self._closed else "already shut down")
        return SpanExportResult.SUCCESS if taken else SpanExportResult.FAILURE

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until everything in line has been tried, but no longer than that; return whether it has."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._sending, max(seconds, 0))

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Wait until everything in line has been tried."""
        return self.wait_until_idle(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Give what is in line the time that was agreed, then leave the rest to `agent-trace ship`."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self.wait_until_idle(self._shutdown_timeout)
        with self._changed:
            self._waiting.clear()
        if self._exporter is not None:
            self._exporter.shutdown()  # ends a wait between two attempts; a request under way stays with its thread

    def _run(self) -> None:
        _sender_of_thread.exporter = self
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                context, spans = self._waiting.popleft()
                self._waiting_spans -= len(spans)
                self._sending = True
            context.run(self._send, spans)
            with self._changed:
                self._sending = False
                self._changed.notify_all()

    def _send(self, spans: Sequence[ReadableSpan]) -> None:
        try:
            if self._exporter is None:
                self._exporter = self._new_exporter()
            if self._exporter.export(spans) is not SpanExportResult.SUCCESS:
                self._failed(f"{len(spans)} spans not accepted")
        except Exception as error:  # noqa: BLE001 - that of 1.28 raises when it can't connect
            self._failed(f"{type(error).__name__}: {error}")

    def _failed(self, reason: str) -> None:
        self.failures += 1
        self.warn(reason)

    def warn(self, reason: str) -> None:
        """Log the first failure of this target in the process as a warning, the rest at debug level."""
        without_query = reason.replace(f"?{self._query}", "") if self._query else reason  # it may hold a key
        guard.report(f"send spans to {self._target} (they stay in the session folder)", DeliveryError(without_query))


class _SenderOfThread(threading.local):
    exporter: _BackgroundExporter | None = None


_sender_of_thread = _SenderOfThread()


def _not_from_a_sender(record: logging.LogRecord) -> bool:
    """Turn what an exporter logs in a thread of ours, once a retry, into our one warning; let all else pass."""
    sender = _sender_of_thread.exporter
    if sender is None or record.levelno < logging.WARNING:
        return True
    sender.warn(record.getMessage())
    return False
