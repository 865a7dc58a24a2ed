"""`agent-trace collect` as a command: what it says, how it ends, what a kill leaves, and where spans go on to."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from programs import environment, wait_for
from receiving import PROTOBUF, http_call, kinds, names, protobuf, tool
from session_folders import agent_trace

from agent_trace_otel.testing import Recorded


@contextmanager
def running(directory: Path, *arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """Run a collector; yields the process, its port and what it said."""
    command = [sys.executable, "-m", "agent_trace_otel", "collect", *arguments]
    if "--port" not in arguments:
        command += ["--port", "0"]
    process = subprocess.Popen(
        command, cwd=directory, env=environment(directory, **variables), stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        port = re.search(r"http://127\.0\.0\.1:(\d+) into", said)
        assert port is not None, said
        yield process, int(port[1]), said
    finally:
        process.kill()
        process.communicate()


def post(port: int, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/v1/traces", body, {"Content-Type": PROTOBUF})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.fixture
def back_end() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    received: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-type", PROTOBUF)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", received
    server.shutdown()
    thread.join()
    server.server_close()


def _names(received: Sequence[ExportTraceServiceRequest]) -> list[str]:
    return sorted(
        found.span_id.hex().lstrip("0")
        for request in received
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for found in scope.spans
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130), (signal.SIGHUP, 0)])
def test_a_signal_ends_it_cleanly_and_what_it_has_taken_is_passed_on(
    tmp_path: Path, back_end: tuple[str, list[ExportTraceServiceRequest]], number: int, code: int
) -> None:
    url, received = back_end
    with running(tmp_path, "--endpoint", url) as (process, port, said):
        assert f"into {tmp_path / 'traces'} and on to {url}" in said
        assert post(port, protobuf(tool(1), tool(2))) == 200
        process.send_signal(number)
        _, more = process.communicate(timeout=30)
        assert (process.returncode, more) == (code, "")
    assert _names(received) == ["1", "2"]
    assert names(Recorded(tmp_path / "traces")) == ["1", "2"]


def test_a_kill_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    with running(tmp_path) as (process, port, _):

        def client(first: int) -> None:
            for number in range(first, first + 5000, 5):
                spans = [tool(number + step, session__id="s") for step in range(4)] + [http_call(number + 4)]
                try:
                    if post(port, protobuf(*spans)) == 200:
                        acknowledged.extend(range(number, number + 5))
                except OSError:
                    return

        clients = [threading.Thread(target=client, args=(1 + at * 10_000,)) for at in range(3)]
        for one in clients:
            one.start()
        wait_for(lambda: len(acknowledged) > 300, "spans are taken")
        process.send_signal(signal.SIGKILL)
        for one in clients:
            one.join()
    with running(tmp_path) as (_, port, _):
        assert post(port, protobuf(tool(60_000, session__id="s"))) == 200
        found = names(Recorded(tmp_path / "traces"))
    assert set(acknowledged) <= {int(name, 16) for name in found}
    assert len(found) == len(set(found))
    events = Recorded(tmp_path / "traces").events()
    assert len({event.event_id for event in events}) == len(events)


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = agent_trace("collect", "--port", port, cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert f"port {port} is taken" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--port", "99999"], 2, "--port"),
        (["--bind", "192.0.2.1", "--port", "0"], 1, "192.0.2.1"),
        (["--endpoint", "nonsense", "--port", "0"], 2, "no OTLP endpoint"),
        (["--endpoint", "http://localhost:43210", "--port", "43210"], 2, "this collector itself"),
        (["--to", "nobody", "--port", "0"], 2, "nobody"),
        (["--header", "nonsense"], 2, "--header"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    done = agent_trace("collect", *arguments, cwd=tmp_path, env={"XDG_CONFIG_HOME": str(tmp_path)})
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_standard_variables_may_name_it_for_the_agents_of_its_shell(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://localhost:{port}"}
    with running(tmp_path, "--port", port, **variables) as (_, _, said):
        assert "on to" not in said


def test_a_trace_directory_that_cant_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("a file")
    done = agent_trace("--trace-dir", str(tmp_path / "traces"), "collect", "--port", "0", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "not a directory" in done.stderr


def test_replay_and_stats_read_what_was_collected(tmp_path: Path) -> None:
    with running(tmp_path) as (_, port, _):
        post(port, protobuf(tool(1, gen_ai__tool__call__arguments='{"path": "/tmp"}')))
    recorded = Recorded(tmp_path / "traces")
    assert kinds(recorded) == ["session_start", "tool_call", "tool_result"]
    shown = agent_trace("--trace-dir", str(recorded.trace_dir), "replay", cwd=tmp_path)
    assert "other-agent" in agent_trace("--trace-dir", str(recorded.trace_dir), "list", cwd=tmp_path).stdout
    assert ("ls" in shown.stdout, shown.returncode) == (True, 0)
