"""The index that every reader reads by: order, calls, and what it leaves out."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from session_folders import event

from agent_trace_otel.errors import StoreError
from agent_trace_otel.store.index import SessionIndex


def index_of(tmp_path: Path, *lines: bytes) -> SessionIndex:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"".join(lines))
    return SessionIndex(str(path))


def call(number: int, after: float) -> bytes:
    return event("tool_call", after, {"tool_name": f"t{number}", "arguments": {}}, event_id=f"c{number}")


def result(number: int, after: float) -> bytes:
    data = {"tool_name": f"t{number}", "result": "x"}
    return event("tool_result", after, data, event_id=f"r{number}", parent_id=f"c{number}")


def test_events_come_in_order_of_time_whatever_order_they_were_written_in(tmp_path: Path) -> None:
    lines = [event("decision", number, {"choice": str(number)}) for number in range(500)]
    random.Random(1).shuffle(lines)
    with index_of(tmp_path, *lines) as index:
        assert [index.data(n)["choice"] for n in index.order] == [str(number) for number in range(500)]


def test_events_of_one_time_keep_their_place_in_the_file(tmp_path: Path) -> None:
    lines = [event("decision", 1 if n else 2, {"choice": str(n)}, event_id=str(n)) for n in range(5)]
    with index_of(tmp_path, *lines) as index:
        assert [index.data(n)["choice"] for n in index.order] == ["1", "2", "3", "4", "0"]


def test_a_call_knows_what_closed_it_also_when_its_end_was_written_first(tmp_path: Path) -> None:
    with index_of(tmp_path, call(1, 1), result(2, 3), call(2, 2), result(1, 4), call(3, 5)) as index:
        assert list(index.partners) == [3, 2, 1, 0, -1]
        assert [index.is_open(n) for n in range(5)] == [False, False, False, False, True]
        assert index.duration_ms(1) == pytest.approx(1000)


def test_a_duration_that_the_event_says_goes_before_the_times(tmp_path: Path) -> None:
    closing = event("tool_result", 3, {}, parent_id="c1", duration_ms=51.5)
    with index_of(tmp_path, call(1, 1), closing) as index:
        assert index.duration_ms(1) == 51.5
        assert index.duration_ms(0) is None


def test_an_event_written_twice_is_there_once(tmp_path: Path) -> None:
    with index_of(tmp_path, call(1, 1), result(1, 2), call(1, 1), result(1, 2)) as index:
        assert (index.event_types, index.repeated) == (["tool_call", "tool_result"], 2)


def test_a_call_and_its_result_may_share_an_id(tmp_path: Path) -> None:
    lines = (event("tool_call", 1, event_id="x"), event("tool_result", 2, event_id="x", parent_id="x"))
    with index_of(tmp_path, *lines) as index:
        assert list(index.partners) == [1, 0]


BAD_LINES = [
    b'{"event_type":"tool_call","timestamp":17\n',
    b"\xff\xfe\n",
    b"not json\n",
    b"[1]\n",
    b'{"timestamp":1}\n',
    b'{"event_type":"error","timestamp":"soon","data":{"a":{}}}\n',
    b'{"event_type":"error","timestamp":1.2.3,"event_id":"e","session_id":"s","data":{"a":{}}}\n',
    b'{"event_type":"error","timestamp":NaN,"event_id":"e","session_id":"s","data":{"a":{}}}\n',
    b'{"event_type":"error","timestamp":1e999}\n',
    b'{"event_type":"error","timestamp":1,"data":' + b"[" * 100_000 + b"\n",
]


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_bad_line_is_counted_and_the_next_one_read(tmp_path: Path, bad: bytes) -> None:
    with index_of(tmp_path, call(1, 1), bad, b"\n", result(1, 2)) as index:
        assert (index.event_types, index.unreadable, index.torn) == (["tool_call", "tool_result"], 1, 0)


def test_a_line_cut_anywhere_at_the_end_of_the_file_is_torn_and_stops_nothing(tmp_path: Path) -> None:
    last = result(1, 2)
    for length in range(1, len(last) - 1):
        with index_of(tmp_path, call(1, 1), last[:length]) as index:
            assert (len(index), index.torn, index.is_open(0)) == (1, 1, True), length
    with index_of(tmp_path, call(1, 1), last[:-1]) as index:
        assert (len(index), index.torn) == (2, 0)


def test_other_writers_lines_are_read_alike(tmp_path: Path) -> None:
    ours = event("tool_call", 1, {"tool_name": "Bäsh", "arguments": {"a": "\u2028"}}, event_id="ab")
    theirs = (
        '{ "data": {"arguments": {"a": "\u2028"}, "tool_name": "Bäsh"}, "event_id": "ab", "new_key": 1,'
        ' "timestamp": 1773562736, "event_type": "tool_call" }\n'
    ).encode()
    with index_of(tmp_path, ours) as first, index_of(tmp_path, theirs) as second:
        for index in (first, second):
            assert (index.event_types, list(index.timestamps)) == (["tool_call"], [1773562736.0])
            assert (index.tool_name(0), index.data(0)["arguments"]) == ("Bäsh", {"a": "\u2028"})


def test_an_escaped_quote_in_an_id_does_not_mislead(tmp_path: Path) -> None:
    opening = {"event_type": "tool_call", "timestamp": 1.0, "event_id": 'x","session_id":"y', "session_id": "s"}
    closing = {"event_type": "tool_result", "timestamp": 2.0, "event_id": "r", "session_id": "s"}
    lines = [
        {**opening, "data": {"tool_name": 'a"b', "arguments": {}}},
        {**closing, "parent_id": opening["event_id"], "data": {"arguments": {}}},
    ]
    with index_of(tmp_path, *(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines)) as index:
        assert (list(index.partners), index.tool_name(0)) == ([1, 0], 'a"b')


def test_the_tool_of_a_result_that_names_none_is_that_of_its_call(tmp_path: Path) -> None:
    with index_of(tmp_path, call(1, 1), event("tool_result", 2, {"content_preview": "x"}, parent_id="c1")) as index:
        assert index.tool_name(1) == "t1"


def test_types_of_a_newer_format_are_read(tmp_path: Path) -> None:
    with index_of(tmp_path, event("budget_exceeded", 1, {"limit": 3})) as index:
        assert (index.event_types, index.data(0)["limit"]) == (["budget_exceeded"], 3)


def test_a_missing_file_is_an_empty_session(tmp_path: Path) -> None:
    with SessionIndex(str(tmp_path / "events.ndjson")) as index:
        assert len(index) == 0


@pytest.mark.parametrize("kind", ["symlink", "pipe", "directory"])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "events.ndjson"
    if kind == "symlink":
        (tmp_path / "other").write_bytes(call(1, 1))
        path.symlink_to(tmp_path / "other")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(StoreError, match=r"can't read .*events\.ndjson"):
        SessionIndex(str(path))


def test_a_line_of_five_megabytes_is_one_event(tmp_path: Path) -> None:
    with index_of(tmp_path, event("tool_result", 1, {"result": "x" * 5_000_000}), call(1, 2)) as index:
        assert [len(index), len(index.data(0)["result"])] == [2, 5_000_000]
