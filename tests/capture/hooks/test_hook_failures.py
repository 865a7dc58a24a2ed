"""The recorder's worker when something fails: a full disk, a broken installation, a journal that can't be read."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hook_desk import Desk, entry_of
from recordings import Clients, Heard, Recording

from agent_trace_otel import guard, pipeline, semconv
from agent_trace_otel.capture.hooks import client
from agent_trace_otel.capture.hooks.intake.frames import SessionKey
from agent_trace_otel.capture.hooks.intake.journal import Entry
from agent_trace_otel.capture.hooks.sessions import hook_session
from agent_trace_otel.testing import Recorded, recording

SESSION = "5e551017-0000-4000-8000-000000000001"
KEY = SessionKey("claude-code", SESSION)
AT = 1_795_377_000 * 10**9
_TURN: list[tuple[str, dict[str, Any]]] = [
    ("SessionStart", {"source": "startup"}),
    ("UserPromptSubmit", {"prompt": "do it", "prompt_id": "p"}),
    ("Stop", {"prompt_id": "p", "last_assistant_message": "done"}),
    ("SessionEnd", {"reason": "other"}),
]


@pytest.fixture
def desk(tmp_path: Path, no_waiting: None, clients: Clients) -> Any:
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        yield Desk(tmp_path / "journals")


def _heard(tmp_path: Path, name: str, after_ms: int, **payload: Any) -> Heard:
    told = {"session_id": SESSION, "cwd": "/elsewhere", "hook_event_name": name, **payload}
    return Heard(told, AT + after_ms * 1_000_000, {"CLAUDE_PID": "77", "AGENT_TRACE_DIR": str(tmp_path / "traces")})


def test_what_a_transcript_told_while_the_disk_was_full_is_told_later(
    tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_session, "_AGAIN_SECONDS", 0.05)
    tried: list[str] = []
    append = desk.journals.append

    def fail(key: SessionKey, entry: Entry) -> None:
        if entry.kind != "hook":
            tried.append(entry.kind)
            if len(tried) < 5:
                raise OSError(28, os.strerror(28))
        append(key, entry)

    played = Recording("basic", tmp_path)
    for heard in played.play():
        if heard.payload["hook_event_name"] == "Stop":
            monkeypatch.setattr(desk.journals, "append", fail)
        desk.hear(heard)
    while desk.worker.open_sessions():
        desk.settle()
        time.sleep(0.01)
    assert tried[:5] == [tried[0]] * 5
    whole = Recording("basic", tmp_path / "whole")
    Desk(tmp_path / "others").hear_all(whole.play())
    assert Recorded(played.store).meta().llm_requests == Recorded(whole.store).meta().llm_requests > 0


def test_a_run_that_can_not_begin_is_tried_again_after_a_while_and_loses_nothing(
    tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_session, "_BEGIN_AGAIN_SECONDS", 0.1)
    begin: Callable[..., pipeline.SeparatePipeline] = desk.worker.pipeline
    tried = 0

    def fail(*args: Any) -> pipeline.SeparatePipeline:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise RuntimeError
        return begin(*args)

    monkeypatch.setattr(desk.worker, "pipeline", fail)
    for after, (name, more) in enumerate(_TURN):
        heard = _heard(tmp_path, name, after, **more)
        desk.journals.append(KEY, entry_of(heard, str(after)))
    while desk.worker.open_sessions() or desk.journals.waiting:
        with contextlib.suppress(RuntimeError):  # as the recorder does
            _step(desk)
    assert tried == 3
    types = [event.event_type for event in Recorded(tmp_path / "traces").events()]
    assert types == ["session_start", "user_prompt", "assistant_response", "session_end"]


def test_a_step_that_can_not_be_told_takes_no_other_with_it(
    tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise TypeError

    monkeypatch.setattr("agent_trace_otel.spans.point_events.log_told", fail)
    desk.hear_all(_heard(tmp_path, name, after, **more) for after, (name, more) in enumerate(_TURN))
    turn, root = Recorded(tmp_path / "traces").spans()
    assert semconv.OUTPUT_MESSAGES in (turn.attributes or {})
    assert root.attributes is not None
    assert root.attributes[semconv.OUTCOME] == "ok"


def test_a_journal_that_can_not_be_read_keeps_no_session_from_going_on(tmp_path: Path, desk: Desk) -> None:
    desk.hear(_heard(tmp_path, "SessionStart", 0, source="startup"))
    desk.kill()
    (journal,) = (tmp_path / "journals").iterdir()
    journal.unlink()
    journal.symlink_to("/nowhere/at/all")
    desk = Desk(tmp_path / "journals")
    assert desk.journals.keys() == []
    journal.unlink()
    desk.hear_all(_heard(tmp_path, name, after, **more) for after, (name, more) in enumerate(_TURN[1:], 1))
    assert Recorded(tmp_path / "traces").events()[-1].event_type == "session_end"


def test_pipelines_of_open_sessions_are_never_shut_down(
    tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    down: list[Path] = []
    shutdown = pipeline.SeparatePipeline.shutdown

    def note(self: pipeline.SeparatePipeline) -> None:
        down.append(self.settings.trace_dir)
        shutdown(self)

    monkeypatch.setattr(pipeline.SeparatePipeline, "shutdown", note)
    stores = [tmp_path / f"project{number}" for number in range(20)]
    for event in (_TURN[0], _TURN[-1]):
        for number, store in enumerate(stores):
            heard = _heard(store, event[0], number, **event[1])
            heard.payload["session_id"] = f"{SESSION[:-2]}{number:02}"
            desk.hear(heard, steps=4)
        assert down == []
    while desk.worker.open_sessions() or desk.journals.waiting:
        _step(desk)
    desk.hear(_heard(tmp_path, "SessionStart", 99, source="startup"))
    assert down == [store / "traces" for store in stores[:5]]


def _step(desk: Desk) -> None:
    if (found := desk.journals.next(0.0)) is not None:
        desk.worker.take(found.key, found.offset, found.entry)
    else:
        desk.worker.work()


@pytest.mark.parametrize(
    "odd", [{"duration_ms": float("inf")}, {"duration_ms": 10**30}, {"tool_calls": 5}, {"tool_use_id": "\ud800"}]
)
def test_an_odd_value_fails_nothing(tmp_path: Path, desk: Desk, odd: dict[str, Any]) -> None:
    names = ["SessionStart", "PreToolUse", "PostToolUse", "PostToolBatch", "Stop", "SessionEnd"]
    before = dict(guard.failures)
    for after, name in enumerate(names):
        desk.hear(_heard(tmp_path, name, after, tool_name="Bash", **{"tool_use_id": "t", **odd}))
    assert dict(guard.failures) == before
    assert Recorded(tmp_path / "traces").meta().tool_calls == 1


@pytest.mark.skipif(sys.platform != "linux", reason="pid namespaces are Linux's")
@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_a_client_that_was_killed_before_anybody_looked_is_lost_unless_it_may_live_elsewhere(
    tmp_path: Path, desk: Desk, clients: Clients, where: str
) -> None:
    clients.are_alive = False
    namespace = str(Path(os.fsdecode(client.PID_NAMESPACE)).readlink()) if where == "here" else "pid:[1]"
    for after, (name, more) in enumerate(_TURN[:2]):
        heard = _heard(tmp_path, name, after, **more)
        heard.env["PIDNS"] = namespace
        desk.hear(heard)
    for _ in range(5):
        desk.settle()
        time.sleep(0.05)
    assert desk.worker.open_sessions() == (0 if where == "here" else 1)
