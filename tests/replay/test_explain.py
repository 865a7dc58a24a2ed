"""What explain tells of a session, and from which events.

After a change that is meant, ``REVIEW=1 pytest tests/replay/test_explain.py`` writes the reviewed outputs anew.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from scripted_calls import Script
from session_folders import RECORDED, agent_trace, event, loaded_by_argparse, session_start, write_session

from agent_trace_otel.replay.explain import facts, lines
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session, find_session

DATA = Path(__file__).parents[1] / "data" / "replay"
FOLDERS = {
    "claude_glob_grep": DATA / "folders" / "claude_glob_grep",
    "claude_subagent": DATA / "folders" / "claude_subagent",
    "claude_like": RECORDED / "claude_like",
    "agent_strace_040": RECORDED / "agent_strace_040",
}
HOSTILE = "\x1b]0;title\x07\x1b[31m\x1b]52;c;aGk=\x07\u202edesrever\u2066\x00\x9b31m\x7f\ud800\u2028\r\U000e0041end"


def explained(folder: Path, session: Session | None = None) -> dict[str, Any]:
    session = session or Session(str(folder))
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        return facts.explanation(session, index)


def shown(folder: Path, *, width: int = 80, colour: bool = False, full: bool = False) -> str:
    session = Session(str(folder))
    return "".join(lines.lines(session, explained(folder, session), width=width, colour=colour, full=full))


def reviewed(name: str, text: str) -> str:
    golden = DATA / "explain" / f"{name}.txt"
    if os.environ.get("REVIEW"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    return golden.read_text(encoding="utf-8")


def columns(line: str) -> int:
    letters = [character for character in line if not unicodedata.combining(character)]
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in letters)


def mending() -> Script:
    return (
        Script()
        .prompt("The tests fail. Find out why and mend it.")
        .call("Glob", "src/app.py", pattern="**/*.py")
        .call("Grep", "src/app.py:3", pattern="def total")
        .call("Read", "def total", file_path="src/app.py")
        .call("TodoWrite", todos=[{"content": "mend"}])
        .call("Bash", error="Exit code 1\n2 failed", command="cd app && python -m pytest -q | tail -3")
        .model(error="Overloaded")
        .model()
        .call("Edit", error="old_string not found", file_path="src/app.py", old_string="a", new_string="b")
        .call("Read", "def total", file_path="src/app.py")
        .call("Edit", file_path="src/app.py", old_string="c", new_string="b")
        .call("Bash", error="Exit code 1\n1 failed", command="pytest -q")
        .say("decision", choice="mend the test too", reason="it is wrong")
        .call("Agent", prompt="look for callers")
        .call("Grep", "", agent="scout", run="r1", pattern="total(")
        .call("Bash", error="no", outcome="denied", agent="scout", run="r1", command="rm -rf build")
        .call("Write", file_path="tests/test_app.py", content="x")
        .call("Bash", "2 passed in 0.41s", command="pytest -q")
        .call("Bash", None, command="sleep 600 &")
        .answer("**Mended** `total()` in `src/app.py`: 2 passed in 0.41s, 99 of 100 lines covered.")
    )


def test_a_session_is_told_as_reviewed(tmp_path: Path) -> None:
    text = shown(mending().write(tmp_path))
    assert text == reviewed("mending", text)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_recorded_session_is_told_as_reviewed(name: str, tmp_path: Path) -> None:
    text = shown(Path(find_session(str(FOLDERS[name])).folder))
    assert text == reviewed(name, text)


def test_a_session_of_decorated_functions_is_told_as_reviewed(tmp_path: Path) -> None:
    assert agent_trace("--trace-dir", str(tmp_path), "demo").returncode == 0
    done = agent_trace("--trace-dir", str(tmp_path), "explain")
    assert (done.returncode, done.stderr) == (0, "")
    text = re.sub(r"^ *\+ *[\d.]+s [0-9a-f]{8}", "+  0.00s ########", done.stdout, flags=re.MULTILINE)
    text = re.sub(r"(<?\d+ms|\d\.\d\ds\b(?! #))", "#ms", text)
    text = re.sub(r"\A\S+", "SESSION", text)
    text = re.sub(r"No such file or directory.*", "…", text)
    assert text == reviewed("demo", text)


def test_every_line_names_an_event_that_is_there(tmp_path: Path) -> None:
    folder = mending().write(tmp_path)
    ids = {json.loads(line)["event_id"][:8] for line in (folder / "events.ndjson").read_text().splitlines()}
    told = shown(folder).split("\n\n", 1)[1].splitlines()
    placed = [re.match(r" *\+ *(?:\d+m)?[\d.]+s (\S+)  ", line) for line in told]
    assert {match[1] for match in placed if match} <= ids
    headings = [line for line, match in zip(told, placed, strict=True) if line and not match]
    assert headings == [
        "Course",
        "Failures, and what followed",
        "Repeated calls",
        "Still open",
        "Final answer, and what it rests on",
    ]


def test_phases_are_runs_of_calls_that_do_the_same(tmp_path: Path) -> None:
    found = explained(mending().write(tmp_path))["course"]
    assert [(item["kind"], item.get("agent"), item.get("calls")) for item in found] == [
        ("prompt", None, None),
        ("exploring", None, 3),
        ("planning", None, 1),
        ("testing", None, 1),
        ("editing", None, 3),
        ("testing", None, 1),
        ("decision", None, None),
        ("delegating", None, 1),
        ("exploring", "scout", 1),
        ("editing", "scout", 1),
        ("editing", None, 1),
        ("testing", None, 1),
        ("running", None, 1),
    ]


@pytest.mark.parametrize(("looked_up", "phases"), [(4, ["editing"]), (5, ["editing", "exploring", "editing"])])
def test_a_few_calls_that_look_something_up_belong_to_the_editing_around_them(
    tmp_path: Path, looked_up: int, phases: list[str]
) -> None:
    script = Script().call("Edit", file_path="a")
    for number in range(looked_up):
        script.call("Read", file_path=str(number))
    folder = script.call("Edit", file_path="b").write(tmp_path)
    assert [item["kind"] for item in explained(folder)["course"]] == phases


def test_a_test_between_two_edits_ends_the_editing(tmp_path: Path) -> None:
    folder = (
        Script().call("Edit", file_path="a").call("Bash", command="pytest").call("Edit", file_path="a").write(tmp_path)
    )
    assert [item["kind"] for item in explained(folder)["course"]] == ["editing", "testing", "editing"]


def test_a_prompt_begins_a_new_phase(tmp_path: Path) -> None:
    folder = Script().call("Read", file_path="a").prompt("go on").call("Read", file_path="b").write(tmp_path)
    assert [item["kind"] for item in explained(folder)["course"]] == ["exploring", "prompt", "exploring"]


def test_a_session_that_goes_on_in_another_process_says_so(tmp_path: Path) -> None:
    script = Script().prompt("begin").say("session_start", agent_name="coder").prompt("go on")
    assert [(item["kind"], item["text"]) for item in explained(script.write(tmp_path))["course"]] == [
        ("prompt", "begin"),
        ("resumed", "coder"),
        ("prompt", "go on"),
    ]


def test_what_a_client_told_itself_is_no_prompt(tmp_path: Path) -> None:
    script = Script().prompt("begin")
    folder = script.say("user_prompt", prompt="<task>", source="task_notification").write(tmp_path)
    assert [item["text"] for item in explained(folder)["course"]] == ["begin"]


def test_tries_of_one_target_are_one_failure_until_it_works(tmp_path: Path) -> None:
    folder = (
        Script()
        .call("Edit", error="no 1", file_path="a.py", old_string="1")
        .call("Read", file_path="a.py")
        .call("Edit", error="no 2", file_path="a.py", old_string="2")
        .call("Edit", error="other", file_path="b.py", old_string="1")
        .call("Edit", file_path="a.py", old_string="3")
        .write(tmp_path)
    )
    first, second = explained(folder)["failures"]
    assert [error["message"] for error in first["tries"]] == ["no 1", "no 2"]
    assert (first["worked"]["event_id"], first["worked"]["same_arguments"]) == ("e0000005", False)
    assert first["worked"]["after_ms"] == 4000
    assert (first["between"]["calls"], first["between"]["tools"]) == (
        2,
        [{"name": "Read", "calls": 1}, {"name": "Edit", "calls": 1}],
    )
    assert (second["worked"], second["next"]["title"]) == (None, "Edit a.py")


def test_tests_that_work_with_other_options_are_what_worked(tmp_path: Path) -> None:
    folder = (
        Script()
        .call("Bash", error="1 failed", command="pytest -x tests/a.py")
        .call("Edit", file_path="a.py")
        .call("Bash", "ok", command="cd /x && pytest")
        .write(tmp_path)
    )
    (failure,) = explained(folder)["failures"]
    assert failure["worked"]["title"] == "Bash cd /x && pytest"
    assert "✓ worked 2.00s later: Bash cd /x && pytest" in shown(folder)


def test_a_call_that_ran_beside_the_failure_is_not_what_followed(tmp_path: Path) -> None:
    folder = (
        Script()
        .call("Bash", error="1 failed", command="pytest", took=5.0)
        .call("Bash", "ok", command="pytest", took=0.1)
        .write(tmp_path)
    )
    assert explained(folder)["failures"][0]["worked"] is None


def test_what_a_sub_agent_did_is_not_what_followed_in_another(tmp_path: Path) -> None:
    folder = (
        Script()
        .call("Bash", error="no", agent="general", run="1", command="make x")
        .call("Bash", "ok", agent="general", run="2", command="make x")
        .write(tmp_path)
    )
    (failure,) = explained(folder)["failures"]
    assert (failure["agent"], failure["worked"], failure["next"]) == ("general", None, None)


def test_a_model_that_failed_and_answered_is_told(tmp_path: Path) -> None:
    folder = Script().model(error="Overloaded").model(error="Overloaded").model().write(tmp_path)
    (failure,) = explained(folder)["failures"]
    assert (failure["kind"], failure["title"], len(failure["tries"])) == ("model", "model m-1", 2)
    assert failure["worked"]["event_id"] == "n0000003"


def test_an_error_that_closes_no_call_is_told_with_the_call_after_it(tmp_path: Path) -> None:
    folder = Script().say("error", tool_name="Bash", message="gone").call("Read", file_path="a").write(tmp_path)
    (failure,) = explained(folder)["failures"]
    assert (failure["kind"], failure["title"], failure["next"]["title"]) == ("error", "Bash", "Read a")


def test_repeated_calls_tell_what_changed_between_them(tmp_path: Path) -> None:
    folder = (
        Script()
        .call("Read", "one", file_path="a")
        .call("Read", "one", file_path="a")
        .call("Edit", file_path="a")
        .call("Read", "two", file_path="a")
        .call("Bash", "x", command="ls")
        .call("Bash", "x", command="ls")
        .write(tmp_path)
    )
    read, listed = explained(folder)["repeated"]
    assert (read["calls"], read["results"], read["edits_between"], read["last"]["event_id"][:8]) == (
        3,
        2,
        1,
        "c0000004",
    )
    assert (listed["calls"], listed["results"], listed["edits_between"]) == (2, 1, 0)
    assert "2 ok; the same result; no edit between" in shown(folder)


def test_words_of_the_answer_are_found_where_they_were_seen_last(tmp_path: Path) -> None:
    folder = (
        Script()
        .prompt("how many tests?")
        .call("Read", "75 tests", file_path="README.md")
        .call("Bash", "75 passed in 3.60s", command="pytest")
        .answer("**75 tests** in `README.md`, `3.60s`, 12 of them slow; see docs/slow.md.")
        .write(tmp_path)
    )
    answer = explained(folder)["answer"]
    assert [(found["words"], found["title"], found["in"]) for found in answer["rests_on"]] == [
        (["75", "3.60s"], "Bash pytest", "result"),
        (["README.md"], "Read README.md", "arguments"),
    ]
    assert answer["in_no_event"] == ["12", "docs/slow.md"]
    assert "in none of the 6 events before: 12, docs/slow.md" in shown(folder)


def test_a_word_is_no_part_of_a_longer_one(tmp_path: Path) -> None:
    folder = Script().call("Bash", "1750 files", command="ls").answer("It is 75.").write(tmp_path)
    assert explained(folder)["answer"]["in_no_event"] == ["75"]


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (Script().call("Edit", file_path="a").call("Bash", command="pytest"), "test after it: Bash pytest: ok"),
        (Script().call("Bash", command="pytest").call("Edit", file_path="a"), "no test after the last edit: Edit a"),
        (Script().call("Edit", file_path="a"), "no test after the last edit: Edit a"),
        (Script().call("Bash", error="1 failed", command="pytest"), "last test: Bash pytest: error"),
        (Script().call("Bash", None, command="pytest"), "last test: Bash pytest: open"),
    ],
)
def test_what_was_tested_after_the_last_edit_is_said(script: Script, told: str, tmp_path: Path) -> None:
    assert told in shown(script.answer("Done.").write(tmp_path))


def test_paths_are_told_from_the_directory_of_the_session(tmp_path: Path) -> None:
    project = tmp_path / "project"
    folder = (
        Script()
        .call("Read", error=f"no {project}/src/a.py", file_path=f"{project}/src/a.py")
        .call("Bash", command=f"cd {project} && ls {project}2/x")
        .write(project / ".agent-traces")
    )
    found = explained(folder)
    assert found["failures"][0]["title"] == "Read src/a.py"
    assert found["failures"][0]["tries"][0]["message"] == "no src/a.py"
    assert found["failures"][0]["next"]["title"] == f"Bash cd . && ls {project}2/x"


@pytest.mark.parametrize("width", [40, 80, 133])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, width: int) -> None:
    wide = Script()
    for number in range(40):
        wide.call("Bash", error="日本語 " * 100, command=f"{number} {'漢字' * 100}").prompt("word " * 100)
    foreign = event("decision", 50, {"choice": "漢字" * 100}, event_id="WIDE")
    wide.lines.append(foreign.replace(b"WIDE", "漢字漢字漢字漢字".encode()))
    folder = wide.answer("`x_y` " + "e\u0301" * 900).write(tmp_path)
    text = shown(folder, width=width)
    assert max(map(columns, text.splitlines())) <= width
    assert len(shown(folder, width=width, full=True)) > 2 * len(text)


def test_colour_changes_nothing_but_colour(tmp_path: Path) -> None:
    folder = mending().write(tmp_path)
    coloured = shown(folder, colour=True)
    assert "\x1b[31m  ✗ no" not in shown(folder)
    assert coloured.count("\x1b[31m") > 2
    assert re.sub(r"\x1b\[\d*m", "", coloured) == shown(folder)


@pytest.mark.parametrize("full", [False, True])
def test_hostile_data_reaches_no_terminal_alive(tmp_path: Path, full: bool) -> None:
    data = dict.fromkeys(("prompt", "text", "message", "choice", "model", "tool_name", "agent", "outcome"), HOSTILE)
    more = {"arguments": {"command": HOSTILE, HOSTILE: HOSTILE}, "result": HOSTILE, "parent_span_id": HOSTILE}
    call = "\x1b[2Jcall"
    told = [
        session_start(agent_name=HOSTILE),
        event("user_prompt", 1, {**data, **more, "source": ""}, event_id="\x1b[2J"),
        event("tool_call", 2, {**data, **more}, event_id=call),
        event("error", 3, {**data, **more}, parent_id=call),
        event("error", 4, {**data, **more}),
        event("tool_call", 5, {**data, **more}),
        event("decision", 6, data),
        event("assistant_response", 7, {"text": f"`{HOSTILE}` a_b.c"}),
    ]
    text = shown(write_session(tmp_path, *told, meta={"agent_name": HOSTILE, "ended_at": 1.0}), full=full)
    assert not [f"{character!r}" for character in text if not character.isprintable() and character != "\n"]
    assert "\\x1b" in text


def test_long_values_cost_no_more_than_short_ones_to_show(tmp_path: Path) -> None:
    long = "**`word_x`** " * 400_000
    folder = Script().call("Bash", error=long, command=long).answer(long).write(tmp_path)
    assert max(map(columns, shown(folder).splitlines())) <= 80


def test_a_long_session_stays_within_two_screens_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    script = Script()
    for number in range(300):
        script.call("Read", file_path=f"{number % 50}").call("Edit", error="no", file_path=f"{number}")
        script.call("Bash", command="pytest").prompt("on")
    folder = script.answer(" ".join(f"word_{number}" for number in range(300))).write(tmp_path)
    text = shown(folder).splitlines()
    assert len(text) < 80
    assert sum("--full shows them" in line for line in text) == 3
    assert len(shown(folder, full=True).splitlines()) > 1500


def test_a_running_and_a_crashed_session_are_told_with_what_is_open(tmp_path: Path) -> None:
    folder = write_session(tmp_path, session_start(), event("tool_call", 1, {"tool_name": "Bash"}))
    done = agent_trace("--trace-dir", str(tmp_path), "explain")
    assert done.returncode == 0
    assert "running (process " in done.stdout
    assert "Still open\n+  1.00s tool_cal  Bash\n" in done.stdout
    assert explained(folder)["answer"] is None


@pytest.mark.parametrize("content", [[], [b"\xff\xfe\n"], [b'{"event_type":"tool_ca']])
def test_a_folder_with_nothing_to_tell_is_no_error(tmp_path: Path, content: list[bytes]) -> None:
    write_session(tmp_path, *content)
    for arguments in (["explain"], ["explain", "--json"]):
        done = agent_trace("--trace-dir", str(tmp_path), *arguments)
        assert done.returncode == 0
        assert "Traceback" not in done.stderr


def test_children_before_their_parents_and_odd_data_are_told(tmp_path: Path) -> None:
    folder = write_session(
        tmp_path,
        event("tool_result", 5, {"tool_name": "Read", "result": ["a"]}, parent_id="c"),
        event("tool_call", 4, {"tool_name": "Read", "arguments": "odd"}, event_id="c"),
        event("tool_call", 2, {"tool_name": 7, "arguments": {"command": [1, "-c", None]}}, event_id="d"),
        event("tool_call", 1, {"tool_name": "Bash", "arguments": {"command": {}}}, event_id="e"),
        event("error", 3, {"message": {"a": 1}}, parent_id="d"),
        event("assistant_response", 0, {"text": "first"}),
    )
    found = explained(folder)
    assert [item["kind"] for item in found["course"]] == ["running", "other", "exploring"]
    assert found["failures"][0]["tries"][0]["message"] == '{"a": 1}'
    assert found["answer"]["text"] == "first"


def test_json_is_the_facts(tmp_path: Path) -> None:
    folder = mending().write(tmp_path)
    done = agent_trace("--trace-dir", str(tmp_path), "explain", "5e55", "--json")
    assert json.loads(done.stdout) == json.loads(json.dumps(explained(folder)))


def test_explaining_loads_no_part_of_opentelemetry(tmp_path: Path) -> None:
    mending().write(tmp_path)
    done = agent_trace("--trace-dir", str(tmp_path), "explain", env={"PYTHONPROFILEIMPORTTIME": "1"})
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "agent_trace_otel.replay.explain.facts" in loaded
    assert not loaded & {"opentelemetry", "dataclasses", "pathlib", "asyncio"} - loaded_by_argparse()
