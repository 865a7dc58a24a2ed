"""What holds for every agent's adapter, whatever its payloads are."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from agent_payloads import payloads, recordings
from hypothesis import given
from hypothesis import strategies as st

from agent_trace_otel import semconv
from agent_trace_otel.capture.hooks.dialects.registry import DIALECTS

_OTHERS = [agent for agent in DIALECTS if agent != "claude-code"]
_SEEN = [payload for agent in _OTHERS for name in recordings(agent) for _, payload in payloads(agent, name)]
_NAMES = sorted({name for payload in _SEEN for name in payload})
_EVENTS = sorted({str(payload.get("hook_event_name")) for payload in _SEEN} | {"", "pre-tool", "subagentStart", "stop"})
_TEXTS = st.sampled_from(
    [
        "", "Bash", "apply_patch", "spawn_agent", "run_shell_command", "replace", "Shell", "view", "denied", "manual",
        "Exit code: 9\nWall time: 1\nOutput:\n", '{"exitCode": 1}', "Output: a\nExit Code: 9", "model_call", "{}",
        f"Exit code: {'9' * 5000}\nWall time: 1\nOutput:\n", f"Output: a\nExit Code: {'9' * 5000}", "permission_denied",
    ]
) | st.text(max_size=8)  # fmt: skip
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS
_INNER = (
    "error", "message", "llmContent", "returnDisplay", "fileDiff", "exitCode", "output", "isError", "content", "path",
    "command", "text_result_for_llm", "textResultForLlm", "result_type", "candidates", "finishReason", "usageMetadata",
    "server_name", "tool_name", "agent_id",
)  # fmt: skip
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_INNER), inner, max_size=3),
    max_leaves=6,
)
_PAYLOADS = st.dictionaries(st.sampled_from(_NAMES) | st.text(max_size=5), _VALUES, max_size=8)


@pytest.mark.parametrize("agent", DIALECTS)
@given(event=st.sampled_from(_EVENTS), named=st.booleans(), payload=_PAYLOADS)
def test_any_payload_is_told_as_json_objects_with_an_event_and_stays_as_it_was(
    agent: str, event: str, named: bool, payload: dict[str, Any]
) -> None:
    if named:
        payload["hook_event_name"] = event
    before = copy.deepcopy(payload)
    shapes = DIALECTS[agent].claude_shape(event, payload)
    assert payload == before
    assert json.loads(json.dumps(shapes)) == shapes
    assert all(isinstance(shape, dict) for shape in shapes)
    assert all("hook_event_name" in shape for shape in shapes)


@pytest.mark.parametrize("agent", _OTHERS)
def test_a_recorded_payload_is_not_changed(agent: str) -> None:
    for name in recordings(agent):
        for event, payload in payloads(agent, name):
            before = copy.deepcopy(payload)
            DIALECTS[agent].claude_shape(event, payload)
            assert payload == before


def test_claude_codes_own_payloads_pass_as_they_are() -> None:
    payload = {"session_id": "s", "hook_event_name": "Stop", "transcript_path": "/t.jsonl"}
    assert DIALECTS["claude-code"].claude_shape("stop", payload) == [payload]
    assert DIALECTS["claude-code"].claude_shape("Stop", {"session_id": "s"}) == [
        {"session_id": "s", "hook_event_name": "Stop"}
    ]


def test_a_call_that_nothing_more_is_told_of_ends_as_its_agent_lets_conclude() -> None:
    assert {name: dialect.unanswered for name, dialect in DIALECTS.items()} == {
        "claude-code": semconv.OUTCOME_BLOCKED,
        "codex": semconv.OUTCOME_UNKNOWN,
        "copilot": semconv.OUTCOME_DENIED,
        "gemini": semconv.OUTCOME_UNKNOWN,
        "cursor": semconv.OUTCOME_UNKNOWN,
    }
