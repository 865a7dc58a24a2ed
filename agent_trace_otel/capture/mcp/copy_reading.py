"""The recording child's end of the socket: bytes in, the records of `copies` out.

Called by `recording`.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator

from agent_trace_otel.capture.mcp.copies import HEADER, NUMBER, Copy

_LOOKS, _BETWEEN_LOOKS = 25, 20  # milliseconds
_FLOOD = 1 << 16  # bytes at once
_CHUNK = 1 << 18


def read_copies(end: socket.socket) -> Iterator[Copy]:
    """Yield records as they come, until the proxy has closed its end or is gone; a torn last one is left out."""
    buffer = bytearray()
    chunk = b""
    while chunk := _received(end, is_flood=len(chunk) > _FLOOD):
        buffer += chunk
        found: list[Copy] = []
        start, size = 0, len(buffer)
        with memoryview(buffer) as view:
            while size - start >= HEADER.size:
                kind, direction, connection, at, length = HEADER.unpack_from(view, start)
                after = start + HEADER.size + length
                if size < after:
                    break
                found.append(Copy(kind, direction, connection, at, bytes(view[start + HEADER.size : after])))
                start = after
        del buffer[:start]
        yield from found


def _received(end: socket.socket, *, is_flood: bool) -> bytes:
    """Return the next bytes, none at the end.

    Whoever waits in the kernel has to be woken, and the proxy would pay for that with each message (up to 18 us, where
    passing it on takes 10): while messages come, they are looked for every now and then instead.
    """
    hangs_up = select.poll()
    hangs_up.register(end, getattr(select, "POLLRDHUP", 0))  # for what comes on it, nobody is woken
    try:
        for _ in range(_LOOKS):
            hangs_up.poll(0 if is_flood else _BETWEEN_LOOKS)
            is_flood = False
            with contextlib.suppress(BlockingIOError):
                return end.recv(_CHUNK, socket.MSG_DONTWAIT)
        return end.recv(_CHUNK)
    except OSError:
        return b""


def number_of(content: bytes) -> int:
    """Return how many copies a LOST record says were dropped."""
    number: int = NUMBER.unpack(content)[0]
    return number
