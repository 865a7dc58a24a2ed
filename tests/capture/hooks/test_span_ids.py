"""No two spans of a session have one id, whatever its runs have in common: ids are derived from what a span is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hook_desk import Desk
from programs import wait_for
from recordings import Clients, Heard

from agent_trace_otel.testing import Recorded, recording

SESSION = "5e551017-0000-4000-8000-000000000001"
AT = 1_795_377_000 * 10**9
MS = 1_000_000


def _heard(store: Path, name: str, after_ms: int, **payload: Any) -> Heard:
    told = {"session_id": SESSION, "cwd": "/elsewhere", "hook_event_name": name, **payload}
    return Heard(told, AT + after_ms * MS, {"CLAUDE_PID": "77", "AGENT_TRACE_DIR": str(store)})


@pytest.fixture
def store(tmp_path: Path, no_waiting: None, clients: Clients) -> Any:
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        yield tmp_path / "traces"


def _names(store: Path) -> list[str]:
    spans = Recorded(store).spans()
    ids = [span.context.span_id for span in spans if span.context is not None]
    assert len(set(ids)) == len(ids) == len(spans)
    return [span.name for span in spans]


def test_calls_without_ids_of_two_runs(store: Path, tmp_path: Path) -> None:
    desk, tool = Desk(tmp_path / "journals", "gemini"), {"tool_name": "read_file", "tool_input": {"file_path": "a"}}
    for run in range(2):
        told: list[tuple[str, dict[str, Any]]] = [
            ("SessionStart", {"source": "resume" if run else "startup"}),
            ("BeforeAgent", {"prompt": "look"}),
            ("BeforeTool", tool),
            ("AfterTool", {**tool, "tool_response": {"llmContent": "text"}}),
            ("AfterAgent", {"prompt_response": "done"}),
            ("SessionEnd", {"reason": "exit"}),
        ]
        desk.hear_all(_heard(store, name, 10 * run + after, **more) for after, (name, more) in enumerate(told))
    assert _names(store).count("execute_tool read_file") == 2


def test_a_prompt_and_a_call_that_go_on_after_the_client_was_taken_for_lost(
    store: Path, tmp_path: Path, clients: Clients
) -> None:
    desk, call = Desk(tmp_path / "journals"), {"tool_name": "Bash", "tool_use_id": "t", "prompt_id": "p"}
    desk.hear(_heard(store, "SessionStart", 0, source="startup"))
    desk.hear(_heard(store, "UserPromptSubmit", 1, prompt="do it", prompt_id="p"))
    desk.hear(_heard(store, "PreToolUse", 2, tool_input={}, **call))
    clients.are_alive = False
    wait_for(lambda: desk.settle() or not desk.worker.open_sessions(), "the sweep")
    clients.are_alive = True
    desk.hear(_heard(store, "PostToolUse", 3, tool_response={}, **call))
    desk.hear(_heard(store, "PreToolUse", 4, **{**call, "tool_use_id": "u"}))
    desk.hear(_heard(store, "PostToolUse", 5, tool_response={}, **{**call, "tool_use_id": "u"}))
    desk.hear(_heard(store, "Stop", 6, prompt_id="p", last_assistant_message="done"))
    desk.hear(_heard(store, "SessionEnd", 7, reason="other"))
    assert sorted(_names(store)) == ["execute_tool Bash"] * 2 + ["invoke_agent claude-code"] * 4


def test_a_sub_agent_that_is_continued_when_its_session_was_resumed(store: Path, tmp_path: Path) -> None:
    desk, agent = Desk(tmp_path / "journals"), {"agent_id": "a", "agent_type": "explore"}
    for run in range(3):
        told: list[tuple[str, dict[str, Any]]] = [
            ("SessionStart", {"source": "resume" if run else "startup"}),
            ("UserPromptSubmit", {"prompt": "look", "prompt_id": f"p{run}"}),
            ("SubagentStart", agent),
            ("SubagentStop", agent),
            ("Stop", {"prompt_id": f"p{run}"}),
            ("SessionEnd", {"reason": "other"}),
        ]
        desk.hear_all(_heard(store, name, 10 * run + after, **more) for after, (name, more) in enumerate(told))
        assert desk.worker.open_sessions() == 0
    assert _names(store).count("invoke_agent explore") == 3
