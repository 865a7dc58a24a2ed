"""Tables as wide as what they are written for: which columns are shown, and how wide the names before them are.

Comes in: names as recorded, columns with a rank, rows of figures, a width. Goes out: lines of text. Called by `listing`
and `stats_table`.
"""

from __future__ import annotations

from agent_trace_otel.replay.terminal import columns_in, cut, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

DIM, RESET = "\033[2m", "\033[0m"
_NARROWEST = 8  # columns of a name
_WIDE = 60  # columns of a line that has room for text behind its figures


class Column:
    """A column of figures, right-aligned.

    Args:
        heading: what stands above it.
        key: the member of a row that it shows.
        width: how many columns of the terminal it takes.
        rank: 0 for a column that is always shown; of the others those with the highest rank are left out first.
    """

    __slots__ = ("heading", "key", "rank", "width")

    def __init__(self, heading: str, key: str, width: int, rank: int = 0) -> None:
        self.heading = heading
        self.key = key
        self.width = width
        self.rank = rank


def fitting(columns: Sequence[Column], room: int) -> list[Column]:
    """Return the columns that fit into ``room``, each with the space before it, in their order."""
    kept = list(columns)
    while taken(kept) > room and any(column.rank for column in kept):
        kept.remove(max(kept, key=lambda column: column.rank))
    return kept


def taken(columns: Sequence[Column]) -> int:
    """Return what columns take of a line."""
    return sum(column.width + 1 for column in columns)


def table(  # noqa: PLR0913 - what a table is made of
    heading: str,
    named: Sequence[tuple[str, dict[str, Any]]],
    columns: Sequence[Column],
    shown: Callable[[str, Any], str],
    width: int,
    *,
    colour: bool,
    last: str = "",
) -> Iterator[str]:
    """Yield the lines of a table: the heading, then a line for each name, none of them wider than ``width``.

    Args:
        heading: what stands above the names.
        named: names, escaped and at most as wide as they may be shown, and their figures.
        columns: those to choose from.
        shown: (key, value) -> text of a cell.
        width: columns of a line.
        colour: whether the heading is dimmed.
        last: the member of a row that is shown behind the figures as text, escaped, if there is room; "" for none.
    """
    dim, reset = (DIM, RESET) if colour else ("", "")
    widest = max(columns_in(name) for name in (heading, *(name for name, _ in named)))
    kept = fitting(columns, width - min(widest, max(_NARROWEST, width // 3)))
    room = min(widest, max(width - taken(kept), _NARROWEST))
    behind = width - room - taken(kept) - 2 if last else 0
    if last and behind < _NARROWEST and width >= _WIDE:
        behind = _NARROWEST * 2
        room = min(room, width - taken(kept) - 2 - behind)
    titles = "".join(f" {column.heading:>{column.width}}" for column in kept)
    title = f"  {last.upper()}" if behind >= _NARROWEST else ""
    yield f"{dim}{padded(heading, room)}{titles}{title}{reset}\n"
    for name, row in named:
        cells = "".join(f" {shown(column.key, row[column.key]):>{column.width}}" for column in kept)
        text = f"  {cut(row[last], behind)}" if title else ""
        yield f"{padded(cut(name, room), room)}{cells}{text}\n"


def padded(text: str, width: int) -> str:
    """Return text followed by spaces up to ``width`` columns."""
    return text + " " * (width - columns_in(text))


def ending_of(text: str, width: int) -> str:
    """Return a text's end of at most ``width`` columns, escaped: of a path it is what tells most."""
    line = one_line(text, None)
    if columns_in(line) <= width:
        return line
    # what is cut off is cut off at the other end of the text read backwards
    return cut(line[::-1], width)[::-1]
