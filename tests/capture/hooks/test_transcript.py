"""Transcripts of Claude Code: what the recordings tell, fact by fact, and that no file can stop a reader."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from transcript_lines import STOP, block, calls, ns, request, result, text, told, tool_use, user, write

from agent_trace_otel.capture.hooks.transcript import reader as transcript
from agent_trace_otel.capture.hooks.transcript.facts import time_ns
from agent_trace_otel.capture.hooks.transcript.files import find_origin, read_agent
from agent_trace_otel.capture.hooks.transcript.reader import TranscriptReader

RECORDED = Path(__file__).parents[2] / "data" / "claude_code"
TRANSCRIPTS = sorted([*RECORDED.glob("transcript_*.jsonl"), *RECORDED.glob("facts/*.jsonl")])

each_transcript = pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)


def recorded(start: str) -> Path:
    (path,) = RECORDED.glob(f"transcript_{start}*.jsonl")
    return path


# -- the recordings --------------------------------------------------------------------------------------------------


@each_transcript
def test_a_recording_tells_the_reviewed_facts(path: Path) -> None:
    golden = RECORDED / "facts" / f"{path.stem}.json"
    reader = TranscriptReader(path)
    facts = told(reader)
    if os.environ.get("AGENT_TRACE_WRITE_GOLDEN"):  # review the difference before it is committed
        golden.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert golden.exists(), "a new recording: write its facts with AGENT_TRACE_WRITE_GOLDEN=1 and review them"
    assert facts == json.loads(golden.read_text(encoding="utf-8"))
    assert reader.unknown == {}


@each_transcript
def test_each_call_of_a_recording_has_a_model_and_a_time(path: Path) -> None:
    for call in calls(told(TranscriptReader(path))):
        assert time_ns("2026-11-22T00:00:00Z") < call["started_ns"] <= call["ended_ns"]
        assert call["model"].startswith("claude-")
        assert call["input"] or call["attempts"] > 1
        assert ("stop_reason" in call) == bool(call["output"]) == bool(call["usage"])
        assert ("stop_reason" in call) + ("error" in call) + ("interrupted" in call) == 1


@each_transcript
def test_a_file_tells_the_same_in_small_bites_while_it_grows(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    growing = tmp_path / path.name
    growing.touch()
    reader = TranscriptReader(growing)
    facts: list[Any] = []
    with growing.open("ab", buffering=0) as file:
        for start in range(0, len(whole), 1000):
            file.write(whole[start : start + 1000])
            facts += reader.read(max_bytes=300)
    assert facts + told(reader) == told(TranscriptReader(path))
    assert reader.offset <= len(whole)


@each_transcript
def test_a_later_reader_goes_on_without_telling_a_call_twice(path: Path, tmp_path: Path) -> None:
    expected = told(TranscriptReader(path))
    whole = path.read_bytes()
    growing = tmp_path / path.name
    facts: list[Any] = []
    since_ns = min((call["started_ns"] for call in calls(expected)), default=0)
    offset = 0
    for end in [*range(1500, len(whole), 1500), len(whole)]:
        growing.write_bytes(whole[:end])
        reader = TranscriptReader(growing, offset=offset, since_ns=since_ns)
        facts += told(reader, closed=end == len(whole))
        assert reader.offset >= offset
        offset = reader.offset
    assert calls(facts) == calls(expected)
    # a later reader knows neither the time nor the prompt of the lines before
    bare = [{**fact, "at_ns": 0, "prompt_id": ""} for fact in facts]
    assert [fact for fact in expected if {**fact, "at_ns": 0, "prompt_id": ""} not in bare] == []


def test_attempts_are_one_call_from_the_first_to_the_answer() -> None:
    first, second = calls(told(TranscriptReader(recorded("api_retry"))))
    assert (first["attempts"], first["stop_reason"], second["attempts"]) == (3, "tool_use", 2)
    requests = [json.loads(line) for line in recorded("api_retry").read_text().splitlines()]
    times = [line["timestamp"] for line in requests if line["type"] == "api-request"]
    assert [first["started_ns"], second["started_ns"]] == [time_ns(times[0]), time_ns(times[3])]


def test_a_failed_call_is_named_by_its_first_attempt_and_has_the_apis_error_type() -> None:
    path = recorded("api_overload")
    (call,) = calls(told(TranscriptReader(path)))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    first, *_ = (line["id"] for line in lines if line["type"] == "api-request")
    assert (call["key"], call["attempts"], call["error"]["type"]) == (first, 3, "overloaded_error")


def test_a_fork_tells_only_its_own_calls_and_finds_its_origin() -> None:
    parent, fork = sorted(RECORDED.glob("transcript_fork_*.jsonl"), key=lambda path: path.stat().st_size)
    mine, theirs = told(TranscriptReader(fork)), told(TranscriptReader(parent))
    assert {call["key"] for call in calls(mine)}.isdisjoint(call["key"] for call in calls(theirs))
    assert [fact["kind"] for fact in mine].count("result") == 1
    (origin,) = [fact for fact in mine if fact["kind"] == "origin"]
    assert find_origin(fork, origin["request_id"]) == parent
    assert find_origin(parent, "no such request") is None


def test_a_fork_of_the_same_session_is_not_its_origin(tmp_path: Path) -> None:
    parent = write(tmp_path / "parent.jsonl", request("r1", 1), block("m1", 2, text("a"), requestRef="r1"))
    write(tmp_path / "sibling.jsonl", block("m1", 2, text("a"), requestRef="r1"), {**request("r2", 3), "base": "r1"})
    fork = write(tmp_path / "fork.jsonl", block("m1", 2, text("a"), requestRef="r1"))
    os.utime(parent, (1, 1))  # searched last
    assert find_origin(fork, "r1") == parent
    parent.unlink()
    assert find_origin(fork, "r1") is None


def test_what_started_a_sub_agent_is_read_from_the_note_beside_it(tmp_path: Path) -> None:
    note = tmp_path / "agent-a63766a1138c7a8d7.meta.json"
    assert read_agent(note) is None
    shutil.copy(RECORDED / "transcript_subagent_sub_agent-a63766a1138c7a8d7.meta.json", note)
    assert read_agent(note) == {
        "kind": "agent",
        "agent_id": "a63766a1138c7a8d7",
        "tool_use_id": "toolu_fake_90292b01efc64b7c",
        "agent_type": "general-purpose",
        "description": "Look at files",
        "model": "claude-opus-5-5",
    }
    note.write_text("[1")
    assert read_agent(note) is None
    assert read_agent(tmp_path / "other.json") is None


# -- a turn's end, when the file lags ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        [request("r1", 2)],
        [request("r1", 2), block("m1", 3, {"type": "thinking", "thinking": "hm"}, requestRef="r1")],
        [request("r1", 2), block("m1", 3, text("let me"), requestRef="r1", stop_reason="tool_use")],
    ],
)
def test_what_lacks_its_end_waits_for_it_at_a_turns_end(tmp_path: Path, lines: list[Any]) -> None:
    path = write(tmp_path / "t.jsonl", user(1, "hi"), *lines)
    reader = TranscriptReader(path)
    assert calls(told(reader, closed=False)) == []
    assert reader.offset == 0
    with path.open("a") as file:
        file.write(json.dumps(block("m1", 4, tool_use("t1"), requestRef="r1", stop_reason="tool_use")) + "\n")
    for later in (reader, TranscriptReader(path, offset=reader.offset)):
        assert calls(told(later, closed=False)) == []  # tools were asked for, so the turn goes on
        (call,) = calls(later.finish(closed=True))
        assert (call["started_ns"], call["ended_ns"], len(call["output"][0]["parts"])) == (ns(2), ns(4), len(lines))


def test_at_the_sessions_end_a_request_without_an_answer_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", user(1, "hi"), request("r1", 2), request("r2", 3))
    (call,) = calls(told(TranscriptReader(path, agent_id="a1")))
    assert (call["key"], call["attempts"], call["interrupted"], call["agent_id"]) == ("r1", 2, True, "a1")
    assert (call["started_ns"], call["ended_ns"]) == (ns(2), ns(3))


def test_a_request_that_nobody_answers_does_not_hold_back_later_readers(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        request("title", 1, "generate_title"),
        user(2, "hi"),
        request("r1", 3),
        block("m1", 4, text("a"), requestRef="r1"),
        STOP,
    )
    reader = TranscriptReader(path)
    assert [call["key"] for call in calls(reader.read())] == ["m1"]
    assert reader.offset == (end_of_m1 := path.stat().st_size)
    with path.open("a") as file:
        file.write(json.dumps(block("m2", 60, text("a title"), requestRef="title")) + "\n")
    assert reader.read() == []
    assert reader.offset == end_of_m1
    (title,) = calls(reader.finish())
    assert (title["key"], title["started_ns"]) == ("m2", ns(1))


# -- files that change, tear, or are none --------------------------------------------------------------------------


def test_a_torn_last_line_is_left_for_the_next_read(tmp_path: Path) -> None:
    line = json.dumps(result(1, "t1"))
    path = write(tmp_path / "t.jsonl", line[:40], end="")
    reader = TranscriptReader(path)
    assert (reader.read(), reader.offset, reader.unknown) == ([], 0, {})
    path.write_text(line + "\n")
    assert len(reader.read()) == 1


def test_a_file_that_was_cut_or_replaced_is_read_anew_and_no_call_told_twice(tmp_path: Path) -> None:
    one = [user(1, "hi"), request("r1", 2), block("m1", 3, text("a"), requestRef="r1"), STOP]
    two = [user(4, "hi"), request("r2", 5), block("m2", 6, text("b"), requestRef="r2"), STOP]
    path = write(tmp_path / "t.jsonl", *one)
    reader = TranscriptReader(path)
    assert [call["key"] for call in calls(told(reader))] == ["m1"]
    write(tmp_path / "new", *two, *one).replace(path)  # another inode
    assert [call["key"] for call in calls(told(reader))] == ["m2"]
    write(path, request("r3", 7), block("m3", 8, text("c"), requestRef="r3"))  # shorter
    assert [call["key"] for call in calls(told(reader))] == ["m3"]


def test_a_file_that_moved_is_read_on_at_its_new_path(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", user(1, "hi"), request("r1", 2))
    reader = TranscriptReader(path)
    reader.read()
    moved = path.rename(tmp_path / "moved.jsonl")
    assert told(reader, closed=False) == []
    with moved.open("a") as file:
        file.write(json.dumps(block("m1", 3, text("a"), requestRef="r1")) + "\n")
    reader.path = moved
    (call,) = calls(told(reader, closed=False))
    assert (call["started_ns"], call["input"][0]["parts"][0]["content"]) == (ns(2), "hi")


def test_an_offset_beyond_the_end_starts_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", result(1, "t1"))
    assert len(TranscriptReader(path, offset=1 << 40).read()) == 1


def test_what_is_no_readable_file_tells_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "fifo", Path("nul\0"), Path("/dev/zero")):
        assert told(TranscriptReader(path)) == []


def test_damaged_and_unknown_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.jsonl",
        "{torn",
        "[1]",
        "",
        "\udce4".encode("utf-8", "surrogateescape").decode("latin-1"),
        "[" * 100_000,
        {"type": "brand-new"},
        {"no": "type"},
        {"type": "api-request"},
        {"type": "assistant", "message": "?"},
        result(1, "t1"),
    )
    reader = TranscriptReader(path)
    assert len(reader.read()) == 1
    assert reader.unknown == {
        "(no JSON)": 3,
        "(no object)": 1,
        "brand-new": 1,
        "(no type)": 1,
        "api-request (no id)": 1,
        "assistant (no message id)": 1,
    }


def test_types_without_end_do_not_fill_the_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", *({"type": f"{number}" * 100} for number in range(300)))
    reader = TranscriptReader(path)
    reader.read()
    assert len(reader.unknown) == 100
    assert max(map(len, reader.unknown)) <= 40


def test_a_line_of_20_mb_is_read_and_one_that_is_too_long_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = json.dumps(result(1, "t1", toolUseResult="x" * (20 << 20)))
    path = write(tmp_path / "t.jsonl", long, result(2, "t2"))
    assert [fact.get("tool_use_id") for fact in told(TranscriptReader(path))] == ["t1", "t2"]
    monkeypatch.setattr(transcript, "MAX_LINE", 10 << 20)
    reader = TranscriptReader(path)
    assert [fact.get("tool_use_id") for fact in told(reader)] == ["t2"]
    assert reader.unknown == {"(too long)": 1}


def test_a_long_file_is_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    filler = json.dumps({"type": "attachment", "attachment": "x" * 10_000}) + "\n"
    with path.open("w") as file:
        for number in range(2_000):
            said, asked = user(1, "y" * 2_000), request(f"r{number}", 2)
            answer = block(f"m{number}", 3, text("z" * 2_000), requestRef=f"r{number}")
            file.write(filler + "".join(json.dumps(line) + "\n" for line in (said, asked, answer)))
    reader = TranscriptReader(path)
    count = 0
    tracemalloc.start()
    try:
        while facts := reader.read():
            count += len(facts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 1_999
    assert path.stat().st_size > 28_000_000
    assert peak < 8_000_000
