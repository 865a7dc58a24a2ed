"""The recorder's worker: what it does about settings, clients and time, and what it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hook_desk import Desk
from programs import environment
from recordings import Clients, Heard, Recording

from agent_trace_otel import semconv
from agent_trace_otel.testing import Recorded, recording

SESSION = "5e551017-0000-4000-8000-000000000001"
AT = 1_795_377_000 * 10**9
MS = 1_000_000


def _heard(name: str, after_ms: int, *, env: dict[str, str] | None = None, **payload: Any) -> Heard:
    told = {"session_id": SESSION, "cwd": "/elsewhere", "hook_event_name": name, **payload}
    return Heard(told, AT + after_ms * MS, {"CLAUDE_PID": "77", **(env or {})})


@pytest.fixture
def desk(tmp_path: Path, no_waiting: None, clients: Clients) -> Any:
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        yield Desk(tmp_path / "journals")


def _one_turn(**env: str) -> list[Heard]:
    return [
        _heard("SessionStart", 0, env=env, source="startup"),
        _heard("UserPromptSubmit", 1, env=env, prompt="do it", prompt_id="p"),
        _heard(
            "PreToolUse", 2, env=env, tool_name="Bash", tool_input={"command": "ls"}, tool_use_id="t", prompt_id="p"
        ),
        _heard(
            "PostToolUse", 9, env=env, tool_name="Bash", tool_response={}, tool_use_id="t", duration_ms=3, prompt_id="p"
        ),
        _heard("Stop", 10, env=env, prompt_id="p", last_assistant_message="done"),
        _heard("SessionEnd", 11, env=env, reason="other"),
    ]


def test_the_trace_directory_is_the_environments_else_the_projects_else_the_first_directory(
    desk: Desk, tmp_path: Path
) -> None:
    for number, env in enumerate(
        (
            {"AGENT_TRACE_DIR": str(tmp_path / "named"), "CLAUDE_PROJECT_DIR": str(tmp_path / "project")},
            {"CLAUDE_PROJECT_DIR": str(tmp_path / "project")},
            {"AGENT_TRACE_DIR": "relative", "CLAUDE_PROJECT_DIR": str(tmp_path / "project")},
            {},
        )
    ):
        session = SESSION[:-1] + str(number)
        for heard in _one_turn(**env):
            heard.payload.update(session_id=session, cwd=str(tmp_path / "first"))
            if heard.payload["hook_event_name"] != "SessionStart":
                heard.payload["cwd"] = str(tmp_path / "later")
            desk.hear(heard)
    found = {path.name: path.parent for path in tmp_path.rglob(SESSION[:-1] + "*") if path.is_dir()}
    assert found == {
        SESSION[:-1] + "0": tmp_path / "named",
        SESSION[:-1] + "1": tmp_path / "project" / ".agent-traces",
        SESSION[:-1] + "2": tmp_path / "project" / "relative",
        SESSION[:-1] + "3": tmp_path / "first" / ".agent-traces",
    }


def test_a_turn_may_be_a_trace_of_its_own(desk: Desk, tmp_path: Path) -> None:
    desk.hear_all(_one_turn(AGENT_TRACE_DIR=str(tmp_path / "traces"), AGENT_TRACE_TRACE_PER="turn"))
    tool, turn, root = Recorded(tmp_path / "traces").spans()
    assert tool.context is not None
    assert turn.context is not None
    assert root.context is not None
    assert tool.context.trace_id == turn.context.trace_id != root.context.trace_id
    assert [link.context.span_id for link in turn.links] == [root.context.span_id]


def test_sessions_of_different_settings_are_recorded_by_their_own(desk: Desk, tmp_path: Path) -> None:
    quiet = {"AGENT_TRACE_DIR": str(tmp_path / "quiet"), "AGENT_TRACE_CAPTURE_CONTENT": "false"}
    for heard in [*_one_turn(**quiet), *_one_turn(AGENT_TRACE_DIR=str(tmp_path / "open"))]:
        is_quiet = heard.env["AGENT_TRACE_DIR"].endswith("quiet")
        heard.payload["session_id"] = SESSION[:-1] + ("1" if is_quiet else "2")
        desk.hear(heard)
    assert "do it" not in Recorded(tmp_path / "quiet").text()
    assert "do it" in Recorded(tmp_path / "open").text()


@pytest.mark.parametrize("session_id", ["../../etc", "a/b", "", "x" * 500, "ünï", "\ud800"])
def test_a_session_id_never_becomes_a_path(desk: Desk, tmp_path: Path, session_id: str) -> None:
    for heard in _one_turn(AGENT_TRACE_DIR=str(tmp_path / "traces")):
        heard.payload["session_id"] = session_id or "unknown"
        desk.hear(heard)
    folders = [path for path in (tmp_path / "traces").glob("*") if path.is_dir()]
    assert len(folders) == (1 if session_id else 0)
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize(
    "odd",
    [
        {"tool_use_id": 7, "tool_input": "no object", "tool_name": None},
        {"prompt_id": ["x"], "agent_id": {}, "agent_type": 3},
        {"tool_calls": "none"},
        {"tool_calls": [None, {"tool_use_id": []}]},
        {"tool_response": [1, 2], "duration_ms": "long"},
        {"error": {"deep": []}, "is_interrupt": "maybe"},
        {"last_assistant_message": 5, "transcript_path": 9},
        {"agent_id": "a", "transcript_path": "/nowhere/x.jsonl"},
    ],
)
def test_odd_payloads_stop_nothing(desk: Desk, tmp_path: Path, odd: dict[str, Any]) -> None:
    env = {"AGENT_TRACE_DIR": str(tmp_path / "traces")}
    names = ["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch",
             "PermissionRequest", "SubagentStart", "SubagentStop", "PreCompact", "Stop", "StopFailure", "Unheard",
             "", "SessionEnd"]  # fmt: skip
    for after, name in enumerate(names):
        desk.hear(_heard(name, after, env=env, **odd))
    assert desk.worker.open_sessions() == 0
    assert Recorded(tmp_path / "traces").events()[-1].event_type == "session_end"


def test_an_event_that_nobody_knows_is_kept_as_it_came(desk: Desk, tmp_path: Path) -> None:
    env = {"AGENT_TRACE_DIR": str(tmp_path / "traces")}
    start, prompt, *_, end = _one_turn(**env)
    desk.hear_all([start, prompt, _heard("MoonRise", 3, env=env, prompt_id="p", phase={"of": "full"}), end])
    turn, _ = Recorded(tmp_path / "traces").spans()
    (event,) = [event for event in turn.events if event.name.startswith(semconv.HOOK_EVENT)]
    assert (event.name, dict(event.attributes or {})) == (
        "agent_trace.hook.moon_rise",
        {semconv.HOOK_NAME: "MoonRise", semconv.DETAIL: '{"phase":{"of":"full"}}'},
    )


def test_a_session_that_is_resumed_untraced_before_counts_only_its_own_calls(tmp_path: Path, clients: Clients) -> None:
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        played = Recording("resume", tmp_path)
        second = next(number for number, heard in enumerate(played.heard) if heard.payload.get("source") == "resume")
        played.heard = played.heard[second:]
        desk = Desk(tmp_path / "journals")
        desk.hear_all(played.play())
        clients.are_alive = False
        desk.settle()
    meta = Recorded(played.store).meta()
    root = Recorded(played.store).spans()[-1]
    assert (meta.llm_requests, meta.tool_calls) == (1, 0)
    assert root.attributes is not None
    assert root.attributes[semconv.SESSION_COST] == pytest.approx(0.008038 - 0.00539)


@pytest.mark.parametrize("name", ["continue", "kill9_continue", "resume"])
def test_model_calls_read_ahead_of_the_next_runs_hooks_hang_under_its_turns(
    name: str, tmp_path: Path, clients: Clients
) -> None:
    trees: list[set[tuple[str, int, int]]] = []
    for is_ahead in (False, True):
        home = tmp_path / str(is_ahead)
        home.mkdir()
        with recording(tmp_path / "none", HOME=str(home)):
            played = Recording(name, home)
            if is_ahead:
                played.write_until(1 << 63)
            desk = Desk(home / "journals")
            desk.hear_all(played.play())
            clients.are_alive = False
            desk.settle()
            clients.are_alive = True
        spans = Recorded(played.store).spans()
        trees.append({(span.name, span.context.span_id, span.parent.span_id) for span in spans if span.parent})
    assert trees[0] == trees[1]
    assert any(span_name.startswith("chat ") for span_name, _, _ in trees[0])


MEMORY = """
import os, sys, time
from pathlib import Path
from agent_trace_otel import process
process.start_of = lambda pid: "1"
from hook_desk import Desk
from recordings import Heard

desk, number = Desk(Path(sys.argv[1])), 0
env = {"CLAUDE_PROJECT_DIR": sys.argv[1], "CLAUDE_PID": "77"}

def hear(name, **payload):
    global number
    number += 1
    told = {"session_id": "5e551017-0000-4000-8000-000000000001", "cwd": "/", "hook_event_name": name, **payload}
    desk.hear(Heard(told, time.time_ns(), env), str(number))

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

hear("SessionStart", source="startup")
seen = []
for goal in (20_000, 100_000):
    while number < goal:
        prompt = f"p{number}"
        hear("UserPromptSubmit", prompt="do it " * 10, prompt_id=prompt)
        for call in range(8):
            told = {"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_use_id": f"{prompt}-{call}"}
            hear("PreToolUse", prompt_id=prompt, **told)
            hear("PostToolUse", prompt_id=prompt, tool_response={"stdout": "x" * 50}, duration_ms=5, **told)
        hear("Stop", last_assistant_message="ok " * 10, prompt_id=prompt)
    seen.append(resident())
print(seen[1] / seen[0])
"""


@pytest.mark.e2e
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_memory_stays_flat_over_a_hundred_thousand_events(tmp_path: Path) -> None:
    variables = environment(tmp_path)
    variables["PYTHONPATH"] += f":{Path(__file__).parents[2] / 'support'}"
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "journals")],
        env=variables, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(done.stdout) < 1.1


def test_two_calls_that_are_alike_may_be_asked_about_at_once(desk: Desk, tmp_path: Path) -> None:
    env = {"AGENT_TRACE_DIR": str(tmp_path / "traces")}
    start, prompt, *_, stop, end = _one_turn(**env)
    about = {"tool_name": "Bash", "tool_input": {"command": "ls"}, "prompt_id": "p"}
    calls = [_heard("PreToolUse", 3, env=env, tool_use_id=call, **about) for call in ("a", "b")]
    asked = [_heard("PermissionRequest", after, env=env, **about) for after in (4, 5, 6)]  # the last one is an echo
    desk.hear_all([start, prompt, *calls, *asked, stop, end])
    tools = [span for span in Recorded(tmp_path / "traces").spans() if span.name == "execute_tool Bash"]
    assert [(span.attributes or {}).get(semconv.OUTCOME) for span in tools] == ["denied", "denied"]
    assert [len([one for one in span.events if one.name == semconv.PERMISSION_REQUEST_EVENT]) for span in tools] == [
        1,
        1,
    ]


def test_headers_of_a_live_hook_are_known_to_a_session_that_is_told_anew(desk: Desk, tmp_path: Path) -> None:
    env = {"AGENT_TRACE_DIR": str(tmp_path / "traces"), "AGENT_TRACE_OTLP_HEADERS": "x-key=v"}
    start, prompt, tool, *_ = _one_turn(**env, AGENT_TRACE_OTLP_ENDPOINT="http://127.0.0.1:9")
    desk.hear_all([start, prompt])
    desk.kill()
    again = Desk(tmp_path / "journals")
    again.hear(tool)
    (found,) = again.worker._pipelines.values()
    assert found.settings.headers == {"x-key": "v"}
