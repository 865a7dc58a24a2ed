"""OTLP over HTTP, as clients of all sorts speak it."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from typing import Any

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode
from opentelemetry.trace import Status as SpanStatus
from receiving import JSON, PROTOBUF, TRACE, Collector, kinds, names, protobuf, request, span, tool

from agent_trace_otel import guard
from agent_trace_otel.capture.collect import bodies, serving
from agent_trace_otel.store.spans_file import encode_line


@pytest.mark.parametrize("content_type", [JSON, PROTOBUF, "application/json; charset=utf-8"])
@pytest.mark.parametrize("packed", ["", "gzip", "deflate"])
def test_spans_are_on_disk_when_the_answer_comes(collector: Collector, content_type: str, packed: str) -> None:
    body = protobuf(tool(1)) if content_type == PROTOBUF else json.dumps(request(tool(1))).encode()
    pack = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}[packed]
    answer = collector.post(pack(body), content_type, **({"Content_Encoding": packed} if packed else {}))
    assert (answer.status, answer.rejected) == (200, 0)
    assert answer.headers["content-type"] == content_type.partition(";")[0]
    assert names(collector.recorded) == ["1"]
    assert kinds(collector.recorded) == ["session_start", "tool_call", "tool_result"]


def test_a_chunked_body_is_read_to_its_end_and_the_connection_goes_on(collector: Collector) -> None:
    body = protobuf(tool(1))
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]))
    head = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
    with socket.create_connection(("127.0.0.1", collector.port)) as wire:
        for _ in range(2):
            wire.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX-Trailer: 1\r\n\r\n")
            assert wire.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert names(collector.recorded) == ["1"]


def test_what_the_stock_exporter_sends_is_what_the_folder_holds(collector: Collector) -> None:
    provider = TracerProvider(resource=Resource({"service.name": "s", "n": 7}, schema_url="https://example.com/r"))
    url = f"http://127.0.0.1:{collector.port}/v1/traces"
    ended: list[ReadableSpan] = []
    exporter = OTLPSpanExporter(endpoint=url, compression=Compression.Gzip)

    class Both(BatchSpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            ended.append(span)
            super().on_end(span)

    provider.add_span_processor(Both(exporter))
    tracer = provider.get_tracer("theirs", "1.2", "https://example.com/s", {"scope": "yes"})
    link = Link(SpanContext(5, 6, is_remote=True), {"why": "resumed"})
    with tracer.start_as_current_span("chat m", kind=SpanKind.CLIENT, links=[link]) as found:
        found.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.conversation.id": "c-1", "list": [1.5, 2.5]})
        found.add_event("e", {"at": True}, 123)
        found.set_status(SpanStatus(StatusCode.ERROR, "went wrong"))
    provider.shutdown()
    (kept,) = collector.recorded.spans("c-1")
    (sent,) = ended
    attributes = {**(sent.attributes or {}), "session.id": "c-1"}
    wanted = ReadableSpan(
        **{name: getattr(sent, name) for name in ("name", "context", "parent", "resource", "events", "links", "kind")},
        attributes=attributes,
        status=sent.status,
        start_time=sent.start_time,
        end_time=sent.end_time,
        instrumentation_scope=sent.instrumentation_scope,
    )
    told, (on_the_wire,) = _told(wanted), encode_spans([sent]).resource_spans[0].scope_spans
    if not on_the_wire.schema_url:  # old exporters leave out what is known of a scope
        scope = told["resourceSpans"][0]["scopeSpans"][0]
        del scope["schemaUrl"], scope["scope"]["attributes"]
    assert _told(kept) == told


def _told(span: ReadableSpan) -> dict[str, Any]:
    """Return a span as its line tells it, without W3C flags: this exporter leaves them out."""
    line: dict[str, Any] = json.loads(encode_line(span))
    del line["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["flags"]
    return line


def test_dropped_counts_flags_and_odd_values_are_kept(collector: Collector) -> None:
    odd = tool(1, parent=9)
    odd |= {"droppedAttributesCount": 3, "droppedEventsCount": 2, "droppedLinksCount": 1, "flags": 0x301}
    odd["traceState"] = "vendor=x"
    odd["attributes"].append(
        {"key": "n", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "a"}]}}}
    )
    odd["attributes"].append({"key": "b", "value": {"bytesValue": "AQI="}})
    collector.send_protobuf(odd)
    (line,) = (collector.recorded.trace_dir / TRACE / "spans.jsonl").read_bytes().splitlines()
    (kept,) = json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    kept["attributes"] = [pair for pair in kept["attributes"] if pair["key"] != "session.id"]
    assert kept == odd


def test_a_span_without_ids_is_rejected_and_those_beside_it_are_taken(collector: Collector) -> None:
    nameless = {**tool(2), "traceId": "00" * 16}
    for sent in (collector.send(tool(1), nameless, {**tool(3), "spanId": "xyz"}), collector.send(tool(4), {})):
        assert sent.status == 200
    assert sent.rejected == 1
    assert names(collector.recorded) == ["1", "4"]


def test_spans_of_exporters_that_leave_the_sampled_flag_out_count_as_sampled(collector: Collector) -> None:
    collector.send({**tool(1), "flags": 0x100})
    (kept,) = collector.recorded.spans()
    assert kept.context is not None
    assert kept.context.trace_flags.sampled


@pytest.mark.parametrize(
    ("body", "content_type", "status", "said"),
    [
        (b"nonsense", JSON, 400, "not JSON"),
        (b"[]", JSON, 400, "no JSON object"),
        (b'{"resourceSpans": 3}', JSON, 400, "not an OTLP span"),
        (b"\xff\xff", PROTOBUF, 400, "no ExportTraceServiceRequest"),
        (b"{}", "text/plain", 415, "is not OTLP"),
        (b"{}", "", 415, "is not OTLP"),
    ],
)
def test_what_is_no_request_is_refused_in_words(
    collector: Collector, body: bytes, content_type: str, status: int, said: str
) -> None:
    answer = collector.post(body, content_type)
    assert answer.status == status
    if content_type == PROTOBUF:
        assert said in Status.FromString(answer.body).message
    else:
        assert said in answer.text
    assert collector.recorded.sessions() == []


def test_a_body_that_is_too_large_gets_413_before_it_is_read(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY", 1000)
    answer = collector.post(json.dumps(request(tool(1, text="x" * 2000))).encode())
    assert answer.status == 413
    assert "send fewer spans" in json.loads(answer.body)["message"]
    assert collector.send(tool(2)).status == 200


def test_a_small_body_that_unpacks_to_gigabytes_gets_413(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY", 1 << 20)
    answer = collector.post(gzip.compress(bytes(50 << 20)), PROTOBUF, Content_Encoding="gzip")
    assert answer.status == 413


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"Content-Length: 5\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00\x00", b"400"),
        (b"Content-Length: 2\r\nContent-Encoding: zstd\r\n\r\n{}", b"415"),
        (b"\r\n", b"411"),
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n", b"413"),
    ],
)
def test_a_body_that_is_not_as_its_head_says_is_refused_and_the_connection_closed(
    collector: Collector, sent: bytes, status: bytes
) -> None:
    head = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", collector.port)) as wire:
        wire.sendall(head + sent)
        answer = wire.recv(4096)
        while more := wire.recv(4096) if status != b"400" or b"\x1f" not in sent else b"":
            answer += more
    assert answer.startswith(b"HTTP/1.1 " + status + b" ")


def test_more_than_there_is_memory_for_is_asked_for_again(collector: Collector) -> None:
    memory = bodies.Memory(10)
    with memory.held() as held:
        held.grow(10)
        with memory.held() as other, pytest.raises(bodies.RefusedError) as refused:
            other.grow(1)
    assert refused.value.status == 503
    with memory.held() as held:
        held.grow(10)


def test_many_clients_at_once_lose_nothing(collector: Collector) -> None:
    def client(number: int) -> None:
        for at in range(10):
            first = number * 1000 + at * 10 + 1
            assert (
                collector.send_protobuf(*(tool(first + step, session__id=f"s{number}") for step in range(5))).status
                == 200
            )

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert collector.recorded.sessions() == [f"s{number}" for number in range(8)]
    assert [len(collector.recorded.spans(f"s{number}")) for number in range(8)] == [50] * 8


def test_more_connections_than_there_are_threads_for_are_turned_away(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "MAX_CONNECTIONS", 1)
    with socket.create_connection(("127.0.0.1", collector.port)) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(100).startswith(b"HTTP/1.1 200")
        with socket.create_connection(("127.0.0.1", collector.port)) as wire:
            assert wire.recv(100).startswith(b"HTTP/1.1 503")


def test_the_root_says_what_this_is_and_other_places_what_there_is(collector: Collector) -> None:
    assert collector.request("GET", "/").text == "hello\n"
    assert collector.request("HEAD", "/").body == b""
    assert collector.request("GET", "/v1/traces").status == 405
    missing = collector.post(b"{}", path="/api/v2/spans")
    assert (missing.status, "/v1/traces" in missing.text) == (404, True)
    assert collector.request("BREW", "/").status == 501


def test_a_failure_of_ours_is_answered_and_the_next_request_taken(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(collector.intake, "take", lambda _: 1 / 0)
        answer = collector.send(tool(1))
        assert (answer.status, "ZeroDivisionError" in answer.text) == (500, True)
    assert collector.send(tool(1)).status == 200
    guard.failures.clear()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost", "Origin": "https://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost:3000"}, 200),
        ({"Host": "127.0.0.1"}, 200),
    ],
)
def test_a_page_that_was_led_here_is_sent_away(collector: Collector, headers: dict[str, str], status: int) -> None:
    answer = collector.request("POST", "/v1/traces", b"{}", {"Content-Type": JSON, **headers})
    assert answer.status == status
    if status == 403:
        assert "--allow-" in answer.text


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
@pytest.mark.parametrize(("content_type", "body"), [(JSON, b"{}"), (PROTOBUF, b"")])
def test_logs_and_metrics_are_answered_and_make_no_session(
    collector: Collector, path: str, content_type: str, body: bytes
) -> None:
    answer = collector.post(body, content_type, path)
    assert (answer.status, answer.headers["content-type"]) == (200, content_type)
    assert collector.recorded.sessions() == []


def test_secrets_are_withheld_before_disk(collector: Collector) -> None:
    secret = "sk-ant-api03-" + "q7Zt" * 20
    collector.send(
        tool(1, gen_ai__tool__call__arguments=json.dumps({"api_key": secret})), span(2, trace="ab" * 16, k=secret)
    )
    everything = b"".join(path.read_bytes() for path in collector.recorded.trace_dir.rglob("*") if path.is_file())
    assert secret.encode() not in everything
