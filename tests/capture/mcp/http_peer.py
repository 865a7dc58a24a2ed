"""Both neighbours of the HTTP proxy, on raw sockets: a server that does as it is told, a client that sees every byte.

Called by the tests of `record-http`. Nothing here reads or writes HTTP by a library, so that what arrives can be
compared with what was sent.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from programs import environment

from agent_trace_otel.testing import Recorded

if TYPE_CHECKING:
    from typing_extensions import Self

PATIENCE = 30.0
"""Seconds that nothing here takes, however slow the machine."""


@dataclass
class Message:
    """A request or an answer as it came over the wire."""

    start: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    is_complete: bool = True

    @property
    def method(self) -> str:
        return self.start.split(" ")[0]

    @property
    def target(self) -> str:
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])

    def all(self, name: str) -> list[str]:
        return [value for found, value in self.headers if found.lower() == name.lower()]

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.headers]


class Wire:
    """One connection: bytes to and fro, and HTTP/1.1 messages read from it by hand."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self._buffer = b""

    def send(self, data: bytes | str) -> None:
        self.socket.sendall(data.encode("utf-8") if isinstance(data, str) else data)

    def receive(self) -> bytes:
        """Return bytes as soon as there are any, none at the end."""
        if self._buffer:
            found, self._buffer = self._buffer, b""
            return found
        try:
            return self.socket.recv(1 << 20)
        except ConnectionResetError:
            return b""

    def until(self, mark: bytes) -> bytes:
        """Return everything up to a mark, with it; fail if the connection ends before."""
        while mark not in self._buffer:
            buffer = self._buffer
            self._buffer = b""
            more = self.receive()
            assert more, f"the connection ended after {buffer!r}"
            self._buffer = buffer + more
        found, _, self._buffer = self._buffer.partition(mark)
        return found + mark

    def head(self) -> Message:
        """Return the head of the next message."""
        start, *lines = self.until(b"\r\n\r\n")[:-4].decode("utf-8", "surrogateescape").split("\r\n")
        return Message(start, [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)])

    def message(self, *, has_body: bool = True, seen: Callable[[bytes], object] = bytes) -> Message:
        """Return the next message whole; ``is_complete`` is False if the connection ended within."""
        found = self.head()
        if not has_body:
            return found
        try:
            if found.all("transfer-encoding"):
                for piece in self.chunks():
                    seen(piece)
                    found.body += piece
            elif found.all("content-length"):
                found.body = self.exactly(int(found.all("content-length")[0]))
        except AssertionError:
            found.is_complete = False
        return found

    def exactly(self, size: int) -> bytes:
        parts, missing = [], size
        while missing:
            part = self.receive()
            assert part, "the connection ended within a body"
            parts.append(part[:missing])
            self._buffer = part[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def chunks(self) -> Iterator[bytes]:
        """Yield the chunks of a chunked body as they come."""
        while size := int(self.until(b"\r\n").split(b";")[0], 16):
            piece = self.exactly(size)
            assert self.exactly(2) == b"\r\n"
            yield piece
        assert self.until(b"\r\n") == b"\r\n"

    def is_closed_by_peer(self) -> bool:
        """Wait until the other side has ended the connection."""
        while self.receive():
            pass
        return True

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


Answering = Callable[[Wire, Message], None]


class ScriptedServer:
    """A server whose every answer the test writes: ``server.answering = lambda wire, request: wire.send(...)``."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.answering: Answering = answer_with(json_answer({"jsonrpc": "2.0", "id": 1, "result": {}}))
        self.requests: list[Message] = []
        self.chunk_seen: Callable[[bytes], object] = bytes
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self._wires: list[Wire] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                if self._tls is not None:  # the handshake comes with the first bytes
                    connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                wire = Wire(connection)
                self.connections += 1
                self._wires.append(wire)
                threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: Wire) -> None:
        with contextlib.suppress(OSError, AssertionError, ValueError):
            while True:
                request = wire.message(seen=lambda piece: self.chunk_seen(piece))  # noqa: PLW0108 - as it is set by then
                self.requests.append(request)
                self.answering(wire, request)

    @property
    def last(self) -> Message:
        return self.requests[-1]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._listener.close()
        for wire in self._wires:
            with contextlib.suppress(OSError):
                wire.socket.shutdown(socket.SHUT_RDWR)
            wire.close()


def answer_with(answer: bytes) -> Answering:
    return lambda wire, _: wire.send(answer)


def json_answer(value: object, *headers: str, status: str = "200 OK") -> bytes:
    """Return an answer whose body is JSON."""
    body = json.dumps(value).encode()
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
EVENT_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(value: object, name: str = "message") -> bytes:
    """Return a server-sent event whose data is JSON."""
    return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode()


def request(method: str, params: object | None = None, number: int | str | None = 1) -> bytes:
    """Return a JSON-RPC request, or a notification if it has no number."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps({name: value for name, value in message.items() if value is not None}).encode()


def tool_call(name: str = "echo", number: int | str = 1, **arguments: object) -> bytes:
    return request("tools/call", {"name": name, "arguments": arguments}, number)


@dataclass
class Proxy:
    """`agent-trace record-http`, running."""

    process: subprocess.Popen[str]
    port: int
    trace_dir: Path
    said: list[str] = field(default_factory=list[str])

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def recorded(self) -> Recorded:
        return Recorded(self.trace_dir)

    def connect(self) -> Wire:
        return Wire(socket.create_connection(("127.0.0.1", self.port)))

    def post(self, body: bytes, *headers: str, target: str = "/mcp", wire: Wire | None = None) -> Message:
        """Return the answer to a POST of JSON."""
        return self.ask("POST", target, "Content-Type: application/json", *headers, body=body, wire=wire)

    def ask(
        self, method: str, target: str, *headers: str, body: bytes | None = None, wire: Wire | None = None
    ) -> Message:
        """Return the answer to a request, on a connection of its own unless one is given."""
        with contextlib.ExitStack() as closing:
            wire = wire or closing.enter_context(self.connect())
            self.send(wire, method, target, *headers, body=body)
            return wire.message(has_body=method != "HEAD")

    def send(self, wire: Wire, method: str, target: str, *headers: str, body: bytes | None = None) -> None:
        """Send a request and wait for nothing."""
        length = [] if body is None else [f"Content-Length: {len(body)}"]
        lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *headers, *length]
        wire.send("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + (body or b""))

    def stop(self, number: int) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self.said += (self.process.stderr.read() if self.process.stderr else "").splitlines()
        return code


@contextlib.contextmanager
def proxy(folder: Path, url: str, *options: str, **variables: str) -> Iterator[Proxy]:
    """Run `record-http` before a URL, on a port of its own."""
    command = [sys.executable, "-m", "agent_trace_otel", "record-http", url, "--port", "0", *options]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(folder, **variables),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        first = process.stderr.readline()
        found = re.search(r"recording http://[^ ]*:(\d+) -> ", first)
        assert found, first + process.stderr.read()
        yield Proxy(process, int(found[1]), folder / "traces", [first.rstrip("\n")])
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def eventually(found: Callable[[], Any], wanted: Callable[[Any], bool] = bool) -> Any:
    """Return what a function finds, as soon as it is what is wanted."""
    deadline = time.monotonic() + PATIENCE
    while not wanted(value := found()):
        assert time.monotonic() < deadline, f"waited in vain, and have {value!r}"
        time.sleep(0.01)
    return value
