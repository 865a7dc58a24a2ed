"""A test span to every kind of wrong address: what doctor makes of the answer, in plain words and without keys."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
from odd_servers import Answering, answering, like_grpc, raw, self_signed
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from session_folders import agent_trace

from agent_trace_otel.delivery import vendors
from agent_trace_otel.delivery.otlp import traces_url
from agent_trace_otel.delivery.target import Target
from agent_trace_otel.doctor.back_end import BackEndFacts, look_at_back_end, section_of_back_end

KEY = "planted-0123456789abcdef"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def datadog(endpoint: str) -> Target:
    return vendors.resolve("datadog", {"DD_API_KEY": KEY}, endpoint=endpoint)


def asked(target: Target, timeout: float | None = None) -> tuple[BackEndFacts, str]:
    """Return the facts and the problem, which must hold no key."""
    found = look_at_back_end(target, timeout=timeout)
    section = section_of_back_end(found)
    assert KEY not in f"{section} {found}"
    assert (len(section.problems), found.ok) in {(1, False), (0, True)}
    return found, "".join(section.problems)


def test_a_back_end_that_works_gets_one_span(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(Answering()) as server:
        found, problem = asked(Target(traces_url(server.url), {"x-key": KEY}))
    ((path, headers, body),) = server.got
    [resource_spans] = ExportTraceServiceRequest.FromString(body).resource_spans
    [span] = resource_spans.scope_spans[0].spans
    assert (path, headers["x-key"], span.trace_id.hex()) == ("/v1/traces", KEY, found.trace_id)
    assert (span.name, resource_spans.resource.attributes[0].value.string_value) == (
        "agent-trace doctor",
        "agent-trace-doctor",
    )
    assert (found.ok, found.status, problem) == (True, 200, "")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answering(401, b"no such key " + KEY.encode()), "it refuses the key of DD_API_KEY: is it whole"),
        (Answering(403), "it refuses the key of DD_API_KEY: .*, or is it another region or site\\?"),
        (Answering(404), "there is nothing at the path /v1/traces"),
        (Answering(405), "/v1/traces takes no POST"),
        (Answering(415), "it doesn't take protobuf"),
        (Answering(429, headers={"Retry-After": "600"}), "it takes nothing just now"),
        (Answering(500), "it has trouble of its own \\(HTTP 500\\)"),
        (Answering(503), "it has trouble of its own \\(HTTP 503\\)"),
        (Answering(302, headers={"Location": "https://elsewhere.example/login"}), "it sends elsewhere"),
        (Answering(308, headers={"Location": "/v1/traces/"}), "it sends elsewhere"),
        (Answering(418), "HTTP 418, which OTLP doesn't know"),
        (Answering(204), "HTTP 204, which OTLP doesn't know"),
        (Answering(200, b"<html>login</html>", {"Content-Type": "text/html"}), "something answers there, but not OTLP"),
        (Answering(200, b"{}", {"Content-Type": "application/json"}), ""),
        (Answering(202, b'{"data": "ok"}', {"Content-Type": "application/json"}), ""),
    ],
)
def test_an_answer_is_told_in_plain_words(answer: Answering, said: str) -> None:
    with answering(answer) as server:
        found, problem = asked(datadog(server.url))
    assert found.status == answer.status
    assert found.url == f"{server.url}/v1/traces"
    assert len(server.got) == 1
    if said:
        assert problem.startswith(f"{server.url}/v1/traces took no span: ")
        assert re.search(said, problem)
    else:
        assert (found.ok, problem) == (True, "")


def test_202_is_no_success_where_nobody_documents_it() -> None:
    with answering(Answering(202)) as server:
        assert "HTTP 202, which OTLP doesn't know" in asked(Target(traces_url(server.url)))[1]


def test_a_key_that_is_wanted_and_was_not_given() -> None:
    with answering(Answering(401)) as server:
        assert "it wants a key: is --to or --header missing" in asked(Target(traces_url(server.url)))[1]


def test_a_span_that_is_refused_inside_a_success() -> None:
    partial = ExportTraceServiceResponse()
    partial.partial_success.rejected_spans = 1
    partial.partial_success.error_message = f"no quota for {KEY}"
    with answering(Answering(200, partial.SerializeToString())) as server:
        assert (
            "it answered, but refused the span: the back end refused 1 spans: no quota" in asked(datadog(server.url))[1]
        )


def test_an_address_where_nobody_is() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found, problem = asked(datadog(f"http://127.0.0.1:{port}"))
    assert f"nobody listens at 127.0.0.1:{port}" in problem
    assert found.status == 0
    assert "is not known to DNS" in asked(datadog("http://no-such-host.invalid"))[1]


def test_a_port_that_speaks_something_else() -> None:
    with raw(like_grpc) as url:
        assert "speaks something else than HTTP/1.1, such as gRPC" in asked(datadog(url))[1]
    with raw(lambda connection: None) as url:
        assert "speaks something else than HTTP/1.1" in asked(datadog(url))[1]
    with answering(Answering()) as server:
        secure = server.url.replace("http:", "https:")
        assert "it speaks plain HTTP: use http://" in asked(datadog(secure))[1]


def test_the_grpc_port_is_known_by_its_number() -> None:
    assert "port 4317 is for gRPC" in asked(datadog("http://127.0.0.1:4317"), timeout=0.5)[1]


def test_a_certificate_that_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    with answering(Answering(), certificate) as server:
        assert "its certificate is not trusted: OTEL_EXPORTER_OTLP_CERTIFICATE" in asked(datadog(server.url))[1]
    assert server.got == []


def test_a_back_end_that_says_nothing() -> None:
    def silent(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass

    with raw(silent) as url:
        assert "in time: a firewall, or the wrong port" in asked(datadog(url), timeout=0.3)[1]


@pytest.mark.parametrize("by", ["argument", "environment", "config file"])
def test_the_command_asks_the_back_end_that_is_meant(by: str, tmp_path: Path) -> None:
    with answering(Answering(403, b"forbidden: " + KEY.encode())) as server:
        home = {name: str(tmp_path) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")}
        home |= {"CLAUDE_CONFIG_DIR": "", "no_proxy": "*", "HONEYCOMB_API_KEY": KEY}
        arguments = ["doctor", "--json"]
        if by == "argument":
            arguments += ["--to", "honeycomb", "--endpoint", server.url]
        elif by == "environment":
            home |= {"AGENT_TRACE_TO": "honeycomb", "HONEYCOMB_API_ENDPOINT": server.url}
        else:
            (tmp_path / "agent-trace").mkdir()
            text = f'[otlp]\nto = "honeycomb"\nendpoint = "{server.url}"\nkeys = {{ HONEYCOMB_API_KEY = "{KEY}" }}\n'
            (tmp_path / "agent-trace" / "config.toml").write_text(text)
            (tmp_path / "agent-trace" / "config.toml").chmod(0o600)
            del home["HONEYCOMB_API_KEY"]
        done = agent_trace(*arguments, cwd=tmp_path, env=home)
        quiet = agent_trace(*arguments, "--no-send", cwd=tmp_path, env=home)
    found = json.loads(done.stdout)
    assert (done.returncode, quiet.returncode, len(server.got)) == (1, 0, 1)
    assert (found["back_end"]["status"], found["back_end"]["vendor"]) == (403, "honeycomb")
    assert "it refuses the key of HONEYCOMB_API_KEY" in found["problems"][0]
    assert server.got[0][1]["x-honeycomb-team"] == KEY
    assert KEY not in done.stdout + done.stderr + quiet.stdout + quiet.stderr


def test_a_missing_key_is_one_line_that_names_the_variable(tmp_path: Path) -> None:
    done = agent_trace("doctor", "--to", "splunk:us1", cwd=tmp_path, env={"HOME": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "SPLUNK_ACCESS_TOKEN is not set: Splunk Observability Cloud wants an access token" in done.stderr
