"""Generators whose first step runs inside something of ours; what comes after is theirs alone.

Comes in: a generator that has not begun, and a context manager. Goes out: a generator that does the same. Called where
a framework's stream calls a model's client in its first step: nothing of ours may be left in the caller's context
between the steps.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import AbstractContextManager
from typing import Any


def first_step_in(scope: AbstractContextManager[object], inner: Iterator[Any]) -> Generator[Any, Any, None]:
    """Iterate a generator, its first step inside ``scope``."""
    yield from _Steps(scope, inner)


class _Steps:
    """What ``yield from`` asks of a generator."""

    def __init__(self, scope: AbstractContextManager[object], inner: Any) -> None:  # noqa: ANN401 - a generator of others
        self._scope: AbstractContextManager[object] | None = scope
        self._inner = inner
        for name in ("send", "throw", "close"):  # those that it hands on, if they are there
            if hasattr(inner, name):
                setattr(self, name, getattr(inner, name))

    def __iter__(self) -> _Steps:
        return self

    def __next__(self) -> Any:  # noqa: ANN401 - the user's own values
        scope, self._scope = self._scope, None
        if scope is None:
            return next(self._inner)
        with scope:
            return next(self._inner)


async def afirst_step_in(scope: AbstractContextManager[object], inner: Any) -> AsyncGenerator[Any, Any]:  # noqa: ANN401 - as above
    """Do the same with an asynchronous generator."""
    try:
        with scope:
            item = await anext(inner)
    except StopAsyncIteration:
        return
    while True:
        try:
            yield item
        except GeneratorExit:
            await inner.aclose()
            raise
        except BaseException as error:  # noqa: BLE001 - it is thrown into the original, which decides
            following = inner.athrow(error)
        else:
            following = anext(inner)
        try:
            item = await following
        except StopAsyncIteration:
            return
