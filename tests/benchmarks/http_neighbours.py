"""What stands beside the HTTP proxy in a benchmark: a server that costs next to nothing, and a bare TCP relay.

Run by `mcp_http` as programs of their own: ``http_neighbours.py server`` or ``http_neighbours.py relay PORT``. Each
prints the port that it listens on. The server answers a POST with 200 bytes of JSON, GET /body/N with N MiB.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import sys
import threading

_RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"' + b"x" * 130 + b'"}]}}'
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_ANSWER = _HEAD % len(_RESULT) + _RESULT
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_BODY = re.compile(rb"GET /body/(\d+) ")
_MIB = 1 << 20


class _Server(asyncio.Protocol):
    """Answers as soon as a request is there."""

    def __init__(self) -> None:
        self._received = b""
        self._ready = asyncio.Event()
        self._ready.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def pause_writing(self) -> None:
        self._ready.clear()

    def resume_writing(self) -> None:
        self._ready.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            stated = _LENGTH.search(head)
            size = end + 4 + (int(stated[1]) if stated else 0)
            if len(self._received) < size:
                return
            self._received = self._received[size:]
            wanted = _BODY.match(head)
            if wanted is None:
                self._transport.write(_ANSWER)
            else:
                self._sending = asyncio.ensure_future(self._send(int(wanted[1])))

    async def _send(self, mib: int) -> None:
        self._transport.write(_HEAD.replace(b"json", b"octet-stream") % (mib * _MIB))
        for _ in range(mib):
            await self._ready.wait()
            self._transport.write(b"x" * _MIB)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def _relay(port: int) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    while True:
        ends = (listener.accept()[0], socket.create_connection(("127.0.0.1", port)))
        for end in ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for source, target in (ends, ends[::-1]):
            threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    if sys.argv[1] == "server":
        asyncio.run(_serve())
    else:
        _relay(int(sys.argv[2]))
