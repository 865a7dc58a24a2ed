"""The real Claude Code client with a server of its project's `.mcp.json`, once straight and once behind `record --`.

    pytest -m e2e tests/e2e/test_mcp_claude_code.py

The client comes from npm (AGENT_TRACE_E2E_CACHE keeps it), the model is scripted; see test_claude_code.py.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import packages
import pytest
from claude_code import mcp_server
from claude_code.scenarios import Run, Scenario, asking_for
from claude_code.workspace import Workspace
from programs import wait_for

from agent_trace_otel import semconv
from agent_trace_otel.testing import Recorded

pytestmark = pytest.mark.e2e

_SERVER = [sys.executable, mcp_server.__file__]
_STORY = Scenario((Run((asking_for("mcp"),)),), local_settings={"enableAllProjectMcpServers": True})


def _told_the_model(root: Path, server: list[str]) -> list[Any]:
    """Run the story with a server in the project's `.mcp.json`; return what the model got to know of its calls."""
    workspace = Workspace(root)
    entry = {"command": server[0], "args": server[1:], "env": {"PYTHONPATH": str(packages.REPOSITORY)}}
    (workspace.project / ".mcp.json").write_text(json.dumps({"mcpServers": {"demo": entry}}))
    (ran,) = workspace.play(_STORY)
    assert ran.code == 0, ran.err
    (transcript,) = (workspace.home / ".claude" / "projects").glob("*/*.jsonl")
    lines = [json.loads(line) for line in transcript.read_text().splitlines()]
    return [block["content"] for line in lines for block in _tool_results(line.get("message"))]


def _tool_results(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    found = [value] if isinstance(value, dict) and value.get("type") == "tool_result" else []
    return found + [block for item in inner for block in _tool_results(item)]


def test_the_client_can_not_tell_and_every_request_is_a_span(tmp_path: Path) -> None:
    straight = _told_the_model(tmp_path / "straight", _SERVER)
    traces = tmp_path / "traces"
    record = [sys.executable, "-m", "agent_trace_otel", "--trace-dir", str(traces), "record", "--name", "demo", "--"]
    assert _told_the_model(tmp_path / "recorded", [*record, *_SERVER]) == straight
    assert len(straight) == 3
    recorded = Recorded(traces)
    wait_for(lambda: "session_end" in recorded.text(), "the session's end")
    spans = {span.name: span for span in recorded.spans()}
    outcomes = {name: (span.kind.name, (span.attributes or {})[semconv.OUTCOME]) for name, span in spans.items()}
    assert outcomes == {
        "invoke_agent demo": ("INTERNAL", "ok"),
        "initialize": ("CLIENT", "ok"),
        "server/discover": ("CLIENT", "ok"),  # answered by {}, so the client goes on as before 2026-07-28
        "tools/list": ("CLIENT", "ok"),
        "tools/call add": ("CLIENT", "ok"),
        "tools/call boom": ("CLIENT", "error"),
        "tools/call ask": ("CLIENT", "ok"),
        "elicitation/create": ("SERVER", "ok"),
    }
    client = str((spans["invoke_agent demo"].attributes or {})[semconv.MCP_CLIENT_INFO])
    assert client.startswith("claude-code/")
    assert json.loads(str((spans["tools/call add"].attributes or {})[semconv.TOOL_CALL_ARGUMENTS])) == {"a": 2, "b": 3}
