"""What record-http leaves on disk: every request once, nothing secret, and all of it whoever is killed."""

from __future__ import annotations

import gzip
import json
import os
import signal
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_peer import (
    EVENT_STREAM,
    LAST_CHUNK,
    Message,
    Proxy,
    ScriptedServer,
    Wire,
    answer_with,
    chunk,
    event,
    eventually,
    json_answer,
    proxy,
    request,
    tool_call,
)

from agent_trace_otel.testing import Recorded

JSON = "Content-Type: application/json"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    found = ScriptedServer()
    yield found
    found.close()


def _result(number: int | str, text: str = "done") -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "result": {"content": [{"type": "text", "text": text}]}}


def _told(recorded: Recorded) -> list[tuple[str, str | None]]:
    """Return the calls of a timeline: what happened to which tool."""
    events = [event for event in recorded.events() if not event.event_type.startswith("session_")]
    return [(found.event_type, found.data.get("tool_name")) for found in events]


def _requests(recorded: Recorded) -> dict[str, dict[str, Any]]:
    """Return the attributes of every request's span by its name."""
    spans = [span for span in recorded.spans() if not span.name.startswith("invoke_agent")]
    found = {span.name: dict(span.attributes or {}) for span in spans}
    assert len(found) == len(spans)
    return found


def test_a_call_is_one_span_with_its_arguments_and_result(tmp_path: Path, server: ScriptedServer) -> None:
    server.answering = answer_with(json_answer(_result(7), "Mcp-Session-Id: s-1"))
    with proxy(tmp_path, f"{server.origin}/mcp", "--name", "files") as through:
        through.post(tool_call("read", 7, path="/x"), "MCP-Protocol-Version: 2025-06-18", "Mcp-Session-Id: s-1")
        assert through.stop(signal.SIGTERM) == 0
    (called,) = _requests(through.recorded).items()
    wanted = {
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "read",
        "gen_ai.tool.call.arguments": '{"path":"/x"}',
        "jsonrpc.request.id": "7",
        "mcp.session.id": "s-1",
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "agent_trace.outcome": "ok",
    }
    assert called[0] == "tools/call read"
    assert {name: called[1].get(name) for name in wanted} == wanted
    assert "done" in called[1]["gen_ai.tool.call.result"]
    first, *_, last = through.recorded.events()
    assert (first.event_type, first.data["agent_name"], first.data["command"]) == (
        "session_start",
        "files",
        [f"{server.origin}/mcp"],
    )
    assert (last.event_type, last.data["exit_code"]) == ("session_end", 0)


def test_a_call_is_on_disk_while_its_answer_is_still_awaited(tmp_path: Path, server: ScriptedServer) -> None:
    go_on = threading.Event()

    def later(wire: Wire, _: Message) -> None:
        go_on.wait(30)
        wire.send(json_answer(_result(1)))

    server.answering = later
    with proxy(tmp_path, server.origin) as through, through.connect() as wire:
        through.send(wire, "POST", "/mcp", JSON, body=tool_call("slow"))
        eventually(lambda: through.recorded.sessions() and _told(through.recorded) == [("tool_call", "slow")])
        go_on.set()
        assert wire.message().status == 200
        eventually(lambda: _told(through.recorded) == [("tool_call", "slow"), ("tool_result", "slow")])


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_encoded_bodies_are_read_where_the_standard_library_can(
    tmp_path: Path, server: ScriptedServer, coding: str
) -> None:
    encode = {"gzip": gzip.compress, "deflate": zlib.compress}[coding]
    body = encode(json.dumps(_result(1, "unpacked")).encode())
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {coding}\r\n"
    server.answering = answer_with(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    with proxy(tmp_path, server.origin) as through:
        through.post(encode(tool_call("packed")), f"Content-Encoding: {coding}")
        through.stop(signal.SIGTERM)
    assert "unpacked" in _requests(through.recorded)["tools/call packed"]["gen_ai.tool.call.result"]


def test_an_answer_in_a_coding_that_nobody_reads_is_not_taken_for_none(tmp_path: Path, server: ScriptedServer) -> None:
    server.answering = answer_with(json_answer(_result(1), "Content-Encoding: unheard-of"))
    with proxy(tmp_path, server.origin) as through:
        through.post(tool_call("packed"), "Mcp-Session-Id: s")
        eventually(lambda: '"tool_result"' in through.recorded.text())  # not only when the proxy ends
        through.stop(signal.SIGTERM)
    told = _requests(through.recorded)["tools/call packed"]
    assert (told["agent_trace.outcome"], "error.type" in told) == ("unknown", False)


def test_requests_of_both_directions_on_streams(tmp_path: Path, server: ScriptedServer) -> None:
    sampling = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "sampling/createMessage",
        "params": {"messages": [], "maxTokens": 5},
    }
    answered = threading.Event()

    def answer(wire: Wire, asked: Message) -> None:
        if b'"tools/call"' in asked.body:
            wire.send(EVENT_STREAM + chunk(event(sampling)))
            assert answered.wait(30)
            wire.send(chunk(event(_result(1))) + LAST_CHUNK)
        else:
            wire.send("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            answered.set()

    server.answering = answer
    session = ("Mcp-Session-Id: s-1", "MCP-Protocol-Version: 2025-11-25", JSON)
    with proxy(tmp_path, server.origin) as through, through.connect() as wire:
        through.send(wire, "POST", "/mcp", *session, body=tool_call("asks", 1))
        assert wire.head().status == 200
        events = wire.chunks()
        assert next(events) == event(sampling)
        said = {"role": "assistant", "content": {"type": "text", "text": "ok"}, "model": "m"}
        reply = {"jsonrpc": "2.0", "id": 1, "result": said}
        assert through.post(json.dumps(reply).encode(), *session[:2]).status == 202
        assert list(events) == [event(_result(1))]
        through.stop(signal.SIGTERM)
    assert sorted((span.name, span.kind.name) for span in through.recorded.spans()) == [
        ("invoke_agent 127.0.0.1", "INTERNAL"),
        ("sampling/createMessage", "SERVER"),
        ("tools/call asks", "CLIENT"),
    ]
    assert sorted(kind for kind, _ in _told(through.recorded)) == [
        "llm_request",
        "llm_response",
        "tool_call",
        "tool_result",
    ]


@pytest.mark.parametrize("protocol", ["", "2026-07-28"])  # newer clients ask older servers by the newer protocol first
def test_request_and_answer_on_two_connections_are_one_call(
    tmp_path: Path, server: ScriptedServer, protocol: str
) -> None:
    stream: list[Wire] = []

    def answer(wire: Wire, asked: Message) -> None:
        if asked.method == "GET":
            stream.append(wire)
            wire.send(
                EVENT_STREAM + chunk(f"event: endpoint\ndata: {server.origin}/messages?sessionId=s9\n\n".encode())
            )
        else:
            wire.send("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            stream[0].send(chunk(event(_result(1))))

    meta = {"_meta": {"io.modelcontextprotocol/protocolVersion": protocol}} if protocol else {}
    server.answering = answer
    with proxy(tmp_path, server.origin) as through, through.connect() as wire:
        through.send(wire, "GET", "/sse")
        assert wire.head().status == 200
        here = f"{through.origin}/messages?sessionId=s9"
        assert next(wire.chunks()).endswith(f"data: {here}\n\n".encode())
        called = request("tools/call", {"name": "old", "arguments": {}, **meta})
        assert through.post(called, target="/messages?sessionId=s9").status == 202
        eventually(lambda: through.recorded.sessions() and ("tool_result", "old") in _told(through.recorded))
        assert through.stop(signal.SIGTERM) == 0
    assert _requests(through.recorded)["tools/call old"].get("mcp.session.id") == (None if protocol else "s9")


def test_what_a_resumed_stream_repeats_is_recorded_once(tmp_path: Path, server: ScriptedServer) -> None:
    asked_for_roots = {"jsonrpc": "2.0", "id": 0, "method": "roots/list"}
    told = b"".join(b"id: e-%d\n%s" % (n, event(said)) for n, said in enumerate([asked_for_roots, _result(1)]))

    def answer(wire: Wire, asked: Message) -> None:
        if b'"roots"' in asked.body:
            wire.send("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        else:
            wire.send(EVENT_STREAM + chunk(told) + LAST_CHUNK)

    server.answering = answer
    session = ("Mcp-Session-Id: s-1", "MCP-Protocol-Version: 2025-11-25")
    with proxy(tmp_path, server.origin) as through:
        for _ in range(2):  # a client answers again what it is asked again
            if server.requests:
                through.ask("GET", "/mcp", *session, "Last-Event-ID: e-0")
            else:
                through.post(tool_call("asks", 1), *session)
            through.post(b'{"jsonrpc":"2.0","id":0,"result":{"roots":[]}}', *session)
        through.stop(signal.SIGTERM)
    assert sorted(_requests(through.recorded)) == ["roots/list", "tools/call asks"]


def test_a_client_that_hangs_up_has_cancelled(tmp_path: Path, server: ScriptedServer) -> None:
    asked = threading.Event()

    def never(wire: Wire, _: Message) -> None:
        asked.set()
        wire.is_closed_by_peer()

    server.answering = never
    with proxy(tmp_path, server.origin) as through:
        with through.connect() as wire:
            through.send(wire, "POST", "/mcp", JSON, "MCP-Protocol-Version: 2026-07-28", body=tool_call("long"))
            assert asked.wait(30)
        eventually(lambda: list(through.trace_dir.glob("*/spans.jsonl")))  # the span ends before the proxy does
        through.stop(signal.SIGTERM)
    assert _requests(through.recorded)["tools/call long"]["agent_trace.outcome"] == "interrupted"


def test_a_server_that_is_down_fails_the_call(tmp_path: Path, server: ScriptedServer) -> None:
    server.close()
    with proxy(tmp_path, server.origin) as through:
        assert through.post(tool_call("none")).status == 502
        through.stop(signal.SIGTERM)
    assert _told(through.recorded) == [("tool_call", "none"), ("error", "none")]
    assert _requests(through.recorded)["tools/call none"]["error.type"] == "502"


SECRETS = {
    "authorization": "planted-bearer-3f9c2e",
    "cookie": "planted-cookie-81d2aa",
    "set-cookie": "planted-setcookie-55b0c1",
    "header option": "planted-option-0a7d44",
    "query of the URL": "planted-urlkey-9e11f0",
    "query of a request": "planted-query-c4c4c4",
    "token endpoint": "planted-token-77aa10",
    "refused body": "planted-refused-d00d1e",
}


def test_nothing_secret_is_in_any_file_or_on_stderr(tmp_path: Path, server: ScriptedServer) -> None:
    def answer(wire: Wire, asked: Message) -> None:
        cookie = f"Set-Cookie: sid={SECRETS['set-cookie']}; HttpOnly"
        if asked.target.startswith("/token"):
            wire.send(json_answer({"access_token": SECRETS["token endpoint"], "token_type": "Bearer"}, cookie))
        else:
            wire.send(json_answer(_result(1), cookie))

    server.answering = answer
    secret = SECRETS
    url = f"{server.origin}/mcp?apiKey={secret['query of the URL']}"
    with proxy(tmp_path, url, "--header", f"X-Api-Key: {secret['header option']}", "--no-redact") as through:
        sent = (f"Authorization: Bearer {secret['authorization']}", f"Cookie: sid={secret['cookie']}")
        assert through.post(tool_call("echo"), *sent, target="/").status == 200
        assert server.last.target.endswith(secret["query of the URL"])
        assert server.last.all("x-api-key") == [secret["header option"]]
        through.post(tool_call("echo", 2), *sent, target=f"/mcp?token={secret['query of a request']}")
        through.post(b"grant_type=x", *sent, target="/token")
        hostile = tool_call("echo", 3, text=secret["refused body"])
        assert through.ask("POST", "/mcp", "Origin: https://evil.example", *sent, body=hostile).status == 403
        through.stop(signal.SIGTERM)
    (refused,) = [told for told in through.recorded.spans()[-1].events if told.name == "agent_trace.mcp.refused"]
    assert '"refused":"origin"' in str((refused.attributes or {})["agent_trace.detail"])
    written = through.recorded.text() + "\n".join(through.said)
    assert "tools/call echo" in written
    assert [name for name, value in SECRETS.items() if value in written] == []


def test_secrets_in_arguments_are_withheld_unless_told_otherwise(tmp_path: Path, server: ScriptedServer) -> None:
    server.answering = answer_with(json_answer(_result(1)))
    for option, is_there in (((), False), (("--no-redact",), True)):
        folder = tmp_path / str(is_there)
        folder.mkdir()
        with proxy(folder, server.origin, *option) as through:
            through.post(tool_call("login", password="planted-password-1b2c3d"))
            through.stop(signal.SIGTERM)
        assert ("planted-password-1b2c3d" in through.recorded.text()) is is_there


def test_a_proxy_that_is_killed_leaves_every_call(tmp_path: Path, server: ScriptedServer) -> None:
    def answer(wire: Wire, asked: Message) -> None:
        if b'"open"' in asked.body:
            wire.is_closed_by_peer()
        else:
            wire.send(json_answer(_result(json.loads(asked.body)["id"])))

    server.answering = answer
    with proxy(tmp_path, server.origin) as through:
        for number in range(50):
            through.post(tool_call(f"t{number}", number))
        with through.connect() as wire:
            through.send(wire, "POST", "/mcp", JSON, body=tool_call("open", 99))
            eventually(lambda: server.requests and b'"open"' in server.last.body)
            os.kill(through.process.pid, signal.SIGKILL)
            eventually(lambda: through.recorded.sessions() and "session_end" in through.recorded.text())
    told = _told(through.recorded)
    assert sorted(told) == sorted(
        [(kind, f"t{number}") for kind in ("tool_call", "tool_result") for number in range(50)]
        + [("tool_call", "open"), ("error", "open")]
    )
    assert _requests(through.recorded)["tools/call open"]["agent_trace.outcome"] == "lost"


def test_many_clients_at_once_are_each_recorded(tmp_path: Path, server: ScriptedServer) -> None:
    server.answering = lambda wire, asked: wire.send(json_answer(_result(json.loads(asked.body)["id"])))

    def ask(through: Proxy, client: int) -> None:
        with through.connect() as wire:
            for turn in range(10):  # every client counts its ids from the same number
                through.post(tool_call(f"c{client}-{turn}", turn), wire=wire)

    with proxy(tmp_path, server.origin) as through:
        threads = [threading.Thread(target=ask, args=(through, client)) for client in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        through.stop(signal.SIGTERM)
    called = _requests(through.recorded)
    assert sorted(called) == sorted(f"tools/call c{client}-{turn}" for client in range(30) for turn in range(10))
    assert {attributes["agent_trace.outcome"] for attributes in called.values()} == {"ok"}
