"""What a run's processes tell the command of their tracing, over a named pipe: that it is on, or why it is not.

Comes in: lines that `site/sitecustomize.py` writes, one write() each, so that they never mix (pipe(7)). Goes out: one
line on stderr for the first process that can't be traced, and problems kept for doctor. Called by `command`.

A named pipe, not a descriptor: a program may close what it inherits and open something of its own under that number.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from agent_trace_otel import ids

TRACED, ABSENT, FAILED = "traced", "absent", "failed"
"""A process traces; can't import us; could not be set up. After a tab the interpreter, after another the reason."""

_END = "end"
_CHUNK = 1 << 16
_LAST_LINES = 1.0  # seconds


class Reports:
    """The command's end of the pipe; without one (no file system that takes it) nothing is told.

    Args:
        say: takes one line for the user.
        session_id: the run's, for problems that are kept.
    """

    def __init__(self, say: Callable[[str], None], session_id: str) -> None:
        self.path = ""
        self.is_traced = False
        """Whether a process has said that it traces."""
        self._say = say
        self._session_id = session_id
        self._has_said = False
        self._descriptor = -1
        self._thread: threading.Thread | None = None
        # made below, new and 0700
        directory = Path(os.environ.get("TMPDIR") or "/tmp", f"agent-trace-run-{ids.new_id()}")  # noqa: S108
        with contextlib.suppress(OSError):
            directory.mkdir(0o700)
            path = directory / "reports"
            os.mkfifo(path, 0o600)
            self.path = str(path)
            # open for writing too: a pipe that nobody writes to has no end then
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def listen(self) -> None:
        """Begin to read; in a thread, since the main one waits for signals."""
        if self._descriptor >= 0:
            self._thread = threading.Thread(target=self._read, name="agent-trace reports", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Read what has been written, then put the pipe away."""
        if self._thread is not None:
            os.write(self._descriptor, f"{_END}\n".encode())
            self._thread.join(_LAST_LINES)
        if self.path:
            with contextlib.suppress(OSError):
                Path(self.path).unlink()
                Path(self.path).parent.rmdir()

    @property
    def knows(self) -> bool:
        """Whether processes could tell."""
        return self._descriptor >= 0

    @property
    def is_told(self) -> bool:
        """Whether the user knows already that something is not traced."""
        return self._has_said

    def tell(self, message: str) -> None:
        """Say that something is not traced, once a run."""
        if not self._has_said:
            self._has_said = True
            self._say(message)

    def _read(self) -> None:
        waiting = b""
        while True:
            *lines, waiting = (waiting + os.read(self._descriptor, _CHUNK)).split(b"\n")
            for line in lines:
                kind, interpreter, reason = (*line.decode("utf-8", "replace").split("\t"), "", "")[:3]
                if kind == _END:
                    return
                self._take(kind, interpreter, reason)

    def _take(self, kind: str, interpreter: str, reason: str) -> None:
        if kind == TRACED:
            self.is_traced = True
        elif kind == ABSENT:
            self.tell(f"{interpreter} can't import agent_trace_otel, so what it runs is not traced")
        elif kind == FAILED:
            self.tell(f"what {interpreter} runs is not traced: {reason}")
            from agent_trace_otel.capture.run import problems

            problems.keep("trace a process", reason, program=interpreter, session=self._session_id)
