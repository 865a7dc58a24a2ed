"""Codex's payloads in, Claude Code's shape out."""

from __future__ import annotations

import pytest
from agent_payloads import Shape, golden, payloads, recordings, shapes, story

from agent_trace_otel.capture.hooks.dialects.codex import claude_shape

BASE: Shape = {"session_id": "s", "turn_id": "t", "cwd": "/w", "hook_event_name": "PostToolUse"}


def _result(tool: str, response: object) -> Shape:
    (shape,) = claude_shape("PostToolUse", {**BASE, "tool_name": tool, "tool_input": {}, "tool_response": response})
    return shape


@pytest.mark.parametrize("name", recordings("codex"))
def test_what_the_real_client_sent_is_told_as_reviewed(name: str) -> None:
    assert story("codex", name) == golden("codex", name)


def test_every_event_of_a_turn_has_its_prompt() -> None:
    told = [
        shape for shape in shapes("codex", "works") if shape["hook_event_name"] not in ("SessionStart", "SessionEnd")
    ]
    assert len(told) == 4
    turns = {payload["turn_id"] for _, payload in payloads("codex", "works") if "turn_id" in payload}
    assert {shape["prompt_id"] for shape in told} == turns
    assert {shape["model"] for shape in told} == {"gpt-5.2"}


def test_a_rollout_is_not_taken_for_a_transcript_of_claude_code() -> None:
    assert [
        shape for name in recordings("codex") for shape in shapes("codex", name) if "transcript_path" in shape
    ] == []


def test_a_sub_agent_has_no_turn_of_a_person() -> None:
    inside = [shape for shape in shapes("codex", "subagent") if "agent_id" in shape]
    assert [shape["hook_event_name"] for shape in inside] == [
        "SubagentStart",
        "PreToolUse",
        "PostToolUse",
        "SubagentStop",
    ]
    assert not any("prompt_id" in shape for shape in inside)


def test_the_call_that_starts_a_sub_agent_names_it_as_claude_codes_does() -> None:
    (started,) = [shape for shape in shapes("codex", "subagent") if "agentId" in (shape.get("tool_response") or "")]
    (announced,) = [shape for shape in shapes("codex", "subagent") if shape["hook_event_name"] == "SubagentStart"]
    assert (started["tool_kind"], started["tool_response"]["agentId"]) == ("Agent", announced["agent_id"])


def test_a_permission_request_has_the_input_of_its_call() -> None:
    call, request = shapes("codex", "denied_by_user")[2:4]
    assert (call["hook_event_name"], request["hook_event_name"]) == ("PreToolUse", "PermissionRequest")
    assert (request["tool_input"], request["reason"]) == (call["tool_input"], "may I?")


@pytest.mark.parametrize(
    ("tool", "response", "event", "told"),
    [
        ("Bash", "hi\n", "PostToolUse", "hi\n"),  # the exit code is unknown: nothing claims that it was 0
        ("Bash", "Exit code: 0\nWall time: 0 seconds\nOutput:\nhi\n", "PostToolUse", {"stdout": "hi\n"}),
        ("Bash", "Exit code: 3\nWall time: 0 seconds\nOutput:\nhi\n", "PostToolUseFailure", "Exit code 3\nhi\n"),
        ("Bash", "Exit code: 0 said the program", "PostToolUse", "Exit code: 0 said the program"),
        ("apply_patch", "Exit code: 1\nWall time: 0 seconds\nOutput:\nno", "PostToolUseFailure", "Exit code 1\nno"),
        ("mcp__demo__boom", {"content": [{"type": "text", "text": "no"}], "isError": True}, "PostToolUseFailure", "no"),
        ("mcp__demo__boom", {"content": [], "isError": True}, "PostToolUseFailure", '{"content": [], "isError": true}'),
        ("mcp__demo__add", {"content": [], "isError": False}, "PostToolUse", {"content": [], "isError": False}),
        ("spawn_agent", "no JSON", "PostToolUse", "no JSON"),
    ],
)
def test_how_a_call_ended_is_read_from_its_result(tool: str, response: object, event: str, told: object) -> None:
    shape = _result(tool, response)
    assert (shape["hook_event_name"], shape.get("error", shape.get("tool_response"))) == (event, told)


@pytest.mark.parametrize(
    ("patch", "file"),
    [
        ("*** Begin Patch\n*** Update File: src/a b.py\n@@\n-x\n+y\n*** End Patch\n", "src/a b.py"),
        ("*** Begin Patch\n*** Delete File: a.py\n*** End Patch\n", "a.py"),
        ("*** Begin Patch\n*** Add File: a.py\n+x\n*** Add File: b.py\n+x\n*** End Patch\n", None),
        ("+*** Add File: quoted.py", None),
        (["no", "text"], None),
    ],
)
def test_a_patch_of_one_file_names_it(patch: object, file: str | None) -> None:
    call = {**BASE, "hook_event_name": "PreToolUse", "tool_name": "apply_patch", "tool_input": {"command": patch}}
    (shape,) = claude_shape("PreToolUse", call)
    assert (shape["tool_kind"], shape.get("file_path")) == ("Edit", file)


def test_an_event_that_nobody_knows_passes_as_it_is() -> None:
    assert claude_shape("NewEvent", {**BASE, "hook_event_name": "NewEvent", "x": 1}) == [
        {**BASE, "hook_event_name": "NewEvent", "prompt_id": "t", "x": 1}
    ]
