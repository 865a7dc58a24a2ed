"""Cursor's payloads in, Claude Code's shape out."""

from __future__ import annotations

import json

import pytest
from agent_payloads import golden, payloads, recordings, shapes, story

from agent_trace_otel.capture.hooks.dialects.cursor import claude_shape
from agent_trace_otel.capture.hooks.dialects.registry import CLAUDE_CODE, DIALECTS, dialect_of


@pytest.mark.parametrize("name", recordings("cursor"))
def test_payloads_of_the_schema_are_told_as_reviewed(name: str) -> None:
    assert story("cursor", name) == golden("cursor", name)


@pytest.mark.parametrize("name", recordings("cursor"))
def test_whose_it_is_is_never_passed_on(name: str) -> None:
    assert all("user_email" in payload for _, payload in payloads("cursor", name))
    assert "someone@example.com" not in json.dumps(shapes("cursor", name))


def test_a_call_is_told_once_though_two_pairs_of_events_fire_for_it() -> None:
    fired = [event for event, payload in payloads("cursor", "agent") if "echo hi" in json.dumps(payload)]
    told = [shape["hook_event_name"] for shape in shapes("cursor", "agent") if "echo hi" in json.dumps(shape)]
    assert fired == ["preToolUse", "beforeShellExecution", "afterShellExecution", "postToolUse"]
    assert told == ["PreToolUse", "PostToolUse"]


def test_a_client_from_before_generic_events_is_told_by_its_special_ones() -> None:
    tools = [
        (shape["hook_event_name"], shape["tool_name"])
        for shape in shapes("cursor", "older_client")
        if "tool_name" in shape
    ]
    assert tools == [
        ("PreToolUse", "Shell"),
        ("PostToolUse", "Shell"),
        ("PreToolUse", "query"),
        ("PostToolUse", "query"),
        ("PostToolUse", "Read"),
        ("PostToolUse", "Write"),
    ]


def test_conversation_and_generation_are_session_and_prompt() -> None:
    for name in recordings("cursor"):
        told = [(shape["session_id"], shape["prompt_id"]) for shape in shapes("cursor", name)]
        sent = [(p["conversation_id"], p["generation_id"]) for _, p in payloads("cursor", name)]
        assert set(told) == set(sent)


def test_the_working_directory_is_the_commands_else_the_workspaces() -> None:
    payload = {"conversation_id": "c", "workspace_roots": ["/w", "/x"], "tool_name": "Shell"}
    assert [claude_shape("preToolUse", {**payload, "cwd": cwd})[0]["cwd"] for cwd in ("/w/sub", "")] == ["/w/sub", "/w"]


@pytest.mark.parametrize(
    ("status", "event"), [("completed", "Stop"), ("aborted", "Interrupt"), ("error", "StopFailure"), (None, "Stop")]
)
def test_a_turn_ends_as_its_status_says(status: str | None, event: str) -> None:
    (shape,) = claude_shape("stop", {"conversation_id": "c", "status": status})
    assert shape["hook_event_name"] == event


def test_the_exact_model_is_told_where_it_is_known() -> None:
    (shape,) = claude_shape("stop", {"conversation_id": "c", "model": "auto", "model_id": "claude-4.5-sonnet"})
    assert (shape["model"], "model_id" in shape) == ("claude-4.5-sonnet", False)


def test_completions_while_somebody_types_are_no_agents() -> None:
    assert [claude_shape(event, {"conversation_id": "c"}) for event in ("beforeTabFileRead", "afterTabFileEdit")] == [
        [],
        [],
    ]


def test_hooks_of_claude_code_that_cursor_runs_are_read_as_cursors() -> None:
    assert dialect_of("claude-code", {"cursor_version": "2.6.11"}) is DIALECTS["cursor"]
    assert dialect_of("claude-code", {"session_id": "s"}) is CLAUDE_CODE
    assert dialect_of("somebody-else", {}) is CLAUDE_CODE
