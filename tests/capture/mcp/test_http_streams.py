"""record-http and streams: order of arrival, who went away first, many at once, and memory."""

from __future__ import annotations

import hashlib
import json
import queue
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_peer import (
    EVENT_STREAM,
    LAST_CHUNK,
    PATIENCE,
    Message,
    Proxy,
    ScriptedServer,
    Wire,
    answer_with,
    chunk,
    event,
    json_answer,
    proxy,
    request,
)

MIB = 1 << 20


@pytest.fixture(scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ScriptedServer, Proxy]]:
    server = ScriptedServer()
    with proxy(tmp_path_factory.mktemp("proxy"), server.origin) as running:
        yield server, running
    server.close()


@pytest.fixture
def server(_shared: tuple[ScriptedServer, Proxy]) -> ScriptedServer:
    return _shared[0]


@pytest.fixture
def through(_shared: tuple[ScriptedServer, Proxy]) -> Proxy:
    return _shared[1]


class Stepwise:
    """A stream whose pieces the test hands out one by one; whether the server was left is known too."""

    def __init__(self, server: ScriptedServer) -> None:
        self.pieces: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.was_left = threading.Event()
        server.answering = self._answer

    def _answer(self, wire: Wire, _: Message) -> None:
        # the watcher would read the next request on this connection, so there is none
        wire.send(EVENT_STREAM.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        threading.Thread(target=self._watch, args=(wire,), daemon=True).start()
        while (piece := self.pieces.get()) is not None:
            wire.send(piece)

    def _watch(self, wire: Wire) -> None:
        if not wire.receive():
            self.was_left.set()


def _opened(through: Proxy, method: str = "GET", target: str = "/mcp") -> Wire:
    wire = through.connect()
    through.send(wire, method, target, "Accept: text/event-stream", body=b"" if method == "POST" else None)
    return wire


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_each_event_arrives_before_the_next_is_sent(server: ScriptedServer, through: Proxy, method: str) -> None:
    stream = Stepwise(server)
    with _opened(through, method) as wire:
        head = wire.head()  # before any event
        assert (head.status, head.all("content-type")) == (200, ["text/event-stream"])
        events = wire.chunks()
        for piece in (
            b": ping\n\n",
            event({"n": 1}),
            b"id: 7\nretry: 100\ndata:\n\n",
            b": \xe2\x80\xa8\r\n",
            event({"n": 2}),
        ):
            stream.pieces.put(chunk(piece))
            assert next(events) == piece
        stream.pieces.put(LAST_CHUNK)
        stream.pieces.put(None)
        assert list(events) == []


@pytest.mark.parametrize(
    ("endpoint", "arrives"),
    [
        ("/messages?sessionId=1", "/messages?sessionId=1"),
        ("http://127.0.0.1:{server}/messages?sessionId=1", "http://127.0.0.1:{proxy}/messages?sessionId=1"),
        ("https://elsewhere.example/messages", "https://elsewhere.example/messages"),
    ],
)
def test_an_absolute_endpoint_leads_through_the_proxy(
    server: ScriptedServer, through: Proxy, endpoint: str, arrives: str
) -> None:
    stream = Stepwise(server)
    places = {"server": server.port, "proxy": through.port}
    endpoint, arrives = endpoint.format(**places), arrives.format(**places)
    with _opened(through, target="/sse") as wire:
        assert wire.head().status == 200
        stream.pieces.put(chunk(f"event: endpoint\ndata: {endpoint}\n\n".encode()))
        data = f"event: endpoint\ndata: {arrives}\n\n".encode()
        assert wire_text(wire, len(data)) == data
        also = event({"url": endpoint}, "message")
        stream.pieces.put(chunk(also) + LAST_CHUNK)
        stream.pieces.put(None)
        assert b"".join(wire.chunks()) == also


def wire_text(wire: Wire, size: int) -> bytes:
    """Return chunks until they have a size."""
    found = b""
    for piece in wire.chunks():
        found += piece
        if len(found) >= size:
            return found
    return found


def test_a_prefix_is_kept_out_of_a_clients_way(tmp_path: Path, server: ScriptedServer) -> None:
    with proxy(tmp_path, f"{server.origin}/api/") as through:
        stream = Stepwise(server)
        with _opened(through, target="/sse") as wire:
            stream.pieces.put(chunk(b"event: endpoint\ndata: messages?sessionId=1\n\n") + LAST_CHUNK)
            stream.pieces.put(None)
            assert wire.message().body == b"event: endpoint\ndata: /api/messages?sessionId=1\n\n"
        assert server.last.target == "/api/sse"
        server.answering = answer_with(json_answer({}))
        for asked, arrives in (
            ("/api/messages?sessionId=1", "/api/messages?sessionId=1"),
            ("/messages", "/api/messages"),
        ):
            through.post(request("ping"), target=asked)
            assert server.last.target == arrives


@pytest.mark.parametrize("after", [b"", chunk(event({"n": 1}))])
def test_a_client_that_goes_away_takes_the_servers_stream_with_it(
    server: ScriptedServer, through: Proxy, after: bytes
) -> None:
    stream = Stepwise(server)
    with _opened(through, "POST") as wire:
        wire.head()
        if after:
            stream.pieces.put(after)
            next(wire.chunks())
    assert stream.was_left.wait(PATIENCE)
    stream.pieces.put(None)


def test_a_client_that_goes_away_before_there_is_an_answer_is_told_to_the_server(
    server: ScriptedServer, through: Proxy
) -> None:
    asked, left = threading.Event(), threading.Event()

    def wait(wire: Wire, _: Message) -> None:
        asked.set()
        if wire.is_closed_by_peer():
            left.set()

    server.answering = wait
    with _opened(through, "POST"):
        assert asked.wait(PATIENCE)
    assert left.wait(PATIENCE)


@pytest.mark.parametrize(
    "head", [EVENT_STREAM, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"]
)
def test_a_server_that_dies_within_an_answer_leaves_it_unfinished(
    server: ScriptedServer, through: Proxy, head: bytes
) -> None:
    sent = chunk(event({"n": 1})) if head is EVENT_STREAM else b'{"half":'

    def die(wire: Wire, _: Message) -> None:
        wire.send(head + sent)
        wire.socket.shutdown(socket.SHUT_RDWR)

    server.answering = die
    with _opened(through, "POST") as wire:
        answer = wire.message()
        assert (answer.status, answer.is_complete) == (200, False)
        assert wire.is_closed_by_peer()


def test_a_server_that_hangs_up_gives_a_json_rpc_error(server: ScriptedServer, through: Proxy) -> None:
    server.answering = lambda wire, _: wire.socket.shutdown(socket.SHUT_RDWR)
    answer = through.post(request("tools/list", number="seven"))
    error = json.loads(answer.body)
    assert (answer.status, error["id"], error["error"]["code"]) == (502, "seven", -32000)


def test_a_server_that_is_not_there_gives_a_json_rpc_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with proxy(tmp_path, f"http://127.0.0.1:{port}") as through:
        for body, number in ((request("x", number=3), 3), (b"[]", None), (b"no json", None), (b"x" * 70_000, None)):
            answer = through.post(body)
            error = json.loads(answer.body)
            assert (answer.status, error["jsonrpc"], error["id"]) == (502, "2.0", number)
            assert f"127.0.0.1:{port}" in error["error"]["message"]
        assert through.ask("GET", "/mcp").status == 502


def test_two_hundred_streams_at_once_and_calls_beside_them(server: ScriptedServer, through: Proxy) -> None:
    everyone = threading.Barrier(201, timeout=PATIENCE)

    def answer(wire: Wire, asked: Message) -> None:
        if asked.method == "POST":
            wire.send(json_answer({"beside": True}))
            return
        wire.send(EVENT_STREAM + chunk(event("begun")))
        everyone.wait()
        wire.send(chunk(event(asked.target)) + LAST_CHUNK)

    server.answering = answer
    wires = [_opened(through, target=f"/stream/{number}") for number in range(200)]
    begun = [(wire.head().status, next(wire.chunks())) for wire in wires]
    assert begun == [(200, event("begun"))] * 200
    assert json.loads(through.post(b"{}").body) == {"beside": True}
    everyone.wait()
    ended = [b"".join(wire.chunks()) for wire in wires]
    assert ended == [event(f"/stream/{number}") for number in range(200)]
    for wire in wires:
        wire.close()


def _memory(proxy: Proxy) -> int:
    """Return the most memory that the proxy has held, in MiB."""
    status = Path(f"/proc/{proxy.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["application/octet-stream", "application/json"])
def test_memory_does_not_grow_with_a_body(tmp_path: Path, server: ScriptedServer, kind: str) -> None:
    piece, count = b"x" * MIB, 150
    wanted = hashlib.sha256(piece * count).hexdigest()
    arrived = hashlib.sha256()

    def answer(wire: Wire, asked: Message) -> None:
        if asked.method == "POST":
            wire.send(json_answer({}))
            return
        assert hashlib.sha256(asked.body).hexdigest() == wanted
        wire.send(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(piece) * count}\r\n\r\n")
        for _ in range(count):
            wire.send(piece)

    server.answering = answer
    with proxy(tmp_path, server.origin) as through, through.connect() as wire:
        through.post(b"{}", target="/warm")
        before = _memory(through)
        length = f"Content-Length: {len(piece) * count}"
        through.send(wire, "PUT", "/mcp", f"Content-Type: {kind}", length)
        for _ in range(count):
            wire.send(piece)
        assert wire.head().status == 200
        for _ in range(count):
            arrived.update(wire.exactly(len(piece)))
        after = _memory(through)
    assert arrived.hexdigest() == wanted
    assert after - before < 80  # copies wait in up to 32 MiB for the recording child


def test_a_client_that_does_not_read_stops_the_server_not_the_proxy(server: ScriptedServer, through: Proxy) -> None:
    sent = 0
    done = threading.Event()

    def flood(wire: Wire, asked: Message) -> None:
        nonlocal sent
        if asked.method == "POST":
            wire.send(json_answer({"beside": True}))
            return
        wire.socket.settimeout(2)
        wire.send("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n")
        try:
            while sent < 100 * MIB:
                sent += wire.socket.send(b"x" * MIB)
        except TimeoutError:
            done.set()

    server.answering = flood
    with _opened(through):
        assert done.wait(PATIENCE)
        assert sent < 100 * MIB
        assert json.loads(through.post(b"{}").body) == {"beside": True}
