"""What a stream's chunks are put together in: text that grows by pieces, within bounds.

Used by the assemblies of `chunks`, one file a provider.
"""

from __future__ import annotations

from io import StringIO
from typing import Protocol

from agent_trace_otel.content import to_json

MAX_TEXT = 3 << 18
"""Characters of text and tool arguments kept of one stream; with JSON's escapes they fit into one attribute."""
MAX_PIECES = 1_000
"""Choices, content blocks and tool calls kept of one stream."""


class Assembly(Protocol):
    """The chunks of one provider, put together."""

    def add(self, chunk: object) -> None:
        """Take one chunk."""
        ...

    def answer(self) -> object:
        """Return the answer so far, in the shape that `read_response` takes."""
        ...


class Room:
    """How much of one stream may still be kept."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_TEXT

    def keeps(self, value: object) -> bool:
        """Tell whether there is room for a value that comes in one piece, and take it."""
        size = len(to_json(value))
        kept = size <= self.left
        self.left -= size if kept else 0
        return kept


class Text:
    """Text that grows by pieces, as long as there is room."""

    __slots__ = ("_dropped", "_room", "_text", "used")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._text = StringIO()
        self._dropped = 0
        self.used = False

    def add(self, piece: str) -> None:
        """Take one more piece."""
        self.used = True
        room = self._room
        if len(piece) > room.left:
            self._dropped += len(piece) - room.left
            piece = piece[: room.left]
        room.left -= len(piece)
        self._text.write(piece)

    def value(self) -> str:
        """Return the text, with a mark where it was cut."""
        text = self._text.getvalue()
        return f"{text}… [cut: {self._dropped} characters]" if self._dropped else text
