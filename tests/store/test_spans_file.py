"""spans.jsonl: what is written comes back the same, whatever a span carries."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from drawn_spans import facts, make_span, spans, text, typed, value
from hypothesis import example, given, settings
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import SpanKind, StatusCode

from agent_trace_otel.encodable import encodable_text, encodable_value
from agent_trace_otel.store import spans_file
from agent_trace_otel.store.spans_file import SpansReader, encode_line, read_spans, requests_of, spans_of_line

if TYPE_CHECKING:
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan


@settings(deadline=None, max_examples=300)
@given(spans)
def test_a_span_read_back_is_the_span_that_was_written(span: ReadableSpan) -> None:
    line = encode_line(span)
    assert line.isascii()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    (read,) = spans_of_line(line)
    assert facts(read) == facts(span)


@settings(deadline=None, max_examples=100)
@given(spans)
def test_writing_what_was_read_gives_the_same_line(span: ReadableSpan) -> None:
    line = encode_line(span)
    assert encode_line(spans_of_line(line)[0]) == line


@given(value)
@example([[[[2**64]]]])
@example({"": {"": "\ud800"}})
def test_an_encodable_value_is_handed_back_as_it_is(value: object) -> None:
    once = encodable_value(value)
    assert encodable_value(once) is once


@given(text)
def test_encodable_text_keeps_everything_but_lone_surrogates(drawn: str) -> None:
    cleaned = encodable_text(drawn)
    cleaned.encode()
    paired = drawn.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert cleaned == paired


@pytest.mark.parametrize("fine", ["", "plain", "日本語 🤖", "\u2028"])
def test_text_that_is_fine_is_not_copied(fine: str) -> None:
    assert encodable_text(fine) is fine


def test_what_otlp_has_no_form_for_becomes_text() -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError

    nasty = {1: {2}, "big": 2**63, "huge": 10**5000, "odd": Unprintable(), "raw": bytearray(b"x"), "s": "\udc80"}
    cleaned = encodable_value(nasty)
    assert isinstance(cleaned, dict)
    assert cleaned.pop("huge").startswith("0x")
    assert cleaned == {"1": "{2}", "big": str(2**63), "odd": "<Unprintable>", "raw": b"x", "s": "\ufffd"}
    (read,) = spans_of_line(encode_line(make_span(attributes={"set": {3}, "big": 2**63, "list": [2**64, {4}]})))
    assert dict(read.attributes or {}) == {"set": "{3}", "big": str(2**63), "list": (str(2**64), "{4}")}


def test_nesting_is_cut_where_protobuf_would_refuse_the_whole_request() -> None:
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    (read,) = spans_of_line(encode_line(make_span(attributes={"deep": deep})))
    value, depth = (read.attributes or {})["deep"], 0
    while isinstance(value, tuple):
        (value,), depth = value, depth + 1
    assert isinstance(value, str)
    assert depth == 30


def test_resources_are_told_apart_though_their_ids_are_used_again() -> None:
    seen = set[int]()
    for number in range(300):  # each resource is freed before the next is made, which then tends to get its address
        resource = Resource({"n": number})
        seen.add(id(resource))
        (read,) = spans_of_line(encode_line(make_span(resource=resource)))
        assert read.resource.attributes["n"] == number
    assert len(spans_file._envelopes) <= 64


def test_a_flood_of_attribute_keys_does_not_grow_the_cache_without_bound() -> None:
    for start in range(0, 10_000, 100):
        keys = {f"key{number}": 1 for number in range(start, start + 100)} | {"k" * 500: 1}
        (read,) = spans_of_line(encode_line(make_span(attributes=keys)))
        assert dict(read.attributes or {}) == keys
    assert len(spans_file._key_prefixes) <= 4096


def test_importing_the_module_loads_no_opentelemetry() -> None:
    code = "import sys, agent_trace_otel.store.spans_file; print([m for m in sys.modules if 'opentelemetry' in m])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


FOREIGN = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "api"}}], "entityRefs": []},
            "scopeSpans": [
                {
                    "scope": {"name": "a"},
                    "spans": [
                        {
                            "traceId": "0AF7651916CD43DD8448EB211C80319C",
                            "spanId": "B7AD6B7169203331",
                            "parentSpanId": "",
                            "name": "first",
                            "kind": "SPAN_KIND_CLIENT",
                            "startTimeUnixNano": 1544712660000000000,
                            "endTimeUnixNano": "1544712661000000000",
                            "attributes": [
                                {"key": "int", "value": {"intValue": 7}},
                                {"key": "double", "value": {"doubleValue": 1}},
                                {"key": "bytes", "value": {"bytesValue": "-_8"}},
                                {"key": "new", "value": {"laterValue": 1}},
                            ],
                            "status": {"code": "STATUS_CODE_ERROR", "message": "no"},
                            "unknown": {"a": 1},
                        },
                        {"traceId": "00" * 15 + "01", "spanId": "00" * 7 + "02", "name": "second"},
                    ],
                },
                {"spans": [{"traceId": "00" * 15 + "01", "spanId": "00" * 7 + "03", "kind": 5}]},
            ],
        },
        {"scopeSpans": [{"spans": [{"traceId": "00" * 15 + "01", "spanId": "00" * 7 + "04"}]}]},
    ]
}


def test_lines_of_other_producers_are_read() -> None:
    first, second, third, fourth = spans_of_line(json.dumps(FOREIGN).encode())
    assert first.context is not None
    assert first.context.trace_id == 0x0AF7651916CD43DD8448EB211C80319C
    assert first.parent is None
    assert (first.kind, second.kind, third.kind) == (SpanKind.CLIENT, SpanKind.INTERNAL, SpanKind.CONSUMER)
    assert (first.start_time, first.end_time) == (1544712660000000000, 1544712661000000000)
    assert typed(first.attributes) == typed({"int": 7, "double": 1.0, "bytes": b"\xfb\xff", "new": None})
    assert (first.status.status_code, first.status.description) == (StatusCode.ERROR, "no")
    assert first.resource is third.resource
    assert fourth.resource.attributes == {}
    assert third.instrumentation_scope is None


SPAN = '{"resourceSpans":[{"scopeSpans":[{"spans":[%s]}]}]}'
IDS = '"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"'


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "null",
        "[]",
        '{"resourceLogs":[]}',
        '{"resourceSpans":{}}',
        '{"resourceSpans":[1]}',
        SPAN % "{}",
        SPAN % '{"traceId":"0af7","spanId":"b7ad6b7169203331"}',
        SPAN % '{"traceId":"zz","spanId":"b7ad6b7169203331"}',
        SPAN % f'{{{IDS},"kind":99}}',
        SPAN % f'{{{IDS},"name":5}}',
        SPAN % f'{{{IDS},"attributes":{{"a":1}}}}',
        SPAN % f'{{{IDS},"attributes":[{{"key":"a","value":{{"intValue":"x"}}}}]}}',
        SPAN % f'{{{IDS},"attributes":[{{"key":"a","value":{{"boolValue":"yes"}}}}]}}',
        SPAN % f'{{{IDS},"startTimeUnixNano":true}}',
        "[" * 100_000,
        SPAN % f'{{{IDS},"attributes":[{{"key":"a","value":{"{" * 5000}',
    ],
)
def test_a_bad_line_is_one_kind_of_error(line: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        spans_of_line(line.encode())
    assert len(str(caught.value).splitlines()) == 1


def test_a_deeply_nested_foreign_value_is_read_or_refused_but_never_a_crash() -> None:
    value = '{"arrayValue":{"values":[' * 800 + '{"intValue":"1"}' + "]}}" * 800
    line = SPAN % f'{{{IDS},"attributes":[{{"key":"a","value":{value}}}]}}'
    try:
        reads = spans_of_line(line.encode())
    except ValueError:
        reads = []
    assert all(encode_line(read) for read in reads)


def test_a_reader_passes_over_what_it_cannot_read_and_counts_it(tmp_path: Path) -> None:
    lines = [encode_line(make_span(f"span {number}")) for number in range(4)]
    garbage = b"\x00\xff\xfe not json\n"
    torn = lines[1][: len(lines[1]) // 2]
    path = tmp_path / "spans.jsonl"
    path.write_bytes(
        lines[0] + garbage + torn + b"\n" + b"\n  \n" + torn + lines[2] + b'{"resourceSpans":7}\n' + lines[3] + torn
    )
    reader = SpansReader(path)
    assert [span.name for span in reader.spans()] == ["span 0", "span 2", "span 3"]
    assert reader.skipped == 5  # garbage, torn, torn in front of span 2, a number for a list, torn at the end
    assert len(list(reader.requests())) == 3
    assert reader.skipped == 5
    assert len(list(read_spans(path))) == len(list(requests_of(path))) == 3


def test_an_empty_file_holds_no_spans(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.touch()
    reader = SpansReader(path)
    assert list(reader.spans()) == []
    assert reader.skipped == 0


def test_only_a_file_that_cannot_be_opened_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_spans(tmp_path / "missing.jsonl"))


def test_a_line_of_five_megabytes_comes_back_whole(tmp_path: Path) -> None:
    long = "é\u2028x" * (5 * 2**20 // 3)
    path = tmp_path / "spans.jsonl"
    path.write_bytes(encode_line(make_span(attributes={"long": long})) + encode_line(make_span("after")))
    first, second = read_spans(path)
    assert (first.attributes or {})["long"] == long
    assert second.name == "after"
