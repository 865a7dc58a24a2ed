"""A row of the page, and the few words that tell it from others.

Comes in: names, arguments and texts as recorded. Goes out: Row objects with harmless text. Pure; rows are made by
`span_rows` and `event_rows`, sorted by `order` and written by `page`.
"""

from __future__ import annotations

from agent_trace_otel.replay.arguments import telling_argument
from agent_trace_otel.replay.html.readable import parsed
from agent_trace_otel.replay.markdown import plain_line
from agent_trace_otel.replay.terminal import one_line
from agent_trace_otel.store.lines import as_text, is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OPEN = "open"
NOWHERE = (-1, -1)
LATEST = 9e9  # unix seconds; nanoseconds beyond it are no 64-bit time
_NAME_WIDTH, _SUMMARY_WIDTH = 60, 200


class Row:
    """One row.

    ``key`` and ``parent`` are span ids, or stand for them; ``start`` and ``end`` unix nanoseconds, ``end`` None for a
    call that is open and for what has no duration. ``outcome`` is "" for a call that went well and for what is no call,
    `OPEN`, or a value of ``agent_trace.outcome``. ``agent`` is the sub-agent that a call belongs to. ``place`` says
    where the page holds the detail: block and place in it.

    Of spans: ``same`` are the spans that are the same call, ``is_rough`` says that its numbers are not to be relied on,
    ``over_mcp`` that a tool was called over MCP, with ``arguments``.
    """

    __slots__ = (
        "agent",
        "arguments",
        "cost",
        "depth",
        "end",
        "failed",
        "is_rough",
        "key",
        "kind",
        "name",
        "outcome",
        "over_mcp",
        "parent",
        "place",
        "same",
        "start",
        "summary",
        "tokens",
    )

    def __init__(self, key: str, parent: str, kind: str, start: int, end: int | None = None) -> None:
        self.key, self.parent, self.kind = key, parent, kind
        self.start, self.end = start, end
        self.name = self.summary = self.outcome = self.agent = ""
        self.failed = False
        self.tokens, self.cost = 0, 0.0
        self.depth = 0
        self.place: tuple[int, int] = NOWHERE
        self.same: tuple[str, ...] = ()
        self.is_rough = self.over_mcp = False
        self.arguments: Any = None

    def say(self, name: str, summary: str) -> None:
        """Name the row, and say what tells it apart from others of the name."""
        self.name, self.summary = one_line(name, _NAME_WIDTH), one_line(summary, _SUMMARY_WIDTH)


def told_by(tool: str, arguments: Any) -> str:  # noqa: ANN401 - JSON
    """Return what tells a tool call from others, by its arguments or the JSON text of them."""
    found = parsed(arguments) if isinstance(arguments, str) else arguments
    return telling_argument(tool, found) if is_object(found) else "" if found is None else as_text(found)


def plain(markdown: str) -> str:
    """Return the beginning of what a model wrote, as much as a row can show."""
    return plain_line(markdown[: 3 * _SUMMARY_WIDTH])  # marks take room that is not shown
