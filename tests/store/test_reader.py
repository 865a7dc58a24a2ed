"""Finding sessions and telling how they stand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from session_folders import START, event, gone, session_start, write_session

from agent_trace_otel import process
from agent_trace_otel.errors import SessionNotFoundError, StoreError
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session, find_session, find_trace_dir, session_folders


@pytest.fixture
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("AGENT_TRACE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / ".agent-traces"
    directory.mkdir()
    return directory


def counted(folder: Path) -> Session:
    session = Session(str(folder))
    with SessionIndex(session.events_path) as index:
        session.recount(index)
    return session


def test_the_trace_directory_is_looked_for_upwards(traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = traces.parent / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find_trace_dir() == str(traces)


def test_what_was_given_goes_before_the_environment_and_that_before_looking(
    traces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_trace_dir() == str(traces)
    named, given = tmp_path / "named", tmp_path / "given"
    named.mkdir()
    given.mkdir()
    monkeypatch.setenv("AGENT_TRACE_DIR", str(named))
    assert find_trace_dir() == str(named)
    assert find_trace_dir(str(given)) == str(given)


def test_a_trace_directory_that_is_missing_says_where_was_looked(traces: Path) -> None:
    traces.rmdir()
    with pytest.raises(SessionNotFoundError, match=r"no \.agent-traces in .* or above it: .*agent-trace demo"):
        find_trace_dir()
    with pytest.raises(SessionNotFoundError, match="no trace directory at nowhere"):
        find_trace_dir("nowhere")


def test_symlinks_are_refused_as_trace_directory_and_as_session(traces: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(traces)
    with pytest.raises(StoreError, match="is a symlink"):
        find_trace_dir(str(link))
    outside = write_session(tmp_path / "elsewhere", session_start(), meta={})
    (traces / "linked").symlink_to(outside)
    write_session(traces, session_start(), meta={}, session_id="real")
    assert session_folders(str(traces)) == ([str(traces / "real")], 1)
    with pytest.raises(StoreError, match="is a symlink"):
        find_session(str(traces), "linked")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a directory away")
def test_another_users_directories_are_refused(traces: Path) -> None:
    foreign = write_session(traces, session_start(), meta={}, session_id="foreign")
    os.chown(foreign, 12345, -1)
    assert session_folders(str(traces)) == ([], 1)
    os.chown(traces, 12345, -1)
    with pytest.raises(StoreError, match="belongs to another user"):
        find_trace_dir()


def test_what_does_not_look_like_a_session_is_none(traces: Path) -> None:
    (traces / ".gitignore").write_text("*")
    (traces / ".hidden").mkdir()
    (traces / "file").write_text("")
    assert session_folders(str(traces)) == ([], 0)


def test_any_unambiguous_beginning_of_an_id_finds_its_session(traces: Path) -> None:
    for name in ("abc1", "abc2", "abc", "x"):
        write_session(traces, session_start(), meta={}, session_id=name)
    assert find_session(str(traces), "abc2").session_id == "abc2"
    assert find_session(str(traces), "x…").session_id == "x"
    assert find_session(str(traces), "abc").session_id == "abc"
    with pytest.raises(SessionNotFoundError, match=r"'ab' is ambiguous: abc, abc1, abc2$"):
        find_session(str(traces), "ab")
    with pytest.raises(SessionNotFoundError, match=r"no session 'zz' among the 4 in .*: see agent-trace list"):
        find_session(str(traces), "zz")


@pytest.mark.parametrize("wanted", ["../elsewhere", "/", ".", "..", "\0"])
def test_an_id_never_leads_out_of_the_trace_directory(traces: Path, wanted: str) -> None:
    write_session(traces.parent / "elsewhere", session_start(), meta={})
    with pytest.raises(SessionNotFoundError):
        find_session(str(traces), wanted)


def test_the_newest_session_is_the_one_that_started_last_whatever_was_touched_last(traces: Path) -> None:
    write_session(traces, meta={"started_at": START + 100}, session_id="newest")
    write_session(traces, meta={"started_at": START}, session_id="older")
    write_session(traces, event("session_start", 50), session_id="no-meta")
    assert find_session(str(traces)).session_id == "newest"


def test_no_session_at_all_says_what_to_do(traces: Path) -> None:
    with pytest.raises(SessionNotFoundError, match=r"no sessions in .*agent-trace demo"):
        find_session(str(traces))


def test_a_session_that_ended_is_read_from_meta_json_alone(traces: Path) -> None:
    meta = {"started_at": START, "ended_at": START + 9, "tool_calls": 8, "errors": 3, "total_duration_ms": 9000.0}
    session = counted(write_session(traces, event("tool_call", 1), meta=meta))
    assert (session.state, session.tool_calls, session.errors, session.duration_ms) == ("ended", 8, 3, 9000.0)


def test_a_session_without_an_end_is_counted_from_its_events(traces: Path) -> None:
    lines = (
        session_start(gone()),
        event("tool_call", 1, {"tool_name": "Bash"}),
        event("llm_request", 2),
        event("llm_response", 3, {"total_tokens": 7}),
        event("error", 4),
    )
    session = counted(write_session(traces, *lines, meta={"started_at": START, "tool_calls": 99}))
    assert (session.tool_calls, session.llm_requests, session.errors, session.total_tokens) == (1, 1, 1, 7)
    assert (session.state, session.duration_ms) == ("crashed", 4000.0)


@pytest.mark.parametrize("meta", [None, "", "{", "[]", '{"started_at":"x","tool_calls":true}', "{" * 100_000])
def test_a_missing_or_broken_meta_json_is_said_and_made_up_for(traces: Path, meta: str | None) -> None:
    folder = write_session(traces, session_start(), event("tool_call", 2), event("session_end", 5), meta=meta)
    session = counted(folder)
    assert (session.agent_name, session.command) == ("agent", "python agent.py")
    assert (session.tool_calls, session.started_at, session.ended_at) == (1, START, START + 5)
    assert session.state == "ended"
    assert ("meta.json" in session.meta_problem) == (meta is None or "started" not in meta)


def test_a_session_runs_while_its_process_lives(traces: Path) -> None:
    session = counted(write_session(traces, session_start(), meta={"started_at": START}))
    assert (session.state, session.pid) == ("running", os.getpid())


def test_a_process_that_took_over_the_pid_is_another(traces: Path) -> None:
    here = process.current()
    earlier = process.ProcessIdentity(here.pid, here.pid_start + "0", here.boot_id, here.host)
    assert counted(write_session(traces, session_start(earlier))).state == "crashed"


def test_of_another_host_or_without_a_process_nothing_is_known(traces: Path) -> None:
    here = process.current()
    away = process.ProcessIdentity(here.pid, here.pid_start, here.boot_id, "elsewhere.example")
    assert counted(write_session(traces, session_start(away), session_id="away")).state == "unknown"
    assert counted(write_session(traces, event("session_start", 0), session_id="bare")).state == "unknown"
    assert counted(write_session(traces, session_id="empty")).state == "unknown"


def test_a_resumed_session_stands_as_its_runs_do(traces: Path) -> None:
    def run(span: str, after: float, identity: process.ProcessIdentity) -> bytes:
        data = {"pid": identity.pid, "pid_start": identity.pid_start, "boot_id": identity.boot_id}
        return event("session_start", after, {**data, "host": identity.host}, span=span)

    dead, alive = gone(), process.current()
    end = event("session_end", 9, span="b")
    states = {
        "killed-then-ended": counted(write_session(traces, run("a", 0, dead), run("b", 5, dead), end, session_id="k")),
        "one-still-running": counted(write_session(traces, run("a", 0, alive), run("b", 5, dead), end, session_id="r")),
        "ended-then-killed": counted(write_session(traces, run("b", 0, dead), end, run("c", 10, dead), session_id="e")),
    }
    assert [session.state for session in states.values()] == ["ended", "running", "crashed"]


def test_reading_never_writes(traces: Path) -> None:
    folder = write_session(traces, session_start(gone()), event("tool_call", 1), meta={"started_at": START})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    counted(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert json.loads(before["meta.json"])["started_at"] == START
