"""What botocore and aiobotocore give to be read: event streams and bodies -> stand-ins that are followed.

Called by `bedrock`. A stand-in has the type, the attributes and the methods of the original.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from agent_trace_instrumentors._stream import AsyncStream, Proxy, Watch, has_method, watched

if TYPE_CHECKING:
    from types import TracebackType

_MAX_BODY: Final = 1 << 23
"""Bytes kept of one body; a longer one is not read."""


class Pieces:
    """The bytes of a body, as far as they have been read."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._room = _MAX_BODY

    def add(self, piece: bytes) -> None:
        """Take some more."""
        self._room -= len(piece)
        if self._room >= 0:
            self._pieces.append(piece)

    def parsed(self) -> object:
        """Return the JSON value that they make, None if they make none."""
        try:
            value: object = json.loads(b"".join(self._pieces))
        except (ValueError, RecursionError):
            return None
        return value


def events(stream: Any, watch: Watch) -> Any:  # noqa: ANN401 - an EventStream
    """Return the stand-in of an event stream."""
    if not has_method(stream, "__aiter__"):
        return watched(stream, watch)
    watch.end_with(stream)
    return _AsyncEvents(stream, watch)


class _AsyncEvents(AsyncStream):
    """aiobotocore's event stream, whose ``__anext__`` is no such thing but makes the iterator."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return AsyncStream(aiter(self.__wrapped__), self._self_watch)


def body(given: Any, watch: Watch, length: object) -> Any:  # noqa: ANN401 - a StreamingBody
    """Return the stand-in of a body.

    Args:
        given: botocore's or aiobotocore's.
        watch: is told of the bytes as they are read, and that they were the last ones.
        length: how many there are, as the header has it.
    """
    kind = _AsyncBody if has_method(given, "__aiter__") else _Body
    stand_in = kind(given, watch, int(length) if isinstance(length, str) and length.isdecimal() else None)
    watch.end_with(stand_in)
    return stand_in


class _Read(Proxy):
    """What both kinds of body share. Iterating and reading by lines are told by the reads that they are made of."""

    def __init__(self, given: object, watch: Watch, length: int | None) -> None:
        super().__init__(given)
        self._self_watch = watch
        self._self_left = length
        self._self_kind: Any = type(given)

    def _took(self, data: bytes, *, is_last: bool) -> None:
        watch = self._self_watch
        if data:
            watch.chunk(bytes(data))
        if self._self_left is not None:
            self._self_left -= len(data)
        if is_last or self._self_left == 0:
            watch.end()

    def iter_chunks(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the client's own iterator
        """Return an iterator over pieces of a size."""
        return self._self_kind.iter_chunks(self, *args, **kwargs)

    def iter_lines(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the client's own iterator
        """Return an iterator over lines."""
        return self._self_kind.iter_lines(self, *args, **kwargs)

    def close(self) -> Any:  # noqa: ANN401 - the client's own method
        """Close the body, whatever is left of it."""
        try:
            return self.__wrapped__.close()
        finally:
            self._self_watch.abandon()


def _asks_for_all(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    amount = (*args, *kwargs.values(), None)[0]
    return amount is None or amount < 0


class _Body(_Read):
    """botocore's body."""

    def read(self, *args: Any, **kwargs: Any) -> bytes:
        """Read some bytes, or all there are."""
        data: bytes = self._stepped(self.__wrapped__.read, *args, **kwargs)
        self._took(data, is_last=not data or _asks_for_all(args, kwargs))
        return data

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any buffer
        """Read some bytes into a buffer."""
        count: int = self._stepped(self.__wrapped__.readinto, buffer)
        self._took(bytes(memoryview(buffer)[:count]), is_last=count == 0)
        return count

    def readlines(self, *args: Any) -> list[bytes]:
        """Read all there is, by lines."""
        lines: list[bytes] = self._stepped(self.__wrapped__.readlines, *args)
        self._took(b"".join(lines), is_last=True)
        return lines

    def _stepped(self, read: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - what it reads
        try:
            return read(*args, **kwargs)
        except BaseException as error:
            self._self_watch.error(error)
            raise

    def __iter__(self) -> Iterator[bytes]:
        chunks: Iterator[bytes] = self._self_kind.__iter__(self)
        return chunks

    def __next__(self) -> bytes:
        chunk: bytes = self._self_kind.__next__(self)
        return chunk

    next = __next__

    def __enter__(self) -> Any:  # noqa: ANN401 - what the original gives, or this in its place
        """Enter the body: the original gives the bare HTTP response, which reads the same bytes."""
        entered = self.__wrapped__.__enter__()
        return _Body(entered, self._self_watch, self._self_left)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> bool | None:
        try:
            swallowed: bool | None = self.__wrapped__.__exit__(kind, error, stack)
            return swallowed
        finally:
            self._self_watch.abandon()


class _AsyncBody(_Read):
    """aiobotocore's body."""

    async def read(self, *args: Any, **kwargs: Any) -> bytes:
        """Read some bytes, or all there are."""
        data: bytes = await self._stepped(self.__wrapped__.read(*args, **kwargs))
        self._took(data, is_last=not data or _asks_for_all(args, kwargs))
        return data

    async def readlines(self) -> list[bytes]:
        """Read all there is, by lines."""
        return [line async for line in self.iter_lines()]

    async def _stepped(self, read: Awaitable[Any]) -> Any:  # noqa: ANN401 - what it reads
        try:
            return await read
        except BaseException as error:
            self._self_watch.error(error)
            raise

    def __aiter__(self) -> AsyncIterator[bytes]:
        chunks: AsyncIterator[bytes] = self.iter_chunks()
        return chunks

    async def __aenter__(self) -> Any:  # noqa: ANN401 - what the original gives, or this in its place
        entered = await self.__wrapped__.__aenter__()
        return self if entered is self.__wrapped__ else entered

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> bool | None:
        try:
            swallowed: bool | None = await self.__wrapped__.__aexit__(kind, error, stack)
            return swallowed
        finally:
            self._self_watch.abandon()
