"""Every example runs offline and leaves a session that tells its story."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent_trace_otel.testing import Recorded

EXAMPLES = Path(__file__).parents[1] / "examples"
STORIES = {
    "quickstart.py": [
        "session_start",
        "user_prompt",
        "tool_call",
        "tool_result",
        "decision",
        "llm_request",
        "session_end",
    ],
    "async_agent.py": ["session_start", "user_prompt", "tool_call", "error", "llm_response", "assistant_response"],
    "mcp_agent.py": ["session_start", "user_prompt", "file_read", "tool_call", "tool_result", "session_end"],
    "own_provider.py": ["session_start", "tool_call", "tool_result"],
    "trace_subprocesses.py": ["session_start", "tool_call", "tool_result", "session_end"],
}


def test_every_example_is_tested() -> None:
    tested = {*STORIES, "full_agent.py"}  # which has a test of its own
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


@pytest.mark.parametrize("name", sorted(STORIES))
def test_example_runs_and_is_recorded(name: str, tmp_path: Path) -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AGENT_TRACE_", "OTEL_"))}
    environment = kept | {"AGENT_TRACE_DIR": str(tmp_path / "traces"), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, EXAMPLES / name], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    types = [event.event_type for event in Recorded(tmp_path / "traces").events()]
    assert [wanted for wanted in STORIES[name] if wanted not in types] == []
    assert types[0] == "session_start"
