"""The receiver: connections of hook processes -> frames, handed on; the byte that lets each hook go.

Comes in: a listening socket. Goes out: calls of the recorder's ``deliver``. Called by `recorder`, in its main thread.
One thread serves all: no client can hold up another, be it slow, silent or gone.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from agent_trace_otel import guard
from agent_trace_otel.capture.hooks import client

MAX_FRAME: Final = (64 << 20) + (1 << 20)
"""Bytes: the most that a client sends, and its fields."""
SILENCE_SECONDS: Final = 2.0
"""A client that sends nothing for so long is dropped; it gave up long ago."""
PATIENCE_SECONDS: Final = 0.1
"""So long may a hook wait for the worker; its entry is in the journal."""
BACKLOG: Final = 128

_READ_BYTES: Final = 1 << 18
_PAUSE_SECONDS: Final = 0.01
_READ_AHEAD: Final = 16  # reads of one connection in a row


class Connection:
    """One hook process that waits to be let go. Any thread may do so."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.received = bytearray()
        self.deadline = time.monotonic() + SILENCE_SECONDS
        self._lock = threading.Lock()
        self._is_open = True

    def send(self, answer: bytes = client.ACKNOWLEDGED) -> None:
        """Answer and close; a second call does nothing, and nobody cares if the client is gone."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                with contextlib.suppress(OSError):
                    self.socket.sendall(answer)
                self.socket.close()

    def drop(self) -> None:
        """Close without an answer: the client spools what it sent."""
        with self._lock:
            self._is_open = False
            self.socket.close()

    def has_left(self) -> bool:
        """Tell whether the client has closed its side altogether; False where the system can't tell."""
        if sys.platform != "linux":
            return False
        poll = select.poll()  # Linux, poll(2): POLLHUP only when both directions are shut
        poll.register(self.socket, select.POLLIN)
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))


class Receiver:
    """Serves the connections of one listening socket; `serve_for` is called over and over by one thread."""

    def __init__(self, listener: socket.socket, deliver: Callable[[bytes, Connection], None], wake: int | None) -> None:
        """Take a socket that listens.

        Args:
            listener: an AF_UNIX or loopback socket.
            deliver: takes a whole frame, and answers or drops the connection, then or later.
            wake: a descriptor that becomes readable when a signal came (signal.set_wakeup_fd), if there is one.
        """
        self._deliver = deliver
        self._listener = listener
        self._wake = wake
        self._connections: dict[int, Connection] = {}
        self._held: deque[tuple[float, Connection]] = deque()
        self._is_stopping = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        if wake is not None:
            self._selector.register(wake, selectors.EVENT_READ)
        listener.setblocking(False)  # noqa: FBT003 - its only argument

    def hold(self, connection: Connection) -> None:
        """Let a client go after `PATIENCE_SECONDS` if nobody has done so by then."""
        self._held.append((time.monotonic() + PATIENCE_SECONDS, connection))

    def stop(self) -> None:
        """Make `serve_for` return after what it is doing; a signal handler may call it."""
        self._is_stopping = True

    def serve_for(self, seconds: float) -> None:
        """Serve whoever comes within some seconds."""
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            until = min(end, self._held[0][0] if self._held else end)
            ready = self._selector.select(max(until - now, 0.0))
            for key, _ in ready:
                if key.fd == self._wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(key.fd, 4096)
                elif key.fileobj is self._listener:
                    self._accept()
                else:
                    self._read(self._connections[key.fd])
            now = time.monotonic()
            while self._held and self._held[0][0] <= now:
                self._held.popleft()[1].send()
            if now >= end or self._is_stopping:
                break
        self._drop_silent(now)

    def close(self) -> None:
        """Drop everybody: who was not answered spools."""
        for connection in list(self._connections.values()):
            self._forget(connection)
            connection.drop()
        while self._held:
            self._held.popleft()[1].send()
        self._selector.close()
        self._listener.close()

    def _accept(self) -> None:
        for _ in range(BACKLOG):
            try:
                accepted, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # no descriptors left
                guard.report("accept a hook's connection", error)
                time.sleep(_PAUSE_SECONDS)
                return
            if not _is_same_user(accepted):
                accepted.close()
                continue
            accepted.setblocking(False)  # noqa: FBT003 - its only argument
            connection = Connection(accepted)
            self._connections[accepted.fileno()] = connection
            self._selector.register(accepted, selectors.EVENT_READ)
            self._read(connection)

    def _read(self, connection: Connection) -> None:
        """Read what there is; at the end of the frame hand it on."""
        for _ in range(_READ_AHEAD):
            try:
                piece = connection.socket.recv(_READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                piece = b""
                connection.received.clear()
            if not piece:
                self._finish(connection)
                return
            connection.received += piece
            connection.deadline = time.monotonic() + SILENCE_SECONDS
            if len(connection.received) > MAX_FRAME:
                self._forget(connection)
                connection.drop()
                return

    def _finish(self, connection: Connection) -> None:
        self._forget(connection)
        frame, connection.received = bytes(connection.received), bytearray()
        if not frame:
            connection.drop()  # somebody asked whether anybody listens
            return
        try:
            self._deliver(frame, connection)
        except Exception as error:  # noqa: BLE001 - a full disk must not end the recorder; the client spools
            guard.report("record a hook", error)
            connection.drop()

    def _forget(self, connection: Connection) -> None:
        self._selector.unregister(connection.socket)
        del self._connections[connection.socket.fileno()]

    def _drop_silent(self, now: float) -> None:
        for connection in [known for known in self._connections.values() if known.deadline < now]:
            self._forget(connection)
            connection.drop()


def _is_same_user(connection: socket.socket) -> bool:
    """Tell whether a local peer runs under this uid; the directory keeps others out where the system doesn't say."""
    if connection.family != getattr(socket, "AF_UNIX", None):
        return True
    try:
        if sys.platform == "linux":  # unix(7), SO_PEERCRED: pid, uid, gid
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        elif sys.platform == "darwin":  # unix(4), LOCAL_PEERCRED of SOL_LOCAL: version, uid, groups
            credentials = connection.getsockopt(0, 1, 76)
        else:
            return True
    except OSError:
        return False
    return bool(struct.unpack_from("=I", credentials, 4)[0] == os.getuid())
