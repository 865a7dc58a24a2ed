"""`agent-trace record-http` as a command: what it says, how it ends, and what it refuses to do."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_peer import (
    EVENT_STREAM,
    PATIENCE,
    Message,
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
from programs import environment
from session_folders import agent_trace

from agent_trace_otel import identity


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    found = ScriptedServer()
    yield found
    found.close()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "URL"),
        (["example.com"], 2, "wants the server's URL"),
        (["http://u:p@h/"], 2, "--header"),
        (["http://h", "--port", "x"], 2, "--port"),
        (["http://h", "--port", "99999"], 2, "--port"),
        (["http://h", "--header", "nonsense"], 2, "--header"),
        (["http://h", "--bind", "192.0.2.1"], 1, "192.0.2.1"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    done = agent_trace("record-http", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = agent_trace("record-http", "http://h", "--port", port, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert port in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_aiohttp_one_line_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as u; find = u.find_spec; "
        "u.find_spec = lambda name, *more: None if name == 'aiohttp' else find(name, *more); "
        "from agent_trace_otel.cli import main; sys.exit(main(['record-http', 'http://h']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    said = "agent-trace: record-http needs aiohttp: pip install 'agent-trace-otel[http]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)])
def test_a_signal_ends_it_in_order_with_streams_open(
    tmp_path: Path, server: ScriptedServer, number: int, code: int
) -> None:
    def answer(wire: Wire, asked: Message) -> None:
        if asked.method == "POST":
            wire.is_closed_by_peer()  # never answers
        wire.send(EVENT_STREAM + chunk(event("begun")))

    server.answering = answer
    with proxy(tmp_path, server.origin) as through, through.connect() as stream, through.connect() as call:
        stream.send("GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert stream.head().status == 200
        assert next(stream.chunks()) == event("begun")
        through.send(call, "POST", "/mcp", "Content-Type: application/json", body=tool_call("open"))
        eventually(lambda: any(asked.method == "POST" for asked in server.requests))
        assert through.stop(number) == code
        assert stream.is_closed_by_peer()
        assert call.is_closed_by_peer()
    assert len(through.said) == 1
    events = through.recorded.events()
    assert [found.event_type for found in events] == ["session_start", "tool_call", "error", "session_end"]
    assert through.process.stdout is not None


def test_nothing_is_printed_but_where_it_listens(tmp_path: Path, server: ScriptedServer) -> None:
    with proxy(tmp_path, f"{server.origin}/mcp?key=hidden") as through:
        for _ in range(3):
            through.post(request("ping"))
        with through.connect() as wire:
            wire.send("nonsense\r\n\r\n")
            wire.message()
        through.process.send_signal(signal.SIGTERM)
        out, err = through.process.communicate(timeout=PATIENCE)
    assert through.said == [f"agent-trace: recording {through.origin} -> {server.origin}/mcp"]
    assert (out, err) == ("", "")


def test_what_the_user_should_know_is_said_once(tmp_path: Path, server: ScriptedServer) -> None:
    server.answering = answer_with(b"HTTP/1.1 308 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n")
    with proxy(tmp_path, server.origin) as through:
        for number in range(3):
            through.post(request("ping"))
            through.post(request("ping"), f"Origin: http://evil{number}.example")
        through.stop(signal.SIGTERM)
    redirected, refused = through.said[1:]
    assert "redirects" in redirected
    assert "evil0.example" in refused


def test_more_hosts_and_origins_are_let_in_by_option(tmp_path: Path, server: ScriptedServer) -> None:
    options = ("--allow-host", "proxy.example", "--allow-origin", "https://app.example", "--bind", "0.0.0.0")
    with proxy(tmp_path, server.origin, *options) as through, through.connect() as wire:
        wire.send(
            "POST / HTTP/1.1\r\nHost: proxy.example\r\nOrigin: https://app.example\r\nContent-Length: 2\r\n\r\n{}"
        )
        assert wire.message().status == 200
        assert server.last.all("host") == [f"127.0.0.1:{server.port}"]
        assert server.last.all("origin") == ["https://app.example"]
        wire.send("POST / HTTP/1.1\r\nHost: other.example\r\nContent-Length: 2\r\n\r\n{}")
        assert wire.message().status == 403


def test_it_listens_on_ipv6_too(tmp_path: Path, server: ScriptedServer) -> None:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        with proxy(tmp_path, server.origin, "--bind", "::1") as through:
            wire = Wire(socket.create_connection(("::1", through.port)))
            wire.send(f"POST / HTTP/1.1\r\nHost: [::1]:{through.port}\r\nContent-Length: 2\r\n\r\n{{}}")
            assert wire.message().status == 200
            wire.close()
        return
    pytest.skip("no IPv6 here")


@pytest.mark.parametrize("rewrites", [False, True])
def test_oauth_clients_are_led_to_the_proxy_only_if_asked_for(
    tmp_path: Path, server: ScriptedServer, *, rewrites: bool
) -> None:
    document = {"resource": f"{server.origin}/mcp", "authorization_servers": ["https://as.example"]}
    where = f"{server.origin}/.well-known/oauth-protected-resource/mcp"

    def answer(wire: Wire, asked: Message) -> None:
        if asked.target.startswith("/.well-known/"):
            wire.send(json_answer(document))
        else:
            wire.send(json_answer({}, f'WWW-Authenticate: Bearer resource_metadata="{where}"', status="401 Who"))

    server.answering = answer
    with proxy(tmp_path, f"{server.origin}/mcp", *(["--rewrite-oauth"] if rewrites else [])) as through:
        seen = through.origin if rewrites else server.origin
        challenged = through.post(request("ping"))
        assert challenged.all("www-authenticate") == [
            f'Bearer resource_metadata="{seen}/.well-known/oauth-protected-resource/mcp"'
        ]
        answer_ = through.ask("GET", "/.well-known/oauth-protected-resource/mcp", "Accept-Encoding: gzip")
        assert json.loads(answer_.body) == {**document, "resource": f"{seen}/mcp"}
        assert server.last.all("accept-encoding") == ["identity" if rewrites else "gzip"]


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("joins", [False, True])
def test_a_trace_context_is_injected_if_asked_for(tmp_path: Path, server: ScriptedServer, *, joins: bool) -> None:
    session_id = "5e551017-0000-4000-8000-00000000000a"
    named = {"AGENT_TRACE_SESSION_ID": session_id, "TRACEPARENT": TRACEPARENT} if joins else {}
    body = b'{ "jsonrpc":"2.0", "id":1, "method":"tools/call" ,"params":{"name":"x","arguments":{}} }'
    with proxy(tmp_path, server.origin, "--inject-traceparent", **named) as through:
        through.post(body, "Mcp-Name: x")
        through.stop(signal.SIGTERM)
    sent = json.loads(server.last.body)["params"]["_meta"]["traceparent"]
    assert server.last.all("content-length") == [str(len(server.last.body))]
    assert server.last.body.replace(b'"_meta":{"traceparent":"%s"},' % sent.encode(), b"") == body
    (called,) = (span for span in through.recorded.spans() if span.name == "tools/call x")
    context = called.get_span_context()
    assert context is not None
    assert sent == f"00-{context.trace_id:032x}-{context.span_id:016x}-01"
    if joins:
        assert through.recorded.sessions() == [session_id]
        assert f"{context.trace_id:032x}" in TRACEPARENT
        assert called.parent is not None
        assert f"{called.parent.span_id:016x}" in TRACEPARENT
    else:
        assert context.trace_id == identity.trace_id_of(through.recorded.sessions()[0])


UNCHANGED: list[tuple[bytes, list[str]]] = [
    (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', []),
    (b'{"jsonrpc":"2.0","method":"notifications/initialized"}', []),
    (b'{"jsonrpc":"2.0","id":1,"result":{}}', []),
    (b'"x"', []),
    (b"{", []),
    (b'{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{"traceparent":"%s"}}}' % TRACEPARENT.encode(), []),
    (request("ping", {"much": "x" * 2_000_000}), []),
    (request("ping"), ["Content-Digest: sha-256=:x:"]),
    (request("ping"), ["Content-Encoding: br"]),
]


def test_what_is_not_to_be_changed_passes_as_it_is(tmp_path: Path, server: ScriptedServer) -> None:
    with proxy(tmp_path, server.origin, "--inject-traceparent") as through:
        for body, headers in UNCHANGED:
            through.post(body, *headers)
    assert [asked.body for asked in server.requests] == [body for body, _ in UNCHANGED]


def test_the_requests_of_a_traced_agents_servers_are_part_of_its_session(
    tmp_path: Path, server: ScriptedServer
) -> None:
    session_id = "5e551017-0000-4000-8000-00000000000b"
    with proxy(tmp_path, server.origin, AGENT_TRACE_SESSION_ID=session_id, TRACEPARENT=TRACEPARENT) as through:
        through.post(tool_call("joined"))
        through.stop(signal.SIGTERM)
    assert through.recorded.sessions() == [session_id]
    # its agent's own process begins and ends it
    assert [found.event_type for found in through.recorded.events()] == ["tool_call", "tool_result"]
    (span,) = through.recorded.spans()
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}-{span.parent.span_id:016x}" in TRACEPARENT


def test_a_proxy_that_the_environment_names_is_used(tmp_path: Path, server: ScriptedServer) -> None:
    with proxy(tmp_path, "http://mcp.example/mcp", http_proxy=server.origin) as through:
        assert through.post(request("ping")).status == 200
    assert server.last.start == "POST http://mcp.example/mcp HTTP/1.1"
    assert server.last.all("host") == ["mcp.example"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_a_server_must_show_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, "-out", str(certificate))
    subprocess.run([*made, "-keyout", str(key)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ScriptedServer(context)
    url = f"https://localhost:{server.port}/mcp"
    with proxy(tmp_path, url) as through:
        answer = through.post(request("ping"))
        assert answer.status == 502
        assert "certificate verify failed" in answer.body.decode()
    assert server.requests == []
    with proxy(tmp_path, url, SSL_CERT_FILE=str(certificate)) as through:
        assert through.post(request("ping")).status == 200
    assert server.last.all("host") == [f"localhost:{server.port}"]
    server.close()
