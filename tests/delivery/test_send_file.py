"""spans.jsonl sent to a back end: all of it, as it is, and an honest report when the back end does not take it."""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from scripted_backend import Reply, make_span, partial_success

from agent_trace_otel.delivery.otlp import SendReport, collect_request, send_file
from agent_trace_otel.delivery.post import Connection
from agent_trace_otel.delivery.target import Target
from agent_trace_otel.store.spans_file import encode_line, read_spans

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripted_backend import Backend

    SpansFile = Callable[..., Path]

NASTY: dict[str, Any] = {
    "text": "日本語\u2028🤖",
    "no text": "",
    "yes": True,
    "int": 2**63 - 1,
    "one": 1.0,
    "zero": -0.0,
    "inf": float("-inf"),
    "bytes": b"\x00\xff",
    "list": (1, "a", None, (2.5,)),
    "map": {"": {"a": (True,)}},
    "none": None,
    "": "empty key",
}
JSON = {"Content-Type": "application/json"}


def counts(report: SendReport) -> tuple[int, int, int, int]:
    return report.accepted, report.rejected, report.not_sent, report.unreadable


def hex_ids_to_base64(request: dict[str, Any]) -> dict[str, Any]:
    for resource_spans in request["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = b64encode(bytes.fromhex(span[name])).decode()
    return request


def test_what_arrives_is_the_file_with_its_ids_times_and_values(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_bytes(encode_line(make_span(0, attributes=NASTY)) + encode_line(make_span(1, sampled=False)))
    report = send_file(path, Target(backend.url, {"X-Api-Key": "k"}))
    assert counts(report) == (2, 0, 0, 0)
    assert report.ok
    (received,) = backend.received
    assert received.path == "/v1/traces"
    assert received.headers["content-type"] == "application/x-protobuf"
    assert received.headers["x-api-key"] == "k"
    assert "content-encoding" not in received.headers
    assert received.request == ParseDict(hex_ids_to_base64(collect_request(path)), ExportTraceServiceRequest())
    assert [span.flags for resource in received.request.resource_spans for span in resource.scope_spans[0].spans] == [
        0x101,
        0x100,
    ]


def test_spans_are_grouped_by_resource_and_scope(backend: Backend, spans_file: SpansFile) -> None:
    send_file(spans_file(10), Target(backend.url))
    resources = backend.received[0].request.resource_spans
    assert [resource.resource.attributes[0].value.string_value for resource in resources] == ["service 0", "service 1"]
    assert [[len(scope.spans) for scope in resource.scope_spans] for resource in resources] == [[5], [5]]


def test_batches_keep_to_the_number_of_spans(backend: Backend, spans_file: SpansFile) -> None:
    report = send_file(spans_file(1100), Target(backend.url))
    assert report.accepted == 1100
    assert [received.span_count for received in backend.received] == [512, 512, 76]


def test_batches_keep_to_the_number_of_bytes(backend: Backend, spans_file: SpansFile) -> None:
    path = spans_file(40, attributes={"long": "x" * 1000})
    report = send_file(path, Target(backend.url), max_bytes=8_000)
    assert report.accepted == 40
    assert max(len(received.body) for received in backend.received) <= 8_000
    assert len(backend.received) <= 7


def test_a_span_larger_than_the_limit_is_sent_alone(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    sizes = [10, 5000, 10, 10]
    path.write_bytes(b"".join(encode_line(make_span(n, attributes={"x": "x" * size})) for n, size in enumerate(sizes)))
    assert send_file(path, Target(backend.url), max_bytes=1000).accepted == 4
    assert [received.span_count for received in backend.received] == [1, 1, 2]


def test_a_service_name_given_replaces_the_one_in_the_file(backend: Backend, spans_file: SpansFile) -> None:
    path = spans_file(4)
    send_file(path, Target(backend.url), service_name="mine")
    (resource,) = backend.received[0].request.resource_spans
    names = [a.value.string_value for a in resource.resource.attributes if a.key == "service.name"]
    assert names == ["mine"]
    assert {a.key for a in resource.resource.attributes} == {"service.name", "host"}


def test_unreadable_lines_are_passed_over_and_counted(backend: Backend, spans_file: SpansFile) -> None:
    path = spans_file(3)
    deep = '{"arrayValue":{"values":[' * 60 + '{"intValue":"1"}' + "]}}" * 60
    ids = f'"traceId":"{"0a" * 16}","spanId":"{"0b" * 8}"'
    bad_spans = [
        f'{{"traceId":"0a","spanId":"{"0b" * 8}"}}',  # the back end would refuse the whole batch for each of these
        f'{{{ids},"attributes":[{{"key":"deep","value":{deep}}}]}}',
        f'{{{ids},"attributes":[{{"key":"big","value":{{"intValue":"9223372036854775808"}}}}]}}',
        f'{{{ids},"name":7}}',
    ]
    with path.open("a") as file:
        for span in bad_spans:
            file.write(f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}\n')
        file.write('not json\n{"resourceSpans":[{"resource":{"attributes":7}}]}\n{"resourceSpans":[{"scop')
    report = send_file(path, Target(backend.url))
    assert counts(report) == (3, 0, 0, 7)
    assert backend.received[0].span_count == 3


def test_lone_surrogates_of_a_foreign_file_lose_no_batch(backend: Backend, spans_file: SpansFile) -> None:
    path = spans_file(1)
    path.write_bytes(path.read_bytes().replace(b'"span 0"', rb'"\ud800"').replace(b'"host"', rb'"\udc00"'))
    assert send_file(path, Target(backend.url)).accepted == 1
    resource = backend.received[0].request.resource_spans[0]
    assert resource.scope_spans[0].spans[0].name == "\ufffd"
    assert "\ufffd" in {attribute.key for attribute in resource.resource.attributes}


def test_an_empty_file_sends_nothing(backend: Backend, spans_file: SpansFile) -> None:
    assert counts(send_file(spans_file(0), Target(backend.url))) == (0, 0, 0, 0)
    assert backend.received == []


def test_only_200_is_success_and_a_redirect_is_not_followed(backend: Backend, spans_file: SpansFile) -> None:
    for status in (202, 204, 302, 307, 401, 403, 404):
        backend.received.clear()
        headers = {"Location": backend.url + "/other"} if 300 <= status < 400 else {}
        backend.always = lambda _, status=status, headers=headers: Reply(status, headers=headers)
        report = send_file(spans_file(3), Target(backend.url), max_spans=2)
        assert counts(report) == (0, 2, 1, 0), status  # there is no point in sending the second batch
        assert f"HTTP {status}" in report.reason
        assert len(backend.received) == 1
        if headers:
            assert "/other" in report.reason


def test_an_answer_that_is_not_otlp_is_no_success(backend: Backend, spans_file: SpansFile) -> None:
    for body, kind in ((b"<html>hello</html>", "text/html"), (b"[1]", "application/json"), (b"{", "application/json")):
        backend.script = [Reply(body=body, headers={"Content-Type": kind})]
        report = send_file(spans_file(2), Target(backend.url))
        assert counts(report) == (0, 2, 0, 0)
        assert "not OTLP" in report.reason


@pytest.mark.parametrize(
    "reply",
    [Reply(), Reply(headers={}), Reply(body=b"{}", headers=JSON), Reply(body=b'{"partialSuccess":{}}', headers=JSON)],
    ids=["empty", "no type", "json", "json with an empty member"],
)
def test_full_success_is_told_in_several_ways(backend: Backend, spans_file: SpansFile, reply: Reply) -> None:
    backend.script = [reply]
    report = send_file(spans_file(2), Target(backend.url))
    assert counts(report) == (2, 0, 0, 0)
    assert report.reason == ""


@pytest.mark.parametrize(
    "reply",
    [
        partial_success(2, "too old"),
        Reply(body=b'{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}', headers=JSON),
    ],
    ids=["protobuf", "json"],
)
def test_partial_success_is_reported_and_not_sent_again(backend: Backend, spans_file: SpansFile, reply: Reply) -> None:
    backend.script = [reply]
    report = send_file(spans_file(5), Target(backend.url))
    assert counts(report) == (3, 2, 0, 0)
    assert "too old" in report.reason
    assert "too old" in str(report)
    assert not report.ok
    assert len(backend.received) == 1


def test_a_batch_too_large_is_split_until_it_fits(backend: Backend, spans_file: SpansFile) -> None:
    backend.always = lambda received: Reply(413 if received.span_count > 2 else 200)
    report = send_file(spans_file(9), Target(backend.url))
    assert counts(report) == (9, 0, 0, 0)
    assert report.reason == ""
    sent = [int(span_id, 16) for received in backend.received if received.span_count <= 2 for span_id in ids(received)]
    assert sorted(sent) == list(range(1, 10))


def ids(received: Any) -> list[str]:
    return [
        span.span_id.hex()
        for resource in received.request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def test_a_single_span_too_large_is_set_aside_and_the_rest_is_sent(backend: Backend, spans_file: SpansFile) -> None:
    backend.always = lambda received: Reply(413 if b"span 2" in received.body else 200)
    report = send_file(spans_file(5), Target(backend.url))
    assert counts(report) == (4, 1, 0, 0)
    assert "413" in report.reason


def test_a_refused_batch_does_not_keep_the_next_from_being_sent(backend: Backend, spans_file: SpansFile) -> None:
    backend.script = [Reply(400, b'{"message":"bad span"}', JSON)]
    report = send_file(spans_file(6), Target(backend.url), max_spans=2)
    assert counts(report) == (4, 2, 0, 0)
    assert "bad span" in report.reason


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_retryable_answer_is_tried_again(backend: Backend, spans_file: SpansFile, status: int) -> None:
    backend.script = [Reply(status)]
    report = send_file(spans_file(2), Target(backend.url))
    assert counts(report) == (2, 0, 0, 0)
    assert report.reason == ""
    assert len(backend.received) == 2


def test_a_connection_closed_in_the_middle_is_tried_again(backend: Backend, spans_file: SpansFile) -> None:
    backend.script = [Reply(reset=True)]
    assert send_file(spans_file(2), Target(backend.url)).accepted == 2
    assert len(backend.received) == 2


@pytest.mark.parametrize("retry_after", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT", "9" * 400])
def test_a_wait_longer_than_the_patience_is_not_begun(
    backend: Backend, spans_file: SpansFile, retry_after: str
) -> None:
    backend.always = lambda _: Reply(429, headers={"Retry-After": retry_after})
    report = send_file(spans_file(4), Target(backend.url), max_spans=2)
    assert counts(report) == (0, 0, 4, 0)
    assert len(backend.received) == 1
    assert "429" in report.reason


@pytest.mark.parametrize(
    "retry_after",
    ["0", "soon", "-1", "Fri, 31 Dec 1999 23:59:59 GMT", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "²"],
)
def test_a_retry_after_without_a_time_to_come_is_no_obstacle(
    backend: Backend, spans_file: SpansFile, retry_after: str
) -> None:
    backend.script = [Reply(503, headers={"Retry-After": retry_after.encode().decode("latin-1")})]
    assert send_file(spans_file(1), Target(backend.url)).accepted == 1


def test_no_wait_is_longer_than_a_thread_can_sleep(backend: Backend) -> None:
    backend.script = [Reply(503, headers={"Retry-After": "9" * 400})]
    with closing(Connection(Target(backend.url))) as connection:
        assert 0 < connection.post(b"").wait <= 86_400


@pytest.mark.parametrize(
    "body", [b'{"partialSuccess":{"rejectedSpans":1e999}}', b'{"partialSuccess":' + b"[" * 100_000]
)
def test_an_answer_that_no_number_fits_is_no_answer_of_otlp(
    backend: Backend, spans_file: SpansFile, body: bytes
) -> None:
    backend.script = [Reply(200, body, {"Content-Type": "application/json"})]
    report = send_file(spans_file(1), Target(backend.url))
    assert report.accepted == 0
    assert "not OTLP" in report.reason


def test_nobody_listening_is_said_in_one_line(dead_url: str, spans_file: SpansFile) -> None:
    report = send_file(spans_file(1000), Target(dead_url), patience=0)
    assert counts(report) == (0, 0, 1000, 0)
    assert "refused" in report.reason
    assert len(str(report).splitlines()) == 1


def test_a_back_end_that_never_answers_is_given_up(backend: Backend, spans_file: SpansFile) -> None:
    backend.always = lambda _: Reply(wait=True)
    report = send_file(spans_file(3), Target(backend.url), timeout=0.2, patience=0)
    assert counts(report) == (0, 0, 3, 0)
    assert "timed out" in report.reason.lower()


def test_a_reason_is_one_harmless_line(backend: Backend, spans_file: SpansFile) -> None:
    backend.script = [Reply(403, b"no\n\x1b[31m entry\x00" + b"x" * 10_000, {"Content-Type": "text/plain"})]
    reason = send_file(spans_file(1), Target(backend.url)).reason
    assert reason.isprintable()
    assert "no [31m entry" in reason
    assert len(reason) <= 300


def test_a_header_that_cannot_be_sent_is_reported(backend: Backend, spans_file: SpansFile) -> None:
    for value in ("a\nb", "日本"):
        report = send_file(spans_file(2), Target(backend.url, {"X-Key": value}))
        assert counts(report) == (0, 0, 2, 0)
        assert report.reason
    assert backend.received == []


def test_a_netrc_does_not_replace_the_authorization_header(
    backend: Backend, spans_file: SpansFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    send_file(spans_file(1), Target(backend.url, {"Authorization": "Bearer mine"}))
    send_file(spans_file(1), Target(backend.url.replace("//", "//user:pw@")))
    assert [received.headers["authorization"] for received in backend.received] == ["Bearer mine", "Basic dXNlcjpwdw=="]


def test_a_report_shows_no_keys_of_the_url(dead_url: str, spans_file: SpansFile) -> None:
    url = dead_url.replace("//", "//user:hunter2@") + "?key=hunter2"
    assert "hunter2" not in str(send_file(spans_file(1), Target(url), patience=0))


def test_one_document_holds_the_whole_file_grouped(spans_file: SpansFile) -> None:
    path = spans_file(5)
    document = collect_request(path)
    names = [
        [[span["name"] for span in scope["spans"]] for scope in resource["scopeSpans"]]
        for resource in document["resourceSpans"]
    ]
    assert names == [[["span 0", "span 2", "span 4"]], [["span 1", "span 3"]]]
    single = path.with_name("single.jsonl")
    single.write_text(json.dumps(document) + "\n")
    assert sorted(span.name for span in read_spans(single)) == sorted(span.name for span in read_spans(path))


def test_one_document_can_bear_another_service_name(spans_file: SpansFile) -> None:
    document = collect_request(spans_file(5), service_name="mine")
    (resource,) = document["resourceSpans"]
    assert {"key": "service.name", "value": {"stringValue": "mine"}} in resource["resource"]["attributes"]
    assert len(resource["scopeSpans"][0]["spans"]) == 5


def test_one_document_of_a_file_with_foreign_nonsense_is_still_made(spans_file: SpansFile) -> None:
    path = spans_file(1)
    with path.open("a") as file:
        file.write(
            '{"resourceSpans":[7,{"scopeSpans":8},{"resource":{"attributes":[1]},"scopeSpans":[{"spans":[2]}]}]}\n'
        )
    document = collect_request(path, service_name="mine")
    assert document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"] == "span 0"


def test_sending_logs_and_prints_nothing(
    dead_url: str, spans_file: SpansFile, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        send_file(spans_file(1), Target(dead_url), patience=0)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_values_longer_than_the_back_end_keeps_are_cut(backend: Backend, spans_file: Callable[..., Path]) -> None:
    path = spans_file(1, attributes={"long": "x" * 9000})
    assert send_file(path, Target(backend.url, max_attribute_chars=4095)).ok
    send_file(path, Target(backend.url))
    cut, whole = (received.request.resource_spans[0].scope_spans[0].spans[0] for received in backend.received)
    assert len(cut.attributes[0].value.string_value) <= 4095
    assert "[cut: " in cut.attributes[0].value.string_value
    assert len(whole.attributes[0].value.string_value) == 9000
