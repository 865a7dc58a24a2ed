"""The tree of a session -> its lines, plain or coloured.

Comes in: a Tree, the width to write for. Goes out: a line for each node, with durations and tokens in columns of their
own. Called by the replay command. Everything recorded passes through `terminal.one_line`.
"""

from __future__ import annotations

from agent_trace_otel.replay.arguments import telling_argument
from agent_trace_otel.replay.durations import brief, milliseconds, nth, offset
from agent_trace_otel.replay.terminal import columns_in, one_line
from agent_trace_otel.replay.text import COLOURS, DIM, RESET, SYMBOLS, UNKNOWN, YELLOW
from agent_trace_otel.replay.tree import AGENT, CALL, TURN
from agent_trace_otel.store.lines import is_object, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent_trace_otel.replay.tree import Node, Tree
    from agent_trace_otel.store.index import SessionIndex

_AGENT = "●"
_NAME_WIDTH = 40
_DURATION, _TOKENS, _OFFSET = 9, 10, 10  # columns at least, the space before or after included
_HOUR = 3600
_WIDE = 72  # columns from which there is room for when things began
_DEEPEST = 12  # levels that are drawn; deeper nodes stand at this one
# what says most of an event that is no call, by its type
_SAYS = {
    "assistant_response": "text",
    "decision": "choice",
    "error": "message",
    "file_read": "uri",
    "file_write": "uri",
    "llm_response": "content_preview",
    "tool_result": "result",
    "user_prompt": "prompt",
}
_QUOTED = frozenset({"assistant_response", "llm_response", "user_prompt"})


class TreeText:
    """Writes trees as text.

    Args:
        width: columns of a line; what is longer is cut.
        colour: whether to write ANSI colours.
        full: cut nothing.
    """

    def __init__(self, width: int, *, colour: bool = False, full: bool = False) -> None:
        self._width = width
        self._full = full
        self._has_offsets = width >= _WIDE
        self._colour = colour
        self._reset, self._dim = (RESET, DIM) if colour else ("", "")

    def lines(self, tree: Tree, index: SessionIndex) -> Iterator[str]:
        """Yield the lines of a tree, a heading first."""
        begin = index.timestamps[index.order[0]] if len(index) else 0.0
        most = max((node.tokens for node in tree.top), default=0)
        for_tokens = max(_TOKENS, len(f" {most:,}")) if most else 0
        last = max((node.last for node in tree.top), default=begin)
        for_offset = max(_OFFSET, len(f"{offset(last - begin)} ")) if self._has_offsets else 0
        room = self._width - _DURATION - for_tokens - for_offset
        start = f"{'START':>{for_offset - 1}} " if for_offset else ""
        heading = f"{start}{'':<{room}}{'DURATION':>{_DURATION}}" + (f"{'TOKENS':>{for_tokens}}" if for_tokens else "")
        yield f"{self._dim}{heading}{self._reset}\n"
        for node, lasts in tree.walk():
            began = f"{self._dim}{offset(node.first - begin):>{for_offset - 1}}{self._reset} " if for_offset else ""
            tokens = f"{node.tokens:>{for_tokens},}" if node.tokens else ""
            figures = f"{_duration(node, index):>{_DURATION}}{tokens}".rstrip()
            branches = _branches(lasts)
            cell, used = self._cell(node, index, room - len(branches))
            gap = " " * (room - len(branches) - used) if figures else ""
            yield f"{began}{self._dim}{branches}{self._reset}{cell}{gap}{figures}\n"

    def _cell(self, node: Node, index: SessionIndex, room: int) -> tuple[str, int]:
        """Return what a node is, what became of it and what it was about, and how many columns that takes."""
        event_type = index.event_types[node.ordinal]
        data = {} if node.kind == AGENT else index.data(node.ordinal)
        closing = index.data(node.end) if node.end >= 0 else {}
        has_failed = event_type == "error" or (node.end >= 0 and index.event_types[node.end] == "error")
        sign = _AGENT if node.kind == AGENT else SYMBOLS["error"] if has_failed else SYMBOLS.get(event_type, UNKNOWN)
        shown_as = "error" if has_failed else "session_start" if node.kind == AGENT else event_type
        marks = ", ".join(_marks(node, data, closing, has_failed=has_failed))
        name = one_line(_name(node, event_type, data), None if self._full else _NAME_WIDTH)
        cell, used = "", 0
        for text, colour in (
            (f"{sign} {name}".rstrip(), COLOURS.get(shown_as, "")),
            (f"({marks})" if marks else "", YELLOW),
            (_about(node, event_type, data, closing), ""),
        ):
            left = room - used - 2  # the space before it, and one before the figures
            if text and (left > 0 or self._full):
                shown = one_line(text, None if self._full else left)
                cell += " " * bool(used) + (f"{colour}{shown}{RESET}" if colour and self._colour else shown)
                used += columns_in(shown) + bool(used)
        return cell, used


def _duration(node: Node, index: SessionIndex) -> str:
    if node.kind in (TURN, AGENT):
        duration = (node.last - node.first) * 1000 if node.children else None
    else:
        duration = index.duration_ms(node.end) if node.end >= 0 else None
    if duration is None:
        return ""
    return milliseconds(duration) if duration < _HOUR * 1000 else brief(duration / 1000)


def _branches(lasts: tuple[bool, ...]) -> str:
    """Return the lines before a node, by whether it and all it stands in are the last ones in their places."""
    if not lasts:
        return ""
    lasts = lasts[: _DEEPEST - 1] + lasts[-1:] if len(lasts) > _DEEPEST else lasts
    return "".join("   " if last else "│  " for last in lasts[:-1]) + ("└─ " if lasts[-1] else "├─ ")


def _name(node: Node, event_type: str, data: dict[str, Any]) -> str:
    if node.agent is not None:
        return node.agent.name
    if node.kind == TURN:
        return ""
    if node.kind == CALL:
        return text_of(data, "tool_name" if event_type == "tool_call" else "model") or "?"
    return text_of(data, "tool_name") if event_type == "error" else event_type if event_type not in _SAYS else ""


def _marks(node: Node, data: dict[str, Any], closing: dict[str, Any], *, has_failed: bool) -> Iterator[str]:
    """Yield what became of a node, when it is not simply well."""
    if node.kind == CALL and node.end < 0:
        yield "still open"
    elif has_failed:
        yield (text_of(closing or data, "outcome") or "error").replace("_", " ")
    elif closing.get("outcome"):
        yield text_of(closing, "outcome").replace("_", " ")
    if node.kind in (TURN, AGENT) and node.errors:
        yield f"{node.errors} error{'s' * (node.errors != 1)}"
    if node.kind == TURN and data.get("source"):
        yield text_of(data, "source").replace("_", " ")
    if node.times > 1:
        yield f"{nth(node.times)} time"


def _about(node: Node, event_type: str, data: dict[str, Any], closing: dict[str, Any]) -> str:
    """Return what tells a node apart: arguments, what was said, what went wrong."""
    if node.kind == CALL:
        arguments = data.get("arguments")
        name = text_of(data, "tool_name")
        told = telling_argument(name, arguments) if is_object(arguments) and arguments else ""
        said, answer = text_of(closing, "message"), text_of(closing, "content_preview")
        if event_type == "llm_request":
            return said or (f'"{_plain(answer)}"' if answer else "")
        return f"{told} — {said}" if told and said else told or said
    said = text_of(data, _SAYS[event_type]) if node.kind != AGENT and event_type in _SAYS else ""
    if event_type == "user_prompt" and data.get("source"):
        _, begin, rest = said.partition("<summary>")
        said = rest.partition("</summary>")[0] if begin else said
    return f'"{_plain(said)}"' if said and event_type in _QUOTED else said


def _plain(markdown: str) -> str:
    from agent_trace_otel.replay.markdown import plain_line

    return plain_line(markdown[:600])
