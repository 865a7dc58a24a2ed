"""Bytes of one direction -> the messages in them: lines, Content-Length frames, HTTP bodies, server-sent events.

Comes in: chunks as they passed, cut anywhere. Goes out: `Framed` messages, not yet parsed. Pure; called by `recording`.
Whatever comes is taken: a message that is too long is kept by its two ends, a gap in the copies costs the message that
it lies in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

MAX_MESSAGE = 16 << 20
"""Bytes of one message that are kept whole."""
KEPT_HEAD, KEPT_TAIL = 1 << 16, 1 << 12
"""Bytes kept of each end of a longer one."""

_LENGTH = re.compile(rb"(?i)\s*content-length\s*:\s*(\d{1,12})\s*\Z")
_HEADER_LINE = re.compile(rb"(?i)content-(?:length|type)\s*:")


@dataclass(frozen=True, slots=True)
class Framed:
    """One message as it stood on the wire."""

    content: bytes
    """All of it; its beginning if it was too long."""
    tail: bytes = b""
    """The end of a message that was too long, else empty."""
    event: str = ""
    """The type of a server-sent event, else empty."""
    event_id: str = ""
    """Its id, if it has one of its own."""


class Framer(Protocol):
    """Finds the messages of one direction."""

    def feed(self, chunk: bytes) -> list[Framed]:
        """Return the messages that a chunk completes."""
        ...

    def gap(self) -> None:
        """Note that bytes are missing here."""
        ...

    def end(self) -> list[Framed]:
        """Return what was left when the direction ended."""
        ...


class _Gathered:
    """The bytes of one message so far."""

    def __init__(self) -> None:
        self.size = 0
        self._whole: bytes | bytearray = b""
        self._tail = b""

    def add(self, part: bytes) -> None:
        self.size += len(part)
        if self._tail:
            self._tail = (self._tail + part)[-KEPT_TAIL:]
            return
        if not self._whole:
            self._whole = part  # as most messages come: in one piece, which is not copied
        elif isinstance(self._whole, bytes):
            self._whole = bytearray(self._whole) + part
        else:
            self._whole += part
        if self.size > MAX_MESSAGE:
            self.cut(bytes(self._whole[-KEPT_TAIL:]))

    def cut(self, tail: bytes) -> None:
        """Keep the beginning of what is there, and ``tail`` as its end."""
        self._whole, self._tail = bytes(self._whole[:KEPT_HEAD]), tail

    def take(self) -> Framed:
        found = Framed(bytes(self._whole), self._tail)
        self.size, self._whole, self._tail = 0, b"", b""
        return found


class LineFramer:
    """stdio: one message a line (MCP, transports, stdio); Content-Length frames, which some servers speak, are read."""

    def __init__(self) -> None:
        self._gathered = _Gathered()
        self._body = -1
        """Bytes of a Content-Length frame still to come; -1 outside of one."""
        self._length = -1
        """What its header said, while the header lasts."""
        self._is_torn = False

    def feed(self, chunk: bytes) -> list[Framed]:
        """Return the messages that a chunk completes."""
        found: list[Framed] = []
        start = 0
        while start < len(chunk):
            if self._body >= 0:
                part = chunk[start : start + self._body]
                self._gathered.add(part)
                start += len(part)
                self._body -= len(part)
                if self._body == 0:
                    self._body = -1
                    found.append(self._gathered.take())
                continue
            newline = chunk.find(b"\n", start)
            if newline < 0:
                self._gathered.add(chunk[start:])
                break
            self._gathered.add(chunk[start:newline])
            start = newline + 1
            line = self._gathered.take()
            if self._is_torn:
                self._is_torn = False
            elif self._read_header(line.content):
                continue
            elif line.content.strip():
                found.append(line)
        return found

    def _read_header(self, line: bytes) -> bool:
        """Tell whether a line belongs to the header of a Content-Length frame."""
        if self._length < 0 and not _HEADER_LINE.match(line):
            return False
        if line.strip():
            stated = _LENGTH.match(line)
            self._length = int(stated[1]) if stated else max(self._length, 0)
        else:
            self._body, self._length = self._length or -1, -1
        return True

    def gap(self) -> None:
        """Leave out what is torn, up to the next line."""
        self._gathered = _Gathered()
        self._body = self._length = -1
        self._is_torn = True

    def end(self) -> list[Framed]:
        """Return a last line without its end."""
        last = self._gathered.take()
        return [last] if last.content.strip() and not self._is_torn else []


class BodyFramer:
    """An HTTP body that is one message (or one batch)."""

    def __init__(self) -> None:
        self._gathered = _Gathered()
        self._is_torn = False

    def feed(self, chunk: bytes) -> list[Framed]:
        """Keep a chunk; a body is complete at its end."""
        self._gathered.add(chunk)
        return []

    def gap(self) -> None:
        """Give the body up."""
        self._is_torn = True

    def end(self) -> list[Framed]:
        """Return the body."""
        body = self._gathered.take()
        return [body] if body.content.strip() and not self._is_torn else []


class EventFramer:
    """Server-sent events (WHATWG HTML, 9.2.6): the data of each event is one message."""

    def __init__(self) -> None:
        self._line = _Gathered()
        self._event_data = _Gathered()
        self._has_data = False
        self._event = self._id = ""
        self._ends_in_cr = False
        self._is_torn = False

    def feed(self, chunk: bytes) -> list[Framed]:
        """Return the events that a chunk completes."""
        if not chunk:  # what a decoder has to say of bytes that complete nothing
            return []
        if self._ends_in_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
        self._ends_in_cr = chunk[-1:] == b"\r"
        if b"\r" in chunk:  # JSON text holds none, so it ends a line wherever it stands
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        found: list[Framed] = []
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._line.add(line)
            self._take_line(self._line.take(), found)
        self._line.add(rest)
        return found

    def _take_line(self, line: Framed, found: list[Framed]) -> None:
        if not line.content:
            data = self._event_data.take()
            if self._has_data and not self._is_torn:
                found.append(Framed(data.content, data.tail, self._event or "message", self._id))
            self._has_data, self._event, self._id, self._is_torn = False, "", "", False
            return
        name, _, value = line.content.removeprefix(b"\xef\xbb\xbf").partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id":
            self._id = value.decode("utf-8", "replace")
        elif name == b"data":
            self._event_data.add(b"\n" + value if self._has_data else value)
            self._has_data = True
            if line.tail:
                self._event_data.cut(line.tail)

    def gap(self) -> None:
        """Leave out what is torn, up to the next event."""
        self._line = _Gathered()
        self._is_torn = True

    def end(self) -> list[Framed]:
        """Return nothing: an event that was not completed is none."""
        return []
