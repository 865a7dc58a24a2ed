"""Recordings of the real client, fed by real hook processes to a real recorder: undisturbed, and killed at random."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hook_desk import Desk
from hook_feed import are_over, ask, feed, recorder_of
from hook_processes import Hooks
from programs import wait_for
from recordings import NAMES, Recording
from span_tree import shown

from agent_trace_otel.capture.hooks.intake import control
from agent_trace_otel.testing import Recorded, recording

FEW = ("basic", "denied", "interrupt", "kill9", "resume", "subagent", "two_prompts")
KILLS = 8


def _expected(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what the same recording becomes without any process."""
    alive = True
    monkeypatch.setattr("agent_trace_otel.process.start_of", lambda pid: f"start-of-{pid}" if alive else None)
    with recording(home / "none", HOME=str(home)):
        played = Recording(name, home)
        desk = Desk(home / "journals")
        desk.hear_all(played.play())
        alive = False

        def is_over() -> bool:
            desk.settle()
            return desk.worker.open_sessions() == 0

        wait_for(is_over, "the end of the session")
    return shown(Recorded(played.store), times=False, home=str(home))


def _play_all(names: list[str], tmp_path: Path, hooks: Hooks, pace: float = 0.0) -> dict[str, Recording]:
    plays: dict[str, Recording] = {}
    for name in names:
        home = tmp_path / name
        home.mkdir()
        plays[name] = Recording(name, home)
        (home / "project").mkdir(exist_ok=True)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(feed, played, hooks, pace) for played in plays.values()]:
            done.result()
    wait_for(lambda: are_over(hooks), "the end of all sessions", seconds=90)
    return plays


def _compare(plays: dict[str, Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {name: shown(Recorded(played.store), times=False, home=str(played.home)) for name, played in plays.items()}
    for name, tree in found.items():
        home = tmp_path / f"{name}-expected"
        home.mkdir()
        assert tree == _expected(name, home, monkeypatch), name


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("names", [pytest.param(FEW, id="few"), pytest.param(NAMES, id="all", marks=pytest.mark.e2e)])
def test_real_hook_processes_tell_the_reviewed_sessions(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = Hooks(tmp_path / "home")
    with recorder_of(hooks):
        plays = _play_all(list(names), tmp_path, hooks)
        told = ask(hooks, control.STATUS)
        assert told is not None
        assert (told["skipped_lines"], told["failures"]) == (0, {})
    _compare(plays, tmp_path, monkeypatch)


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("names", [pytest.param(FEW, id="few"), pytest.param(NAMES, id="all", marks=pytest.mark.e2e)])
def test_a_recorder_killed_again_and_again_loses_and_doubles_nothing(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = Hooks(tmp_path / "home")
    killed: list[int] = []
    stop = threading.Event()

    def kill() -> None:
        chance = random.Random(7)
        while not stop.wait(chance.uniform(0.2, 1.5)) and len(killed) < KILLS * len(names) // len(FEW):
            told = ask(hooks, control.STATUS)
            if told is not None:
                os.kill(told["pid"], signal.SIGKILL)
                killed.append(told["pid"])

    killer = threading.Thread(target=kill)
    with recorder_of(hooks):
        killer.start()
        try:
            plays = _play_all(list(names), tmp_path, hooks, pace=0.1)
        finally:
            stop.set()
            killer.join()
        wait_for(lambda: are_over(hooks), "the end of all sessions", seconds=90)
    assert killed
    _compare(plays, tmp_path, monkeypatch)


def test_two_dozen_hooks_at_once_of_two_sessions_in_one_store_are_all_told_once(tmp_path: Path) -> None:
    hooks = Hooks(tmp_path / "home")
    project = tmp_path / "project"
    project.mkdir()
    sessions = [f"5e551017-0000-4000-8000-00000000000{number}" for number in (1, 2)]

    def run(session: str, name: str, **payload: object) -> None:
        told = {"session_id": session, "cwd": str(project), "hook_event_name": name, **payload}
        hooks.run(json.dumps(told).encode(), name, CLAUDE_PROJECT_DIR=str(project), CLAUDE_PID=str(os.getpid()))

    with recorder_of(hooks):
        for session in sessions:
            run(session, "UserPromptSubmit", prompt="go", prompt_id="p")
        calls = [(session, f"toolu_{number}") for number in range(12) for session in sessions]
        for name in ("PreToolUse", "PostToolUse"):
            about = {"tool_name": "Read", "prompt_id": "p", "tool_input": {"file_path": "/x"}, "tool_response": {}}
            with ThreadPoolExecutor(len(calls)) as pool:
                done = [pool.submit(run, session, name, tool_use_id=call, **about) for session, call in calls]
                assert [one.result() for one in done] == [None] * len(calls)
        for session in sessions:
            run(session, "SessionEnd", reason="other")
        wait_for(lambda: are_over(hooks), "the end of both sessions")
    recorded = Recorded(project / ".agent-traces")
    assert recorded.sessions() == sessions
    for session in sessions:
        ids = [(span.attributes or {}).get("gen_ai.tool.call.id") for span in recorded.spans(session)]
        assert sorted(filter(None, ids)) == sorted(f"toolu_{number}" for number in range(12))
        assert recorded.meta(session).tool_calls == 12
        types = [event.event_type for event in recorded.events(session)]
        assert (types.count("tool_call"), types.count("tool_result")) == (12, 12)
