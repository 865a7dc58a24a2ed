"""What a replay looks like, line by line."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from session_folders import event, gone, recorded_folder, session_start, write_session

from agent_trace_otel.replay.text import SYMBOLS, TextReplay
from agent_trace_otel.replay.timeline import Selection, timeline
from agent_trace_otel.store.events import EVENT_TYPES
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session, find_session


def replayed(folder: Path, *, width: int = 80, colour: bool = False, full: bool = False) -> str:
    session = Session(str(folder))
    view = TextReplay(width, colour=colour, full=full)
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        return view.summary(session) + "".join(map(view.entry, timeline(index, Selection())))


def lines_of(tmp_path: Path, *lines: bytes, width: int = 80, colour: bool = False, full: bool = False) -> list[str]:
    text = replayed(write_session(tmp_path, *lines), width=width, colour=colour, full=full)
    return text.split("\n\n", 1)[1].splitlines()


def columns(line: str) -> int:
    letters = [character for character in line if not unicodedata.combining(character)]
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in letters)


def test_the_types_of_the_format_are_the_types_that_have_a_symbol() -> None:
    assert set(SYMBOLS) == EVENT_TYPES


def test_a_replay_is_the_documented_one(tmp_path: Path) -> None:
    folder = find_session(str(recorded_folder("claude_like", tmp_path))).folder
    golden = Path(__file__).parent.parent / "data" / "folders" / "claude_like.txt"
    assert replayed(Path(folder)) == golden.read_text(encoding="utf-8")


def test_a_folder_of_agent_strace_is_replayed(tmp_path: Path) -> None:
    folder = find_session(str(recorded_folder("agent_strace_040", tmp_path))).folder
    assert replayed(Path(folder)).split("\n\n", 1)[1].splitlines() == [
        "+  0.00s ▶ session_start",
        "+  0.00s → tool_call search_orders",
        "              customer: 'ann', limit: 3",
        "+  0.00s ← tool_result search_orders (<1ms)",
        "+  0.00s ⬆ llm_request gpt-4o-mini (1 message)",
        "+  0.00s ⬇ llm_response (<1ms)",
        "              \"{'choices': [{'message': {'content': 'Refund order 9?'}}], 'usa…\"",
        "+  0.00s → tool_call refund",
        "              order_id: 9",
        "+  0.01s ✗ error refund (12ms)",
        "              order 9 is locked",
        "+  0.01s ◆ decision escalate",
        "              the order is locked",
        "+  0.01s ■ session_end",
    ]


def test_every_kind_of_event_says_what_matters_of_it(tmp_path: Path) -> None:
    call = {"tool_name": "Bash", "arguments": {"description": "run", "command": "make\n  test"}}
    response = {"content_preview": "**Ran** `make`", "total_tokens": 12, "input_tokens": 9, "output_tokens": 3}
    assert lines_of(
        tmp_path,
        event("session_start", 0),
        event("llm_request", 1, {"method": "chat", "model": "m-1", "message_count": 2}, event_id="l"),
        event("llm_response", 2.5, response, parent_id="l"),
        event("tool_call", 3, call, event_id="t"),
        event("tool_result", 130.25, {"tool_name": "Bash", "result": "ok"}, parent_id="t"),
        event("file_read", 131, {"uri": "file:///a.py"}),
        event("file_write", 132, {"uri": "file:///b.py"}),
        event("decision", 133, {"choice": "stop", "reason": "it works", "alternatives": ["go on"]}),
        event("error", 134, {"model": "m-1", "error": "RateLimitError", "message": "slow down"}),
        event("session_end", 7200, {"exit_code": 0}),
    ) == [
        "+  0.00s ▶ session_start",
        "+  1.00s ⬆ llm_request m-1 (2 messages)",
        "+  2.50s ⬇ llm_response (12 tokens, 1.50s)",
        '              "Ran make"',
        "+  3.00s → tool_call Bash",
        "              make test",
        "+2m10.25s ← tool_result Bash (2m07.25s)",
        "+2m11.00s 📖 file_read file:///a.py",
        "+2m12.00s 📝 file_write file:///b.py",
        "+2m13.00s ◆ decision stop",
        "              it works",
        "+2m14.00s ✗ error m-1",
        "              slow down",
        "          ⋯ 1h57m without an event",
        "+120m00.00s ■ session_end (exit 0)",
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "shown"),
    [
        ("Bash", {"command": "ls", "timeout": 5}, "ls"),
        ("shell", {"command": ["git", "log"]}, "git log"),
        ("Read", {"file_path": "/a.py", "limit": 3}, "/a.py"),
        ("Edit", {"old_string": "a", "new_string": "b", "file_path": "/a.py"}, "/a.py"),
        ("Glob", {"path": "src", "pattern": "**/*.py"}, "**/*.py"),
        ("Grep", {"path": "src", "pattern": "def "}, "def "),
        ("WebFetch", {"prompt": "sum up", "url": "https://e.org"}, "https://e.org"),
        ("WebSearch", {"query": "otel"}, "otel"),
        ("Task", {"description": "look", "prompt": "find it"}, "find it"),
        ("mcp__x__y", {"long": "x" * 500, "q": "a", "r": "b"}, "q: a, r: b"),
        ("add", {"a": 1, "b": 2.5}, "a: 1, b: 2.5"),
        ("deep", {"a": {"b": 1}, "c": []}, "a, c"),
    ],
)
def test_a_call_shows_the_argument_that_tells_it_apart(
    tmp_path: Path, name: str, arguments: dict[str, object], shown: str
) -> None:
    call = event("tool_call", 0, {"tool_name": name, "arguments": arguments}, event_id="t")
    closed = event("tool_result", 1, parent_id="t")
    assert lines_of(tmp_path, call, closed)[:2] == [f"+  0.00s → tool_call {name}", f"              {shown}"]


@pytest.mark.parametrize("arguments", [None, [], "x", {}, {"command": ""}, {"command": None}])
def test_arguments_that_say_nothing_need_no_line(tmp_path: Path, arguments: object) -> None:
    shown = lines_of(tmp_path, event("tool_call", 0, {"tool_name": "t", "arguments": arguments}))
    assert shown[0] == "+  0.00s → tool_call t (still open)"


def test_an_open_call_is_marked_with_how_long(tmp_path: Path) -> None:
    shown = lines_of(tmp_path, session_start(gone()), event("tool_call", 1), event("decision", 4.5, {"choice": "x"}))
    assert shown[1] == "+  1.00s → tool_call ? (still open after 3.50s)"


def test_calls_inside_calls_are_indented(tmp_path: Path) -> None:
    def nested(event_type: str, after: float, span: str, parent: str, **ids: Any) -> bytes:
        return event(event_type, after, {"tool_name": span, "parent_span_id": parent}, span=span, **ids)

    shown = lines_of(
        tmp_path,
        nested("tool_call", 0, "outer", "root", event_id="outer"),
        nested("tool_call", 1, "inner", "outer", event_id="inner"),
        event("decision", 2, {"choice": "deeper"}, span="inner"),
        nested("tool_result", 3, "inner", "outer", parent_id="inner"),
        nested("tool_call", 4, "second", "outer", event_id="second"),
        nested("tool_result", 5, "outer", "root", parent_id="outer"),
        nested("tool_result", 6, "second", "outer", parent_id="second"),
        event("decision", 7, {"choice": "out"}, span="root"),
    )
    assert shown == [
        "+  0.00s → tool_call outer",
        "+  1.00s   → tool_call inner",
        "+  2.00s     ◆ decision deeper",
        "+  3.00s   ← tool_result inner (2.00s)",
        "+  4.00s   → tool_call second",
        "+  5.00s ← tool_result outer (5.00s)",
        "+  6.00s   ← tool_result second (2.00s) of the call at +4.00s",
        "+  7.00s ◆ decision out",
    ]


@pytest.mark.parametrize(
    "text", ["x" * 5000, "word " * 1000, "日本語" * 1000, "a\n" * 5000, "e\u0301" * 3000, "👩‍💻" * 900]
)
@pytest.mark.parametrize("width", [40, 80, 133])
def test_no_detail_is_wider_than_the_terminal(tmp_path: Path, text: str, width: int) -> None:
    for number, shown in enumerate(
        lines_of(
            tmp_path,
            event("user_prompt", 0, {"prompt": text}),
            event("assistant_response", 1, {"text": text}),
            event("tool_call", 2, {"tool_name": "Bash", "arguments": {"command": text}}, event_id="t"),
            event("error", 3, {"tool_name": "Bash", "message": text}, parent_id="t"),
            width=width,
        )
    ):
        assert columns(shown) <= width, number
        assert number % 2 == 0 or "…" in shown


def test_full_cuts_nothing_and_keeps_line_breaks(tmp_path: Path) -> None:
    long = "x" * 300
    shown = lines_of(
        tmp_path,
        event("tool_call", 0, {"tool_name": "Edit", "arguments": {"old": f"a\n\t{long}", "n": 1}}, event_id="t"),
        event("tool_result", 1, {"tool_name": "Edit", "result": f"one\ntwo {long}"}, parent_id="t"),
        event("assistant_response", 2, {"text": "**as** written"}),
        full=True,
    )
    assert shown == [
        "+  0.00s → tool_call Edit",
        "              old: a",
        f"                  {long}",
        "              n: 1",
        "+  1.00s ← tool_result Edit (1.00s)",
        "              one",
        f"              two {long}",
        "+  2.00s 🤖 assistant_response",
        '              "**as** written"',
    ]


HOSTILE = "\x1b]0;title\x07\x1b[31m\x1b]52;c;aGk=\x07\u202edesrever\u2066\x00\x9b31m\x7f\ud800\u2028\r\U000e0041end"


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("colour", [False, True])
def test_hostile_data_reaches_no_terminal_alive(tmp_path: Path, full: bool, colour: bool) -> None:
    data = dict.fromkeys(("prompt", "text", "message", "uri", "choice", "reason", "model", "tool_name"), HOSTILE)
    arguments = {"arguments": {"command": HOSTILE, HOSTILE: HOSTILE}, "result": HOSTILE, "content_preview": HOSTILE}
    lines = [
        event(event_type, number, {**data, **arguments, "alternatives": [HOSTILE]})
        for number, event_type in enumerate([*sorted(EVENT_TYPES), "new_type\\u001b[2J"])
    ]
    meta = {"agent_name": HOSTILE, "command": HOSTILE, "started_at": 1.0, "ended_at": 2.0}
    text = replayed(write_session(tmp_path, *lines, meta=meta), colour=colour, full=full)
    for code in ("0", "1", "2", "31", "32", "33", "35", "36"):
        text = text.replace(f"\x1b[{code}m", "") if colour else text
    assert not [f"{character!r}" for character in text if not character.isprintable() and character != "\n"]
    assert "\\x1b" in text
    assert "\\u202e" in text


def test_colour_changes_nothing_but_colour(tmp_path: Path) -> None:
    folder = Path(find_session(str(recorded_folder("claude_like", tmp_path))).folder)
    coloured = replayed(folder, colour=True)
    assert "\x1b[1m\x1b[31m✗ error\x1b[0m Bash" in coloured
    for code in ("0", "1", "2", "31", "32", "33", "35", "36"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == replayed(folder)


def test_a_type_that_is_newer_than_this_reader_is_shown_as_it_is(tmp_path: Path) -> None:
    assert lines_of(tmp_path, event("budget_exceeded", 0, {"limit": 3})) == ["+  0.00s · budget_exceeded"]


def test_five_megabytes_are_shown_as_one_line(tmp_path: Path) -> None:
    shown = lines_of(tmp_path, event("assistant_response", 0, {"text": "**word** \u202e" * 500_000}))
    assert [columns(line) <= 80 for line in shown] == [True, True]


def test_a_call_of_a_sub_agent_says_whose_it_is(tmp_path: Path) -> None:
    call = {"tool_name": "Bash", "arguments": {"command": "ls"}, "agent": "general-purpose"}
    failure = {"tool_name": "Bash", "error": "tool_error", "message": "Exit code 4", "agent": "general-purpose"}
    assert lines_of(
        tmp_path,
        session_start(),
        event("tool_call", 1, call, event_id="a"),
        event("error", 2, failure, parent_id="a", duration_ms=1000.0),
    )[1:] == [
        "+  1.00s   → tool_call Bash [general-purpose]",
        "                ls",
        "+  2.00s   ✗ error Bash (1.00s) [general-purpose]",
        "                Exit code 4",
    ]


def test_a_notification_is_not_shown_as_what_a_person_typed(tmp_path: Path) -> None:
    prompt = '<task-notification>\n<task-id>a</task-id>\n<summary>Agent "Look" finished</summary>\n</task-notification>'
    notification = event("user_prompt", 1, {"prompt": prompt, "source": "task_notification"})
    assert lines_of(tmp_path, session_start(), notification)[1:] == [
        "+  1.00s 👤 user_prompt (task notification)",
        '              "Agent "Look" finished"',
    ]


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("width", [40, 60, 80])
def test_no_title_is_wider_than_the_terminal(tmp_path: Path, width: int, colour: bool) -> None:
    call = {"tool_name": "mcp__文書__" + "x" * 40, "agent": "general-purpose", "parent_span_id": "agent"}
    lines = [event("tool_call", n, call, event_id=f"c{n}", span=f"s{n}") for n in range(3)]
    lines += [event("tool_result", n + 3, call, event_id=f"r{n}", parent_id=f"c{n}", span=f"s{n}") for n in range(3)]
    for shown in lines_of(tmp_path, *lines, width=width, colour=colour):
        plain = re.sub("\x1b\\[[0-9]+m", "", shown)
        assert columns(plain) <= width
        assert not colour or shown.endswith("\x1b[0m")
        assert "…" in plain
