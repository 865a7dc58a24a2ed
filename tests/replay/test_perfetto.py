"""A session as a Chrome trace: a slice for each span, lanes in which slices nest as they belong, whatever is recorded.

After a change that is meant, ``REVIEW=1 pytest tests/replay/test_perfetto.py`` writes the drawings anew.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from html_sessions import LIVE, MARKUP, model, span, tool
from recordings import Recording
from session_folders import ROOT, SESSION_ID, START, agent_trace, event, gone, session_start, write_session
from trace_events import Drawn, drawn, events_of, text_of

from agent_trace_otel import semconv
from agent_trace_otel.capture.importing import command
from agent_trace_otel.capture.importing.session_import import Added
from agent_trace_otel.replay.perfetto import as_chrome_trace
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session
from agent_trace_otel.testing import recording

DATA = Path(__file__).parents[1] / "data"
GOLDEN = DATA / "replay" / "perfetto"
FOLDERS = sorted((DATA / "folders").glob("*/*/"))
TURN = {semconv.OPERATION_NAME: semconv.INVOKE_AGENT, semconv.SCOPE: semconv.SCOPE_TURN}
SESSION = {semconv.OPERATION_NAME: semconv.INVOKE_AGENT, semconv.SCOPE: semconv.SCOPE_SESSION}
AGENT = {semconv.OPERATION_NAME: semconv.INVOKE_AGENT, semconv.AGENT_NAME: "helper"}


def exported(folder: Path) -> str:
    session = Session(str(folder))
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        return "".join(as_chrome_trace(session, index))


def drawing(folder: Path) -> list[Drawn]:
    return drawn(events_of(exported(folder)))


def write(into: Path, *spans: bytes, events: tuple[bytes, ...] = ()) -> Path:
    folder = write_session(into, *(events or (session_start(gone()),)), meta={"agent_name": "agent"})
    (folder / "spans.jsonl").write_bytes(b"".join(spans))
    return folder


def imported(name: str, home: Path) -> Path:
    """Return the session that the transcripts of a recording of Claude Code become."""
    (home / "project").mkdir()
    Recording(name, home).write_until(1 << 63)
    with recording(home / "traces"):
        found, _ = command.find([home / ".claude" / "projects"], 0.0)
        (added,) = command.import_each(found)
    assert isinstance(added, Added)
    return added.store / added.session_id


def root(after: float = 0, seconds: float = 10, span_id: str = ROOT) -> bytes:
    return span(span_id, "invoke_agent agent", after, seconds, SESSION, parent="")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_recorded_sessions_are_drawn_as_reviewed(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / folder.name))
    found = text_of(drawing(copy))
    golden = GOLDEN / f"{folder.parent.name}.txt"
    if os.environ.get("REVIEW"):
        GOLDEN.mkdir(parents=True, exist_ok=True)
        golden.write_text(found)
    assert found == golden.read_text()


@pytest.mark.parametrize("name", ["subagent", "parallel_reads", "nested_fg"])
def test_agents_and_calls_at_once_are_drawn_as_reviewed(name: str, tmp_path: Path) -> None:
    found = text_of(drawing(imported(name, tmp_path)))
    golden = GOLDEN / f"imported_{name}.txt"
    if os.environ.get("REVIEW"):
        golden.write_text(found)
    assert found == golden.read_text()


def test_every_span_is_one_slice(tmp_path: Path) -> None:
    folder = imported("subagent", tmp_path)
    slices = [one for one in events_of(exported(folder)) if one["ph"] == "X"]
    lines = (folder / "spans.jsonl").read_text().splitlines()
    spans = [json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0] for line in lines]
    assert sorted(one["args"]["span_id"] for one in slices) == sorted(one["spanId"] for one in spans)
    assert {one["args"]["span_id"]: round(one["dur"] * 1000) for one in slices} == {
        one["spanId"]: int(one["endTimeUnixNano"]) - int(one["startTimeUnixNano"]) for one in spans
    }


@pytest.mark.parametrize("name", [semconv.OPERATION_NAME, semconv.SCOPE, semconv.AGENT_NAME, semconv.TOOL_NAME])
def test_an_attribute_of_an_odd_type_is_a_slice_like_any_other(name: str, tmp_path: Path) -> None:
    for number, known in enumerate((SESSION, TURN, AGENT, {semconv.OPERATION_NAME: semconv.EXECUTE_TOOL})):
        odd = {**known, name: ["a", "list"]}
        (slice_,) = (one for one in events_of(exported(write(tmp_path / str(number), span("0" * 16, "odd", 1, 1, odd))))
                     if one["ph"] == "X")  # fmt: skip
        assert slice_["name"]


def test_calls_at_once_have_lanes_of_their_own_even_one_within_the_other(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        root(),
        tool("1" * 16, "Slow", 1, 4, {}),
        tool("2" * 16, "Quick", 2, 1, {}),
        tool("3" * 16, "Later", 4, 3, {}),
        tool("4" * 16, "Inner", 1.5, 1, {}, parent="1" * 16),
    )
    assert [(one.lane, one.name, one.depth) for one in drawing(folder)] == [
        ("agent", "session invoke_agent agent", 0),
        ("agent", "Slow", 1),
        ("agent", "Inner", 2),
        ("agent (2)", "Quick", 0),
        ("agent (2)", "Later", 0),
    ]


def test_an_agent_that_outlives_the_call_that_started_it_has_a_lane(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        root(),
        tool("1" * 16, "Agent", 1, 1, {}),
        span("2" * 16, "invoke_agent helper", 1.5, 5, {**AGENT, semconv.AGENT_ID: "a1b2"}, parent="1" * 16),
        tool("3" * 16, "Read", 3, 1, {}, parent="2" * 16),
    )
    assert [(one.lane, one.name, one.depth) for one in drawing(folder)] == [
        ("agent", "session invoke_agent agent", 0),
        ("agent", "Agent", 1),
        ("helper a1b2", "helper", 0),
        ("helper a1b2", "Read", 1),
    ]


def test_what_has_not_ended_begins_and_never_ends(tmp_path: Path) -> None:
    events = (
        session_start(gone()),
        event("tool_call", 3, {"tool_name": "Bash", "arguments": {}, "parent_span_id": ROOT}, span="1" * 16),
    )
    folder = write(tmp_path, tool("2" * 16, "Read", 1, 1, {}), events=events)
    found = [(one["ph"], one["name"], one["ts"]) for one in events_of(exported(folder)) if one["ph"] in "XB"]
    assert found == [("X", "Read", 1e6), ("B", "agent", 0.0), ("B", "Bash", 3e6)]
    assert [one.depth for one in drawing(folder)] == [0, 1, 1]


def test_a_call_whose_span_was_lost_is_told_by_its_events(tmp_path: Path) -> None:
    call = event("tool_call", 3, {"tool_name": "Bash", "arguments": {"command": "ls"}}, event_id="c", span="1" * 16)
    result = event("tool_result", 5, {"tool_name": "Bash", "result": "a.py"}, parent_id="c", span="1" * 16)
    folder = write(tmp_path, root(), events=(session_start(gone()), call, result))
    (found,) = [one for one in events_of(exported(folder)) if one["name"] == "Bash"]
    assert (found["ph"], found["ts"], found["dur"]) == ("X", 3e6, 2e6)
    assert (found["args"]["arguments"], found["args"]["result"]) == ({"command": "ls"}, "a.py")


def test_a_call_that_runs_on_after_its_turn_does_not_lie_in_the_next(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        root(),
        span("a" * 16, "invoke_agent agent", 1, 2, TURN),
        span("b" * 16, "invoke_agent agent", 4, 2, TURN),
        tool("1" * 16, "Bash", 2, 3, {}, parent="a" * 16),
    )
    assert [(one.lane, one.name) for one in drawing(folder)][-1] == ("agent (2)", "Bash")


def test_a_child_that_begins_before_its_parent_is_drawn_beside_it(tmp_path: Path) -> None:
    folder = write(tmp_path, root(1, 5), tool("1" * 16, "Skewed", 0.5, 2, {}), tool("2" * 16, "Fine", 2, 1, {}))
    assert [(one.lane, one.name) for one in drawing(folder)] == [
        ("agent", "session invoke_agent agent"),
        ("agent", "Fine"),
        ("agent (2)", "Skewed"),
    ]


def test_links_are_arrows_between_the_slices(tmp_path: Path) -> None:
    line = json.loads(tool("2" * 16, "After", 5, 1, {}))
    line["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["links"] = [{"traceId": "0" * 32, "spanId": "1" * 16}]
    folder = write(tmp_path, root(), tool("1" * 16, "Before", 1, 1, {}), json.dumps(line).encode() + b"\n")
    arrows = [(one["ph"], one["ts"]) for one in events_of(exported(folder)) if one["ph"] in "sf"]
    assert arrows == [("s", 1e6), ("f", 5e6)]


def test_prompts_responses_and_decisions_are_instants_in_the_lane_of_their_agent(tmp_path: Path) -> None:
    events = (
        session_start(gone()),
        event("user_prompt", 1, {"prompt": "mend\nit"}),
        event("decision", 2, {"choice": "Read", "reason": "cheap"}, span="2" * 16),
        event("assistant_response", 3, {"text": "done"}),
        event("error", 4, {"message": "no call's"}),
    )
    helper = span("2" * 16, "invoke_agent helper", 1.5, 5, AGENT)
    found = [one for one in events_of(exported(write(tmp_path, root(), helper, events=events))) if one["ph"] == "i"]
    assert [(one["name"], one["tid"], one["ts"]) for one in found] == [
        ("user prompt: mend it", 1, 1e6),
        ("decision: Read", 2, 2e6),
        ("assistant response: done", 1, 3e6),
        ("error: no call's", 1, 4e6),
    ]


def test_hostile_data_stays_text(tmp_path: Path) -> None:
    hostile = " ".join(MARKUP) + LIVE
    prompt = event("user_prompt", 1, {"prompt": hostile, hostile: [hostile]})
    folder = write(
        tmp_path,
        root(),
        tool("1" * 16, hostile, 1, 1, {hostile: hostile}, hostile, message=hostile),
        model("2" * 16, 3, 1, [{"type": "text", "content": hostile}]),
        span("3" * 16, hostile, 5, 1, {hostile: hostile, "huge": 1 << 80, "text": "x" * 5_000_000}),
        events=(session_start(gone(), agent_name=hostile), prompt),
    )
    text = exported(folder)
    assert len(text) < 60_000
    assert all(character.isprintable() or character == "\n" for character in text)
    for one in events_of(text):
        assert one["name"].isprintable()
        shown = json.dumps(one.get("args", {}), ensure_ascii=False)
        assert {character for character in shown if not character.isprintable()} == set()


def test_spans_that_make_no_sense_stop_nothing(tmp_path: Path) -> None:
    each_others = [tool("1" * 16, "A", 1, 1, {}, parent="2" * 16), tool("2" * 16, "B", 1, 1, {}, parent="1" * 16)]
    own = tool("3" * 16, "Own", 1, 1, {}, parent="3" * 16)
    never = span("4" * 16, "never", -START, 0)
    backwards = span("5" * 16, "backwards", 5, -3)
    torn = root()[:-40]
    folder = write(tmp_path, *each_others, own, never, backwards, root(), root(), b"[]\nno json\n", torn)
    names = [one["name"] for one in events_of(exported(folder)) if one["ph"] == "X"]
    assert sorted(names) == ["A", "B", "Own", "backwards", "never", "session invoke_agent agent"]
    drawing(folder)


def test_hundreds_of_open_calls_are_drawn(tmp_path: Path) -> None:
    calls = [
        event(
            "tool_call", 1 + n / 1000, {"tool_name": "T", "arguments": {}}, event_id=f"{n:016x}", span=f"{n + 1:016x}"
        )
        for n in range(700)
    ]
    folder = write_session(tmp_path, session_start(gone()), *calls)
    assert sum(one["ph"] == "B" for one in events_of(exported(folder))) == 701


def test_the_command_writes_a_file_and_says_nothing(tmp_path: Path) -> None:
    write(tmp_path / "traces", root(), tool("1" * 16, "Read", 1, 1, {}))
    shown = agent_trace("--trace-dir", str(tmp_path / "traces"), "export", SESSION_ID, "--format", "perfetto")
    out = tmp_path / "trace.json"
    written = agent_trace("--trace-dir", "traces", "export", "--format", "perfetto", "-o", str(out), cwd=tmp_path)
    assert (shown.returncode, written.returncode, written.stdout, shown.stderr) == (0, 0, "", "")
    assert out.read_text() == shown.stdout
    assert len(events_of(shown.stdout)) > 3
