"""Calls that came again: retries and loops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from session_folders import START, event, write_session

from agent_trace_otel.replay.repeats import LEAST_ROUNDS, LONGEST_CYCLE, Repeats, cycles
from agent_trace_otel.store import span_events
from agent_trace_otel.store.index import SessionIndex


class Told:
    """Writes calls a second apart, as the recorder writes them."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def call(self, command: str, outcome: str = "tool_result", *, agent: str = "", parent: str = "a" * 16) -> Told:
        number = len(self.lines)
        tail = span_events.tail("f" * 32, f"{number:016x}", parent, agent)
        attributes = {"gen_ai.tool.name": "Bash", "gen_ai.tool.call.arguments": json.dumps({"command": command})}
        opened = span_events.opening("tool", attributes, tail, 1000)
        assert opened is not None
        head = f'"timestamp":{START + number},"event_id":"{number:016x}","session_id":"s"'
        self.lines.append(f'{{"event_type":"{opened[0]}",{head},"data":{opened[1]}}}\n'.encode())
        if outcome != "open":
            data = {"tool_name": "Bash"}
            self.lines.append(event(outcome, number + 0.5, data, event_id=f"e{number}", parent_id=f"{number:016x}"))
        return self

    def prompt(self) -> Told:
        self.lines.append(event("user_prompt", len(self.lines), {"prompt": "again"}))
        return self


def found_in(tmp_path: Path, told: Told) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    with SessionIndex(str(write_session(tmp_path, *told.lines) / "events.ndjson")) as index:
        assert (index.unreadable, index.torn, index.repeated) == (0, 0, 0)
        repeats = Repeats(index)
        for ordinal in index.of_type("tool_call"):
            repeats.add_call(ordinal, index.line(ordinal))
        return repeats.retries(), repeats.loops()


def test_a_call_made_again_after_it_failed_is_a_retry(tmp_path: Path) -> None:
    told = Told().call("pytest", "error").call("ls").call("pytest", "error").call("pytest").call("pytest")
    retries, loops = found_in(tmp_path, told)
    assert retries == [
        {"tool": "Bash", "argument": "pytest", "agent": None, "calls": 4, "errors": 2, "retries": 2, "last": "ok"}
        | {"event_id": "0" * 16}
    ]
    assert loops == [
        {"calls": [{"tool": "Bash", "argument": "pytest", "agent": None}], "rounds": 3, "event_id": f"{4:016x}"}
    ]


def test_calls_that_take_no_time_are_no_retries_of_themselves(tmp_path: Path) -> None:
    told = Told().call("ls").call("ls", "error")
    told.lines[3] = told.lines[3].replace(str(START + 2.5).encode(), str(START + 2).encode())
    assert found_in(tmp_path, told) == ([], [])


@pytest.mark.parametrize("outcome", ["tool_result", "open"])
def test_a_call_made_again_without_a_failure_is_no_retry(tmp_path: Path, outcome: str) -> None:
    assert found_in(tmp_path, Told().call("ls", outcome).call("ls", "error")) == ([], [])


def test_another_agents_or_another_tools_call_is_not_the_same(tmp_path: Path) -> None:
    told = Told().call("ls", "error").call("ls", "error", agent="scout").call("ls -l")
    assert found_in(tmp_path, told) == ([], [])


def test_calls_in_turn_are_a_loop(tmp_path: Path) -> None:
    told = Told().call("first")
    for _ in range(4):
        told.call("edit").call("test")
    _, loops = found_in(tmp_path, told.call("last"))
    assert [([call["argument"] for call in loop["calls"]], loop["rounds"]) for loop in loops] == [(["edit", "test"], 4)]


def test_what_a_person_asks_for_again_is_no_loop(tmp_path: Path) -> None:
    assert found_in(tmp_path, Told().call("ls").prompt().call("ls").prompt().call("ls"))[1] == []


def test_sub_agents_of_one_name_that_run_side_by_side_make_no_loop(tmp_path: Path) -> None:
    told = Told()
    for parent in "abc":
        told.call("ls", agent="scout", parent=parent * 16)
    assert found_in(tmp_path, told)[1] == []
    for _ in range(3):
        told.call("pwd", agent="scout", parent="d" * 16).call(f"{len(told.lines)}")
    loops = found_in(tmp_path / "more", told)[1]
    assert [(loop["calls"][0]["argument"], loop["calls"][0]["agent"], loop["rounds"]) for loop in loops] == [
        ("pwd", "scout", 3)
    ]


def test_another_writers_calls_are_compared_by_tool_and_arguments(tmp_path: Path) -> None:
    told = Told()
    for number, end in enumerate(["error", "tool_result"]):
        data = {"tool_use_id": f"toolu_{number}", "tool_name": "Bash", "arguments": {"command": "ls"}}
        line = {"event_type": "tool_call", "timestamp": START + number, "event_id": f"c{number}", "data": data}
        told.lines.append(json.dumps(line).encode() + b"\n")
        told.lines.append(event(end, number + 0.5, event_id=f"e{number}", parent_id=f"c{number}"))
    retries, _ = found_in(tmp_path, told)
    assert [(row["argument"], row["retries"], row["last"]) for row in retries] == [("ls", 1, "ok")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("aa", []),
        ("aaa", [(0, 1, 3)]),
        ("aaaaaa", [(0, 1, 6)]),
        ("xababab", [(1, 2, 6)]),
        ("abababa", [(0, 2, 7)]),
        ("abcabcab", []),
        ("abcabcabc", [(0, 3, 9)]),
        ("aabaabaab", [(0, 3, 9)]),
        ("aaabaaabaaab", [(0, 4, 12)]),
        ("abcdeabcdeabcde", []),
        ("aaaxbbb", [(0, 1, 3), (4, 1, 3)]),
        ("aa.a", []),
        ("...", []),
    ],
)
def test_cycles(text: str, found: list[tuple[int, int, int]]) -> None:
    assert list(cycles([0 if letter == "." else ord(letter) for letter in text])) == found


@given(st.lists(st.integers(0, 3), max_size=40))
def test_a_cycle_is_what_it_says_and_three_of_anything_are_in_one(keys: list[int]) -> None:
    found = list(cycles(keys))
    for start, period, length in found:
        part = keys[start : start + length]
        assert 0 not in part
        assert 1 <= period <= LONGEST_CYCLE
        assert length >= period * LEAST_ROUNDS
        assert part[period:] == part[:-period]
    for at in range(len(keys) - 2):
        if keys[at] and keys[at] == keys[at + 1] == keys[at + 2]:
            assert any(start <= at and at + 3 <= start + length for start, _, length in found)
