"""Stands in for a coding agent with hooks: tells ours what Claude Code tells of a short session, as it does.

With Claude Code itself, `claude -p "..."` stands here, after `agent-trace setup claude-code --write`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SESSION = "5e551017-0000-4000-8000-0000000000f1"
CALL: dict[str, Any] = {
    "tool_name": "Edit",
    "tool_use_id": "toolu_1",
    "tool_input": {"file_path": "CHANGELOG.md", "old_string": "## Unreleased\n", "new_string": "## 1.4.0\n"},
}
EVENTS: list[dict[str, Any]] = [
    {"hook_event_name": "SessionStart", "source": "startup"},
    {"hook_event_name": "UserPromptSubmit", "prompt": "Put the new release into CHANGELOG.md."},
    {"hook_event_name": "PreToolUse", **CALL},
    {"hook_event_name": "PostToolUse", **CALL, "tool_response": {"filePath": "CHANGELOG.md"}, "duration_ms": 12},
    {"hook_event_name": "Stop", "last_assistant_message": "CHANGELOG.md has the release."},
    {"hook_event_name": "SessionEnd", "reason": "other"},
]


def main() -> None:
    """Run the hook once an event."""
    hook = Path(sys.executable).with_name("agent-trace")
    for event in EVENTS:
        name = event["hook_event_name"]
        told = {"session_id": SESSION, "prompt_id": "prompt-1", "cwd": str(Path.cwd()), **event}
        environment = {**os.environ, "CLAUDE_PID": str(os.getpid()), "CLAUDE_PROJECT_DIR": str(Path.cwd())}
        subprocess.run([hook, "hook", str(name)], input=json.dumps(told).encode(), env=environment, check=True)


if __name__ == "__main__":
    main()
