"""Facts -> lines of a terminal that begin with the event they come from.

Comes in: dicts with ``event_id`` and ``offset_ms`` (`ToolCalls.reference`), and text as recorded. Goes out: escaped
lines, cut to the width, plain or coloured. Called by the `lines` of explain/ and diff/.
"""

from __future__ import annotations

from agent_trace_otel.replay.durations import milliseconds, offset
from agent_trace_otel.replay.terminal import cut, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ID_SHOWN = 8
_OFFSET_WIDTH = 8


class EventLines:
    """Writes lines for one width.

    Args:
        width: columns of a line.
        colour: whether to write ANSI colours.
        full: cut nothing.
        longest_ms: the largest offset that will be shown, in milliseconds.
    """

    def __init__(self, width: int, *, colour: bool, full: bool, longest_ms: float) -> None:
        self.full = full
        self._colour = colour
        self._offset_width = max(_OFFSET_WIDTH, len(offset(longest_ms / 1000)))
        self._width = width

    @property
    def room(self) -> int:
        """Columns that a line has for text."""
        return max(self._width - self._offset_width - ID_SHOWN - 3, 1)

    def painted(self, text: str, code: str) -> str:
        """Return text in a colour, as an SGR parameter such as "31"; as it is without colours."""
        return f"\033[{code}m{text}\033[0m" if self._colour and code else text

    def titled(self, text: str, code: str = "") -> str:
        """Return recorded text as a line of its own."""
        return f"{self.painted(one_line(text, None if self.full else self._width), code)}\n"

    def heading(self, text: str) -> str:
        """Return a line of our own words that begins a section."""
        return f"\n{self.painted(text, '1')}\n"

    def plain(self, text: str) -> str:
        """Return a line of our own words that no event stands behind, such as how much was left out."""
        return f"{self.painted(text if self.full else cut(text, self._width), '2')}\n"

    def event(self, place: Mapping[str, Any], text: str, *, code: str = "", mark: str = "", lead: str = "") -> str:
        """Return the line of an event: ``mark``, offset, the first 8 characters of its id, ``lead``, the text.

        ``text`` is as recorded, ``mark`` and ``lead`` are words of ours.
        """
        head = f"{mark}{offset(place['offset_ms'] / 1000):>{self._offset_width}} "
        shown_id = one_line(place["event_id"][:ID_SHOWN].encode("ascii", "replace").decode("ascii"), ID_SHOWN)
        left = self._width - len(head) - ID_SHOWN - 2 - len(lead)
        shown = one_line(text, None if self.full else max(left, 1))
        place_text = self.painted(f"{head}{shown_id:<{ID_SHOWN}}", "2")
        return f"{place_text}  {self.painted(lead + shown, code)}\n"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 call``, ``2 calls``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def tools_text(tools: list[dict[str, Any]]) -> str:
    """Return how often each tool was called: ``Read, 2 Edit``."""
    return ", ".join(f"{tool['calls']} {tool['name']}" if tool["calls"] > 1 else tool["name"] for tool in tools)


def figures_text(summary: Mapping[str, Any]) -> str:
    """Return the figures of a session (`listing.summary`) on one line."""
    return (
        f"{milliseconds(summary['duration_ms'])}, {counted(summary['tool_calls'], 'tool call')}, "
        f"{counted(summary['llm_requests'], 'LLM call')}, {counted(summary['errors'], 'error')}, "
        f"{summary['total_tokens']:,} tokens"
    )
