"""One direction of an MCP server's standard streams: bytes from one descriptor to another, copies of them handed over.

Called by `stdio`, one thread for each direction. Nothing is parsed here (but for --inject-traceparent).
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from select import select
from typing import TYPE_CHECKING

from agent_trace_otel.capture.mcp import copies

if TYPE_CHECKING:
    from types import FrameType

    from agent_trace_otel.capture.mcp.injection import Injector

CONNECTION = 1
"""The number of the only connection."""

_CHUNK = 1 << 16  # bytes: what a pipe holds
_MAX_LINE = 1 << 20  # bytes; a longer message is passed on as it comes, without a trace context
_FRAMED = re.compile(rb"(?im)^content-length\s*:")
_QUIET = 0.25  # seconds without a byte after which an ended server's output is taken to be over


class Relay(threading.Thread):
    """Passes on what is read from ``source`` to ``target``, and the end of the one as the end of the other."""

    def __init__(self, source: int, target: int, direction: int, sender: copies.CopySender) -> None:
        super().__init__(name="agent-trace relay", daemon=True)
        self._source, self._target = source, target
        self._direction = direction
        self._sender = sender
        self._chunks = 0
        self._is_reading = False
        self._is_given_up = False

    def run(self) -> None:
        """Pass everything on until one side has closed; then the other side's end is closed too."""
        with contextlib.suppress(OSError):
            self._pass_on()
        self._sender.send(copies.END, CONNECTION, self._direction)
        for descriptor in (self._target, self._source):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def drain(self) -> None:
        """Wait until all is passed on; a process that the server left behind may keep its output open for ever."""
        chunks = -1
        while self.is_alive() and not self._is_given_up and not (chunks == self._chunks and self._is_idle()):
            chunks = self._chunks
            self.join(_QUIET)

    def give_up(self, _number: int, _frame: FrameType | None) -> None:
        """Let `drain` wait no longer; a handler of signals."""
        self._is_given_up = True

    def _is_idle(self) -> bool:
        """Tell whether there is nothing to pass on."""
        try:
            return self._is_reading and not select([self._source], [], [], 0)[0]
        except (OSError, ValueError):  # closed: the thread is about to end
            return False

    def _pass_on(self) -> None:
        send, direction = self._sender.send, self._direction
        while chunk := self._read():
            # first: a client that has its answer may kill us, and a server's answer must not overtake what it was asked
            send(copies.DATA, CONNECTION, direction, chunk)
            self._write(chunk)

    def _read(self) -> bytes:
        self._is_reading = True
        while True:
            try:
                chunk = os.read(self._source, _CHUNK)
                break
            except BlockingIOError:  # whoever made the pipe may have made it so for all who hold it
                select([self._source], [], [])
        self._is_reading = False
        self._chunks += 1
        return chunk

    def _write(self, chunk: bytes) -> None:
        try:
            written = os.write(self._target, chunk)
        except BlockingIOError:  # as above
            written = 0
        rest = memoryview(chunk)[written:] if written < len(chunk) else b""
        while rest:
            select([], [self._target], [])
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(self._target, rest) :]


class InjectingRelay(Relay):
    """The client's direction, line by line, with a trace context put into each request on its way."""

    def __init__(self, source: int, target: int, sender: copies.CopySender, injector: Injector) -> None:
        super().__init__(source, target, copies.FROM_CLIENT, sender)
        self._inject = injector.inject

    def _pass_on(self) -> None:
        waiting = b""
        while chunk := self._read():
            waiting += chunk
            if len(waiting) > _MAX_LINE or _FRAMED.search(waiting):
                # too long to be changed, or framed in another way: not kept waiting for the end of the line
                self._pass_piece(waiting, None)
                super()._pass_on()
                return
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                self._pass_piece(line + b"\n", self._inject(line + b"\n"))
        self._pass_piece(waiting, self._inject(waiting))

    def _pass_piece(self, piece: bytes, injected: tuple[bytes, str] | None) -> None:
        if injected is not None:
            facts = f'{{"key":"{injected[1]}"}}'.encode()
            self._sender.send(copies.META, CONNECTION, copies.FROM_CLIENT, facts)
        self._sender.send(copies.DATA, CONNECTION, copies.FROM_CLIENT, piece)
        self._write(piece if injected is None else injected[0])
