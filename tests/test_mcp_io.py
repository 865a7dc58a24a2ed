"""What MCP messages say, whoever reads them: names apart from content, each member once, and no shape too odd."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_trace_otel import mcp_io, semconv

WORDS = [
    *("name", "arguments", "uri", "_meta", "messages", "systemPrompt", "modelPreferences", "hints", "content", "text"),
    *("role", "stopReason", "model", "isError", "protocolVersion", "progressToken", "stopSequences", "maxTokens"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)
METHODS = [
    *("tools/call", "prompts/get", "resources/read", "sampling/createMessage", "initialize", "ping"),
    *("notifications/progress", "notifications/message"),
]


def nothing(_: object) -> None:
    """Tell no content."""


@given(st.sampled_from(METHODS), JSON)
def test_no_shape_is_too_odd(method: str, value: Any) -> None:
    mcp_io.target_of(method, value)
    for reading in (
        mcp_io.read_request(method, value),
        mcp_io.read_result(method, value),
        mcp_io.read_error(value, value, value),
        mcp_io.read_notification(method, value),
    ):
        told = reading.told(str)
        assert all(type(told[name]) is str for name in reading.said)
        assert bool(reading.error_type) == bool(reading.failure(nothing)) == (semconv.ERROR_TYPE in told)
        assert not reading.said.keys() & reading.told(nothing).keys()


def test_a_request_tells_each_parameter_once() -> None:
    params = {"name": "t", "arguments": {"a": 1}, "task": {}, "_meta": {mcp_io.PROTOCOL_VERSION_KEY: "2026-07-28"}}
    reading = mcp_io.read_request("tools/call", params)
    assert reading.attributes == {
        semconv.OPERATION_NAME: "execute_tool",
        semconv.TOOL_NAME: "t",
        semconv.MCP_PROTOCOL_VERSION: "2026-07-28",
    }
    assert reading.said == {semconv.TOOL_CALL_ARGUMENTS: {"a": 1}, semconv.MCP_PARAMS: {"task": {}}}


def test_why_a_tool_failed_is_content_and_why_a_request_failed_is_not() -> None:
    failed = mcp_io.read_result("tools/call", {"content": [{"type": "text", "text": "no such city"}], "isError": True})
    assert (failed.failure(str), failed.failure(nothing)) == ("no such city", "tool_error")
    refused = mcp_io.read_error(-32602, "unknown tool", {"name": "x"})
    assert (refused.failure(nothing), refused.error_type) == ("unknown tool", "-32602")
    assert refused.told(nothing) == {semconv.ERROR_TYPE: "-32602", semconv.RPC_RESPONSE_STATUS_CODE: "-32602"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [(-32603, "-32603"), (-32603.0, "-32603"), (float("nan"), "_OTHER"), (float("inf"), "_OTHER"), ("x", "_OTHER")],
)
def test_a_code_is_a_whole_number(code: object, kind: str) -> None:
    assert mcp_io.read_error(code, "").error_type == kind


def test_a_sampling_is_a_model_call_with_the_rest_beside_it() -> None:
    asked = mcp_io.read_request(
        "sampling/createMessage",
        {
            "messages": [{"role": "user", "content": {"type": "text", "text": "q"}}],
            "modelPreferences": {"hints": [{"name": "small"}]},
            "maxTokens": 7,
        },
    )
    assert asked.attributes == {semconv.REQUEST_MAX_TOKENS: 7, semconv.REQUEST_MODEL: "small"}
    assert asked.said.keys() == {semconv.INPUT_MESSAGES, semconv.MCP_PARAMS}
    answer = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "a"}, "stopReason": "endTurn"}
    told = mcp_io.read_result("sampling/createMessage", answer).told(nothing)
    assert told == {semconv.RESPONSE_MODEL: "m", semconv.RESPONSE_FINISH_REASONS: ("endTurn",)}
