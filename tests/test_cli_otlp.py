"""Exporting over OTLP from the command line: to stdout as JSON, to a receiver as protobuf."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from session_folders import SESSION_ID, agent_trace, session_start, write_session

SPANS = ("00f067aa0ba902b7", "b7ad6b7169203331")


class Receiver(HTTPServer):
    """Takes requests on a free port and answers each with ``status``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.received: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def traces(tmp_path: Path) -> str:
    """A trace directory with one session of two spans."""
    folder = write_session(tmp_path, session_start(), meta={})
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "recorded"}}]}
    lines: list[dict[str, Any]] = []
    for number, span_id in enumerate(SPANS):
        span = {"traceId": SESSION_ID.replace("-", ""), "spanId": span_id, "name": f"execute_tool t{number}", "kind": 1}
        times = {"startTimeUnixNano": "1773562735000000001", "endTimeUnixNano": "1773562736000000002"}
        scope = {"scope": {"name": "agent_trace_otel"}, "spans": [{**span, **times, "status": {}}]}
        lines.append({"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]})
    (folder / "spans.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return str(tmp_path)


def export(traces: str, *arguments: str, **env: str) -> tuple[int, str, str]:
    done = agent_trace("--trace-dir", traces, "export", "--format", "otlp", *arguments, env=env)
    return done.returncode, done.stdout, done.stderr


def test_without_an_endpoint_one_request_is_printed(traces: str) -> None:
    code, out, err = export(traces)
    (resource_spans,) = json.loads(out)["resourceSpans"]
    assert (code, err) == (0, "")
    assert [span["spanId"] for span in resource_spans["scopeSpans"][0]["spans"]] == list(SPANS)
    assert "recorded" in out


@pytest.mark.parametrize(("arguments", "env"), [(["--service-name", "mine"], {}), ([], {"OTEL_SERVICE_NAME": "mine"})])
def test_the_service_name_can_be_replaced(traces: str, arguments: list[str], env: dict[str, str]) -> None:
    _, out, _ = export(traces, *arguments, **env)
    assert json.loads(out)["resourceSpans"][0]["resource"]["attributes"] == [
        {"key": "service.name", "value": {"stringValue": "mine"}}
    ]


def test_a_back_end_gets_every_span_with_its_headers(traces: str, receiver: Receiver) -> None:
    code, out, err = export(traces, "--endpoint", receiver.endpoint, "--header", "X-Key: a: b", "--header", "X-Other:c")
    ((path, headers, body),) = receiver.received
    request = ExportTraceServiceRequest.FromString(body)
    spans = [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]
    assert [span.span_id.hex() for span in spans] == list(SPANS)
    assert spans[0].start_time_unix_nano == 1773562735000000001
    assert (path, headers["X-Key"], headers["X-Other"]) == ("/v1/traces", "a: b", "c")
    assert (code, err) == (0, f"agent-trace: sending {SESSION_ID} to {receiver.endpoint}/v1/traces\n")
    assert out == f"{receiver.endpoint}/v1/traces: 2 spans accepted\n"


def test_a_back_end_that_says_no_is_an_error_with_the_numbers(traces: str, receiver: Receiver) -> None:
    receiver.status = 400
    code, out, err = export(traces, "--endpoint", receiver.endpoint)
    assert (code, out) == (1, "")
    assert "0 spans accepted, 2 rejected" in err
    assert "400" in err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--endpoint", "localhost:4318"], 2, "is no OTLP endpoint"),
        (["--endpoint", "http://localhost:1", "--header", "secret-without-colon"], 2, '--header wants "Name: value"'),
        (["--header", "a: b"], 2, "--header needs --endpoint"),
        (["--endpoint", "http://localhost:1", "-o", "x"], 2, "--output can't be used with --endpoint"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_sent(
    traces: str, arguments: list[str], code: int, said: str
) -> None:
    found, out, err = export(traces, *arguments)
    assert (found, out) == (code, "")
    assert said in err
    assert "secret" not in err


def test_a_session_without_spans_says_so(tmp_path: Path) -> None:
    write_session(tmp_path, session_start(), meta={})
    code, out, err = export(str(tmp_path))
    assert (code, out) == (1, "")
    assert err.startswith(f"agent-trace: no spans.jsonl in {tmp_path / SESSION_ID}: ")
