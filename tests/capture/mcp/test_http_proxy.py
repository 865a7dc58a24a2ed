"""record-http between raw sockets: what arrives at the server and at the client is what the other side sent."""

from __future__ import annotations

import gzip
import json
import queue
import random
import re
import socket
import threading
from collections.abc import Iterator

import pytest
from http_peer import (
    LAST_CHUNK,
    Proxy,
    ScriptedServer,
    Wire,
    answer_with,
    chunk,
    json_answer,
    proxy,
    request,
    tool_call,
)

OWN_OF_LEG = {"host", "content-length", "connection", "transfer-encoding", "date", "server"}


@pytest.fixture(scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ScriptedServer, Proxy]]:
    server = ScriptedServer()
    with proxy(tmp_path_factory.mktemp("proxy"), server.origin, "--header", "X-Added: yes") as running:
        yield server, running
    server.close()


@pytest.fixture
def server(_shared: tuple[ScriptedServer, Proxy]) -> ScriptedServer:
    found = _shared[0]
    found.requests.clear()
    found.answering = answer_with(json_answer({"jsonrpc": "2.0", "id": 1, "result": {}}))
    return found


@pytest.fixture
def through(_shared: tuple[ScriptedServer, Proxy]) -> Proxy:
    return _shared[1]


def test_every_end_to_end_header_arrives_as_it_was_sent(server: ScriptedServer, through: Proxy) -> None:
    sent = [
        ("Accept", "application/json, text/event-stream"),
        ("mcp-session-id", "s-1"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "=?base64?w6k=?="),
        ("Mcp-Param-Region", "eu"),
        ("Last-Event-ID", "7"),
        ("Origin", "http://localhost:5173"),
        ("Cookie", "a=1; b=2"),
        ("Authorization", "Bearer t"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("X-Empty", ""),
        ("X-Utf-8", "Zo\u00eb"),
        ("X-Long", "y" * 100_000),
        ("Content-Type", "application/json; charset=utf-8"),
    ]
    through.ask(
        "POST", "/mcp", *(f"{name}: {value}" for name, value in sent), "Connection: x-gone", "X-Gone: 1", body=b"{}"
    )
    arrived = server.last
    assert arrived.headers[0] == ("Host", f"127.0.0.1:{server.port}")
    assert [pair for pair in arrived.headers if pair[0].lower() not in OWN_OF_LEG] == [*sent, ("X-Added", "yes")]


def test_nothing_is_added_to_a_request_or_an_answer_that_has_little(server: ScriptedServer, through: Proxy) -> None:
    server.answering = answer_with(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
    answer = through.ask("POST", "/mcp", body=b"{}")
    assert server.last.names == ["Host", "Content-Length", "X-Added"]
    assert (answer.start, answer.headers) == ("HTTP/1.1 202 Accepted", [("Content-Length", "0")])


def test_headers_of_an_answer_arrive_as_they_were_sent(server: ScriptedServer, through: Proxy) -> None:
    sent = [
        ("date", "Mon, 01 Jan 2026 00:00:00 GMT"),
        ("Mcp-Session-Id", "s-1"),
        ("Set-Cookie", "a=1; Path=/"),
        ("set-cookie", "b=2"),
        ("X-Accel-Buffering", "no"),
        ("WWW-Authenticate", 'Bearer resource_metadata="https://h/x"'),
        ("Location", "/elsewhere"),
        ("Content-Length", "2"),
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in sent)
    server.answering = answer_with(f"HTTP/1.1 401 No Way\r\nKeep-Alive: timeout=5\r\n{head}\r\nno".encode())
    answer = through.post(b"{}")
    assert (answer.start, answer.headers, answer.body) == ("HTTP/1.1 401 No Way", sent, b"no")


@pytest.mark.parametrize(
    "status",
    [
        "200 OK",
        "202 Accepted",
        "400 Bad Request",
        "401 Unauthorized",
        "404 Not Found",
        "405 Method Not Allowed",
        "429 Too Many Requests",
        "500 Oops",
        "503 Later",
        "418 ",
    ],
)
def test_statuses_and_their_bodies_pass(server: ScriptedServer, through: Proxy, status: str) -> None:
    wanted = json_answer({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": status}}, status=status)
    server.answering = answer_with(wanted)
    answer = through.post(request("x"))
    assert (answer.start, answer.body) == (f"HTTP/1.1 {status}", wanted.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("GET", None),
        ("DELETE", None),
        ("DELETE", b"{}"),
        ("OPTIONS", None),
        ("PUT", b"x"),
        ("PATCH", b"x"),
        ("POST", None),
        ("POST", b""),
    ],
)
def test_every_method_passes(server: ScriptedServer, through: Proxy, method: str, body: bytes | None) -> None:
    answer = through.ask(method, "/mcp?a=%20&b", body=body)
    assert (server.last.start, server.last.body) == (f"{method} /mcp?a=%20&b HTTP/1.1", body or b"")
    assert server.last.all("content-length") == ([] if body is None else [str(len(body))])
    assert (answer.status, json.loads(answer.body)["result"]) == (200, {})


def test_head_has_the_headers_of_the_body_that_it_leaves_out(server: ScriptedServer, through: Proxy) -> None:
    server.answering = answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nX-Head: 1\r\n\r\n")
    with through.connect() as wire:
        answer = through.ask("HEAD", "/mcp", wire=wire)
        assert answer.headers == [("Content-Length", "1234"), ("X-Head", "1")]
        assert through.ask("HEAD", "/mcp", wire=wire).status == 200


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_answers_without_a_body_leave_the_connection_in_order(
    server: ScriptedServer, through: Proxy, status: str
) -> None:
    server.answering = answer_with(f"HTTP/1.1 {status}\r\nETag: x\r\n\r\n".encode())
    with through.connect() as wire:
        assert through.ask("DELETE", "/mcp", wire=wire).headers == [("ETag", "x")]
        server.answering = answer_with(json_answer({"then": 1}))
        assert json.loads(through.post(b"{}", wire=wire).body) == {"then": 1}


@pytest.mark.parametrize("encoding", ["gzip", "br", "x-odd"])
def test_encoded_bodies_are_not_touched(server: ScriptedServer, through: Proxy, encoding: str) -> None:
    body = gzip.compress(tool_call(text="x" * 1000)) if encoding == "gzip" else random.Random(1).randbytes(5000)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {encoding}\r\n"
    server.answering = answer_with(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    answer = through.post(body, f"Content-Encoding: {encoding}", "Accept-Encoding: gzip, br")
    assert server.last.body == body
    assert server.last.all("accept-encoding") == ["gzip, br"]
    assert (answer.body, answer.all("content-encoding")) == (body, [encoding])


@pytest.mark.parametrize(
    "body",
    [
        b'{ "jsonrpc" :"2.0","id":1.0,"id":2 ,"method":"\\u0061\xe2\x80\xa8" }\r\n\r\n',
        b'[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"n"}]',
        b"\xff\xfe no JSON \x00",
        b"[" * 50_000,
        b"x" * 3_000_000,
    ],
)
def test_bodies_arrive_byte_for_byte(server: ScriptedServer, through: Proxy, body: bytes) -> None:
    server.answering = lambda wire, asked: wire.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
        % (len(asked.body), asked.body)
    )
    answer = through.post(body)
    assert (server.last.body, answer.body) == (body, body)


def test_chunked_bodies_of_requests_arrive(server: ScriptedServer, through: Proxy) -> None:
    with through.connect() as wire:
        wire.send("POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(chunk(b"a" * 5000) + chunk(b"b"))
        wire.send(chunk(b"c") + LAST_CHUNK)
        assert wire.message().status == 200
    assert server.last.body == b"a" * 5000 + b"bc"


def test_a_request_arrives_while_it_is_still_being_sent(server: ScriptedServer, through: Proxy) -> None:
    arrived: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    server.chunk_seen = arrived.put
    with through.connect() as wire:
        wire.send("POST /slow HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(chunk(b"first"))
        assert arrived.get(timeout=30) == b"first"
        wire.send(chunk(b"second") + LAST_CHUNK)
        assert wire.message().status == 200
    assert server.last.body == b"firstsecond"


def test_a_client_that_waits_for_100_continue_gets_it(server: ScriptedServer, through: Proxy) -> None:
    with through.connect() as wire:
        wire.send("POST /mcp HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert wire.head().status == 100
        wire.send("{}")
        assert wire.message().status == 200
    assert server.last.body == b"{}"


def test_answers_arrive_in_the_pieces_that_they_are_sent_in(server: ScriptedServer, through: Proxy) -> None:
    go_on = threading.Event()

    def in_two(wire: Wire, _: object) -> None:
        wire.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n12345")
        assert go_on.wait(30)
        wire.send("67890")

    server.answering = in_two
    with through.connect() as wire:
        wire.send("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
        assert wire.head().status == 200
        assert wire.exactly(5) == b"12345"
        go_on.set()
        assert wire.exactly(5) == b"67890"


def test_a_server_of_http_1_0_is_understood(server: ScriptedServer, through: Proxy) -> None:
    def old(wire: Wire, _: object) -> None:
        wire.send("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nto the end")
        wire.socket.shutdown(socket.SHUT_RDWR)

    server.answering = old
    assert through.ask("GET", "/mcp").body == b"to the end"


def test_a_client_of_http_1_0_is_served(server: ScriptedServer, through: Proxy) -> None:
    with through.connect() as wire:
        wire.send("GET /mcp HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert wire.message().status == 200
        assert wire.is_closed_by_peer()


def test_connections_are_kept_on_both_sides(server: ScriptedServer, through: Proxy) -> None:
    before = server.connections
    with through.connect() as wire:
        for number in range(20):
            assert through.post(tool_call(number=number), wire=wire).status == 200
    assert server.connections <= before + 1


def test_a_redirect_is_passed_on_and_said_once(server: ScriptedServer, through: Proxy) -> None:
    server.answering = answer_with(
        b"HTTP/1.1 307 Over There\r\nLocation: http://elsewhere/mcp\r\nContent-Length: 0\r\n\r\n"
    )
    for _ in range(2):
        answer = through.post(b"{}")
        assert (answer.status, answer.all("location")) == (307, ["http://elsewhere/mcp"])
    assert len(server.requests) == 2


@pytest.mark.parametrize("header", ["Host: evil.example", "Origin: https://evil.example"])
def test_another_hosts_or_origins_request_gets_no_further(server: ScriptedServer, through: Proxy, header: str) -> None:
    with through.connect() as wire:
        hosts = [] if header.startswith("Host") else ["Host: localhost"]
        wire.send("\r\n".join(["POST /mcp HTTP/1.1", *hosts, header, "Content-Length: 2", "", "{}"]))
        answer = wire.message()
    assert (answer.status, server.requests) == (403, [])
    refusal = json.loads(answer.body)
    assert refusal["id"] is None
    assert re.search(r"evil\.example.*--allow-", refusal["error"]["message"])


def test_a_malformed_request_gets_no_further(server: ScriptedServer, through: Proxy) -> None:
    for bad in ("NONSENSE\r\n\r\n", "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"):
        with through.connect() as wire:
            wire.send(bad)
            assert wire.message().status == 400
    with through.connect() as wire:
        wire.send("POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnot hex\r\n")
        assert wire.message().status == 400
    assert [found for found in server.requests if found.is_complete] == []


def test_many_clients_at_once(server: ScriptedServer, through: Proxy) -> None:
    server.answering = lambda wire, asked: wire.send(json_answer(json.loads(asked.body)["id"]))
    answers: dict[int, object] = {}

    def ask(number: int) -> None:
        with through.connect() as wire:
            for turn in range(5):
                answers[number * 5 + turn] = json.loads(
                    through.post(tool_call(number=number * 5 + turn), wire=wire).body
                )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: number for number in range(250)}
