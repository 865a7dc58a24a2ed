"""Gemini CLI's payloads in, Claude Code's shape out."""

from __future__ import annotations

import pytest
from agent_payloads import Shape, golden, payloads, recordings, shapes, story

from agent_trace_otel.capture.hooks.dialects.gemini import claude_shape


def _result(tool: str, **response: object) -> Shape:
    payload = {"hook_event_name": "AfterTool", "session_id": "s", "tool_name": tool, "tool_input": {}}
    (shape,) = claude_shape("AfterTool", {**payload, "tool_response": response})
    return shape


@pytest.mark.parametrize("name", recordings("gemini"))
def test_what_the_real_client_sent_is_told_as_reviewed(name: str) -> None:
    assert story("gemini", name) == golden("gemini", name)


def test_events_keep_the_clients_own_time_and_no_transcript() -> None:
    told = shapes("gemini", "works")
    assert all(shape["timestamp"].startswith("2026-11-23T05:15:") for shape in told)
    assert not any("transcript_path" in shape for shape in told)


def test_of_a_model_call_only_the_last_chunk_is_told_and_of_it_what_it_cost() -> None:
    chunks = [payload for event, payload in payloads("gemini", "works") if event == "AfterModel"]
    told = [shape for payload in chunks for shape in claude_shape("AfterModel", payload)]
    assert len(chunks) == 3
    assert [(shape["model"], shape["usage"]) for shape in told] == [
        ("gemini-2.5-pro", {"input_tokens": 100, "output_tokens": 20})
    ] * 2
    assert not any("llm_request" in shape or "llm_response" in shape for shape in told)


def test_history_is_compacted_only_when_somebody_asked_for_it() -> None:
    asked = [payload["trigger"] for event, payload in payloads("gemini", "compress") if event == "PreCompress"]
    told = [shape["trigger"] for shape in shapes("gemini", "compress") if shape["hook_event_name"] == "PreCompact"]
    assert (asked, told) == (["auto", "auto", "manual"], ["manual"])


@pytest.mark.parametrize(
    ("tool", "response", "event", "told"),
    [
        ("run_shell_command", {"llmContent": "Output: a\nb\nProcess Group PGID: 7"}, "PostToolUse", {"stdout": "a\nb"}),
        ("run_shell_command", {"llmContent": "Output: a"}, "PostToolUse", {"stdout": "a"}),
        ("run_shell_command", {"llmContent": "Output: (empty)\nExit Code: 2"}, "PostToolUseFailure", "Exit code 2\n"),
        (
            "run_shell_command",
            {"llmContent": "Output: Exit Code: 9\nExit Code: 1\nProcess Group PGID: 7"},
            "PostToolUseFailure",
            "Exit code 1\nExit Code: 9",
        ),
        (
            "run_shell_command",
            {"llmContent": "Command moved to background"},
            "PostToolUse",
            "Command moved to background",
        ),
        ("read_file", {"llmContent": "Output: a\nExit Code: 2"}, "PostToolUse", "Output: a\nExit Code: 2"),
        ("read_file", {"llmContent": "x", "error": {"message": "gone", "type": "t"}}, "PostToolUseFailure", "gone"),
        ("read_file", {"llmContent": [{"inlineData": {}}]}, "PostToolUse", [{"inlineData": {}}]),
        ("replace", {"llmContent": "done", "returnDisplay": "no diff"}, "PostToolUse", "done"),
    ],
)
def test_how_a_call_ended_is_read_from_its_result(
    tool: str, response: dict[str, object], event: str, told: object
) -> None:
    shape = _result(tool, **response)
    assert (shape["hook_event_name"], shape.get("error", shape.get("tool_response"))) == (event, told)


def test_a_command_that_its_user_stopped_was_interrupted() -> None:
    (stopped,) = [shape for shape in shapes("gemini", "interrupt") if "error" in shape]
    assert (stopped["hook_event_name"], stopped["is_interrupt"]) == ("PostToolUseFailure", True)


def test_an_mcp_tool_is_named_by_server_and_tool_as_elsewhere() -> None:
    tools = {shape["tool_name"] for shape in shapes("gemini", "mcp") if "tool_name" in shape}
    assert tools == {"mcp__demo__add", "mcp__demo__boom"}


@pytest.mark.parametrize("event", ["BeforeModel", "BeforeToolSelection"])
def test_what_goes_to_the_model_is_left_out(event: str) -> None:
    (payload, *_) = [payload for name, payload in payloads("gemini", "works") if name == event]
    assert "llm_request" in payload
    assert claude_shape(event, payload) == []


@pytest.mark.parametrize("odd", [None, 7, [], "text", {"error": "text"}, {"llmContent": None}])
def test_an_odd_result_is_a_result(odd: object) -> None:
    payload = {"session_id": "s", "tool_name": 7, "tool_input": [], "tool_response": odd}
    (shape,) = claude_shape("AfterTool", payload)
    assert shape["hook_event_name"] == "PostToolUse"
