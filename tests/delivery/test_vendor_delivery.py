"""A back end by its name, from end to end: its header, its limits, its way to say yes; keys that nobody ever sees."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from odd_servers import Answering, answering
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from programs import environment, run
from session_folders import SESSION_ID, session_start, write_session

from agent_trace_otel.delivery.vendor_table import VENDORS

KEY = "pl4nted-0123456789-abcdef"
PROGRAM = """
import agent_trace_otel as at

@at.trace_tool
def tool(query):
    return query * 9000

with at.session("agent"):
    tool("x")
"""
KEYS = {variable.name: f"{KEY}-{variable.name}" for vendor in VENDORS.values() for variable in vendor.variables}


def spans_of(server: Answering) -> list[ExportTraceServiceRequest]:
    found = []
    for _, headers, body in server.got:
        plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        found.append(ExportTraceServiceRequest.FromString(plain))
    return found


def texts_of(server: Answering) -> list[str]:
    return [
        pair.value.string_value
        for request in spans_of(server)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        for pair in span.attributes
    ]


def command(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user whose home is ``folder``, with a key of every vendor in the environment."""
    home = {name: str(folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")}
    env = {**environment(folder, **home, CLAUDE_CONFIG_DIR=""), **KEYS, **variables}
    line = [sys.executable, "-m", "agent_trace_otel", *arguments]
    return subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)


def files_with_a_key(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(str(path.relative_to(folder)) for path in files if KEY.encode() in path.read_bytes())


def one_session(folder: Path) -> Path:
    """Write a session of one span into the trace directory."""
    session = write_session(folder / "traces", session_start(), meta={"started_at": 1.0, "ended_at": 2.0})
    span = {"traceId": SESSION_ID.replace("-", ""), "spanId": "00f067aa0ba902b7", "name": "x", "kind": 1, "flags": 1}
    times = {"startTimeUnixNano": "1773562735000000001", "endTimeUnixNano": "1773562736000000002"}
    line = {"resourceSpans": [{"scopeSpans": [{"spans": [{**span, **times}]}]}]}
    (session / "spans.jsonl").write_text(json.dumps(line) + "\n")
    return session


def test_a_program_sends_to_a_back_end_by_its_name(tmp_path: Path) -> None:
    with answering(Answering()) as server:
        ran = run(
            PROGRAM,
            tmp_path,
            AGENT_TRACE_TO="newrelic",
            AGENT_TRACE_OTLP_ENDPOINT=server.url,
            NEW_RELIC_LICENSE_KEY=KEY,
            OTEL_EXPORTER_OTLP_HEADERS="x-other=of-somebody-else",
        )
    assert (ran.code, ran.warnings) == (0, [])
    assert {path for path, _, _ in server.got} == {"/v1/traces"}
    assert all(headers["api-key"] == KEY and "x-other" not in headers for _, headers, _ in server.got)
    texts = texts_of(server)
    assert max(map(len, texts)) <= 4095
    assert any("[cut: " in text for text in texts)
    assert "x" * 9000 in (next((tmp_path / "traces").glob("*-*")) / "spans.jsonl").read_text()
    assert files_with_a_key(tmp_path) == []


def test_configure_takes_the_name_too(tmp_path: Path) -> None:
    with answering(Answering()) as server:
        call = f"at.configure(to='honeycomb', endpoint={server.url!r}, headers={{'x-mine': '1'}})"
        program = PROGRAM.replace("@at.trace_tool", f"{call}\n\n@at.trace_tool")
        ran = run(program, tmp_path, HONEYCOMB_API_KEY=KEY, HONEYCOMB_DATASET="sets")
    assert (ran.code, ran.warnings) == (0, [])
    _, headers, _ = server.got[0]
    assert (headers["x-honeycomb-team"], headers["x-honeycomb-dataset"], headers["x-mine"]) == (KEY, "sets", "1")


def test_an_answer_that_only_the_vendor_calls_success_counts(tmp_path: Path) -> None:
    session = one_session(tmp_path)
    with answering(Answering(202, b'{"data":[]}', {"Content-Type": "application/json"})) as server:
        to = ["--to", "datadog", "--endpoint", server.url]
        done = [command(tmp_path, "ship", *to) for _ in range(2)]
        plain = command(tmp_path, "export", "--format", "otlp", "--endpoint", server.url)
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 2
    assert [headers["dd-api-key"] for _, headers, _ in server.got[:1]] == [KEYS["DD_API_KEY"]]
    assert len(server.got) == 2  # the second ship had nothing to send
    assert plain.returncode == 1
    assert "HTTP 202" in plain.stderr
    assert files_with_a_key(tmp_path) == []
    assert session.exists()


def test_a_wrong_key_is_one_line_with_the_answer_and_the_variable(tmp_path: Path) -> None:
    session = one_session(tmp_path)
    said = f"Forbidden: {KEYS['DD_API_KEY']} is no key of this organization"
    with answering(Answering(403, said.encode(), {"Content-Type": "text/plain"})) as server:
        settings = {"AGENT_TRACE_TO": "datadog", "AGENT_TRACE_OTLP_ENDPOINT": server.url}
        ran = run(PROGRAM, tmp_path, **settings, DD_API_KEY=KEYS["DD_API_KEY"])
        to = ["--to", "datadog", "--endpoint", server.url]
        done = [
            command(tmp_path, "ship", SESSION_ID, *to),
            command(tmp_path, "export", SESSION_ID, "--format", "otlp", *to),
            command(tmp_path, "doctor", *to),
        ]
    assert ran.code == 0
    assert len(ran.warnings) == 1
    told = [ran.err, *(one.stdout + one.stderr for one in done)]
    assert [one.returncode for one in done] == [1, 1, 1]
    for text in told:
        flat = " ".join(text.split())
        assert "HTTP 403 Forbidden Forbidden: [key] is no key of this organization" in flat
        assert "DD_API_KEY" in flat
        assert KEY not in text
    assert [one.stderr.count("\n") for one in done] == [1, 2, 0]  # export says first where it sends to
    assert files_with_a_key(tmp_path) == []
    assert session.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["ship"],
        ["export", "--format", "otlp"],
        ["import", "--discover"],
        ["setup", "--write"],
        ["doctor"],
        ["collect", "--port", "0"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_missing_key_is_one_line_with_the_variable(tmp_path: Path, arguments: list[str]) -> None:
    one_session(tmp_path)
    done = command(tmp_path, *arguments, "--to", "honeycomb:eu", HONEYCOMB_API_KEY="")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert (
        "HONEYCOMB_API_KEY is not set: Honeycomb wants an ingest key there; see https://docs.honeycomb.io"
        in done.stderr
    )
    assert KEY not in done.stderr


def test_a_program_without_the_key_runs_on_and_says_so_once(tmp_path: Path) -> None:
    ran = run(PROGRAM, tmp_path, AGENT_TRACE_TO="honeycomb")
    assert (ran.code, len(ran.warnings)) == (0, 1)
    assert "HONEYCOMB_API_KEY is not set" in ran.err
    assert len(ran.recorded.sessions()) == 1


TRUE = [sys.executable, "-c", ""]
EVERY_COMMAND = (
    *(["demo"], ["doctor"], ["doctor", "--json"], ["list", "--json"], ["replay"], ["stats"], ["explain"], ["inspect"]),
    *(["export", "--format", "otlp"], ["export", "--format", "html", "-o", "x.html"], ["ship", "--all"]),
    *(["ship", "--failed"], ["setup"], ["setup", "--to", "honeycomb"], ["import", "--discover"], ["run", "--", *TRUE]),
    *(["record", "--", *TRUE], ["prune", "--max-size", "9GB"], ["completion", "bash"], ["ship", "--help"]),
)


def test_no_command_shows_or_writes_a_key(tmp_path: Path) -> None:
    one_session(tmp_path)
    with answering(Answering(401, " ".join(KEYS.values()).encode())) as server:
        settings = {"AGENT_TRACE_TO": "langfuse", "LANGFUSE_BASE_URL": server.url}
        for arguments in EVERY_COMMAND:
            done = command(tmp_path, *arguments, **settings)
            assert KEY not in done.stdout + done.stderr, arguments
            assert done.returncode in (0, 1), (arguments, done.stderr)
            assert files_with_a_key(tmp_path) == [], arguments
        assert server.got
        done = command(tmp_path, "setup", "--write", "--to", "langfuse", **settings)
    assert KEY not in done.stdout + done.stderr
    assert files_with_a_key(tmp_path) == ["agent-trace/config.toml"]
    assert (tmp_path / "agent-trace" / "config.toml").stat().st_mode & 0o777 == 0o600
