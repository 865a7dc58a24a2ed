"""Which entries a selection takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from session_folders import event, write_session

from agent_trace_otel.replay.play import paced
from agent_trace_otel.replay.timeline import Selection, timeline
from agent_trace_otel.store.index import SessionIndex

LINES = (
    event("session_start", 0),
    event("tool_call", 1, {"tool_name": "Bash", "arguments": {"command": "make"}}, event_id="a"),
    event("tool_call", 2, {"tool_name": "mcp__gh__search"}, event_id="b"),
    event("error", 3, {"message": "no make"}, event_id="a-end", parent_id="a"),
    event("tool_result", 4, {"result": "ünï"}, event_id="b-end", parent_id="b"),
    event("llm_request", 5, {"model": "m"}, event_id="c"),
    event("error", 6, {"message": "late"}, event_id="c-end", parent_id="c"),
)


@pytest.fixture
def index(tmp_path: Path) -> SessionIndex:
    with SessionIndex(str(write_session(tmp_path, *LINES) / "events.ndjson")) as found:
        return found


@pytest.mark.parametrize(
    ("selection", "ordinals"),
    [
        (Selection(), [0, 1, 2, 3, 4, 5, 6]),
        (Selection(frozenset({"error"})), [3, 6]),
        (Selection(errors=True), [1, 3, 5, 6]),
        (Selection(frozenset({"tool_call"}), errors=True), [1]),
    ],
)
def test_a_selection_takes_what_passes_every_rule(
    index: SessionIndex, selection: Selection, ordinals: list[int]
) -> None:
    assert [entry.ordinal for entry in timeline(index, selection)] == ordinals


@pytest.mark.parametrize(
    ("selection", "ordinals"),
    [
        (Selection(tool="Bash"), [1, 3]),
        (Selection(tool="mcp__*"), [2, 4]),
        (Selection(tool="bash"), []),
        (Selection(tool="Bash", pattern=re.compile("no make")), [3]),
        (Selection(pattern=re.compile("ünï")), [4]),
    ],
)
def test_what_only_the_data_tells_is_read_from_it(tmp_path: Path, selection: Selection, ordinals: list[int]) -> None:
    with SessionIndex(str(write_session(tmp_path, *LINES) / "events.ndjson")) as index:
        assert [entry.ordinal for entry in timeline(index, selection)] == ordinals


def test_an_empty_session_has_no_entries(tmp_path: Path) -> None:
    with SessionIndex(str(write_session(tmp_path) / "events.ndjson")) as index:
        assert list(timeline(index, Selection())) == []


def test_a_call_of_a_running_session_is_open_until_now(tmp_path: Path) -> None:
    with SessionIndex(str(write_session(tmp_path, event("tool_call", 1)) / "events.ndjson")) as index:
        (entry,) = timeline(index, Selection(), now=index.timestamps[0] + 20)
        assert entry.open_for == pytest.approx(20)


def test_pauses_are_as_they_were_but_faster_and_never_longer_than_asked(index: SessionIndex) -> None:
    slept: list[float] = []
    entries = list(paced(timeline(index, Selection()), speed=4, max_idle=0.2, sleep=slept.append))
    assert (len(entries), slept) == (7, [0.2] * 6)
    slept.clear()
    list(paced(timeline(index, Selection()), speed=10, max_idle=0.2, sleep=slept.append))
    assert slept == pytest.approx([0.1] * 6)
