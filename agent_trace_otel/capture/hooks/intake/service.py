"""The recorder at work: frames of hooks and of the spool -> journals -> the worker, till it is time to leave.

Comes in: a listening socket, and what makes the worker. Goes out: lines in journals and calls of the worker, which has
a thread of its own. Called by `recorder`.

A hook is let go as soon as its entry is in the journal; one that opens something waits for the worker as well, if the
worker has nothing else to do, so that the opening event is in the timeline before the agent goes on.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from agent_trace_otel import __version__, config, guard
from agent_trace_otel.capture.hooks import state
from agent_trace_otel.capture.hooks.intake import control
from agent_trace_otel.capture.hooks.intake.frames import Frame, SessionKey, entry_data, opens, parse
from agent_trace_otel.capture.hooks.intake.journal import Entry, Journals
from agent_trace_otel.capture.hooks.intake.receiver import Connection, Receiver
from agent_trace_otel.capture.hooks.intake.spool import Spool
from agent_trace_otel.redact import Redactor

IDLE_VARIABLE: Final = "AGENT_TRACE_RECORDER_IDLE"
IDLE_SECONDS: Final = 600.0
FINISH_SECONDS: Final = 10.0
"""So long may the worker take to send what there is; the journals have all of it."""
YIELD_SECONDS: Final = 60.0
"""How long a recorder serves clients of a newer version before it makes room: if the package that they start is as old
as this one (somebody went back to an older version), it would leave again at every hook."""

_TICK_SECONDS: Final = 1.0
_SLICE_DELAY: Final = 0.1  # seconds that background work may be put off while entries come
_MAX_WISHES: Final = 16
_NUMBERS: Final = re.compile(r"\d+")

_log = logging.getLogger("agent_trace_otel.recorder")


class Worker(Protocol):
    """What turns entries into spans. All but `open_sessions` is called by one thread alone."""

    def take(self, key: SessionKey, offset: int, entry: Entry) -> None:
        """Take the next entry, whose line begins at ``offset`` of its journal. Raises nothing."""
        ...

    def work(self) -> float:
        """Do one slice of background work, at most about 5 ms; return in how many seconds the next one is wanted."""
        ...

    def finish(self) -> None:
        """Send what there is: the recorder is about to leave."""
        ...

    def open_sessions(self) -> int:
        """Return how many sessions have not ended; any thread may ask."""
        ...


WorkerFactory = Callable[[Journals], Worker]


class Recorder:
    """One run of the recorder, in the working directory, which is the state directory."""

    def __init__(self, worker_factory: WorkerFactory, *, is_ours: Callable[[], bool], token: str = "") -> None:
        """Make the journals' and the spool's directories.

        Args:
            worker_factory: called in the worker's thread, since it loads the OpenTelemetry SDK.
            is_ours: tells whether clients still find this recorder.
            token: what every frame on a loopback connection must bring; empty on a unix socket.

        Raises:
            OSError: a directory can't be made.
        """
        self._worker_factory = worker_factory
        self._is_ours = is_ours
        self._token = token
        self._journals = Journals(Path(state.JOURNALS))
        self._spool = Spool(Path(state.SPOOL))
        self._rules = _Rules()
        self._worker: Worker | None = None
        self._receiver: Receiver | None = None
        self._began = self._last_frame = time.monotonic()
        self._since = time.time()
        self._idle: float | None = _seconds(os.environ.get(IDLE_VARIABLE, ""))
        self._frames = self._spooled = 0
        self._why_leaving = ""

    def run(self, listener: socket.socket, wake: int | None) -> None:
        """Serve until there is a reason to leave, then let the worker finish.

        Args:
            listener: a socket that listens.
            wake: a descriptor that becomes readable when a signal came; without one, signals wait up to a second.
        """
        worker = threading.Thread(target=self._work, name="agent-trace-worker", daemon=True)
        worker.start()
        receiver = self._receiver = Receiver(listener, self._deliver, wake)
        self._spool.sweep()
        while not self._why_leaving:
            self._drain()
            receiver.serve_for(_TICK_SECONDS)
            self._look_around()
        _log.info("leaving: %s", self._why_leaving)
        if self._is_ours():
            control.remove_address()  # first of all: who finds nobody here starts the next recorder
        receiver.close()
        self._drain()
        self._journals.close()
        worker.join(FINISH_SECONDS)

    def leave(self, why: str) -> None:
        """Make `run` return soon; may be called from a signal handler."""
        self._why_leaving = self._why_leaving or why
        if self._receiver is not None:
            self._receiver.stop()

    def status(self) -> dict[str, Any]:
        """Return what `agent-trace doctor` shows; times in unix seconds."""
        return {
            "pid": os.getpid(),
            "version": __version__,
            "since": self._since,
            "open_sessions": self._worker.open_sessions() if self._worker is not None else 0,
            "frames": self._frames,
            "spooled": self._spooled,
            "waiting": self._journals.waiting,
            "skipped_lines": self._journals.skipped,
            "failures": dict(guard.failures),
        }

    def _deliver(self, data: bytes, connection: Connection) -> None:
        """Record a live frame and let its hook go, now or when the worker has seen it.

        Raises:
            OSError: the journal can't be written; the hook must spool.
        """
        frame = parse(data)
        if self._token and not secrets.compare_digest(frame.token.encode("utf-8", "replace"), self._token.encode()):
            connection.drop()
        elif frame.agent == control.AGENT:
            self._control(frame.event, connection)
        else:
            self._drain()
            self._record(frame, self._rules.of(frame.env), connection)
            self._frames += 1
            self._last_frame = time.monotonic()
            if _is_newer(frame.version) and self._last_frame - self._began >= YIELD_SECONDS:
                self.leave(f"a client of version {frame.version} came")

    def _record(self, frame: Frame, rules: _Rule, connection: Connection | None) -> None:
        if self._idle is None:
            self._idle = _seconds(frame.env.get(IDLE_VARIABLE, ""))
        key, data = entry_data(frame, rules.redactor, with_content=rules.with_content)
        entry = Entry(data["kind"], data["at"], data)
        if connection is None:
            self._journals.append(key, entry)
        elif data["payload"] is None and connection.has_left():
            # the client gave up while it was sending: half a payload must not take the place of the whole in the spool
            connection.drop()
        elif self._journals.is_idle and opens(data) and self._receiver is not None:
            self._journals.append(key, entry, connection)
            self._receiver.hold(connection)
        else:
            self._journals.append(key, entry)
            connection.send()

    def _record_spooled(self, data: bytes) -> None:
        frame = parse(data)
        if data:
            self._record(frame, _AS_IT_IS if frame.redacted else self._rules.of(frame.env), None)

    def _drain(self) -> None:
        count = self._spool.drain(self._record_spooled)
        if count:
            self._spooled += count
            self._last_frame = time.monotonic()

    def _control(self, event: str, connection: Connection) -> None:
        if event == control.STATUS:
            connection.send(json.dumps(self.status()).encode())
        else:
            connection.send()
            if event == control.STOP:
                self.leave("asked to")

    def _look_around(self) -> None:
        idle = IDLE_SECONDS if self._idle is None else self._idle
        if not self._is_ours():
            self.leave("its directory or its socket was removed")
        elif self._journals.is_idle and time.monotonic() - self._last_frame >= idle:
            self.leave("nothing to do")

    def _work(self) -> None:
        """Hand entries to the worker, and give it time between them."""
        try:
            worker: Worker = self._worker_factory(self._journals)
        except Exception as error:  # noqa: BLE001 - a broken installation; entries wait in the journals for the next start
            guard.report("load what turns hooks into spans", error)
            worker = _Absent()
        self._worker = worker
        work, finish = guard.guarded("work on sessions")(worker.work), guard.guarded("finish sessions")(worker.finish)
        due = 0.0
        while True:
            delivery = self._journals.next(min(max(due - time.monotonic(), 0.0), _TICK_SECONDS))
            if delivery is not None:
                try:
                    worker.take(delivery.key, delivery.offset, delivery.entry)
                except Exception as error:  # noqa: BLE001 - one entry that can't be taken must not stop the others
                    guard.report("take what a hook said", error)
                self._journals.taken()
                if delivery.waiting is not None:
                    delivery.waiting.send()
                due = min(due, time.monotonic())  # what was taken may ask for work
            elif self._journals.is_closed:
                break
            now = time.monotonic()
            if now >= (due if delivery is None else due + _SLICE_DELAY):
                wait = work()
                due = time.monotonic() + (_TICK_SECONDS if wait is None else wait)
        finish()


class _Absent:
    """Stands in for a worker that can't be loaded."""

    def take(self, key: SessionKey, offset: int, entry: Entry) -> None:
        """Leave it in its journal."""

    def work(self) -> float:
        """Do nothing."""
        return IDLE_SECONDS

    def finish(self) -> None:
        """Do nothing."""

    def open_sessions(self) -> int:
        """Know of none."""
        return 0


class _Rule(NamedTuple):
    """What may be kept of one session's payloads."""

    redactor: Redactor | None
    """None where redaction is off."""
    with_content: bool


_AS_IT_IS: Final = _Rule(None, with_content=True)
_WISHES: Final = ("AGENT_TRACE_REDACT", "AGENT_TRACE_CAPTURE_CONTENT")


class _Rules:
    """The rules of sessions: the config file's, unless a session's environment says otherwise."""

    def __init__(self) -> None:
        self._found: dict[tuple[str | None, ...], _Rule] = {}
        self._file: tuple[int, int] | None = None

    def of(self, env: Mapping[str, str]) -> _Rule:
        """Return the rules, read again when the config file has changed."""
        try:
            found = config.config_file(os.environ).stat()
            file = (found.st_mtime_ns, found.st_size)
        except OSError:
            file = None
        if file != self._file:
            self._found.clear()
            self._file = file
        wishes = tuple(env.get(name) for name in _WISHES)
        if wishes not in self._found:
            own = {name: value for name, value in os.environ.items() if name in {"HOME", "XDG_CONFIG_HOME"}}
            settings = config.load(
                own | {name: wish for name, wish in zip(_WISHES, wishes, strict=True) if wish is not None},
                complain=lambda error: guard.report("use a setting", error),
            )
            if len(self._found) > _MAX_WISHES:
                self._found.clear()
            redactor = settings.redactor() if settings.redact else None
            self._found[wishes] = _Rule(redactor, with_content=settings.capture_content)
        return self._found[wishes]


def _is_newer(version: str) -> bool:
    return _numbers_of(version) > _numbers_of(__version__)


def _numbers_of(version: str) -> tuple[int, ...]:
    return tuple(int(number[:9]) for number in _NUMBERS.findall(version)[:3])


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if seconds >= 0 else None  # NaN is not
