"""How two sessions differ -> the lines of `agent-trace diff`.

Comes in: the dict of `differences`. Goes out: lines, plain or coloured. Called by the diff command. What is A's begins
with A, what is B's with B, in every line.
"""

from __future__ import annotations

from itertools import groupby

from agent_trace_otel.replay.costs import dollars
from agent_trace_otel.replay.diff.differences import ARGUMENTS, ONLY_A, ONLY_B, ORDER, OUTCOME, RESULT, SAME
from agent_trace_otel.replay.durations import milliseconds
from agent_trace_otel.replay.event_lines import EventLines, counted
from agent_trace_otel.replay.markdown import plain_line
from agent_trace_otel.replay.terminal import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_SHOWN = 12  # differences, unless all are wanted
_NAME_WIDTH = 16
_FIGURE_WIDTH = 14
_TEXT = 2000  # characters that are looked at of a text that is shown on one line
_RED, _GREEN, _YELLOW, _BOLD = "31", "32", "33", "1"
_SIDES = {"a": ("A ", _RED), "b": ("B ", _GREEN)}
_NAMES = {
    "duration_ms": "Duration",
    "tool_calls": "Tool calls",
    "tools_ms": "Time in tools",
    "errors": "Errors",
    "llm_requests": "LLM calls",
    "llm_ms": "Time in models",
    "input_tokens": "Input tokens",
    "cached_tokens": "  from a cache",
    "output_tokens": "Output tokens",
    "total_tokens": "Tokens",
    "cost_usd": "Cost",
}
_ALONE = {ONLY_A: "only in A", ONLY_B: "only in B"}
_PAIRED = {
    ARGUMENTS: "with other arguments",
    OUTCOME: "with another outcome",
    RESULT: "with another result",
    ORDER: "in another place",
}
_HEADINGS = {ONLY_A: "Only in A", ONLY_B: "Only in B", ORDER: "In another place"}


def lines(found: dict[str, Any], *, width: int, colour: bool, full: bool = False) -> Iterator[str]:
    """Yield the lines that show how two sessions differ.

    Args:
        found: what `differences.comparison` returned.
        width: columns of a line.
        colour: whether to write ANSI colours.
        full: show every difference, cut nothing.
    """
    longest = max(found["a"]["last_offset_ms"], found["b"]["last_offset_ms"])
    view = EventLines(width, colour=colour, full=full, longest_ms=longest)
    for key, (mark, code) in _SIDES.items():
        side = found[key]
        state = "" if side["state"] == "ended" else f" ({side['state']})"
        name = one_line(f"{side['session_id']} {side['agent_name']}{state}", None if full else width - len(mark))
        yield f"{view.painted(mark, code)}{name}\n"
    yield "\n"
    yield from _figures(view, found["figures"], width)
    yield from _texts(view, "Other prompts", found["prompts"])
    yield from _calls(view, found)
    yield from _texts(view, "Other final answers", found["answers"])


def _figures(view: EventLines, figures: list[dict[str, Any]], width: int) -> Iterator[str]:
    room = min(_FIGURE_WIDTH, (width - _NAME_WIDTH) // 3)
    heading = f"{'':<{_NAME_WIDTH}}{'A':>{room}}{'B':>{room}}{'B - A':>{room}}"
    yield f"{view.painted(heading, '2')}\n"
    for row in figures:
        if not row["a"] and not row["b"] and row["name"] != "tool_calls":
            continue
        cells = [
            _figure(row["name"], row["a"]),
            _figure(row["name"], row["b"]),
            _signed(row["name"], row["difference"]),
        ]
        yield f"{_NAMES[row['name']]:<{_NAME_WIDTH}}{''.join(f'{cell:>{room}}' for cell in cells)}".rstrip() + "\n"


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "unknown"
    return milliseconds(value) if name.endswith("_ms") else dollars(value) if name.endswith("_usd") else f"{value:,}"


def _signed(name: str, value: float | None) -> str:
    if not value or (name.endswith("_ms") and abs(value) < 1):
        return ""
    return f"{'+' if value > 0 else '-'}{_figure(name, abs(value))}"


def _texts(view: EventLines, heading: str, texts: dict[str, Any] | None) -> Iterator[str]:
    if texts is None:
        return
    yield view.heading(heading)
    for key, (mark, code) in _SIDES.items():
        side = texts[key]
        if side is None:
            yield view.plain(f"{mark}has none")
            continue
        text = side["text"] if view.full else plain_line(side["text"][:_TEXT])
        yield view.event(side, f'"{text}"', code=code, mark=mark)


def _calls(view: EventLines, found: dict[str, Any]) -> Iterator[str]:
    counts, differences = found["calls"], found["differences"]
    yield view.heading("Calls")
    alone = [f"{counts[kind]:,} {text}" for kind, text in _ALONE.items() if counts[kind]]
    yield view.plain(", ".join([f"{counted(counts[SAME], 'call')} the same", *alone]))
    paired = [f"{counts[kind]:,} {text}" for kind, text in _PAIRED.items() if counts[kind]]
    if paired:
        yield view.plain(f"In both, but {', '.join(paired)}")
    if not differences:
        return
    before = differences[0]["same_before"]
    yield view.plain(f"They first part after {counted(before, 'equal call')}." if before else "They part at once.")
    shown = differences if view.full else differences[:_SHOWN]
    at = before
    for (same_before, heading), group in groupby(shown, key=lambda one: (one["same_before"], _heading(one))):
        if same_before > at:
            yield view.plain(f"  … {counted(same_before - at, 'equal call')}")
            at = same_before
        yield view.titled(heading, _BOLD)
        for difference in group:
            yield from _difference(view, difference)
    if len(shown) < len(differences):
        yield view.plain(f"  … {counted(len(differences) - len(shown), 'more difference')} (--full shows them)")


def _heading(difference: dict[str, Any]) -> str:
    kind = difference["kind"]
    if kind == ARGUMENTS:
        return f"Other arguments: {', '.join(difference['arguments'])}"
    if kind in (OUTCOME, RESULT):
        return f"Other {kind}: {difference['a']['title']}"
    return _HEADINGS[kind]


def _difference(view: EventLines, difference: dict[str, Any]) -> Iterator[str]:
    kind = difference["kind"]
    for key, (mark, code) in _SIDES.items():
        call = difference[key]
        if call is None:
            continue
        agent = f"[{call['agent']}] " if call["agent"] else ""
        place, text = call, f"{agent}{call['title']}"
        if kind in (OUTCOME, RESULT):
            place = call["end"] or call
            text = f"{agent}{call['outcome']}: {call['result']}"
        elif call["outcome"] != "ok":
            text = f"{text} ({call['outcome']})"
        yield view.event(place, text, code=code, mark=mark)
