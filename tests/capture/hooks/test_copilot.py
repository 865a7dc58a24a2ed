"""Copilot CLI's payloads in, Claude Code's shape out."""

from __future__ import annotations

import pytest
from agent_payloads import Shape, golden, payloads, recordings, shapes, story

from agent_trace_otel.capture.hooks.dialects.copilot import claude_shape

EXITED = "<shellId: 0 completed with exit code %d>"


def _result(tool: str, **result: str) -> Shape:
    payload = {"hook_event_name": "PostToolUse", "session_id": "s", "tool_name": tool, "tool_input": {}}
    (shape,) = claude_shape("PostToolUse", {**payload, "tool_result": result})
    return shape


@pytest.mark.parametrize("name", recordings("copilot"))
def test_what_the_real_client_sent_is_told_as_reviewed(name: str) -> None:
    assert story("copilot", name) == golden("copilot", name)


@pytest.mark.parametrize(("pascal", "camel"), [("fails", "camel_fails"), ("subagent", "camel_subagent")])
def test_both_spellings_of_the_events_tell_the_same(pascal: str, camel: str) -> None:
    names = {"bash": "Bash", "view": "Read", "task": "Agent"}

    def told(name: str) -> list[tuple[str, object, object, object]]:
        return [
            (
                shape["hook_event_name"],
                names.get(shape.get("tool_name", ""), shape.get("tool_name")),
                shape.get("tool_input", {}).get("command"),
                shape.get("error", shape.get("tool_response", shape.get("last_assistant_message"))),
            )
            for shape in shapes("copilot", name)
        ]

    assert told(pascal) == told(camel)


def test_every_event_belongs_to_one_session_and_has_a_time_in_iso_8601() -> None:
    for name in recordings("copilot"):
        told = shapes("copilot", name)
        assert len({shape["session_id"] for shape in told}) == 1
        assert all(shape["timestamp"].startswith("2026-11-23T05:") for shape in told)
        assert not any("transcript_path" in shape for shape in told)


def test_a_sub_agents_prompt_and_stop_are_not_a_persons() -> None:
    fired = [event for event, payload in payloads("copilot", "subagent") if payload.get("agent_id")]
    told = [shape["hook_event_name"] for shape in shapes("copilot", "subagent") if shape.get("agent_id")]
    assert fired == ["SubagentStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop", "SubagentStop"]
    assert told == ["SubagentStart", "PreToolUse", "PostToolUse", "SubagentStop"]


@pytest.mark.parametrize(
    ("tool", "result", "event", "told"),
    [
        ("Bash", {"text_result_for_llm": f"hi\n{EXITED % 0}"}, "PostToolUse", {"stdout": "hi"}),
        ("Bash", {"text_result_for_llm": EXITED % 0}, "PostToolUse", {"stdout": ""}),
        ("Bash", {"text_result_for_llm": f"no\n{EXITED % 127}"}, "PostToolUseFailure", "Exit code 127\nno"),
        ("Bash", {"text_result_for_llm": "<command is running>"}, "PostToolUse", "<command is running>"),
        ("Read", {"text_result_for_llm": EXITED % 3}, "PostToolUse", EXITED % 3),
        ("Bash", {"result_type": "denied", "text_result_for_llm": "by rule"}, "PermissionDenied", "by rule"),
        ("Bash", {"result_type": "rejected", "text_result_for_llm": "by user"}, "PermissionDenied", "by user"),
        ("Bash", {"result_type": "timeout", "text_result_for_llm": ""}, "PostToolUseFailure", "timeout"),
        ("Bash", {"result_type": "failure", "text_result_for_llm": "broke"}, "PostToolUseFailure", "broke"),
    ],
)
def test_how_a_call_ended_is_read_from_its_result(tool: str, result: dict[str, str], event: str, told: object) -> None:
    shape = _result(tool, **result)
    assert shape["hook_event_name"] == event
    assert shape.get("error", shape.get("reason", shape.get("tool_response"))) == told


def test_only_a_model_call_that_was_given_up_fails_the_turn() -> None:
    error = {"session_id": "s", "error": {"name": "Error", "message": "no"}, "recoverable": True}
    (given_up,) = claude_shape("ErrorOccurred", {**error, "error_context": "model_call"})
    (other,) = claude_shape("errorOccurred", {**error, "error_context": "tool_execution"})
    assert (given_up["hook_event_name"], given_up["error"], given_up["error_details"]) == ("StopFailure", "Error", "no")
    assert other["hook_event_name"] == "ErrorOccurred"


def test_a_question_for_permission_tells_nothing() -> None:
    asked = [payload for event, payload in payloads("copilot", "works") if event == "PermissionRequest"]
    assert len(asked) == 1
    assert claude_shape("PermissionRequest", asked[0]) == []


def test_an_event_that_nobody_knows_passes_in_snake_case() -> None:
    assert claude_shape("newEvent", {"sessionId": "s", "someThing": 1, "timestamp": "odd"}) == [
        {"session_id": "s", "some_thing": 1, "timestamp": "odd", "hook_event_name": "newEvent"}
    ]
