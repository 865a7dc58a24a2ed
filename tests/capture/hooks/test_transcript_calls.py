"""Lines of a transcript become calls: what no recording shows, written by hand, and lines that nobody would write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transcript_lines import STOP, at, block, calls, ns, request, result, synthetic, text, told, tool_use, user, write

from agent_trace_otel.capture.hooks.transcript.facts import time_ns
from agent_trace_otel.capture.hooks.transcript.reader import TranscriptReader


def test_blocks_of_one_message_become_one_call_with_the_counts_of_the_last(tmp_path: Path) -> None:
    usage = {
        "input_tokens": 3,
        "output_tokens": 20,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 7,
        "cache_creation": {"ephemeral_1h_input_tokens": 6, "ephemeral_5m_input_tokens": 1},
        "output_tokens_details": {"thinking_tokens": 4},
        "server_tool_use": {"web_search_requests": 2},
        "speed": "fast",
    }
    path = write(
        tmp_path / "t.jsonl",
        user(1, "hi", promptId="p1"),
        request("r1", 2),
        block("m1", 3, text("a"), requestRef="r1", stop_reason=None, usage={"output_tokens": 1}, uuid="u1"),
        block("m1", 3, text("a"), requestRef="r1", stop_reason=None, usage={"output_tokens": 1}, uuid="u1"),
        result(3.5, "t0"),  # a tool that ran while the model went on: the message is not over
        block(
            "m1", 4, tool_use("t1"), requestRef="r1", stop_reason="tool_use", usage=usage, requestId="q1", effort="low"
        ),
        STOP,
    )
    (call,) = calls(TranscriptReader(path).read())
    assert call == {
        "kind": "call",
        "key": "m1",
        "message_id": "m1",
        "request_id": "q1",
        "model": "claude-opus-5-5",
        "started_ns": ns(2),
        "ended_ns": ns(4),
        "attempts": 1,
        "stop_reason": "tool_use",
        "usage": {
            "input": 3,
            "output": 20,
            "cache_read": 5,
            "cache_creation": 7,
            "cache_creation_1h": 6,
            "reasoning": 4,
            "web_searches": 2,
        },
        "output": [
            {
                "role": "assistant",
                "parts": [
                    {"type": "text", "content": "a"},
                    {"type": "tool_call", "id": "t1", "name": "Bash", "arguments": {"command": "true"}},
                ],
                "finish_reason": "tool_call",
            }
        ],
        "input": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}],
        "prompt_id": "p1",
        "effort": "low",
        "query_source": "sdk",
        "speed": "fast",
    }


def test_attempts_count_for_one_query_source_alone(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        user(1, "hi"),
        request("r1", 2),
        request("title", 2.5, "generate_title"),
        request("r2", 3),
        block("m1", 4, text("a"), requestRef="r2"),
        STOP,
    )
    first, title = calls(told(TranscriptReader(path)))
    assert (first["key"], first["started_ns"], first["attempts"], first["query_source"]) == ("m1", ns(2), 2, "sdk")
    assert (title["key"], title["attempts"], title["interrupted"]) == ("title", 1, True)


def test_a_request_that_the_conversation_went_on_without_is_no_attempt_of_the_next_call(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        user(1, "one"),
        request("r1", 2),
        user(3, "[Request interrupted by user]"),
        synthetic(4),
        user(5, "two"),
        request("r2", 6),
        block("m1", 7, text("a"), requestRef="r2"),
        STOP,
    )
    given_up, answered = calls(told(TranscriptReader(path)))
    assert (given_up["key"], given_up["started_ns"], given_up["ended_ns"]) == ("r1", ns(2), ns(3))
    assert given_up["interrupted"]
    assert "error" not in given_up
    assert (answered["key"], answered["attempts"], answered["started_ns"]) == ("m1", 1, ns(6))
    assert [message["parts"][0]["content"] for message in answered["input"]] == ["[Request interrupted by user]", "two"]


def test_a_call_of_a_client_that_was_killed_ends_with_the_last_thing_seen(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        user(1, "one"),
        request("r1", 2),
        {"type": "attachment", "timestamp": at(3)},
        user(40, "the next day"),
        request("r2", 41),
        block("m1", 42, text("a"), requestRef="r2"),
    )
    lost, answered = calls(told(TranscriptReader(path)))
    assert (lost["key"], lost["started_ns"], lost["ended_ns"], lost["interrupted"]) == ("r1", ns(2), ns(3), True)
    assert (answered["attempts"], answered["started_ns"]) == (1, ns(41))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"apiErrorType": "overloaded_error", "error": "server_error", "apiErrorStatus": 529}, "overloaded_error"),
        ({"error": "rate_limit"}, "rate_limit"),
        ({"error": "unknown", "apiErrorStatus": 502}, "502"),
        ({"error": "unknown"}, "_OTHER"),
        ({"apiErrorType": 7, "error": [], "apiErrorStatus": True}, "_OTHER"),
    ],
)
def test_a_failed_call_has_the_finest_error_type_there_is(tmp_path: Path, line: Any, expected: str) -> None:
    path = write(tmp_path / "t.jsonl", user(1, "hi"), request("r1", 2), synthetic(3, isApiErrorMessage=True, **line))
    (call,) = calls(TranscriptReader(path).read())
    assert call["error"] == {"type": expected, "message": "API Error"}
    assert (call["key"], call["ended_ns"], call["usage"], call["output"]) == ("r1", ns(3), {}, [])


def test_another_query_sources_request_does_not_end_an_answer(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        user(1, "hi"),
        request("r1", 2),
        block("m1", 4, text("a"), requestRef="r1"),
        request("title", 3, "generate_title"),
        block("m1", 3.5, text("b"), requestRef="r1"),
        STOP,
    )
    (call,) = calls(TranscriptReader(path).read())
    assert (len(call["output"][0]["parts"]), call["ended_ns"]) == (2, ns(4))


def test_requests_at_once_are_answered_each_by_its_own(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        request("r1", 1),
        request("r2", 2),
        block("m1", 3, text("a"), requestRef="r1"),
        block("m2", 4, text("b"), requestRef="r2"),
        block("m3", 5, text("c"), requestRef="r2"),
        STOP,
    )
    found = calls(TranscriptReader(path).read())
    assert [(call["key"], call["started_ns"], call["attempts"]) for call in found] == [
        ("m1", ns(1), 1),
        ("m2", ns(2), 1),
        ("m3", ns(5), 1),  # the request's second answer
    ]


def test_what_the_client_says_between_attempts_does_not_part_them(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        user(1, "hi"),
        request("r1", 2),
        user(3, "<system-reminder>", isMeta=True),
        request("r2", 4),
        block("m1", 5, text("a"), requestRef="r2"),
    )
    (call,) = calls(told(TranscriptReader(path)))
    assert (call["attempts"], call["started_ns"], len(call["input"])) == (2, ns(2), 2)


def test_a_call_whose_request_was_damaged_is_known_by_its_time(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", user(1, "hi"), "{torn", block("m1", 3, text("a"), requestRef="r1"), STOP)
    assert [call["started_ns"] for call in calls(told(TranscriptReader(path, since_ns=ns(1))))] == [ns(1)]
    assert calls(told(TranscriptReader(path, since_ns=ns(4)))) == []


def test_a_line_without_a_time_has_that_of_the_line_before(tmp_path: Path) -> None:
    lines = [user(1, "hi"), request("r1", 2), block("m1", 3, text("a"), requestRef="r1"), STOP]
    del lines[1]["timestamp"]
    lines[2]["timestamp"] = ["no", "time"]
    (call,) = calls(told(TranscriptReader(write(tmp_path / "t.jsonl", *lines))))
    assert (call["started_ns"], call["ended_ns"]) == (ns(1), ns(1))


def test_only_so_many_messages_wait_for_their_call(tmp_path: Path) -> None:
    lines = [user(1, f"{number}") for number in range(100)]
    path = write(tmp_path / "t.jsonl", *lines, request("r1", 2), block("m1", 3, text("a"), requestRef="r1"))
    (call,) = calls(told(TranscriptReader(path)))
    assert [message["parts"][0]["content"] for message in call["input"]] == [f"{number}" for number in range(36, 100)]


@pytest.mark.parametrize("count", [-1, 1 << 60, 1.5, True, "7", None, [1]])
def test_what_can_be_no_count_is_unknown(tmp_path: Path, count: Any) -> None:
    usage = {"input_tokens": count, "output_tokens": 2, "output_tokens_details": count}
    path = write(tmp_path / "t.jsonl", user(1, "hi"), block("m1", 3, text("a"), usage=usage))
    (call,) = calls(told(TranscriptReader(path)))
    assert call["usage"] == {"output": 2}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-22T20:04:41.579Z", 1795377881579000000),
        ("2026-11-22T20:04:41.579", 1795377881579000000),
        ("2026-11-22T21:04:41.579+01:00", 1795377881579000000),
        ("1969-12-31T00:00:00Z", 0),
        ("0001-01-01T00:00:00+23:00", 0),
        ("yesterday", 0),
        (1795377881, 0),
        (None, 0),
    ],
)
def test_times_are_read_exactly_or_not_at_all(value: Any, expected: int) -> None:
    assert time_ns(value) == expected


def test_a_synthetic_line_alone_is_no_call(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", user(1, "hi"), synthetic(3, isApiErrorMessage=True), synthetic(4), STOP)
    assert calls(told(TranscriptReader(path))) == []


def test_files_of_clients_without_api_requests_are_read_by_time(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        user(1, "old"),
        block("m1", 2, tool_use("t1"), sessionId="old"),
        result(3, "t1"),
        user(11, "new"),
        block("m2", 12, text("b")),
        STOP,
    )
    facts = told(TranscriptReader(path, since_ns=ns(10)))
    assert [(fact["kind"], fact.get("key")) for fact in facts] == [("call", "m2")]
    assert (facts[0]["started_ns"], facts[0]["ended_ns"]) == (ns(11), ns(12))
    assert [call["key"] for call in calls(told(TranscriptReader(path)))] == ["m1", "m2"]


def test_sub_agents_between_the_main_lines_of_old_clients_are_calls_of_their_own(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        user(1, "main"),
        block("m1", 2, text("a")),
        user(3, "side", isSidechain=True),
        block("s1", 4, text("b"), isSidechain=True, agentId="a1"),
        block("m1", 5, tool_use("t1"), stop_reason="tool_use"),
        result(6, "t1"),
        block("m2", 7, text("c")),
    )
    found = {call["key"]: call for call in calls(told(TranscriptReader(path)))}
    assert len(found["m1"]["output"][0]["parts"]) == 2
    assert found["s1"]["agent_id"] == "a1"
    assert [message["parts"][0]["content"] for message in found["s1"]["input"]] == ["side"]
    assert [message["role"] for message in found["m2"]["input"]] == ["tool"]


def test_a_line_that_names_the_origin_of_copied_history_tells_it(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        user(1, "hi"),
        block("m0", 2, text("a"), forkedFrom={"sessionId": "grandparent", "messageUuid": "u"}),
        block("m1", 2, text("a"), requestRef="r0", forkedFrom={"sessionId": "parent", "messageUuid": "u"}),
        user(3, "more"),
        request("r1", 4),
        block("m2", 5, text("b"), requestRef="r1"),
    )
    facts = told(TranscriptReader(path))
    assert facts[0] == {"kind": "origin", "session_id": "parent", "request_id": "r0"}
    assert [call["key"] for call in calls(facts)] == ["m2"]


def test_decisions_and_results_are_told_at_once(tmp_path: Path) -> None:
    refused = [
        {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": [text("x" * 3000), {"type": "image"}]}
    ]
    decision = {"decision": "reject", "source": "config", "reasonType": "mode", "reasonCode": "mode:dontAsk"}
    path = write(tmp_path / "t.jsonl", user(1, refused, permissionDecision=decision))
    assert TranscriptReader(path).read() == [
        {"kind": "decision", "tool_use_id": "t1", "decision": "reject", "source": "config", "reason": "mode:dontAsk"},
        {"kind": "result", "tool_use_id": "t1", "is_error": True, "text": "x" * 2000 + "… [cut: 1008 characters]"},
    ]


def test_a_cost_state_is_told_with_the_time_before_it(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        user(1, "hi"),
        {"type": "cost-state", "totalCostUSD": 0.5, "hasUnknownModelCost": True},
        {"type": "cost-state", "totalCostUSD": "much"},
    )
    reader = TranscriptReader(path)
    assert reader.read() == [{"kind": "cost", "usd": 0.5, "unknown_model": True, "at_ns": ns(1)}]
    assert reader.unknown == {"cost-state": 1}
    (cost,) = TranscriptReader(path, offset=len(json.dumps(user(1, "hi"))) + 1, since_ns=ns(2)).read()
    assert cost["at_ns"] == ns(2)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["id", "timestamp", "querySource", "params", "message", "requestRef", "uuid", "promptId", "agentId", "isMeta"]
) | st.sampled_from(
    ["isSidechain", "isApiErrorMessage", "forkedFrom", "permissionDecision", "totalCostUSD", "error", "subtype"]
)
TYPES = st.sampled_from(["assistant", "user", "api-request", "system", "cost-state"])
MESSAGES = st.dictionaries(st.sampled_from(["id", "model", "content", "usage", "stop_reason", "role"]), VALUES)
BLOCKS = st.dictionaries(
    st.sampled_from(["type", "text", "id", "name", "input", "tool_use_id", "content", "is_error"]),
    VALUES | st.sampled_from(["text", "tool_use", "tool_result", "thinking", "image", "t1"]),
)
LINES = st.builds(
    lambda kind, fields, message, blocks, whole: {
        "type": kind,
        **fields,
        **({"message": {"id": "m1", "content": blocks, **message}} if whole else {}),
    },
    TYPES,
    st.dictionaries(NAMES, VALUES | st.just("r1") | st.just(at(1))),
    MESSAGES,
    st.lists(BLOCKS, max_size=3),
    st.booleans(),
)


@given(lines=st.lists(LINES, max_size=8), since_ns=st.sampled_from([0, ns(1)]))
@settings(max_examples=100, deadline=None)
def test_fields_of_any_type_are_survived_and_facts_are_json(
    tmp_path_factory: pytest.TempPathFactory, lines: list[Any], since_ns: int
) -> None:
    path = write(tmp_path_factory.mktemp("odd") / "t.jsonl", *lines)
    reader = TranscriptReader(path, since_ns=since_ns)
    facts = told(reader)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    for call in calls(facts):
        assert 0 <= call["started_ns"] <= call["ended_ns"]
