"""Payloads without content, whoever sent them: of what somebody said, nothing is left."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_trace_otel.capture.hooks.intake.withheld import without_content

SAID = "my own words"


@pytest.mark.parametrize(
    ("payload", "kept"),
    [
        # Claude Code
        ({"command_name": "review", "command_args": SAID}, {"command_name": "review", "command_args": ""}),
        ({"task_id": "1", "task_subject": SAID}, {"task_id": "1", "task_subject": ""}),
        ({"tool_name": "mcp__my server__add"}, {"tool_name": "mcp__my server__add"}),
        # Copilot CLI
        ({"initialPrompt": "words"}, {"initialPrompt": ""}),
        ({"toolArgs": {"command": f"cat {SAID}", "query": SAID}}, {"toolArgs": {"command": "cat"}}),
        (
            {"toolResult": {"resultType": "success", "textResultForLlm": "words"}},
            {"toolResult": {"resultType": "success", "textResultForLlm": ""}},
        ),
        ({"response": "words"}, {"response": ""}),
        # Gemini CLI
        ({"prompt_response": "words"}, {"prompt_response": ""}),
        ({"details": {"title": SAID, "rootCommand": "cat"}}, {"details": {"title": "", "rootCommand": ""}}),
        # Cursor
        ({"summary": "words", "task": "words", "output": "words"}, {"summary": "", "task": "", "output": ""}),
        ({"edits": [{"old_string": "a", "new_string": "b"}]}, {"edits": [{"old_string": "", "new_string": ""}]}),
        # anybody
        ({"what_nobody_knows": [SAID, {"inner": SAID}]}, {"what_nobody_knows": ["", {"inner": ""}]}),
        ({"model": "m-1", "session_id": "s", "duration_ms": 3}, {"model": "m-1", "session_id": "s", "duration_ms": 3}),
    ],
)
def test_nothing_that_was_said_is_kept(payload: dict[str, Any], kept: dict[str, Any]) -> None:
    found = without_content(payload)
    assert found == kept
    assert "words" not in json.dumps(found)
