"""The body of a model's HTTP answer, when the program reads it itself: pieces passed on -> what they say.

Called by `_stainless`, for responses of httpx and of its successors, which share this part. A body that a stream of the
client's reads is only watched: the stream's chunks are followed where they are made.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Final

from agent_trace_instrumentors._stream import Proxy, Watch
from agent_trace_otel import model_io

_MAX_BODY: Final = 1 << 23
"""Bytes kept of a body."""
_EVENT_START: Final = re.compile(rb"\s*(?:data|event|id|retry)?:")
_EVENT_END: Final = re.compile(r"\r\n\r\n|\n\n|\r\r")


class ReceivedBody:
    """What has come of a body, as it goes over the wire."""

    def __init__(self, response: Any) -> None:  # noqa: ANN401 - an HTTP response
        self.headers: Mapping[str, str] = response.headers
        self.pieces: list[bytes] = []
        self._kind: Any = type(response)
        self._room = _MAX_BODY

    def add(self, piece: bytes) -> None:
        """Keep a piece, as long as there is room."""
        if self._room > 0:
            self._room -= len(piece)
            self.pieces.append(piece)

    def decoded(self) -> bytes:
        """Return the body without its content encoding, undone as a response of the same kind would."""
        body: bytes = self._kind(200, headers=self.headers, content=b"".join(self.pieces)).content
        return body


def is_events(body: bytes, headers: Mapping[str, str]) -> bool:
    """Tell whether a body is server-sent events; not every server names the content type."""
    return "event-stream" in headers.get("content-type", "") or _EVENT_START.match(body) is not None


def read_events(body: bytes) -> model_io.StreamReading:
    """Return the reading of server-sent events, the last of which may be cut short."""
    reading = model_io.StreamReading()
    for event in _EVENT_END.split(body.decode("utf-8", "replace")):
        data = "\n".join(line[5:].strip() for line in event.splitlines() if line.startswith("data:"))
        found = parsed(data)
        if found is not None:  # [DONE], a comment
            reading.add(found)
    return reading


def parsed(text: str | bytes) -> object:
    """Return parsed JSON, None of what is none."""
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found


class WatchedBody(Proxy):
    """The byte stream of a response, in its place.

    Args:
        body: the byte stream.
        watch: who is told of the end.
        receive: takes each piece that the program reads itself.
    """

    def __init__(self, body: object, watch: Watch, receive: Callable[[bytes], None]) -> None:
        super().__init__(body)
        self._self_watch = watch
        self._self_receive = receive

    @property
    def agent_trace_watch(self) -> Watch:
        """Who is told of the end."""
        return self._self_watch

    def __iter__(self) -> Iterator[bytes]:
        pieces = iter(self.__wrapped__)
        return pieces if self._self_watch.is_stepping else self._read(pieces)

    def _read(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        watch = self._self_watch
        try:
            for piece in pieces:
                self._self_receive(piece)
                yield piece
        except Exception as error:
            watch.error(error)
            raise
        watch.end()

    def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = aiter(self.__wrapped__)
        return pieces if self._self_watch.is_stepping else self._aread(pieces)

    async def _aread(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        watch = self._self_watch
        try:
            async for piece in pieces:
                self._self_receive(piece)
                yield piece
        except (Exception, asyncio.CancelledError) as error:
            watch.error(error)
            raise
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()
        watch.end()

    def close(self) -> None:
        """Close the byte stream; what is not read by now is not going to be."""
        try:
            self.__wrapped__.close()
        finally:
            self._self_watch.abandon()

    async def aclose(self) -> None:
        """Close the byte stream, as above."""
        try:
            await self.__wrapped__.aclose()
        finally:
            self._self_watch.abandon()
