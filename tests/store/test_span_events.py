"""Spans -> events: types, shapes of data, ids, what is cut and how."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from agent_trace_otel.store import span_events
from agent_trace_otel.store.span_events import Failure

TAIL = span_events.tail("t" * 32, "s" * 16, "", "")
LIMIT = 16 * 1024
WHERE = {"trace_id": "t" * 32, "span_id": "s" * 16}


def opened(kind: Any, attributes: dict[str, Any], limit: int = LIMIT) -> tuple[str, dict[str, Any]] | None:
    found = span_events.opening(kind, attributes, TAIL, limit)
    return None if found is None else (found[0], parsed(found[1]))


def closed(
    kind: Any, attributes: dict[str, Any], failure: Failure | None = None, limit: int = LIMIT
) -> tuple[str, dict[str, Any]] | None:
    found = span_events.closing(kind, attributes, failure, 12.5, TAIL, limit)
    return None if found is None else (found[0], parsed(found[1]))


def parsed(data: str) -> dict[str, Any]:
    """Read a data object and take off what every one ends with."""
    assert data.isascii()
    assert "\n" not in data
    found = json.loads(data, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(found)[-2:] == ["trace_id", "span_id"]
    assert {key: found.pop(key) for key in WHERE} == WHERE
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({}, "generic"),
        ({"http.request.method": "GET", "session.id": "s"}, "generic"),
        ({"gen_ai.operation.name": 3}, "generic"),
        ({"gen_ai.operation.name": "execute_tool"}, "tool"),
        ({"gen_ai.operation.name": "chat"}, "model"),
        ({"gen_ai.operation.name": "text_completion"}, "model"),
        ({"gen_ai.operation.name": "generate_content"}, "model"),
        ({"gen_ai.operation.name": "embeddings"}, "model"),
        ({"gen_ai.operation.name": "invoke_agent"}, "agent"),
        ({"gen_ai.operation.name": "create_agent"}, "agent"),
        ({"gen_ai.operation.name": "of_tomorrow"}, "agent"),
        ({"gen_ai.operation.name": "invoke_agent", "agent_trace.scope": "session"}, "session"),
        ({"gen_ai.operation.name": "invoke_agent", "agent_trace.scope": "turn"}, "agent"),
        ({"mcp.method.name": "tools/call"}, "tool"),
        ({"mcp.method.name": "resources/read"}, "resource"),
        ({"mcp.method.name": "sampling/createMessage"}, "model"),
        ({"mcp.method.name": "initialize"}, "agent"),
        ({"mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool"}, "tool"),
    ],
    ids=str,
)
def test_a_spans_kind_is_told_by_its_operation(attributes: dict[str, Any], kind: str) -> None:
    assert span_events.kind_of(attributes) == kind


# -- opening -----------------------------------------------------------------------------------------------------


def test_a_tool_call(tmp_path: Any) -> None:
    attributes = {"gen_ai.tool.name": "search", "gen_ai.tool.call.arguments": '{"q":"ü \\u2028","n":[1,null]}'}
    assert opened("tool", attributes) == (
        "tool_call",
        {"tool_name": "search", "arguments": {"q": "ü \u2028", "n": [1, None]}},
    )


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (None, {}),
        ("", {"value": ""}),
        ("plain text", {"value": "plain text"}),
        ("[1,2]", {"value": [1, 2]}),
        ('"text"', {"value": "text"}),
        ("null", {"value": None}),
        ({"a": (1, b"x")}, {"a": [1, "b'x'"]}),
        (("a", "b"), {"value": ["a", "b"]}),
        (7, {"value": 7}),
        ('{"a": NaN, "b": -Infinity}', {"a": "NaN", "b": "-Infinity"}),
        ('{"a":\n1}', {"a": 1}),
        ('{"a":1}{', {"value": '{"a":1}{'}),
        ("[" * 100_000, None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_arguments_are_always_an_object(arguments: object, shown: dict[str, Any] | None) -> None:
    found = opened("tool", {"gen_ai.tool.name": "t", "gen_ai.tool.call.arguments": arguments})
    assert found is not None
    assert isinstance(found[1]["arguments"], dict)
    if shown is not None:
        assert found[1]["arguments"] == shown


def test_the_short_way_for_our_own_arguments_gives_the_same() -> None:
    for arguments in ('{"a":1}', '{"ü":"\U0001f600\u2028"}', "{}", '{"a":"' + "x" * 20_000 + '"}'):
        attributes = {"gen_ai.tool.name": "t", "gen_ai.tool.call.arguments": arguments}
        checked = span_events.opening("tool", attributes, TAIL, LIMIT)
        trusted = span_events.opening("tool", attributes, TAIL, LIMIT, is_json=True)
        assert trusted == checked


def test_a_model_call() -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m-1",
        "gen_ai.input.messages": '[{"role":"user"},{"role":"user"}]',
    }
    assert opened("model", attributes) == ("llm_request", {"method": "chat", "model": "m-1", "message_count": 2})
    assert opened("model", {"mcp.method.name": "sampling/createMessage"}) == (
        "llm_request",
        {"method": "sampling/createMessage", "model": ""},
    )


def test_a_session() -> None:
    attributes = {
        "gen_ai.agent.name": "agent",
        "process.command_args": ("python", "a.py"),
        "process.pid": 7,
        "agent_trace.process.start": "123",
        "agent_trace.boot_id": "b",
        "host.name": "h",
    }
    assert opened("session", attributes) == (
        "session_start",
        {
            "agent_name": "agent",
            "command": ["python", "a.py"],
            "pid": 7,
            "pid_start": "123",
            "boot_id": "b",
            "host": "h",
        },
    )
    assert opened("session", {}) == ("session_start", {"agent_name": "", "command": []})


def test_a_resource_read_over_mcp_is_a_file_read() -> None:
    assert opened("resource", {"mcp.resource.uri": "file:///a"}) == ("file_read", {"uri": "file:///a"})


@pytest.mark.parametrize("kind", ["agent", "generic"])
def test_kinds_without_events(kind: str) -> None:
    assert opened(kind, {}) is None
    assert closed(kind, {}) is None
    assert closed(kind, {}, Failure("m", "E")) is None


# -- closing -----------------------------------------------------------------------------------------------------


def test_a_tool_result() -> None:
    attributes = {"gen_ai.tool.name": "t", "gen_ai.tool.call.result": "found \u2028", "agent_trace.outcome": "ok"}
    assert closed("tool", attributes) == ("tool_result", {"tool_name": "t", "result": "found \u2028"})
    assert closed("tool", {"gen_ai.tool.name": "t"}) == ("tool_result", {"tool_name": "t", "result": ""})


@pytest.mark.parametrize("outcome", ["interrupted", "abandoned", "unknown"])
def test_an_outcome_that_is_no_failure_is_noted_on_the_result(outcome: str) -> None:
    found = closed("tool", {"gen_ai.tool.name": "t", "agent_trace.outcome": outcome})
    assert found == ("tool_result", {"tool_name": "t", "result": "", "outcome": outcome})
    assert closed("model", {"agent_trace.outcome": outcome})[1]["outcome"] == outcome  # type: ignore[index]


def test_a_model_response() -> None:
    attributes = {
        "gen_ai.response.model": "m-2",
        "gen_ai.request.model": "m-1",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [
            {"type": "text", "content": "a"}, {"type": "tool_call", "name": "t"}, {"type": "text", "content": "b"},
        ]}]),
    }  # fmt: skip
    assert closed("model", attributes) == (
        "llm_response",
        {"content_preview": "a\nb", "total_tokens": 7, "model": "m-2", "input_tokens": 3, "output_tokens": 4},
    )


def test_a_model_response_tells_parts_of_its_usage_its_provider_and_its_cost() -> None:
    attributes = {
        "gen_ai.provider.name": "anthropic",
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.cache_read.input_tokens": 20,
        "gen_ai.usage.cache_write.input_tokens": 5,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "agent_trace.cost_usd": 0.0125,
    }
    found = closed("model", attributes)
    assert found is not None
    told = {name: found[1][name] for name in ("total_tokens", "cached_tokens", "cache_write_tokens", "cost_usd")}
    assert told == {"total_tokens": 34, "cached_tokens": 20, "cache_write_tokens": 5, "cost_usd": 0.0125}
    assert (found[1]["reasoning_tokens"], found[1]["provider"]) == (2, "anthropic")


def test_a_cost_that_is_no_number_is_left_out() -> None:
    for odd in ("1", True, float("nan"), float("inf")):
        found = closed("model", {"agent_trace.cost_usd": odd})
        assert found == ("llm_response", {"content_preview": ""})


def test_a_sessions_end_tells_what_its_run_cost() -> None:
    found = closed("session", {"agent_trace.session.cost_usd": 0.25})
    assert found == ("session_end", {"duration_ms": 12.5, "cost_usd": 0.25})


@pytest.mark.parametrize(
    ("usage", "total"),
    [
        ({}, None),
        ({"gen_ai.usage.input_tokens": 5}, 5),
        ({"gen_ai.usage.output_tokens": 5.0}, 5),
        ({"gen_ai.usage.input_tokens": "5"}, None),
    ],
    ids=str,
)
def test_tokens_are_told_where_they_are_known(usage: dict[str, Any], total: int | None) -> None:
    found = closed("model", usage)
    assert found is not None
    assert found[1].get("total_tokens") == total


def test_a_preview_is_short() -> None:
    messages = json.dumps([{"parts": [{"type": "text", "content": "x" * 5000}]}])
    found = closed("model", {"gen_ai.output.messages": messages})
    assert found is not None
    assert found[1]["content_preview"] == "x" * 500 + "… [cut: 4500 characters]"


@pytest.mark.parametrize("messages", ["not json", "{}", "[3]", '[{"parts": 3}]', '[{"parts": [3]}]', 7])
def test_odd_messages_are_no_reason_to_fail(messages: object) -> None:
    assert closed("model", {"gen_ai.output.messages": messages}) == ("llm_response", {"content_preview": ""})
    assert opened("model", {"gen_ai.input.messages": messages}) is not None


def test_an_error() -> None:
    attributes = {"gen_ai.tool.name": "t", "error.type": "LookupError", "agent_trace.outcome": "error"}
    assert closed("tool", attributes, Failure("no luck", "builtins.LookupError")) == (
        "error",
        {"tool_name": "t", "error": "LookupError", "message": "no luck", "exception_type": "builtins.LookupError"},
    )
    assert closed("tool", {"gen_ai.tool.name": "t", "agent_trace.outcome": "denied"}, Failure("", "")) == (
        "error",
        {"tool_name": "t", "error": "error", "message": "error", "exception_type": "", "outcome": "denied"},
    )
    assert closed("model", {"gen_ai.request.model": "m"}, Failure("x", "E")) == (
        "error",
        {"model": "m", "error": "E", "message": "x", "exception_type": "E"},
    )
    assert closed("resource", {}, Failure("x", "E")) == ("error", {"error": "E", "message": "x", "exception_type": "E"})
    assert closed("resource", {}) is None


def test_the_end_of_a_session() -> None:
    assert closed("session", {}) == ("session_end", {"duration_ms": 12.5})
    attributes = {"process.exit.code": 1, "error.type": "LookupError"}
    assert closed("session", attributes, Failure("no luck", "")) == (
        "session_end",
        {"duration_ms": 12.5, "exit_code": 1, "error": "LookupError", "message": "no luck"},
    )


# -- points and ids ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "attributes", "event"),
    [
        ("agent_trace.user_prompt", {"agent_trace.text": "hi"}, ("user_prompt", {"prompt": "hi"})),
        ("agent_trace.assistant_response", {"agent_trace.text": "hi"}, ("assistant_response", {"text": "hi"})),
        (
            "agent_trace.decision",
            {"agent_trace.decision.choice": "a", "agent_trace.decision.alternatives": ("b", "c")},
            ("decision", {"choice": "a", "reason": "", "alternatives": ["b", "c"]}),
        ),
        ("agent_trace.file_read", {"file.path": "/a"}, ("file_read", {"uri": "/a"})),
        ("agent_trace.file_write", {"mcp.resource.uri": "https://a"}, ("file_write", {"uri": "https://a"})),
        ("exception", {"exception.type": "E"}, None),
        ("gen_ai.choice", {}, None),
    ],
)
def test_span_events(name: str, attributes: dict[str, Any], event: object) -> None:
    assert span_events.point(name, attributes, LIMIT) == event


def test_event_ids_follow_from_what_they_tell_of() -> None:
    span_id = "00f067aa0ba902b7"
    assert span_events.closing_id(span_id) == hashlib.sha256(b"00f067aa0ba902b7:end").digest()[:6].hex()
    ids = {
        span_events.point_id(*parts)
        for parts in [
            (span_id, 1, "decision", 0), (span_id, 1, "decision", 1), (span_id, 2, "decision", 0),
            (span_id, 1, "user_prompt", 0), ("0" * 16, 1, "decision", 0),
        ]
    }  # fmt: skip
    assert len(ids) == 5
    assert {len(event_id) for event_id in ids} == {12}
    assert span_events.point_id(span_id, 1, "decision", 0) in ids


def test_the_tail_says_where_an_event_stands() -> None:
    assert json.loads("{" + span_events.tail("t", "s", "p", 'a"b')[1:]) == {
        "agent": 'a"b', "trace_id": "t", "span_id": "s", "parent_span_id": "p",
    }  # fmt: skip
    assert span_events.with_tail({"a": None}, TAIL) == "{" + TAIL[1:]


# -- cutting -----------------------------------------------------------------------------------------------------


def test_long_text_is_cut_with_a_mark_that_says_how_much() -> None:
    assert span_events.cut_text("x" * 10, 10) == "x" * 10
    assert span_events.cut_text("x" * 11, 10) == "x" * 10 + "… [cut: 1 characters]"


def test_long_arguments_keep_their_shape() -> None:
    long = {"path": "/a", "text": "x" * 50_000, "items": list(range(20_000)), "last": True}
    found = opened("tool", {"gen_ai.tool.name": "t", "gen_ai.tool.call.arguments": json.dumps(long)})
    assert found is not None
    shown = found[1]["arguments"]
    assert shown["path"] == "/a"
    assert shown["text"].startswith("xxx")
    assert "[cut: " in shown["text"]
    assert len(json.dumps(found[1])) < 2 * LIMIT


def test_long_results_that_are_json_stay_json() -> None:
    long = json.dumps({"rows": ["r" * 100] * 1000, "count": 1000})
    found = closed("tool", {"gen_ai.tool.name": "t", "gen_ai.tool.call.result": long})
    assert found is not None
    shown = json.loads(found[1]["result"])
    assert shown["rows"][0] == "r" * 100
    assert "cut" in shown["rows"][-1]
    assert len(found[1]["result"]) < 2 * LIMIT


@pytest.mark.parametrize(
    "value",
    [
        {f"k{number}": "v" * 100 for number in range(10_000)},
        [["x" * 1000] * 100] * 100,
        {"a": {"b": {"c": ["x" * 100_000]}}},
        {"k" * 50_000: 1},
        [[[[[["deep" * 10_000]]]]]],
    ],
    ids=["many members", "long lists", "nested", "long key", "deep"],
)
@pytest.mark.parametrize("limit", [100, 16 * 1024])
def test_what_is_cut_is_about_as_long_as_the_limit(value: object, limit: int) -> None:
    found = opened("tool", {"gen_ai.tool.name": "t", "gen_ai.tool.call.arguments": json.dumps(value)}, limit)
    assert found is not None
    assert len(json.dumps(found[1]["arguments"], ensure_ascii=False)) < 2 * limit + 500
