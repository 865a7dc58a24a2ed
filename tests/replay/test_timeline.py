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


def tool_call(after: float, arguments: object, name: str = "Bash") -> bytes:
    return event("tool_call", after, {"tool_name": name, "arguments": arguments}, event_id=f"c{after}")


def test_equal_calls_are_counted_whatever_the_order_of_their_arguments(tmp_path: Path) -> None:
    lines = (
        tool_call(1, {"a": 1, "b": "x"}),
        tool_call(2, {"b": "x", "a": 1}),
        tool_call(3, {"a": 1, "b": "y"}),
        tool_call(4, {"a": 1, "b": "x"}, name="Read"),
        tool_call(5, {"a": [1, {"c": None}]}),
        tool_call(6, {"a": [1, {"c": None}]}),
        tool_call(7, {}),
        tool_call(8, {}),
        tool_call(9, "no object"),
        tool_call(10, "no object"),
        tool_call(11, {"a": 1, "b": "x"}),
    )
    with SessionIndex(str(write_session(tmp_path, *lines) / "events.ndjson")) as index:
        assert [entry.times for entry in timeline(index, Selection())] == [1, 2, 1, 1, 1, 2, 1, 1, 1, 1, 3]
        late = Selection(pattern=re.compile('"b": "x"'))
        assert [entry.times for entry in timeline(index, late)] == [1, 2, 1, 3]


def test_silence_is_marked_where_nothing_says_what_took_so_long(tmp_path: Path) -> None:
    lines = (
        event("user_prompt", 0),
        event("tool_call", 20, event_id="a"),
        event("tool_result", 120, event_id="a-end", parent_id="a"),
        event("decision", 129),
        event("user_prompt", 139),
        event("assistant_response", 180),
    )
    with SessionIndex(str(write_session(tmp_path, *lines) / "events.ndjson")) as index:
        assert [entry.silence for entry in timeline(index, Selection())] == [0, 20, 0, 0, 10, 0]
        assert [entry.silence for entry in timeline(index, Selection(frozenset({"user_prompt"})))] == [0, 0]


def test_an_end_knows_its_call_when_others_lie_between(tmp_path: Path) -> None:
    def nested(event_type: str, after: float, span: str, parent: str, **ids: str) -> bytes:
        return event(event_type, after, {"parent_span_id": parent}, span=span, **ids)

    lines = (
        nested("tool_call", 0, "a", "root", event_id="a"),
        nested("tool_call", 1, "inner", "a", event_id="inner"),
        nested("tool_result", 2, "inner", "a", event_id="inner-end", parent_id="inner"),
        nested("tool_result", 3, "a", "root", event_id="a-end", parent_id="a"),  # only what it holds lies between
        nested("tool_call", 4, "b", "root", event_id="b"),
        nested("tool_call", 5, "c", "root", event_id="c"),
        nested("tool_result", 6, "c", "root", event_id="c-end", parent_id="c"),
        nested("tool_result", 7, "b", "root", event_id="b-end", parent_id="b"),
    )
    with SessionIndex(str(write_session(tmp_path, *lines) / "events.ndjson")) as index:
        assert [entry.call for entry in timeline(index, Selection())] == [-1, -1, -1, -1, -1, -1, -1, 4]
        ends = [(entry.call, entry.call_offset) for entry in timeline(index, Selection(frozenset({"tool_result"})))]
        assert ends == [(1, 1.0), (0, 0.0), (5, 5.0), (4, 4.0)]


def test_sub_agents_of_one_type_are_told_apart(tmp_path: Path) -> None:
    def of_agent(after: float, span: str, agent_span: str) -> bytes:
        return event("llm_request", after, {"parent_span_id": agent_span, "agent": "scout"}, event_id=span, span=span)

    lines = (of_agent(0, "a", "one"), of_agent(1, "b", "two"), of_agent(2, "c", "one"))
    with SessionIndex(str(write_session(tmp_path, *lines) / "events.ndjson")) as index:
        entries = list(timeline(index, Selection()))
        assert [entry.agent and entry.agent.name for entry in entries] == ["scout", "scout #2", "scout"]
        assert [entry.depth for entry in entries] == [1, 1, 1]
