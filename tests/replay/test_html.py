"""A session as one HTML file: which rows it has, in which order, and what is told of each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import html_sessions as made
import pytest
from hook_desk import Desk
from html_documents import Document, document, text_of
from recordings import Clients, Recording
from session_folders import ROOT, SESSION_ID, agent_trace, event, gone, recorded_folder, session_start, write_session

from agent_trace_otel import process, semconv
from agent_trace_otel.capture.hooks.sessions import hook_session, transcripts
from agent_trace_otel.replay.html.readable import HISTORY_LIMIT, latest_messages, readable
from agent_trace_otel.store.reader import find_session
from agent_trace_otel.testing import recording

GOLDEN = Path(__file__).parents[1] / "data" / "replay" / "html"


def tree(found: Document) -> list[str]:
    return [f"{'  ' * row['depth']}{row['kind']} {row['name']} {row['outcome']}".rstrip() for row in found.rows]


def test_calls_are_told_by_their_spans_and_moments_by_their_events(tmp_path: Path) -> None:
    turn = {semconv.OPERATION_NAME: semconv.INVOKE_AGENT, semconv.SCOPE: semconv.SCOPE_TURN}
    said: list[object] = [{"type": "text", "content": "**Running** them."}]
    spans = [
        made.tool("b" * 16, "Bash", 3, 1, {"command": "pytest"}, parent="a" * 16, message="Exit code 1"),
        made.model("c" * 16, 1, 1.5, said, parent="a" * 16),
        made.span("a" * 16, "invoke_agent agent", 0.5, 5, turn),
        made.root(9),
    ]
    events = (
        session_start(gone()),
        event("user_prompt", 0.5, {"prompt": "Run the tests."}, span="a" * 16),
        event("llm_request", 1, {"model": "demo"}, event_id="c" * 16, span="c" * 16),
        event("llm_response", 2.5, {}, parent_id="c" * 16, span="c" * 16),
        event("tool_call", 3, {"tool_name": "Bash", "arguments": {}}, event_id="b" * 16, span="b" * 16),
        event("error", 4, {"tool_name": "Bash"}, parent_id="b" * 16, span="b" * 16),
        event("session_end", 9, {}),
    )
    found = document(made.session_with_spans(tmp_path, spans, *events, ended_at=made.START + 9))
    assert tree(found) == [
        "session agent",
        "  turn Turn 1",
        "    prompt prompt",
        "    model demo-model-1",
        "    tool Bash error",
    ]
    session, turn_row, prompt, model, tool = found.rows
    assert (session["start"], session["duration"], session["summary"]) == (0, 9000, "python agent.py")
    assert turn_row["summary"] == prompt["summary"] == "Run the tests."
    assert (prompt["duration"], prompt["start"]) == (None, 500)
    assert (model["summary"], model["tokens"], model["cost"]) == ("Running them.", 1852, 0.0026)
    assert (tool["summary"], tool["failed"], tool["start"], tool["duration"]) == ("pytest · Exit code 1", 1, 3000, 1000)
    assert found.session["cost"] == 0.0026
    assert found.session["state_line"] == ""


def recorded_session(name: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Play a recording of Claude Code's hooks and return the session that it becomes."""
    clients = Clients()
    monkeypatch.setattr(process, "start_of", clients.start_of)
    for seconds in ("_SETTLE_SECONDS", "_END_SECONDS", "_FIRST_EVENT_SECONDS"):
        monkeypatch.setattr(hook_session, seconds, 0.0)
    monkeypatch.setattr(transcripts, "_NOTE_SECONDS", 0.0)
    with recording(home / "none", HOME=str(home)):
        played = Recording(name, home)
        desk = Desk(home / "journals")
        desk.hear_all(played.play())
        clients.are_alive = False
        desk.settle()
    return Path(find_session(str(played.store)).folder)


@pytest.mark.parametrize("name", ["subagent", "denied", "resume", "interrupt"])
def test_a_recorded_session_becomes_the_reviewed_rows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With REVIEW=1 in the environment the reviewed rows are written anew; read the difference."""
    found = document(recorded_session(name, tmp_path, monkeypatch))
    lines = [
        f"{row['start']:8.1f} {row['duration'] or '':>7} {'  ' * row['depth']}{row['kind']} "
        f"{row['name']} | {row['summary'].partition(' · ')[0]} {row['outcome']}".rstrip()
        for row in found.rows
    ]
    text = "\n".join(lines).replace(str(tmp_path), "~") + "\n"
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("REVIEW"):
        GOLDEN.mkdir(parents=True, exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_an_ended_session_has_no_open_turns(tmp_path: Path) -> None:
    lines = (
        session_start(gone()),
        event("user_prompt", 1, {"prompt": "Look.", "parent_span_id": ROOT}, span="a" * 16),
        event("tool_call", 2, {"tool_name": "Read", "parent_span_id": "a" * 16}, event_id="b" * 16, span="b" * 16),
        event("session_end", 5, {}),
    )
    found = document(write_session(tmp_path, *lines, meta={"ended_at": made.START + 5}))
    assert tree(found) == ["session agent", "  turn Turn 1", "    prompt prompt", "    tool Read open"]
    assert [row["duration"] for row in found.rows] == [5000, 1000, None, None]


def test_a_running_turn_and_its_open_calls_are_shown_without_their_spans(tmp_path: Path) -> None:
    turn, call, agent = "a" * 16, "b" * 16, "c" * 16
    inside = {"tool_name": "Read", "arguments": {"file_path": "x.py"}, "agent": "scout"}
    lines = (
        session_start(gone()),
        event("user_prompt", 1, {"prompt": "Look.", "parent_span_id": ROOT}, span=turn),
        event(
            "tool_call", 2, {"tool_name": "Agent", "arguments": {}, "parent_span_id": turn}, event_id=call, span=call
        ),
        event("tool_call", 3, {**inside, "parent_span_id": agent}, event_id="d" * 16, span="d" * 16),
        event("tool_result", 4, {"result": "text"}, parent_id="d" * 16, duration_ms=900, span="d" * 16),
    )
    found = document(write_session(tmp_path, *lines))
    assert tree(found) == [
        "session agent open",
        "  turn Turn 1 open",
        "    prompt prompt",
        "    tool Agent open",
        "  agent scout open",
        "    tool Read",
    ]
    assert found.rows[-1]["duration"] == 900
    assert found.part("Read", "Result") == ("text", "text")
    assert found.session["state_line"].startswith("crashed")
    assert found.session["duration"] == 4000


@pytest.mark.parametrize("name", ["agent_strace_040", "claude_like"])
def test_folders_of_agent_strace_need_no_spans(name: str, tmp_path: Path) -> None:
    (folder,) = [path for path in recorded_folder(name, tmp_path).iterdir() if path.is_dir()]
    found = document(folder)
    assert found.rows[0]["kind"] == "session"
    assert found.rows[0]["outcome"] == ""
    assert found.rows[0]["duration"] > 0
    assert {row["depth"] for row in found.rows[1:]} == {1}
    assert [row for row in found.rows if row["kind"] == "tool" and row["duration"] is not None]


def test_parents_that_are_missing_later_or_themselves_lose_no_row(tmp_path: Path) -> None:
    spans = [
        made.tool("1" * 16, "early", -3, 1, {}, parent="2" * 16),  # a clock that runs behind
        made.tool("2" * 16, "parent", 0, 1, {}),
        made.tool("3" * 16, "orphan", 2, 1, {}, parent="9" * 16),
        made.tool("4" * 16, "circle", 3, 1, {}, parent="5" * 16),
        made.tool("5" * 16, "circle too", 3, 1, {}, parent="4" * 16),
        made.tool("6" * 16, "own parent", 4, 1, {}, parent="6" * 16),
        made.tool("2" * 16, "parent, written again", 0, 1, {}),
        made.root(9),
    ]
    found = document(made.session_with_spans(tmp_path, spans))
    assert tree(found) == [
        "session agent",
        "  tool parent, written again",
        "    tool early",
        "  tool orphan",
        "tool circle",
        "  tool circle too",
        "tool own parent",
    ]
    assert [row["start"] for row in found.rows[:3]] == [3000, 3000, 0]


def test_runs_of_a_resumed_session_keep_what_happened_in_them(tmp_path: Path) -> None:
    second = {"span": "b" * 16}
    lines = (
        session_start(gone()),
        event("user_prompt", 1, {"prompt": "first"}),
        event("session_end", 2, {}),
        event("session_start", 5, {"agent_name": "agent"}, **second),
        event("user_prompt", 6, {"prompt": "second"}, **second),
        event("session_end", 7, {}, **second),
    )
    found = document(write_session(tmp_path, *lines, meta={"ended_at": made.START + 7}))
    assert tree(found) == ["session agent", "  prompt prompt", "session agent", "  prompt prompt"]
    assert [row["duration"] for row in found.rows] == [2000, None, 2000, None]


def test_a_notification_is_told_by_its_summary(tmp_path: Path) -> None:
    prompt = "<task-notification><status>completed</status><summary>Agent finished</summary></task-notification>"
    found = document(
        write_session(tmp_path, event("user_prompt", 0, {"prompt": prompt, "source": "task_notification"}))
    )
    assert [(row["name"], row["summary"]) for row in found.rows] == [("task notification", "Agent finished")]
    assert found.part("task notification", "Prompt") == ("prose", prompt)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            {"file_path": "a.py", "old_string": "x = 1", "new_string": "x = 2"},
            [("Arguments", "json", {"file_path": "a.py"}), ("Change", "edits", [{"old": "x = 1", "new": "x = 2"}])],
        ),
        (
            {
                "file_path": "a.py",
                "edits": [{"old_string": "x", "new_string": "y"}, {"old_string": "1", "new_string": ""}],
            },
            [
                ("Arguments", "json", {"file_path": "a.py"}),
                ("Change", "edits", [{"old": "x", "new": "y"}, {"old": "1", "new": ""}]),
            ],
        ),
        (
            {"file_path": "a.py", "content": "x = 1\n"},
            [("Arguments", "json", {"file_path": "a.py"}), ("Change", "edits", [{"old": "", "new": "x = 1\n"}])],
        ),
        ({"input": "*** Begin Patch\n+x"}, [("Patch", "patch", "*** Begin Patch\n+x")]),
        ({"edits": [{"line": 1}]}, [("Arguments", "json", {"edits": [{"line": 1}]})]),
        ("no JSON", [("Arguments", "text", "no JSON")]),
        ("[1, NaN]", [("Arguments", "json", [1, "NaN"])]),
    ],
)
def test_what_a_call_changes_is_shown_as_a_change(arguments: object, parts: list[Any], tmp_path: Path) -> None:
    found = document(made.session_with_spans(tmp_path, [made.tool("a" * 16, "Edit", 0, 1, arguments, "")]))
    assert [(part["title"], part["form"], part["value"]) for part in found.detail("Edit")["parts"]] == parts


def test_a_failure_is_told_once_with_its_stack(tmp_path: Path) -> None:
    failure = {semconv.EXCEPTION_MESSAGE: "no such file", semconv.EXCEPTION_STACKTRACE: "Traceback\n  line 1"}
    spans = [
        made.tool("a" * 16, "Read", 0, 1, {}, message="no such file", events=[(semconv.EXCEPTION_EVENT, 1, failure)])
    ]
    found = document(made.session_with_spans(tmp_path, spans))
    parts = [(part["title"], part["value"]) for part in found.detail("Read")["parts"]]
    assert parts == [("Error", "no such file"), ("Stack trace", "Traceback\n  line 1")]


def test_of_a_long_history_the_latest_messages_are_kept() -> None:
    messages = [{"role": "user", "parts": [{"type": "text", "content": f"{n}" * 1000}]} for n in range(100)]
    kept = latest_messages(json.dumps(messages))
    assert kept[-1] == messages[-1]
    assert kept[0]["parts"][0]["content"] == f"[{100 - len(kept) + 1} earlier messages]"
    assert HISTORY_LIMIT / 2 < len(json.dumps(kept)) < HISTORY_LIMIT * 2
    one = [{"role": "user", "parts": [{"type": "text", "content": "x" * 100_000}]}]
    assert latest_messages(json.dumps(one)) == one


def test_numbers_that_a_browser_has_no_room_for_stay_what_they_are() -> None:
    nested: Any = "deep"
    for _ in range(100):
        nested = [nested]
    assert readable([2**53 + 1, 2**53, 1.5, True, None, float("inf")]) == [
        str(2**53 + 1),
        2**53,
        1.5,
        True,
        None,
        "inf",
    ]
    assert "…" in json.dumps(readable(nested), ensure_ascii=False)


def test_torn_and_foreign_lines_of_both_files_are_left_out_and_said(tmp_path: Path) -> None:
    spans = [made.root(9), b"no json\n", b'{"resourceSpans": 7}\n', made.tool("a" * 16, "Bash", 0, 1, {})[:-30]]
    folder = made.session_with_spans(tmp_path, spans, session_start(gone()), b'{"event_type":"tool_ca')
    found = document(folder)
    assert tree(found) == ["session agent"]
    assert found.session["notes"] == [
        "left out the last line, which is torn",
        "left out 3 unreadable lines or spans of spans.jsonl",
    ]


def test_an_empty_session_is_a_page_too(tmp_path: Path) -> None:
    found = document(write_session(tmp_path))
    assert found.rows == []
    assert found.session["session_id"] == SESSION_ID


def test_export_writes_the_page_to_a_file_or_to_stdout(tmp_path: Path) -> None:
    folder = made.session_with_spans(
        tmp_path / "traces", [made.root(1)], session_start(gone()), ended_at=made.START + 1
    )
    to_file = agent_trace(
        "--trace-dir", str(folder.parent), "export", "--format", "html", "-o", "page.html", cwd=tmp_path
    )
    assert (to_file.returncode, to_file.stdout, to_file.stderr) == (0, "", "")
    to_stdout = agent_trace("--trace-dir", str(folder.parent), "export", SESSION_ID[:4], "--format", "html")
    assert to_stdout.returncode == 0
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == to_stdout.stdout == text_of(folder)
    refused = agent_trace("--trace-dir", str(folder.parent), "export", "--format", "html", "--endpoint", "http://x")
    assert (refused.returncode, refused.stdout) == (2, "")
