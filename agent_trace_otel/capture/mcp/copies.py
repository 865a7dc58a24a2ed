"""What a proxy hands to the recording child: copies of the bytes it passed on, and what else it knows of them.

Comes in: bytes that pass, on any thread. Goes out: framed records on a socket, in order; `copy_reading` reads them at
the other end. `send` never blocks and never raises: what the socket doesn't take waits in memory, and beyond a limit
the copy is dropped and counted, never the bytes. Called by `stdio` and `http`.

A record is in the kernel's hands once `send` has returned: a proxy that is killed has lost none, unless the child was
behind.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import agent_trace_otel

OPEN, DATA, META, END, CLOSE, LOST = range(6)
"""Kinds of records: a connection begins (content: facts as JSON), bytes of it, more facts (JSON), one direction has
said everything, the connection is over (facts as JSON), copies of one direction were dropped (their number)."""

FROM_CLIENT, FROM_SERVER = 0, 1
"""Directions: what the client sent, what the server sent."""

WRITTEN = b"1"
"""What the child answers when all is on disk."""

SESSION = 0
"""The connection that stands for the session as a whole; its META tells how it ended."""

MAX_WAITING = 32 << 20
"""Bytes that may wait in the proxy's memory while the child is behind."""

HEADER = struct.Struct("<BBIQI")
"""What stands before the content of a record: kind, direction, connection, unix nanoseconds, length of the content."""

NUMBER = struct.Struct("<Q")
"""The content of a LOST record."""

_BATCH = 16  # pieces in one system call
_SOCKET_BYTES = 1 << 18  # asked for; the system gives what its limits allow
_PAUSE = 0.01  # seconds between two tries while the child is behind: a flood of bytes has the processor for itself
# neither the user's working directory nor this one may offer the child a module under a name of the standard library's
_BOOT = (
    "import sys; sys.path[:] = [*filter(None, sys.path), sys.argv.pop(1)]; "
    "from agent_trace_otel.capture.mcp.recording import main; main(sys.argv[1:])"
)


class Copy(NamedTuple):
    """One record."""

    kind: int
    direction: int
    connection: int
    at: int
    """Unix nanoseconds: when the bytes were read."""
    content: bytes


class CopySender:
    """The proxy's end of the socket. Methods may be called from any thread; none blocks but `finish`, none raises.

    Args:
        limit: bytes that may wait in memory.

    Example:
        copies = CopySender()
        copies.start_recorder(["npx", "some-server"])
        copies.send(OPEN, 1)
        copies.send(DATA, 1, FROM_CLIENT, chunk)
        copies.finish(1.0)
    """

    def __init__(self, limit: int = MAX_WAITING) -> None:
        self.dropped = 0
        """Copies that were dropped so far."""
        self._end, self._childs = socket.socketpair()
        self._end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        self._end.settimeout(0)
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._lost: dict[tuple[int, int], int] = {}
        self._is_clear = True
        """Whether nothing waits, nothing was lost untold, and somebody reads."""
        self._flusher: threading.Thread | None = None
        self._is_gone = False
        self._child: subprocess.Popen[bytes] | None = None
        self._began = time.time_ns()

    def start_recorder(
        self,
        command: Sequence[str],
        *,
        transport: str = "pipe",
        name: str = "",
        redact: bool | None = None,
        trace_dir: str = "",
    ) -> bool:
        """Start the child that records; False if it can't be, and then nothing is copied.

        The child holds none of the caller's descriptors and has a session of its own, so that Ctrl-C does not end it
        before it has written the end.

        Args:
            command: the server's command line, or its URL as the only word; the session's command.
            transport: the conventions' network.transport, ``pipe`` or ``tcp``.
            name: the session's name; by default the server's, as its command or URL tells it.
            redact: False records values as they are; None is as the settings say.
            trace_dir: where session folders go; by default as the settings say.
        """
        package = agent_trace_otel.__path__[0].rpartition(os.sep)[0]
        redacted = "" if redact is None else str(int(redact))
        facts = [str(self._childs.fileno()), str(self._began), transport, name, redacted, trace_dir, *command]
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter
                [sys.executable, "-c", _BOOT, package, *facts],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[self._childs.fileno()],
                start_new_session=True,
            )
        except (OSError, ValueError):
            self._give_up()
        self._childs.close()
        return not self._is_gone

    def send(self, kind: int, connection: int, direction: int = 0, content: bytes = b"", at: int = 0) -> None:
        """Hand over one record.

        Args:
            kind: OPEN, DATA, META, END or CLOSE.
            connection: which connection, from 1; `SESSION` for what is the session's.
            direction: FROM_CLIENT or FROM_SERVER.
            content: the bytes, or facts as JSON text.
            at: unix nanoseconds, now by default.
        """
        header = HEADER.pack(kind, direction, connection, at or time.time_ns(), len(content))
        with self._lock:
            sent = self._try_to_send((header, content)) if self._is_clear else 0
            if sent < len(header) + len(content):
                self._wait(kind, (connection, direction), header, content, sent)

    def send_all(self, records: Sequence[Copy]) -> None:
        """Hand over several records in one system call: the child is woken once."""
        headers = [
            HEADER.pack(kind, direction, connection, at or time.time_ns(), len(content))
            for kind, direction, connection, at, content in records
        ]
        with self._lock:
            pieces = [piece for header, copy in zip(headers, records, strict=True) for piece in (header, copy.content)]
            sent = self._try_to_send(pieces) if self._is_clear else 0
            for header, (kind, direction, connection, _, content) in zip(headers, records, strict=True):
                size = len(header) + len(content)
                if sent < size:
                    self._wait(kind, (connection, direction), header, content, sent)
                sent = max(sent - size, 0)

    def finish(self, timeout: float) -> bool:
        """Say that nothing more comes, and wait until all is on disk; False if ``timeout`` seconds were too short."""
        deadline = time.monotonic() + timeout
        with self._lock:
            self._tell_lost()
        while self._waiting and not self._is_gone and time.monotonic() < deadline:
            self._flush(min(0.05, timeout))
        try:
            self._end.shutdown(socket.SHUT_WR)
            select.select([self._end], [], [], max(deadline - time.monotonic(), 0))
            is_written = self._end.recv(1) == WRITTEN
        except (OSError, ValueError):
            is_written = False
        self._end.close()
        if self._child is not None:
            self._child.poll()
        return is_written and not self._waiting

    def _try_to_send(self, pieces: Sequence[bytes]) -> int:
        """Return how many bytes the socket took; none if it is full, or if nobody reads it any more."""
        try:
            return self._end.sendmsg(pieces)
        except BlockingIOError:
            return 0
        except OSError:
            self._give_up()
            return 0

    def _give_up(self) -> None:
        self._is_gone, self._is_clear = True, False
        self._waiting.clear()
        self._lost.clear()

    def _wait(self, kind: int, stream: tuple[int, int], header: bytes, content: bytes, sent: int) -> None:
        """Keep a record until the socket takes it, if there is room; what is no copy of bytes has twice as much.

        One of which ``sent`` bytes are on their way is kept in any case.
        """
        if self._is_gone:
            return
        self._is_clear = False
        room = self._limit if kind == DATA else 2 * self._limit
        size = len(header) + len(content) - sent
        if not sent and self._waiting_bytes + size > room:
            self._lost[stream] = self._lost.get(stream, 0) + 1
            self.dropped += 1
            return
        self._tell_lost()
        # never an empty piece: a socket that takes nothing would look full
        self._waiting.extend((header, content) if content and not sent else ((header + content)[sent:],))
        self._waiting_bytes += size
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_all, name="agent-trace copies", daemon=True)
            self._flusher.start()

    def _tell_lost(self) -> None:
        for (connection, direction), count in self._lost.items():
            number = NUMBER.pack(count)
            self._waiting.append(HEADER.pack(LOST, direction, connection, time.time_ns(), len(number)) + number)
            self._waiting_bytes += len(self._waiting[-1])
        self._lost.clear()

    def _flush_all(self) -> None:
        time.sleep(_PAUSE)
        while self._flush(None):
            time.sleep(_PAUSE)

    def _flush(self, timeout: float | None) -> bool:
        """Give the socket what waits as soon as it takes it; False if nothing is left, and then the flusher ends."""
        try:
            select.select([], [self._end], [], timeout)
        except (OSError, ValueError):  # closed meanwhile
            self._give_up()
        with self._lock:
            while self._waiting and (sent := self._try_to_send([*islice(self._waiting, _BATCH)])) > 0:
                self._waiting_bytes -= sent
                while sent > 0:
                    first = self._waiting.popleft()
                    if len(first) > sent:
                        self._waiting.appendleft(first[sent:])
                    sent -= len(first)
            if self._waiting:
                return True
            self._waiting_bytes = 0
            self._flusher = None
            self._is_clear = not self._lost and not self._is_gone
            return False
