"""The recorder's process: one a user and host, started by the first hook that finds none, gone when nobody needs it.

Comes in: the environment (HOME, XDG_*). Goes out: a process that holds the lock, listens, logs, and serves. Started by
``client.py`` through `main`.

In this order: the lock, before anything is loaded, since several hooks may start one at once; the socket, so that
clients find somebody; then what serves them. The OpenTelemetry SDK is loaded by the worker in its own thread.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from agent_trace_otel.capture.hooks import state

if TYPE_CHECKING:
    import logging

    from agent_trace_otel.capture.hooks.intake.journal import Journals
    from agent_trace_otel.capture.hooks.intake.service import Worker, WorkerFactory

SWITCH_SECONDS = 0.0001
"""How long the worker computes before a hook gets its turn (sys.setswitchinterval): each of a delivery's few system
calls may wait for it once."""
_LOG_BYTES = 1 << 20


def main(worker_factory: WorkerFactory | None = None) -> None:
    """Serve hooks until there is a reason to leave; return at once when another recorder does.

    Args:
        worker_factory: makes the worker; the one of `sessions` by default.

    Raises:
        OSError: the state directory can't be made or written, or belongs to another user.
    """
    os.umask(0o077)
    state.enter(state.directory())
    lock = state.take_lock()
    if lock is None:
        return
    from agent_trace_otel.capture.hooks.intake import control

    listener, token = control.listen()
    mine = control.address()
    if os.path.lexists(state.STARTING):
        os.unlink(state.STARTING)  # noqa: PTH108 - pathlib is not loaded yet
    sys.setswitchinterval(SWITCH_SECONDS)
    log = _open_log()

    from agent_trace_otel import __version__
    from agent_trace_otel.capture.hooks.intake.service import Recorder

    def is_ours() -> bool:
        found = control.address()
        return found is not None and mine is not None and os.path.samestat(found, mine) and state.holds_lock(lock)

    try:
        recorder = Recorder(worker_factory or _sessions_worker, is_ours=is_ours, token=token)
        wake = _wake_descriptor()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: recorder.leave(signal.Signals(number).name))
        log.info("version %s, pid %d, listening", __version__, os.getpid())
        recorder.run(listener, wake)
    except Exception:
        log.exception("can't go on")
        raise
    log.info("gone")
    # whatever else the interpreter would wait for at its end (an exporter's dead back end) was the worker's to finish
    sys.stdout.flush()
    os._exit(0)


def _wake_descriptor() -> int | None:
    """Return a descriptor that becomes readable when a signal comes; None on Windows: select() takes only sockets."""
    if sys.platform == "win32":
        return None
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    return reading


def _sessions_worker(journals: Journals) -> Worker:
    from agent_trace_otel.capture.hooks.sessions.worker import SessionsWorker  # loads the SDK

    return SessionsWorker(journals)


def _open_log() -> logging.Logger:
    """Send every warning of this process, and what the recorder says of itself, to recorder.log; redacted."""
    import logging
    from logging.handlers import RotatingFileHandler

    from agent_trace_otel.redact import DEFAULT

    class Redacted(logging.Formatter):
        """An error's text may quote what it was about."""

        def format(self, record: logging.LogRecord) -> str:
            return DEFAULT.text(super().format(record))

    logging.raiseExceptions = False  # a full disk; there is nobody to tell
    handler = RotatingFileHandler(state.LOG, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8", delay=True)
    handler.setFormatter(Redacted("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(capture=True)
    log = logging.getLogger("agent_trace_otel.recorder")
    log.setLevel(logging.INFO)
    return log
