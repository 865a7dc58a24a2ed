"""The body of an HTTP request: a stream -> bytes, unpacked and never more than was agreed.

Comes in: the stream behind a request's head and the headers that tell how it is framed and packed. Goes out: its
content. Called by `serving`. ``http.server`` leaves chunked bodies (RFC 9112, 7.1) to its callers; Node's exporters
send nothing else.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, Protocol

from agent_trace_otel.capture.collect.answers import RefusedError

MAX_BODY: Final = 64 << 20
"""Bytes of one body, packed or unpacked: a batch of 512 spans with whole conversations is some 30 MiB."""
MAX_IN_MEMORY: Final = 3 * MAX_BODY
"""Bytes of all bodies that are being read at a time."""

_PIECE: Final = 1 << 16
_LONGEST_LINE: Final = 4096
_ZLIB_OR_GZIP: Final = 32 + zlib.MAX_WBITS  # zlib's manual, inflateInit2
_ENCODINGS: Final = ("gzip", "x-gzip", "deflate")


class Stream(Protocol):
    """What is asked of a request's stream."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, none at the end."""
        ...

    def readline(self, size: int, /) -> bytes:
        """Return a line, or so many bytes of it."""
        ...


class Headers(Protocol):
    """What is asked of a request's headers."""

    def get(self, name: str, default: str, /) -> str:
        """Return a header's value."""
        ...


class Memory:
    """How many bytes of bodies may be held at a time, for all connections together."""

    def __init__(self, limit: int = MAX_IN_MEMORY) -> None:
        self._left = limit
        self._lock = threading.Lock()

    @contextmanager
    def held(self) -> Generator[Held, None, None]:
        """Give back what one request has taken, when it is over."""
        held = Held(self)
        try:
            yield held
        finally:
            self.take(-held.size)

    def take(self, size: int) -> None:
        """Count bytes in, or out if negative.

        Raises:
            RefusedError: there are too many.
        """
        with self._lock:
            if size > self._left:
                raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "too much at a time; send it again in a second")
            self._left -= size


class Held:
    """What one request holds."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.size = 0

    def grow(self, size: int) -> None:
        """Count more bytes.

        Raises:
            RefusedError: the request is too large, or all of them are.
        """
        if self.size + size > MAX_BODY:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        self._memory.take(size)
        self.size += size


_TOO_LARGE = f"the request is larger than {MAX_BODY >> 20} MiB, unpacked; send fewer spans at a time"


def read(stream: Stream, headers: Headers, held: Held) -> bytes:
    """Return a request's body, unpacked.

    Args:
        stream: begins where the head ended.
        headers: those of the request.
        held: counts what is read.

    Raises:
        RefusedError: it is too large, or not framed or packed as its headers say.
        OSError: the client is gone.
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity", *_ENCODINGS):
        msg = f"Content-Encoding {encoding[:40]!r} is not understood; gzip, deflate and none are"
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, msg)
    pieces = _pieces(stream, headers)
    if encoding in _ENCODINGS:
        pieces = _unpacked(pieces, encoding)
    found: list[bytes] = []
    for piece in pieces:
        held.grow(len(piece))
        found.append(piece)
    return b"".join(found)


def _pieces(stream: Stream, headers: Headers) -> Iterator[bytes]:
    coding = headers.get("transfer-encoding", "").strip().lower()
    if coding == "chunked":
        return _chunks(stream)
    length = headers.get("content-length", "").strip()
    if coding or not (length.isascii() and length.isdigit()):
        raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "the request says neither Content-Length nor chunked")
    if int(length) > MAX_BODY:
        raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
    return _counted(stream, int(length))


def _counted(stream: Stream, left: int) -> Iterator[bytes]:
    while left:
        piece = stream.read(min(left, _PIECE))
        if not piece:
            msg = "the client went away in the middle of a request"
            raise ConnectionResetError(msg)
        left -= len(piece)
        yield piece


def _chunks(stream: Stream) -> Iterator[bytes]:
    while size := _chunk_size(_line(stream)):
        yield from _counted(stream, size)
        if _line(stream):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "a chunk is longer than it says")
    while _line(stream):  # trailer fields, which nobody asks for
        pass


def _line(stream: Stream) -> bytes:
    line = stream.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        msg = "the client went away in the middle of a request"
        raise ConnectionResetError(msg)
    return line.rstrip(b"\r\n")


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    try:
        size = int(digits, 16) if digits.isalnum() else -1
    except ValueError:
        size = -1
    if size < 0:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "a chunk has no length")
    if size > MAX_BODY:
        raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
    return size


def _unpacked(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield what is packed, a piece at a time: a few bytes can stand for gigabytes."""
    unpacking = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        for packed in pieces:
            rest = packed
            while rest and not unpacking.eof:
                yield unpacking.decompress(rest, _PIECE)
                rest = unpacking.unconsumed_tail
        while not unpacking.eof and (last := unpacking.decompress(unpacking.unconsumed_tail, _PIECE)):
            yield last
    except zlib.error as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"the body is not {encoding}: {error}") from None
    if not unpacking.eof:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"the body is not {encoding}: it ends too early")
