"""A stream of the user's -> the same stream, with somebody told of each chunk and, exactly once, of the end.

Comes in: what a client returned to be iterated, sync or async, and hooks. Goes out: a stand-in that has the type, the
attributes and the methods of the original. Called by every instrumentor whose library streams, mostly through
`_model_call`, whose `ModelCall` is such hooks.

How an instrumentor uses it:

    watch = Watch(hooks)
    return watched(stream, watch)   # iterate this one in the original's place

The end comes with the last chunk, an exception, the exit of ``with``, close() or aclose(), or when the original is
garbage. A helper object that iterates an inner stream (an accumulator, a ``text_stream``) is best given a watched inner
stream: what it does to that is seen, whichever method the user calls. A stand-in cannot be watched twice, and a `Watch`
may stand behind several stand-ins of one stream.
"""

from __future__ import annotations

import functools
import inspect
import os
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol

import wrapt
from opentelemetry import context as context_api

from agent_trace_otel import guard

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.context import Context

    Proxy = wrapt.ObjectProxy[Any]
else:
    Proxy = getattr(wrapt, "BaseObjectProxy", wrapt.ObjectProxy)  # wrapt 1.x has one class, which also has __iter__

_CLOSING: Final = frozenset({"close", "aclose"})


class Hooks(Protocol):
    """Who is told of a stream. Whatever a hook raises is reported and goes no further."""

    def chunk(self, item: Any, /) -> None:  # noqa: ANN401 - the client's own values
        """Take one chunk; this stands between the user and the user's chunk, so it takes microseconds."""
        ...

    def end(self, *, is_abandoned: bool) -> None:
        """Take the end of a stream: it is used up, or nobody reads on (which is no error)."""
        ...

    def error(self, error: BaseException) -> None:
        """Take what the stream raised; no `Exception` but a cancellation or ^C is an interruption."""
        ...


class Watch:
    """Hooks that hear of one end only, whoever tells it first, in whichever thread.

    Args:
        hooks: who is told.
        context: the context in which the stream's own code runs, attached around each step; by default the caller's.
    """

    __slots__ = ("__weakref__", "_finalizer", "_hooks", "_open", "context", "is_stepping")

    def __init__(self, hooks: Hooks, context: Context | None = None) -> None:
        self._open = [hooks]  # list.pop is atomic: one end is the first
        self._finalizer: weakref.finalize[Any, Any] | None = None
        self._hooks = hooks
        self.context = context
        self.is_stepping = False
        """True while the stream's own code makes the next chunk: who closes it then is the stream itself."""

    @property
    def is_over(self) -> bool:
        """Whether the end was told."""
        return not self._open

    def chunk(self, item: object) -> None:
        """Tell of a chunk; after the end there are none."""
        if self._open:
            try:
                self._hooks.chunk(item)
            except Exception as error:  # noqa: BLE001 - never the user's problem
                guard.report("read a chunk of a stream", error)

    def end(self) -> None:
        """Tell that the stream is used up."""
        hooks = self._take()
        if hooks is not None:
            _end(hooks, is_abandoned=False)

    def abandon(self) -> None:
        """Tell that nobody reads on, unless it is the stream that puts itself away while it makes its next chunk."""
        hooks = None if self.is_stepping else self._take()
        if hooks is not None:
            _end(hooks, is_abandoned=True)

    def error(self, error: BaseException) -> None:
        """Tell what the stream raised."""
        hooks = self._take()
        if hooks is not None:
            _fail(hooks, error)

    def end_with(self, owner: object) -> None:
        """Abandon the stream when ``owner`` is garbage, or at the program's end; the last owner named counts."""
        if self._open:
            if self._finalizer is not None:
                self._finalizer.detach()
            self._finalizer = weakref.finalize(owner, self._forgotten, os.getpid())

    def _forgotten(self, pid: int) -> None:
        if pid != os.getpid():  # a fork's copy: the stream is its parent's
            return
        self.is_stepping = False  # nobody can be: it was garbage
        self.abandon()

    def _take(self) -> Hooks | None:
        try:
            hooks = self._open.pop()
        except IndexError:
            return None
        if self._finalizer is not None:
            self._finalizer.detach()
        return hooks


@guard.guarded("end the span of a stream")
def _end(hooks: Hooks, *, is_abandoned: bool) -> None:
    hooks.end(is_abandoned=is_abandoned)


@guard.guarded("end the span of a stream")
def _fail(hooks: Hooks, error: BaseException) -> None:
    hooks.error(error)


def watched(stream: Any, watch: Watch) -> Any:  # noqa: ANN401 - any stream
    """Return the stand-in of a stream: sync or async, as the stream is; what is neither is returned as it is."""
    if has_method(stream, "__anext__", "__aiter__"):
        proxy: Any = AsyncStream(stream, watch)
    elif has_method(stream, "__next__", "__iter__"):
        proxy = SyncStream(stream, watch)
    else:
        return stream
    try:
        watch.end_with(stream)
    except TypeError:  # an object that takes no weak references: the stand-in is as good
        watch.end_with(proxy)
    return proxy


def has_method(value: object, *names: str) -> bool:
    """Tell whether a value's class has one of these methods; a mock's instance would have any."""
    return any(hasattr(type(value), name) for name in names)


class _Stream(Proxy):
    """What both kinds share: leaving ``with`` and closing ends the stream."""

    def __init__(self, stream: object, watch: Watch) -> None:
        super().__init__(stream)
        self._self_watch = watch

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the client's own attributes
        value = super().__getattr__(name)
        return _closing(value, self._self_watch) if name in _CLOSING and callable(value) else value


def _closing(close: Callable[..., Any], watch: Watch) -> Callable[..., Any]:
    """Return a close method, sync or async, that tells of the end."""

    @functools.wraps(close)
    def closing(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the client's own method
        try:
            result = close(*args, **kwargs)
        except BaseException:
            watch.abandon()
            raise
        if inspect.isawaitable(result):
            return _closed_later(result, watch)
        watch.abandon()
        return result

    return closing


async def _closed_later(closed: Awaitable[Any], watch: Watch) -> Any:  # noqa: ANN401 - the client's own method
    try:
        return await closed
    finally:
        watch.abandon()


class SyncStream(_Stream):
    """A stream for ``for``."""

    def __iter__(self) -> Iterator[Any]:
        stream: Any = self.__wrapped__
        if has_method(stream, "__next__"):
            return self
        return SyncStream(iter(stream), self._self_watch)

    def __next__(self) -> Any:  # noqa: ANN401 - the client's own values
        watch = self._self_watch
        token = None if watch.context is None else context_api.attach(watch.context)
        watch.is_stepping = True
        try:
            item = next(self.__wrapped__)
        except StopIteration:
            watch.end()
            raise
        except BaseException as error:
            watch.error(error)
            raise
        finally:
            watch.is_stepping = False
            if token is not None:
                context_api.detach(token)
        watch.chunk(item)
        return item

    def __enter__(self) -> Any:  # noqa: ANN401 - the stream, or what its manager gives
        entered = self.__wrapped__.__enter__()
        return self if entered is self.__wrapped__ else watched(entered, self._self_watch)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> bool | None:
        try:
            swallowed: bool | None = self.__wrapped__.__exit__(kind, error, stack)
            return swallowed
        finally:
            self._self_watch.abandon()


class AsyncStream(_Stream):
    """A stream for ``async for``."""

    def __aiter__(self) -> AsyncIterator[Any]:
        stream: Any = self.__wrapped__
        if has_method(stream, "__anext__"):
            return self
        return AsyncStream(aiter(stream), self._self_watch)

    async def __anext__(self) -> Any:  # noqa: ANN401 - the client's own values
        watch = self._self_watch
        token = None if watch.context is None else context_api.attach(watch.context)
        watch.is_stepping = True
        try:
            item = await anext(self.__wrapped__)
        except StopAsyncIteration:
            watch.end()
            raise
        except BaseException as error:
            watch.error(error)
            raise
        finally:
            watch.is_stepping = False
            if token is not None:
                context_api.detach(token)
        watch.chunk(item)
        return item

    async def __aenter__(self) -> Any:  # noqa: ANN401 - the stream, or what its manager gives
        entered = await self.__wrapped__.__aenter__()
        return self if entered is self.__wrapped__ else watched(entered, self._self_watch)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> bool | None:
        try:
            swallowed: bool | None = await self.__wrapped__.__aexit__(kind, error, stack)
            return swallowed
        finally:
            self._self_watch.abandon()
