"""What Codex's rollout file completes: ``tests/data/codex/NAME.rollout.jsonl`` is what the real client had written.

The lines of calls and their items are kept, the others are left out.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from agent_payloads import DATA, Shape, payloads

from agent_trace_otel.capture.hooks.dialects.codex_rollout import claude_shape


def _rollout(name: str) -> Path:
    return DATA / "codex" / f"{name}.rollout.jsonl"


def _told(name: str, path: Path | None = None) -> list[tuple[str, str, object]]:
    """Return (event, tool, result) of what is told of a recording's calls."""
    shapes: list[Shape] = []
    for event, payload in payloads("codex", name):
        shapes += claude_shape(event, {**payload, "transcript_path": str(path or _rollout(name))})
    return [
        (shape["hook_event_name"], shape["tool_name"], shape.get("error", shape.get("tool_response")))
        for shape in shapes
        if "tool_name" in shape and shape["hook_event_name"] != "PreToolUse"
    ]


def test_a_command_that_failed_is_told_with_its_exit_code() -> None:
    assert _told("fails")[0] == ("PostToolUseFailure", "Bash", "Exit code 3\noops\n")


def test_a_command_that_went_well_is_told_with_its_exit_code() -> None:
    assert _told("works")[0] == ("PostToolUse", "Bash", {"stdout": "hi\nhello world\n"})


def test_an_mcp_tool_that_failed_is_told_when_the_agent_stops() -> None:
    assert _told("mcp")[0][:2] == ("PostToolUse", "mcp__demo__add")
    assert _told("mcp")[-1][:2] == ("PostToolUseFailure", "mcp__demo__boom")
    assert str(_told("mcp")[-1][2]).endswith("boom failed")


def test_a_patch_that_did_not_fit_and_an_image_that_was_none_failed_and_a_patch_by_command_did_not() -> None:
    assert [(event, tool) for event, tool, _ in _told("bad_patch")] == [
        ("PostToolUseFailure", "apply_patch"),
        ("PostToolUse", "Bash"),
        ("PostToolUseFailure", "view_image"),
    ]


def test_calls_that_were_none_are_told_though_no_hook_ran() -> None:
    assert _told("bad_tool") == [
        ("PostToolUseFailure", "no_such_tool", "unsupported call: no_such_tool"),
        (
            "PostToolUseFailure",
            "Bash",
            "failed to parse function arguments: invalid type: integer `7`, expected a string at line 1 column 9",
        ),
    ]


def test_a_refused_call_is_told_as_refused() -> None:
    denied, failed = _told("denied_headless")
    assert (denied[0], failed[0]) == ("PermissionDenied", "PostToolUseFailure")
    assert str(failed[2]).startswith("approval policy is Never; reject command")


def test_a_command_that_still_runs_has_no_end() -> None:
    assert _told("background") == []


def test_what_is_told_at_the_end_names_its_call_and_its_turn() -> None:
    (*_, (event, stop), _) = payloads("codex", "mcp")
    calls = [payload["tool_use_id"] for name, payload in payloads("codex", "mcp") if name == "PreToolUse"]
    *ends, last = claude_shape(event, {**stop, "transcript_path": str(_rollout("mcp"))})
    assert last["hook_event_name"] == "Stop"
    assert [shape["tool_use_id"] for shape in ends] == calls
    assert {shape["prompt_id"] for shape in ends} == {stop["turn_id"]}
    assert ends[0]["tool_input"] == {"a": 1, "b": 2}


def test_of_another_turn_nothing_is_told() -> None:
    (*_, (event, stop), _) = payloads("codex", "mcp")
    other = {**stop, "turn_id": "another", "transcript_path": str(_rollout("mcp"))}
    assert [shape["hook_event_name"] for shape in claude_shape(event, other)] == ["Stop"]


def test_torn_and_foreign_lines_and_a_long_beginning_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rollout.jsonl"
    lines = _rollout("fails").read_bytes()
    path.write_bytes(b"x" * (5 << 20) + b"\n[1]\n{\n\xff\n" + lines + lines[:40])
    assert _told("fails", path)[0] == ("PostToolUseFailure", "Bash", "Exit code 3\noops\n")


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "other", "nul"])
def test_a_rollout_that_cannot_be_read_completes_nothing(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ("rollout.txt" if kind == "other" else "rollout\0.jsonl" if kind == "nul" else "rollout.jsonl")
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "other":
        shutil.copy(_rollout("fails"), path)
    assert _told("fails", path) == [("PostToolUse", "Bash", "oops\n")]
