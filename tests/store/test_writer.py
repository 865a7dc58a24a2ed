"""One session as a process writes it: lines, and a meta.json that is right whoever else writes."""

from __future__ import annotations

import json
import logging
import os
import stat
import threading
from pathlib import Path

import pytest

from agent_trace_otel import guard
from agent_trace_otel.store.events import SessionMeta, TraceEvent
from agent_trace_otel.store.folder import EVENTS, META
from agent_trace_otel.store.writer import Runs, SessionWriter, runs_of

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def begin(trace_dir: Path, session_id: str = "s-1", at: int = START) -> SessionWriter:
    writer = SessionWriter(trace_dir, session_id)
    writer.begin(at, "agent", "python agent.py")
    writer.event("session_start", at, "ffffffffffffffff", '{"trace_id":"t1","span_id":"r1"}')
    return writer


def read_meta(trace_dir: Path, session_id: str = "s-1") -> dict[str, object]:
    found = json.loads((trace_dir / session_id / META).read_text())
    assert isinstance(found, dict)
    return found


def events(trace_dir: Path, session_id: str = "s-1") -> list[TraceEvent]:
    return [TraceEvent.from_line(line) for line in (trace_dir / session_id / EVENTS).read_bytes().splitlines()]


def open_descriptors() -> int:
    """Count this process's descriptors, where the system shows them."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc to count descriptors in")
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_event_has_its_keys_in_the_formats_order(tmp_path: Path) -> None:
    writer = begin(tmp_path)
    writer.event("tool_call", START + 1, "00000000000000ab", '{"tool_name":"t"}')
    writer.event("tool_result", START + SECOND, "abcdef012345", "{}", parent_id="00000000000000ab", duration_ms=999.5)
    lines = (tmp_path / "s-1" / EVENTS).read_bytes().splitlines()
    assert [list(json.loads(line)) for line in lines] == [
        ["event_type", "timestamp", "event_id", "session_id", "data"],
        ["event_type", "timestamp", "event_id", "session_id", "data"],
        ["event_type", "timestamp", "event_id", "session_id", "parent_id", "duration_ms", "data"],
    ]
    assert lines[2] == (
        b'{"event_type":"tool_result","timestamp":1700000001.0,"event_id":"abcdef012345","session_id":"s-1",'
        b'"parent_id":"00000000000000ab","duration_ms":999.5,"data":{}}'
    )


def test_meta_is_there_from_the_start(tmp_path: Path) -> None:
    begin(tmp_path)
    assert read_meta(tmp_path) == {
        "session_id": "s-1",
        "started_at": 1700000000.0,
        "agent_name": "agent",
        "command": "python agent.py",
    }
    assert (tmp_path / "s-1" / META).read_text().startswith('{\n  "session_id": "s-1",\n')


def test_meta_is_written_at_most_once_a_second_and_at_the_end(tmp_path: Path) -> None:
    writer = begin(tmp_path)
    for number in range(10):
        writer.event("tool_call", START + number * SECOND // 10, f"{number:016x}", "{}")
    assert "tool_calls" not in read_meta(tmp_path)
    writer.event("tool_call", START + SECOND, "000000000000000b", "{}")
    assert read_meta(tmp_path)["tool_calls"] == 11
    writer.event("error", START + SECOND + 1, "abcdef012345", "{}", parent_id="000000000000000b")
    assert "errors" not in read_meta(tmp_path)
    writer.event("session_end", START + 2 * SECOND - 1, "abcdef012346", "{}")
    writer.end(START + 2 * SECOND - 1)
    meta = read_meta(tmp_path)
    assert (meta["tool_calls"], meta["errors"], meta["ended_at"]) == (11, 1, 1700000001.999999999)
    assert meta["total_duration_ms"] == 2000.0


def test_meta_counts_calls_errors_and_tokens(tmp_path: Path) -> None:
    writer = begin(tmp_path)
    writer.event("llm_request", START + 1, "0000000000000001", "{}")
    writer.event("llm_response", START + 2, "abcdef012345", '{"total_tokens":7}', parent_id="0000000000000001")
    writer.event("llm_request", START + 3, "0000000000000002", "{}")
    writer.event("error", START + 4, "abcdef012346", '{"total_tokens":7}', parent_id="0000000000000002")
    writer.event("tool_call", START + 5, "0000000000000003", "{}")
    writer.end(START + 6)
    counts = {"tool_calls": 1, "llm_requests": 2, "errors": 1, "total_tokens": 7}
    assert counts.items() <= read_meta(tmp_path).items()
    assert writer.meta() == SessionMeta.from_json(json.dumps(read_meta(tmp_path)), session_id="s-1")


def test_several_writers_of_one_session_are_counted_together(tmp_path: Path) -> None:
    ours, theirs = begin(tmp_path), SessionWriter(tmp_path, "s-1")
    for number in range(5):
        ours.event("tool_call", START + number, f"{number:016x}", "{}")
        theirs.event("tool_call", START + number, f"{number + 100:016x}", "{}")
    ours.end(START + SECOND)
    assert read_meta(tmp_path)["tool_calls"] == 10
    theirs.event("tool_call", START + 2 * SECOND, "00000000000000ff", "{}")
    meta = read_meta(tmp_path)
    assert (meta["tool_calls"], meta["ended_at"], meta["agent_name"]) == (11, 1700000001.0, "agent")


def test_what_comes_after_the_end_is_counted_too(tmp_path: Path) -> None:
    writer = begin(tmp_path)
    writer.end(START + 1)
    writer.event("tool_call", START + 2, "0000000000000001", "{}")
    assert read_meta(tmp_path)["tool_calls"] == 1
    assert read_meta(tmp_path)["ended_at"] == (START + 1) / 1e9


def test_meta_spans_all_runs(tmp_path: Path) -> None:
    for run in range(3):
        writer = begin(tmp_path, at=START + run * 10 * SECOND)
        assert "ended_at" not in read_meta(tmp_path)
        writer.event("tool_call", START + run * 10 * SECOND + 1, f"{run:016x}", "{}")
        writer.end(START + (run * 10 + 5) * SECOND)
    meta = read_meta(tmp_path)
    assert (meta["started_at"], meta["ended_at"], meta["tool_calls"]) == (1700000000.0, 1700000025.0, 3)
    assert meta["total_duration_ms"] == 25_000


@pytest.mark.parametrize(
    "garbage",
    [
        b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"tool_calls": 1e999, "started_at": "yesterday"}',
        b'{"started_at": NaN, "ended_at": []}', b"[" * 100_000, b'{"total_tokens": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda garbage: repr(garbage[:20]),
)  # fmt: skip
def test_a_meta_of_garbage_is_replaced_by_a_right_one(tmp_path: Path, garbage: bytes) -> None:
    writer = begin(tmp_path)
    (tmp_path / "s-1" / META).write_bytes(garbage)
    writer.event("tool_call", START + SECOND, "0000000000000001", "{}")
    writer.end(START + 2 * SECOND)
    meta = read_meta(tmp_path)
    assert (meta["started_at"], meta["ended_at"], meta["tool_calls"]) == (1700000000.0, 1700000002.0, 1)
    assert guard.failures.total() == 0


def test_a_directory_in_the_place_of_meta_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    guard.failures.clear()
    (tmp_path / "s-1" / META).mkdir(parents=True)
    writer = begin(tmp_path)
    writer.event("tool_call", START + SECOND, "0000000000000001", "{}")
    writer.end(START + 2 * SECOND)
    guard.failures.clear()
    assert [event.event_type for event in events(tmp_path)] == ["session_start", "tool_call"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert sorted(path.name for path in (tmp_path / "s-1").iterdir()) == [EVENTS, META]


def test_a_folder_removed_in_the_middle_comes_back(tmp_path: Path) -> None:
    writer = begin(tmp_path)
    for path in (tmp_path / "s-1").iterdir():
        path.unlink()
    (tmp_path / "s-1").rmdir()
    writer.event("tool_call", START + SECOND, "0000000000000001", "{}")  # goes nowhere; it is noticed with meta.json
    writer.event("tool_call", START + SECOND + 1, "0000000000000002", "{}")
    writer.end(START + 2 * SECOND)
    guard.failures.clear()
    assert [event.event_id for event in events(tmp_path)] == ["0000000000000002"]
    assert read_meta(tmp_path)["tool_calls"] == 1


def test_lines_that_cant_be_written_are_told_once_and_counted_at_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    guard.failures.clear()
    writer = begin(tmp_path / "file")
    writer.span(b"{}\n", "00")
    writer.end(START + 1)
    guard.failures.clear()
    assert writer.lost == 2
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.WARNING]
    assert caplog.records[1].getMessage() == "2 lines of session s-1 could not be written to its folder"
    assert writer.meta().agent_name == "agent"


def test_begin_if_new_asks_the_disk_once(tmp_path: Path) -> None:
    first, second = SessionWriter(tmp_path, "s-1"), SessionWriter(tmp_path, "s-1")
    assert first.begin_if_new() is True
    assert first.begin_if_new() is False
    first.event("tool_call", START, "0000000000000001", "{}")
    assert second.begin_if_new() is False


def test_runs_are_counted_by_their_starts(tmp_path: Path) -> None:
    assert runs_of(tmp_path, "s-1") == Runs(0, None)
    begin(tmp_path)
    assert runs_of(tmp_path, "s-1") == Runs(1, ("t1", "r1"))
    with (tmp_path / "s-1" / EVENTS).open("ab") as file:
        file.write(b'{"event_type":"session_start","data":{"trace_id":"t2","span_id":"r2"}}\n')
        file.write(b'{"event_type":"session_start","torn')
    assert runs_of(tmp_path, "s-1") == Runs(3, ("t2", "r2"))


def test_threads_write_every_line_once_and_meta_counts_them(tmp_path: Path) -> None:
    writer = begin(tmp_path)

    def work(thread: int) -> None:
        for number in range(500):
            at = START + number * SECOND // 20  # meta.json is rewritten 25 times meanwhile
            writer.event("tool_call", at, f"{thread * 1000 + number:016x}", "{}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.end(START + 100 * SECOND)
    assert len({event.event_id for event in events(tmp_path)}) == 2001
    assert read_meta(tmp_path)["tool_calls"] == 2000


def test_a_folder_that_somebody_else_keeps_locked_holds_up_nobody(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    writer = begin(tmp_path)
    descriptor = os.open(tmp_path / "s-1", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    done = threading.Event()

    def work() -> None:
        for number in range(5):
            writer.event("tool_call", START + number * SECOND, f"{number:016x}", "{}")
        writer.end(START + 9 * SECOND)
        done.set()

    threading.Thread(target=work, daemon=True).start()
    assert done.wait(30), "the traced program waits for a lock of somebody else's"
    os.close(descriptor)
    guard.failures.clear()
    assert len(events(tmp_path)) == 6


def test_descriptors_are_given_back_at_the_end(tmp_path: Path) -> None:
    before = open_descriptors()
    for number in range(50):
        writer = begin(tmp_path, f"s-{number}")
        writer.span(b"{}\n", "00")
        writer.end(START + 1)
    assert open_descriptors() <= before


def test_meta_is_private(tmp_path: Path) -> None:
    begin(tmp_path)
    assert stat.S_IMODE((tmp_path / "s-1" / META).stat().st_mode) & 0o077 == 0
