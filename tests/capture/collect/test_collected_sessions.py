"""Which session a received span belongs to, in whatever order and however often it comes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from receiving import TRACE, Collector, agent, collecting, http_call, kinds, names, tool

from agent_trace_otel import guard
from agent_trace_otel.capture.collect import intake, waiting
from agent_trace_otel.capture.hooks import state
from agent_trace_otel.store.folder import SessionFolder
from agent_trace_otel.testing import Recorded

if TYPE_CHECKING:
    import pytest

OTHER = "ab" * 16


def test_a_trace_is_a_session_unless_something_names_another(collector: Collector) -> None:
    collector.send(tool(1), tool(2, trace=OTHER, session__id="named"))
    collector.send(tool(3, trace="cd" * 16, gen_ai__conversation__id="conversation"))
    assert collector.recorded.sessions() == [TRACE, "conversation", "named"]


def test_a_resend_is_told_once(collector: Collector) -> None:
    for _ in range(3):
        collector.send(tool(1), tool(1), tool(2))
    assert names(collector.recorded) == ["1", "2"]
    assert kinds(collector.recorded) == ["session_start", "tool_call", "tool_result", "tool_call", "tool_result"]


def test_children_that_come_first_belong_to_the_conversation_that_their_parent_names(collector: Collector) -> None:
    collector.send(tool(3, parent=1))
    collector.send(http_call(4, parent=3))
    assert collector.recorded.sessions() == [TRACE]
    collector.send(agent(1, gen_ai__conversation__id="talk"))
    collector.send(tool(5, parent=1), http_call(6, parent=5))
    assert collector.recorded.sessions() == ["talk"]
    assert names(collector.recorded) == ["3", "4", "1", "5", "6"]
    events = collector.recorded.events()
    assert [event.event_type for event in events].count("session_start") == 1
    assert {event.session_id for event in events} == {"talk"}
    told = [(span.attributes or {}).get("session.id") for span in collector.recorded.spans()]
    assert told == [None, None, "talk", "talk", "talk"]  # what was sent before is what the back end has


def test_a_folder_that_somebody_else_writes_is_left_to_them(collector: Collector) -> None:
    theirs = SessionFolder(collector.recorded.trace_dir, TRACE)
    start = {"event_type": "session_start", "timestamp": 1.0, "event_id": "a", "session_id": TRACE, "data": {}}
    theirs.append_event(json.dumps(start, separators=(",", ":")).encode() + b"\n")
    collector.send(tool(3, parent=1))
    collector.send(agent(1, gen_ai__conversation__id="talk"))
    assert collector.recorded.sessions() == [TRACE, "talk"]
    assert (names(collector.recorded, TRACE), names(collector.recorded, "talk")) == (["3"], ["1"])


def test_what_the_back_end_has_taken_is_remembered_over_the_join(collector: Collector) -> None:
    collector.send(tool(3, parent=1))
    ledger = collector.recorded.trace_dir / TRACE / "delivered-x.log"
    ledger.write_text(f"{3:016x}\n")
    collector.send(agent(1, gen_ai__conversation__id="talk"))
    assert (collector.recorded.trace_dir / "talk" / ledger.name).read_text() == f"{3:016x}\n"


def test_an_unnamed_span_of_the_same_request_follows_the_named_one(collector: Collector) -> None:
    collector.send(agent(1), tool(2, parent=1, gen_ai__conversation__id="talk"))
    assert collector.recorded.sessions() == ["talk"]
    assert names(collector.recorded) == ["1", "2"]


def test_a_span_that_is_no_agents_doing_waits_for_its_trace(collector: Collector) -> None:
    collector.send(http_call(4, parent=1))
    assert collector.recorded.sessions() == []
    collector.send(agent(1))
    assert sorted(names(collector.recorded)) == ["1", "4"]


def test_what_was_answered_outlives_a_kill(tmp_path: Path, collector: Collector) -> None:
    collector.send(http_call(4, parent=1))
    collector.send(agent(7, trace=OTHER, gen_ai__conversation__id="talk"))
    # nothing of this collector is closed: a second one finds what a killed one leaves
    copied = Path(shutil.copytree(collector.recorded.trace_dir, tmp_path / "copy"))
    with collecting(copied) as second:
        second.send(agent(1), tool(8, trace=OTHER, parent=7), http_call(9, trace=OTHER, parent=7))
        assert sorted(second.recorded.sessions()) == [TRACE, "talk"]
        assert sorted(names(second.recorded, TRACE)) == ["1", "4"]
        assert sorted(names(second.recorded, "talk")) == ["7", "8", "9"]
        assert kinds(second.recorded, "talk").count("session_start") == 1


def test_a_resend_to_the_next_collector_is_told_once(tmp_path: Path, collector: Collector) -> None:
    collector.send(tool(1), agent(2, gen_ai__conversation__id="talk"))
    copied = Path(shutil.copytree(collector.recorded.trace_dir, tmp_path / "copy"))
    with collecting(copied) as second:
        second.send(tool(1), agent(2, gen_ai__conversation__id="talk"), tool(3))
        assert names(second.recorded) == ["1", "2", "3"]
        assert kinds(second.recorded).count("tool_call") == 2


def test_a_join_that_a_kill_interrupted_is_finished(tmp_path: Path) -> None:
    with collecting(tmp_path) as first:
        first.send(tool(3, parent=1))
    with (tmp_path / ".collect.ndjson").open("a") as notebook:
        notebook.write(json.dumps({"trace": TRACE, "session": "talk", "store": ""}) + '\n{"trace":')
    SessionFolder(tmp_path, "talk").append_event(
        (tmp_path / TRACE / "events.ndjson").read_bytes().splitlines()[0] + b"\n"
    )
    with collecting(tmp_path) as second:
        assert second.recorded.sessions() == ["talk"]
        assert kinds(second.recorded) == ["session_start", "tool_call", "tool_result"]


def test_spans_that_wait_too_long_are_let_go(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    collector.send(http_call(4, parent=1))
    monkeypatch.setattr(waiting, "MAX_SECONDS", -1.0)
    collector.intake.look_after()
    collector.send(agent(1))
    assert names(collector.recorded) == ["1"]


def test_only_so_many_bytes_wait(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_BYTES", 5000)
    for number in range(1, 21):
        collector.send(http_call(number, trace=f"{number:032x}"))
    collector.intake.look_after()
    assert 0 < len(list(collector.intake._sessions._waiting.lines())) < 20
    assert collector.send(agent(30, trace=f"{20:032x}")).status == 200
    assert sorted(names(collector.recorded)) == ["14", "1e"]


def test_a_folder_that_cant_be_written_gets_503_and_the_next_try_what_is_missing(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.send(agent(1))
    append = SessionFolder.append_span
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device")

        broken.setattr(SessionFolder, "append_span", fail)
        answer = collector.send(tool(2, parent=1))
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert "disk" in json.loads(answer.body)["message"]
    assert SessionFolder.append_span is append
    assert collector.send(tool(2, parent=1)).status == 200
    assert names(collector.recorded) == ["1", "2"]
    assert kinds(collector.recorded) == ["session_start", "tool_call", "tool_result"]


def test_a_span_that_we_fail_to_read_is_rejected_and_not_asked_for_again(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(collector.intake._processor, "_end", fail)
    answer = collector.send(tool(1))
    assert (answer.status, answer.rejected) == (200, 1)
    guard.failures.clear()


def test_memory_of_what_came_is_bounded(monkeypatch: pytest.MonkeyPatch, collector: Collector) -> None:
    monkeypatch.setattr(intake.Recent, "GENERATION", 10)
    for number in range(1, 100):
        collector.send(tool(number))
    recent = collector.intake._recent
    assert len(recent._new) + len(recent._old) <= 20
    assert len(names(collector.recorded)) == 99


def test_two_collectors_of_one_directory_keep_their_own_notes(tmp_path: Path) -> None:
    with collecting(tmp_path) as one, collecting(tmp_path) as two:
        one.send(http_call(4, parent=1))
        two.send(http_call(5, trace=OTHER, parent=1))
        one.send(agent(1))
        two.send(agent(2, trace=OTHER))
        assert sorted(names(one.recorded, TRACE)) == ["1", "4"]
        assert sorted(names(one.recorded, OTHER)) == ["2", "5"]
    assert sorted(path.name for path in tmp_path.glob(".collect*")) == [".collect-2.ndjson", ".collect.ndjson"]


def test_a_session_of_hooks_is_written_where_they_write_it(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    store = tmp_path / "project" / ".agent-traces"
    journals = Path(state.directory()) / state.JOURNALS
    journals.mkdir(parents=True)
    lines = ['{"kind":"journal"}', "torn", json.dumps({"kind": "run", "at": 1, "store": str(store)})]
    (journals / "claude-code-talk.ndjson").write_text("\n".join(lines) + "\n")
    collector.send(agent(1, session__id="talk"), tool(2, parent=1), tool(3, trace=OTHER, session__id="another"))
    assert collector.recorded.sessions() == ["another"]
    assert names(Recorded(store)) == ["1", "2"]
