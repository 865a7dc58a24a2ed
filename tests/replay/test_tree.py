"""The tree of a session, as it is drawn."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from session_folders import event, gone, session_start, write_session

from agent_trace_otel.replay.span_parents import span_parents
from agent_trace_otel.replay.timeline import Selection
from agent_trace_otel.replay.tree import Tree
from agent_trace_otel.replay.tree_text import TreeText
from agent_trace_otel.store.events import EVENT_TYPES
from agent_trace_otel.store.index import SessionIndex


def drawn(
    folder: Path, *, width: int = 80, colour: bool = False, full: bool = False, selection: Selection | None = None
) -> list[str]:
    with SessionIndex(str(folder / "events.ndjson")) as index:
        tree = Tree(index, selection or Selection(), lambda: span_parents(str(folder / "spans.jsonl")))
        return "".join(TreeText(width, colour=colour, full=full).lines(tree, index)).splitlines()


def call(name: str, after: float, span: str, parent: str = "root", **data: Any) -> bytes:
    arguments = {"tool_name": name, "arguments": {"command": span}, "parent_span_id": parent}
    return event("tool_call", after, {**arguments, **data}, event_id=span, span=span)


def closed(after: float, span: str, event_type: str = "tool_result", **data: Any) -> bytes:
    return event(event_type, after, data, event_id=f"{span}-end", parent_id=span, span=span)


def test_a_session_without_prompts_has_its_calls_at_the_top(tmp_path: Path) -> None:
    folder = write_session(
        tmp_path,
        session_start(),
        call("outer", 1, "a"),
        call("inner", 2, "b", "a"),
        event("decision", 2.5, {"choice": "deeper"}, span="b"),
        closed(3, "b", "error", message="no", outcome="denied"),
        closed(4, "a"),
        call("open", 5, "c"),
        event("session_end", 6),
    )
    assert drawn(folder, width=60) == [
        "                                                    DURATION",
        "→ outer a                                              3.00s",
        "└─ ✗ inner (denied) b — no                             1.00s",
        "   └─ ◆ deeper",
        "→ open (still open) c",
    ]


def _spans(*pairs: tuple[str, str], is_ours: bool = True) -> bytes:
    """Return spans.jsonl with a line for each span and its parent, in our order of members or another one."""
    ids = [{"spanId": span, "parentSpanId": parent, "name": "n"} for span, parent in pairs]
    spans = [one if is_ours else dict(reversed(one.items())) for one in ids]
    lines = [{"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": [span]}]}]} for span in spans]
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()


@pytest.mark.parametrize("is_ours", [True, False])
def test_what_stands_in_a_span_without_an_event_stands_under_the_call_above_it(is_ours: bool, tmp_path: Path) -> None:
    outer, process, inner, agent, agents = (digit * 16 for digit in "abcde")
    folder = write_session(
        tmp_path,
        session_start(),
        call("Bash", 1, outer, "0" * 16),
        call("inner", 2, inner, process),
        closed(3, inner),
        call("Read", 4, agents, agent, agent="helper"),
        closed(5, agents),
        closed(6, outer),
    )
    shown = ["→ Bash ", "├─ → inner ", "└─ ● helper ", "   └─ → Read "]
    flat = [line[: len(begun)] for line, begun in zip(drawn(folder, width=60)[1:], shown, strict=True)]
    assert flat != shown
    (folder / "spans.jsonl").write_bytes(_spans((process, outer), (agent, process), is_ours=is_ours))
    assert [line[: len(begun)] for line, begun in zip(drawn(folder, width=60)[1:], shown, strict=True)] == shown


def test_turns_hold_what_came_after_their_prompts_and_what_names_them(tmp_path: Path) -> None:
    def chat(after: float, span: str, parent: str, tokens: int) -> list[bytes]:
        request = {"model": "m", "parent_span_id": parent}
        response = {"content_preview": "**yes**", "total_tokens": tokens}
        return [
            event("llm_request", after, request, event_id=span, span=span),
            event("llm_response", after + 0.5, response, event_id=f"{span}-end", parent_id=span, span=span),
        ]

    folder = write_session(
        tmp_path,
        session_start(),
        event("user_prompt", 1, {"prompt": "first"}, span="turn-1"),
        *chat(2, "a", "turn-1", 1000),
        event("user_prompt", 3, {"prompt": "second"}, span="turn-2"),
        *chat(4, "late", "turn-1", 20),
        *chat(5, "b", "turn-2", 3),
        event("assistant_response", 6, {"text": "# Done"}, span="turn-2"),
        event("session_end", 7),
        event("session_start", 8),
        call("Bash", 9, "c"),
        closed(9.25, "c"),
    )
    assert drawn(folder) == [
        "    START                                                     DURATION    TOKENS",
        ' +  1.00s 👤 "first"                                             3.50s     1,020',
        ' +  2.00s ├─ ⬆ m "yes"                                           500ms     1,000',
        ' +  4.00s └─ ⬆ m "yes"                                           500ms        20',
        ' +  3.00s 👤 "second"                                            3.00s         3',
        ' +  5.00s ├─ ⬆ m "yes"                                           500ms         3',
        ' +  6.00s └─ 🤖 "Done"',
        " +  8.00s ▶ session_start",
        " +  9.00s → Bash c                                               250ms",
    ]


@pytest.mark.parametrize("has_spans", [True, False])
def test_sub_agents_stand_below_the_calls_that_started_them(tmp_path: Path, has_spans: bool) -> None:
    start = {"arguments": {"subagent_type": "scout", "prompt": "look"}}
    lines = (
        session_start(),
        call("Agent", 1, "a", **start),
        call("Agent", 2, "b", **{**start, "arguments": {"subagent_type": "tester", "prompt": "test"}}),
        call("Bash", 3, "c", "scout-span", agent="scout"),
        closed(4, "c", "error", message="no"),
        call("Bash", 5, "d", "tester-span", agent="tester"),
        call("Bash", 5, "e", "d", agent="tester"),
        closed(6, "e"),
        closed(6, "d"),
        closed(7, "a"),
        closed(8, "b"),
    )
    folder = write_session(tmp_path, *lines)
    if has_spans:  # which say it the other way round
        spans = (
            '{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"invoke_agent","spanId":"%s","parentSpanId":"%s"}]}]}]}'
        )
        text = "\n".join(["torn invoke_agent {", spans % ("scout-span", "b"), spans % ("tester-span", "a")])
        (folder / "spans.jsonl").write_text(text)
    shown = [line[10:57].rstrip() for line in drawn(folder)[1:]]
    scout = ["└─ ● scout (1 error)", "   └─ ✗ Bash (error) c — no"]
    tester = ["└─ ● tester", "   └─ → Bash d", "      └─ → Bash e"]
    first, second = (tester, scout) if has_spans else (scout, tester)
    assert shown == ["→ Agent look", *first, "→ Agent test", *second]


def test_what_a_selection_takes_is_shown_with_what_it_stands_in(tmp_path: Path) -> None:
    folder = write_session(
        tmp_path,
        session_start(),
        event("user_prompt", 1, {"prompt": "fine"}, span="turn-1"),
        call("Bash", 2, "a", "turn-1"),
        closed(3, "a"),
        event("user_prompt", 4, {"prompt": "bad"}, span="turn-2"),
        call("outer", 5, "b", "turn-2"),
        call("Bash", 6, "c", "b"),
        closed(7, "c", "error", message="no"),
        call("Bash", 7, "d", "b"),
        closed(8, "d"),
        closed(8, "b"),
    )
    shown = [line[10:40].rstrip() for line in drawn(folder, selection=Selection(errors=True))[1:]]
    assert shown == ['👤 (1 error) "bad"', "└─ → outer b", "   └─ ✗ Bash (error) c — no"]


def test_an_open_call_of_a_killed_session_is_marked(tmp_path: Path) -> None:
    folder = write_session(tmp_path, session_start(gone()), call("Bash", 1, "make"), b'{"event_type":"tool_re')
    assert drawn(folder)[1:] == [" +  1.00s → Bash (still open) make"]


def test_children_that_come_before_their_parents_are_shown_nevertheless(tmp_path: Path) -> None:
    # two machines whose clocks differ: the end is before the beginning, and the child before its parent
    folder = write_session(tmp_path, closed(1, "a"), call("inner", 2, "b", "a"), call("outer", 3, "a"), closed(4, "b"))
    names = sorted(line.split()[3] for line in drawn(folder)[1:] if "→" in line)
    assert names == ["inner", "outer"]


def test_thousands_of_nested_calls_are_drawn(tmp_path: Path) -> None:
    lines = [call("deep", n, f"s{n}", f"s{n - 1}") for n in range(3000)]
    shown = drawn(write_session(tmp_path, *lines))
    assert len(shown) == 3001
    assert max(map(len, shown)) <= 80


def columns(line: str) -> int:
    letters = [character for character in line if not unicodedata.combining(character)]
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in letters)


@pytest.mark.parametrize("width", [40, 60, 80, 160])
@pytest.mark.parametrize("text", ["x" * 5000, "日本語" * 1000, "a\n" * 5000, "e\u0301" * 3000, "word " * 1_000_000])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, width: int, text: str) -> None:
    lines = [
        event("user_prompt", 0, {"prompt": text}, span="turn"),
        call("Bash", 1, "a", "turn", arguments={"command": text}),
        call(text[:200], 2, "b", "a"),
        closed(3, "b", "error", message=text),
        event("llm_request", 3, {"model": text[:300]}, event_id="l"),
        event("llm_response", 4, {"content_preview": text, "total_tokens": 10**9}, parent_id="l"),
    ]
    assert max(map(columns, drawn(write_session(tmp_path, *lines), width=width))) <= width


HOSTILE = "\x1b]0;title\x07\x1b[31m\x1b]52;c;aGk=\x07\u202edesrever\u2066\x00\x9b31m\x7f\ud800\u2028\r\U000e0041end"


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("colour", [False, True])
def test_hostile_data_reaches_no_terminal_alive(tmp_path: Path, full: bool, colour: bool) -> None:
    data: dict[str, Any] = dict.fromkeys(
        ("prompt", "text", "message", "uri", "choice", "model", "tool_name", "result", "agent", "outcome", "source"),
        HOSTILE,
    )
    data |= {"arguments": {"command": HOSTILE, HOSTILE: HOSTILE}, "content_preview": HOSTILE}
    types = [*sorted(EVENT_TYPES - {"session_end"}), "new_type\\u001b[2J"]
    lines = [event(event_type, number, data, span=f"s{number}") for number, event_type in enumerate(types)]
    text = "\n".join(drawn(write_session(tmp_path, *lines), colour=colour, full=full, width=300))
    for code in ("0", "1", "2", "31", "32", "33", "35", "36"):
        text = text.replace(f"\x1b[{code}m", "") if colour else text
    assert not [f"{character!r}" for character in text if not character.isprintable() and character != "\n"]
    assert "\\x1b" in text
