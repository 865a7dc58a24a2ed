"""Whatever comes over the wire is answered, and the next request is taken."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hostile import fuzzed, mutated
from hypothesis import given
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from receiving import JSON, PROTOBUF, Collector, agent, http_call, names, protobuf, request, span, tool
from test_log_stories import AGENTS, logs

DEEP = 5000
ODD: dict[str, Any] = {
    "a list for a map": [],
    "a text for a list": {"resourceSpans": "no"},
    "a list of numbers": {"resourceSpans": [1, 2]},
    "scopes that are none": {"resourceSpans": [{"scopeSpans": 7}]},
    "spans that are none": {"resourceSpans": [{"scopeSpans": [{"spans": {"a": 1}}]}]},
    "attributes that are none": request({**tool(2), "attributes": "none"}),
    "a key that is no text": request({**tool(2), "attributes": [{"key": 7, "value": {"stringValue": "x"}}]}),
    "a value that is none": request({**tool(2), "attributes": [{"key": "k", "value": {"intValue": "many"}}]}),
    "a kind that is none": request({**tool(2), "kind": "SPAN_KIND_UNHEARD_OF"}),
    "a time that is none": request({**tool(2), "startTimeUnixNano": "yesterday"}),
    "a time before time": request({**tool(2), "startTimeUnixNano": "-5"}),
    "a time after time": request({**tool(2), "endTimeUnixNano": str(2**64)}),
    "too much dropped": request({**tool(2), "droppedAttributesCount": 2**32}),
    "an event that is none": request({**tool(2), "events": [{"timeUnixNano": {}}]}),
    "an event after time": request({**tool(2), "events": [{"timeUnixNano": str(2**70), "name": "e"}]}),
    "a link to nothing": request({**tool(2), "links": [{"traceId": "", "spanId": ""}]}),
    "a parent that is too long": request({**tool(2), "parentSpanId": "f" * 18}),
    "a parent below zero": request({**tool(2), "parentSpanId": "-1"}),
    "a status that says no text": request({**tool(2), "status": {"code": 2, "message": ["no"]}}),
    "too much dropped of an event": request({**tool(2), "events": [{"droppedAttributesCount": -1, "name": "e"}]}),
    "too much dropped of a link": request({**tool(2), "links": [{**tool(3), "droppedAttributesCount": 2**32}]}),
    "a scope without a text": {"resourceSpans": [{"scopeSpans": [{"scope": {"name": 5}, "spans": [tool(2)]}]}]},
    "a version without a text": {"resourceSpans": [{"scopeSpans": [{"scope": {"version": []}, "spans": [tool(2)]}]}]},
    "a schema of a scope that is none": {"resourceSpans": [{"scopeSpans": [{"schemaUrl": [1], "spans": [tool(2)]}]}]},
    "a schema that is none": {"resourceSpans": [{"schemaUrl": 5, "scopeSpans": [{"spans": [tool(2)]}]}]},
    "a resource that is none": {"resourceSpans": [{"resource": 3, "scopeSpans": [{"spans": [tool(2)]}]}]},
}


@pytest.mark.parametrize("name", ODD)
def test_json_that_is_no_span_is_refused_and_the_next_one_taken(collector: Collector, name: str) -> None:
    answer = collector.post(json.dumps(ODD[name]).encode())
    assert answer.status == 400 or answer.rejected == 1
    assert collector.send(tool(1)).status == 200
    assert names(collector.recorded) == ["1"]


@pytest.mark.parametrize(
    "opening", ["[", '{"a":', '{"resourceSpans":[', '{"resourceSpans":[{"resource":{"attributes":[']
)
def test_json_that_is_nested_too_deeply_is_refused(collector: Collector, opening: str) -> None:
    assert collector.post(opening.encode() * DEEP).status == 400
    assert collector.send(tool(1)).status == 200


def test_a_value_that_is_nested_too_deeply_costs_its_span_at_most(collector: Collector) -> None:
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}
    deep = tool(2)
    deep["attributes"] = [*deep["attributes"], {"key": "deep", "value": value}]
    assert collector.send(deep, tool(1)).status == 200
    assert "1" in names(collector.recorded)


def test_a_log_event_that_is_nested_too_deeply_is_refused(collector: Collector) -> None:
    value: dict[str, Any] = {"stringValue": "x"}
    for _ in range(300):
        value = {"arrayValue": {"values": [value]}}
    deep = logs("codex")
    deep["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["attributes"].append({"key": "deep", "value": value})
    assert collector.post(json.dumps(deep).encode(), path="/v1/logs").status in (200, 400)


def test_odd_texts_are_written_as_they_can_be(collector: Collector) -> None:
    odd = span(2, "\ud800 \u2028 \x00", gen_ai__operation__name="execute_tool", gen_ai__tool__name="\udfff")
    odd["attributes"].append({"key": "", "value": {}})
    assert collector.send(odd, tool(1)).rejected == 0
    assert names(collector.recorded) == ["2", "1"]
    assert len((collector.recorded.trace_dir / odd["traceId"] / "spans.jsonl").read_bytes().splitlines()) == 2


def test_odd_texts_around_a_span_cost_no_batch_that_it_is_sent_in(collector: Collector) -> None:
    odd = {**request({**tool(1), "traceState": "a=\udcff"})["resourceSpans"][0], "schemaUrl": "https://\udcff"}
    odd["scopeSpans"][0] |= {"schemaUrl": "\udcff", "scope": {"name": "\udcff", "version": "\udcff"}}
    assert collector.post(json.dumps({"resourceSpans": [odd]}).encode()).status == 200
    assert encode_spans(collector.recorded.spans()).SerializeToString()


def test_ids_that_look_like_paths_stay_in_the_directory(collector: Collector) -> None:
    for number, name in enumerate(["../../outside", "/etc/passwd", ".collect", "a/b", "x" * 500, "\x00"], 1):
        assert collector.send(tool(number, trace=f"{number:032x}", session__id=name)).status == 200
    found = list(collector.recorded.trace_dir.parent.rglob("spans.jsonl"))
    assert len(found) == 6
    assert all(path.parent.parent == collector.recorded.trace_dir for path in found)


def test_bytes_at_random_break_nothing(collector: Collector) -> None:
    chance = random.Random(7)
    good = protobuf(*(tool(number) for number in range(1, 6)))
    for _ in range(300):
        body = bytearray(good)
        for _ in range(chance.randrange(1, 20)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        kind = chance.choice([JSON, PROTOBUF])
        path = chance.choice(["/v1/traces", "/v1/logs"])
        assert collector.post(bytes(body[: chance.randrange(len(body))]), kind, path).status in (200, 400)
    assert collector.send(tool(99, session__id="after")).status == 200
    assert names(collector.recorded, "after") == ["63"]


@fuzzed
@given(mutated(request(agent(1, session__id="talk"), tool(2, parent=1), http_call(3, parent=2))))
def test_requests_with_anything_in_them_are_answered(collector: Collector, document: Any) -> None:
    assert collector.post(json.dumps(document).encode()).status in (200, 400)


@fuzzed
@given(mutated([logs(name) for name in AGENTS]))
def test_logs_with_anything_in_them_are_answered(collector: Collector, documents: Any) -> None:
    for document in documents if isinstance(documents, list) else [documents]:
        assert collector.post(json.dumps(document).encode(), path="/v1/logs").status in (200, 400)
