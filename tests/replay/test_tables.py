"""Events as data for other programs."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from session_folders import event, gone, session_start, write_session

from agent_trace_otel.replay import tables
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session

LINES = (
    session_start(gone()),
    event("decision", 2, {"choice": "second"}),
    event("tool_call", 1, {"tool_name": "Bash", "arguments": {"command": "ls \u2028 \u202e"}}, event_id="t"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_session(tmp_path, *LINES)


def test_ndjson_and_json_hold_the_events_as_they_are_in_order_of_time(folder: Path) -> None:
    written = [json.loads(line) for line in LINES]
    expected = [written[0], written[2], written[1]]
    with SessionIndex(str(folder / "events.ndjson")) as index:
        ndjson, array = "".join(tables.events_as_ndjson(index)), "".join(tables.events_as_json(index))
    assert [json.loads(line) for line in ndjson.splitlines()] == expected
    assert json.loads(array) == expected
    assert (ndjson.isascii(), array.isascii()) == (True, True)


def test_an_empty_session_is_an_empty_array(tmp_path: Path) -> None:
    with SessionIndex(str(write_session(tmp_path) / "events.ndjson")) as index:
        assert json.loads("".join(tables.events_as_json(index))) == []
        assert "".join(tables.events_as_ndjson(index)) == ""


def test_csv_has_a_row_for_each_event(folder: Path) -> None:
    with SessionIndex(str(folder / "events.ndjson")) as index:
        rows = list(csv.DictReader(io.StringIO("".join(tables.events_as_csv(index)), newline="")))
    assert [(row["event_type"], row["name"]) for row in rows] == [
        ("session_start", "agent"),
        ("tool_call", "Bash"),
        ("decision", "second"),
    ]
    assert json.loads(rows[1]["data"])["arguments"] == {"command": "ls \u2028 \u202e"}


@pytest.mark.parametrize("start", ["=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_csv_cell_is_a_formula(tmp_path: Path, start: str) -> None:
    lines = (
        event("user_prompt", 0, {"prompt": start}),
        event("tool_call", 1, {"tool_name": start, "arguments": {"a": start}}),
        json.dumps({"event_type": start, "timestamp": 1773562737, "event_id": start, "data": {}}).encode(),
    )
    with SessionIndex(str(write_session(tmp_path, *lines) / "events.ndjson")) as index:
        rows = list(csv.reader(io.StringIO("".join(tables.events_as_csv(index)), newline="")))
    assert len(rows) == 4
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]


def test_csv_cells_hold_no_live_control_characters(tmp_path: Path) -> None:
    line = event("user_prompt", 0, {"prompt": "a\x1b[2J\x00\ud800\u202e\nb"})
    with SessionIndex(str(write_session(tmp_path, line) / "events.ndjson")) as index:
        text = "".join(tables.events_as_csv(index))
    assert "a\\x1b[2J\\x00\\ud800\\u202e\nb" in text
    assert text.encode("utf-8")


def test_inspect_is_one_document_with_everything(folder: Path) -> None:
    session = Session(str(folder))
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        document = json.loads("".join(tables.document(session, index)))
    assert (document["session_id"], document["state"], document["agent_name"]) == (folder.name, "crashed", "agent")
    assert document["counts"] == {"session_start": 1, "decision": 1, "tool_call": 1}
    assert document["meta_problem"] == "meta.json is missing"
    assert [call["event_id"] for call in document["open_calls"]] == ["t"]
    assert [tool["name"] for tool in document["tools"]] == ["Bash"]
    assert document["cost"] == {"session_usd": None, "calls_usd": None, "unexplained_usd": None, "unpriced_calls": 0}
    assert [document[name] for name in ("models", "files", "retries", "loops")] == [[]] * 4
    assert document["skipped"] == {"torn": 0, "unreadable": 0, "repeated": 0}
    assert len(document["events"]) == 3
