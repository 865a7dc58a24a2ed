"""Where two sessions part, and what each did that the other did not.

After a change that is meant, ``REVIEW=1 pytest tests/replay/test_diff.py`` writes the reviewed outputs anew.
"""

from __future__ import annotations

import json
import os
import random
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_calls import Script
from session_folders import RECORDED, agent_trace, event, recorded_folder, session_start, write_session
from test_explain import DATA, HOSTILE, columns

from agent_trace_otel.replay.diff import lines
from agent_trace_otel.replay.diff.alignment import aligned, refined
from agent_trace_otel.replay.diff.differences import Side, comparison
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session, find_session


def compared(a: Path, b: Path) -> dict[str, Any]:
    one, other = Session(str(a)), Session(str(b))
    with SessionIndex(one.events_path) as index_of_a, SessionIndex(other.events_path) as index_of_b:
        one.recount(index_of_a)
        other.recount(index_of_b)
        return comparison(Side(one, index_of_a), Side(other, index_of_b))


def of_scripts(tmp_path: Path, a: Script, b: Script) -> dict[str, Any]:
    return compared(a.write(tmp_path / "a"), b.write(tmp_path / "b"))


def kinds(found: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    return [
        (one["kind"], one["a"] and one["a"]["title"], one["b"] and one["b"]["title"]) for one in found["differences"]
    ]


def shown(found: dict[str, Any], *, width: int = 80, colour: bool = False, full: bool = False) -> str:
    return "".join(lines.lines(found, width=width, colour=colour, full=full))


def reviewed(name: str, text: str) -> str:
    golden = DATA / "diff" / f"{name}.txt"
    if os.environ.get("REVIEW"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    return golden.read_text(encoding="utf-8")


def begun() -> Script:
    return Script().prompt("mend it").call("Glob", "a.py", pattern="*.py").call("Read", "x = 1", file_path="a.py")


def first_try() -> Script:
    return (
        begun()
        .model(input_tokens=1200, output_tokens=80, total_tokens=1280, cost_usd=0.0123)
        .call("Grep", "", pattern="x")
        .call("Edit", file_path="a.py", old_string="x = 1", new_string="x = 2")
        .call("Bash", error="Exit code 1\n1 failed in 0.31s", command="pytest -q")
        .call("Read", "x = 2", file_path="a.py")
        .answer("It fails.")
    )


def second_try() -> Script:
    return (
        begun()
        .model(input_tokens=900, output_tokens=90, total_tokens=990, cost_usd=0.0101)
        .call("Edit", file_path="a.py", old_string="x = 1", new_string="x = 3")
        .call("WebFetch", "…", url="https://example.org")
        .call("Bash", "1 passed in 0.30s", command="pytest -q")
        .call("Read", "x = 3", file_path="a.py")
        .call("Read", "x = 3", file_path="b.py")
        .answer("**Mended.**")
    )


def test_two_tries_are_compared_as_reviewed(tmp_path: Path) -> None:
    text = shown(of_scripts(tmp_path, first_try(), second_try()))
    assert text == reviewed("two_tries", text)


def test_two_recorded_sessions_are_compared_as_reviewed() -> None:
    a, b = (find_session(str(DATA / "folders" / name)).folder for name in ("claude_glob_grep", "claude_subagent"))
    text = shown(compared(Path(a), Path(b)))
    assert text == reviewed("claude", text)


def test_sessions_of_two_recorders_are_compared_as_reviewed() -> None:
    a, b = (find_session(str(RECORDED / name)).folder for name in ("agent_strace_040", "claude_like"))
    text = shown(compared(Path(a), Path(b)))
    assert text == reviewed("two_recorders", text)


def test_a_session_equals_itself(tmp_path: Path) -> None:
    folder = first_try().write(tmp_path)
    found = compared(folder, folder)
    assert (found["calls"]["same"], found["differences"], found["first_apart"]) == (6, [], None)
    assert shown(found).endswith("Calls\n6 calls the same\n")


def test_the_place_where_they_part_is_after_the_calls_that_are_the_same(tmp_path: Path) -> None:
    found = of_scripts(tmp_path, first_try(), second_try())
    assert found["first_apart"]["same_before"] == 2
    assert found["first_apart"]["a"]["title"] == "Grep x"
    assert kinds(found) == [
        ("only_a", "Grep x", None),
        ("arguments", "Edit a.py", "Edit a.py"),
        ("only_b", None, "WebFetch https://example.org"),
        ("outcome", "Bash pytest -q", "Bash pytest -q"),
        ("result", "Read a.py", "Read a.py"),
        ("only_b", None, "Read b.py"),
    ]
    assert found["differences"][1]["arguments"] == ["new_string"]


def test_figures_stand_side_by_side(tmp_path: Path) -> None:
    figures = {row["name"]: row for row in of_scripts(tmp_path, first_try(), second_try())["figures"]}
    assert [figures["tool_calls"][key] for key in ("a", "b", "difference")] == [6, 7, 1]
    assert [figures["errors"][key] for key in ("a", "b", "difference")] == [1, 0, -1]
    assert [figures["input_tokens"][key] for key in ("a", "b", "difference")] == [1200, 900, -300]
    assert [figures["cost_usd"][key] for key in ("a", "b", "difference")] == [0.0123, 0.0101, -0.0022]


def test_calls_in_another_order_are_not_told_as_missing(tmp_path: Path) -> None:
    a = Script().call("Read", file_path="a").call("Read", file_path="b").call("Read", file_path="c")
    b = Script().call("Read", file_path="b").call("Read", file_path="c").call("Read", file_path="a")
    found = of_scripts(tmp_path, a, b)
    assert kinds(found) == [("order", "Read a", "Read a")]
    assert (found["calls"]["same"], found["calls"]["only_a"], found["calls"]["only_b"]) == (2, 0, 0)


def test_another_result_tells_the_first_lines_that_differ(tmp_path: Path) -> None:
    same = "the same beginning of a line that is long: "
    a = Script().call("Bash", f"1\n2\n{same}one", command="make")
    b = Script().call("Bash", f"1\n2\n{same}other", command="make")
    (difference,) = of_scripts(tmp_path, a, b)["differences"]
    assert (difference["a"]["result"], difference["b"]["result"]) == ("… that is long: one", "… that is long: other")


def test_a_result_that_is_longer_is_another_one(tmp_path: Path) -> None:
    found = of_scripts(
        tmp_path, Script().call("Bash", "1\n2", command="x"), Script().call("Bash", "1\n2\n3", command="x")
    )
    (difference,) = found["differences"]
    assert (difference["kind"], difference["a"]["result"], difference["b"]["result"]) == ("result", "", "3")


def test_the_same_work_in_two_directories_is_the_same(tmp_path: Path) -> None:
    folders = []
    for name in ("one", "another"):
        project = tmp_path / name
        script = Script().call("Read", f"{project}/a.py: x", file_path=f"{project}/a.py")
        script.call("Bash", "ok", command=f"cd {project} && make")
        folders.append(script.write(project / ".agent-traces"))
    assert compared(*folders)["calls"]["same"] == 2


def test_sub_agents_that_ran_side_by_side_are_compared_one_by_one(tmp_path: Path) -> None:
    def script(*runs: str) -> Script:
        made = Script()
        for run, step in zip(runs, (1, 1, 2, 2), strict=True):
            made.call("Read", agent="general", run=run, file_path=f"{run}{step}")
        return made

    found = of_scripts(tmp_path, script("x", "y", "x", "y"), script("x", "y", "y", "x"))
    assert (found["calls"]["same"], found["differences"]) == (4, [])


def test_prompts_and_answers_that_differ_are_shown(tmp_path: Path) -> None:
    a = Script().prompt("do it").prompt("again").answer("yes")
    found = of_scripts(tmp_path, a, Script().prompt("do it").answer("yes"))
    assert found["answers"] is None
    assert (found["prompts"]["a"]["text"], found["prompts"]["b"]) == ("again", None)
    assert 'A +  2.00s p0000002  "again"\nB has none\n' in shown(found)


def test_lines_are_limited_unless_all_are_wanted(tmp_path: Path) -> None:
    a = Script()
    for number in range(100):
        a.call("Read", file_path=str(number))
    found = of_scripts(tmp_path, a, Script())
    assert shown(found).count("  Read ") == 12
    assert "  … 88 more differences (--full shows them)\n" in shown(found)
    assert shown(found, full=True).count("  Read ") == 100


@pytest.mark.parametrize("width", [40, 80, 133])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, width: int) -> None:
    long = "日本語 e\u0301 word " * 100
    a = Script().prompt(long).call("Bash", "1", command=long).call("Edit", file_path=long, **{long: 1}).answer(long)
    b = Script().prompt("x").call("Bash", "2", command=long).call("Edit", file_path=long, **{long: 2})
    for found in (of_scripts(tmp_path, a, b), of_scripts(tmp_path / "2", first_try(), second_try())):
        assert max(map(columns, shown(found, width=width).splitlines())) <= width


def test_colour_changes_nothing_but_colour(tmp_path: Path) -> None:
    found = of_scripts(tmp_path, first_try(), second_try())
    assert "\x1b[32m" in shown(found, colour=True)
    assert re.sub(r"\x1b\[\d*m", "", shown(found, colour=True)) == shown(found)


@pytest.mark.parametrize("full", [False, True])
def test_hostile_data_reaches_no_terminal_alive(tmp_path: Path, full: bool) -> None:
    folders = []
    for name in ("a", "b"):
        data = dict.fromkeys(("prompt", "text", "message", "tool_name", "agent", "outcome"), HOSTILE + name)
        arguments = {"command": HOSTILE, HOSTILE: name}
        told = [
            session_start(agent_name=HOSTILE),
            event("user_prompt", 1, data),
            event("tool_call", 2, {"tool_name": HOSTILE, "arguments": arguments}, event_id="\x1b[2Jc"),
            event("error", 3, data, parent_id="\x1b[2Jc"),
            event("tool_call", 4, {"tool_name": HOSTILE, "arguments": {}}, event_id="\x1b[2Jd"),
            event("tool_result", 5, {"result": HOSTILE + name}, parent_id="\x1b[2Jd"),
            event("tool_call", 6, {**data, "arguments": arguments}),
            event("assistant_response", 7, data),
        ]
        folders.append(write_session(tmp_path / name, *told, meta={"agent_name": HOSTILE, "ended_at": 1.0}))
    text = shown(compared(*folders), full=full)
    assert not [f"{character!r}" for character in text if not character.isprintable() and character != "\n"]
    assert "\\x1b" in text


def test_the_command_compares_and_exits_0_whether_they_differ_or_not(tmp_path: Path) -> None:
    first_try().write(tmp_path, "aaaa")
    second_try().write(tmp_path, "bbbb")
    done = agent_trace("--trace-dir", str(tmp_path), "diff", "a", "b")
    assert (done.returncode, done.stderr) == (0, "")
    assert "They first part after 2 equal calls.\n" in done.stdout
    same = agent_trace("--trace-dir", str(tmp_path), "diff", "a", "a", "--json")
    assert (same.returncode, json.loads(same.stdout)["first_apart"]) == (0, None)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["a", "zz"], 1, "no session 'zz'"),
        (["a"], 2, "arguments are required: B"),
        (["a", "b", "c"], 2, "unrecognized"),
    ],
)
def test_what_cannot_be_compared_is_said(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    first_try().write(tmp_path, "aaaa")
    done = agent_trace("--trace-dir", str(tmp_path), "diff", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_torn_empty_and_running_sessions_are_compared_and_the_oddities_said(tmp_path: Path) -> None:
    traces = recorded_folder("claude_like", tmp_path)
    write_session(traces, session_start(), b'{"event_type":"tool_ca', session_id="torn")
    (traces / "empty").mkdir()
    for other in ("torn", "empty"):
        done = agent_trace("diff", "201d", other, cwd=tmp_path)
        assert done.returncode == 0
        assert "1 only in A" in done.stdout
        assert "Traceback" not in done.stderr
    assert "left out the last line, which is torn" in agent_trace("diff", "201d", "torn", cwd=tmp_path).stderr


keys = st.lists(st.sampled_from("abcdefgh"), max_size=40)


@given(keys, keys)
def test_an_alignment_ascends_and_pairs_only_what_is_the_same(a: list[str], b: list[str]) -> None:
    pairs = aligned(a, b)
    assert all(a[x] == b[y] for x, y in pairs)
    assert all(x < to_x and y < to_y for (x, y), (to_x, to_y) in pairwise(pairs))


@given(keys, st.sets(st.integers(0, 39)))
def test_what_was_only_left_out_is_all_that_is_missing(a: list[str], left_out: set[int]) -> None:
    b = [key for n, key in enumerate(a) if n not in left_out]
    numbered = [(n, key) for n, key in enumerate(a)]
    assert len(aligned(numbered, [one for one in numbered if one[0] not in left_out])) == len(b)


@given(keys, keys)
def test_what_is_found_in_the_gaps_keeps_the_order(a: list[str], b: list[str]) -> None:
    pairs = aligned(a, b)
    more = refined(pairs, [key < "e" for key in a], [key < "e" for key in b])
    both = sorted([*pairs, *more])
    assert all(x < to_x and y < to_y for (x, y), (to_x, to_y) in pairwise(both))


def test_long_rows_without_single_keys_are_aligned_too() -> None:
    a = ["x", "y"] * 400
    b = ["y", "z", *a[1:], "x"]
    assert len(aligned(a, b)) >= 600


class Counted:
    """A key that counts how often keys are looked at."""

    looked = 0

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        Counted.looked += 1
        return isinstance(other, Counted) and self.name == other.name

    def __hash__(self) -> int:
        Counted.looked += 1
        return hash(self.name)


chance = random.Random(1)
LONG = 4000
ROWS = {
    "every third differs": ([f"{n}" for n in range(LONG)], [f"{n}" if n % 3 else f"other {n}" for n in range(LONG)]),
    "two keys": ([chance.choice("ab") for _ in range(LONG)], [chance.choice("ab") for _ in range(LONG)]),
    "backwards": ([f"{n}" for n in range(LONG)], [f"{n}" for n in reversed(range(LONG))]),
    "few keys": ([f"{n % 7}" for n in range(LONG)], [f"{n % 11}" for n in range(LONG)]),
    "nothing in common": ([f"{n}" for n in range(LONG)], [f"other {n}" for n in range(LONG)]),
}


@pytest.mark.parametrize("row", ROWS)
def test_aligning_long_rows_looks_at_each_key_a_bounded_number_of_times(row: str) -> None:
    a, b = ([Counted(name) for name in names] for names in ROWS[row])
    Counted.looked = 0
    aligned(a, b)
    assert Counted.looked < 100 * LONG
