"""A generator whose first step runs inside something: a generator like any other to whoever iterates it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager
from typing import Any

import pytest

from agent_trace_instrumentors._first_step import afirst_step_in, first_step_in


class Scope:
    def __init__(self) -> None:
        self.depth = 0

    @contextmanager
    def __call__(self) -> Generator[None, None, None]:
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1


@pytest.fixture
def scope() -> Scope:
    return Scope()


def items(scope: Scope, seen: list[Any]) -> Generator[int, None, None]:
    try:
        for number in range(3):
            seen.append(scope.depth)
            yield number
    except BaseException as error:
        seen.append(type(error).__name__)
        raise


async def aitems(scope: Scope, seen: list[Any]) -> AsyncGenerator[int, None]:
    try:
        for number in range(3):
            seen.append(scope.depth)
            yield number
    except BaseException as error:
        seen.append(type(error).__name__)
        raise


def test_the_first_step_alone_is_inside(scope: Scope) -> None:
    seen: list[Any] = []
    stepping = first_step_in(scope(), items(scope, seen))
    assert seen == []
    assert list(stepping) == [0, 1, 2]
    assert seen == [1, 0, 0]
    assert scope.depth == 0


def test_the_same_asynchronously(scope: Scope) -> None:
    seen: list[Any] = []

    async def main() -> list[int]:
        return [item async for item in afirst_step_in(scope(), aitems(scope, seen))]

    assert asyncio.run(main()) == [0, 1, 2]
    assert seen == [1, 0, 0]


@pytest.mark.parametrize("steps", [1, 2])
def test_closing_and_throwing_reach_the_original(scope: Scope, steps: int) -> None:
    seen: list[Any] = []
    stepping = first_step_in(scope(), items(scope, seen))
    for _ in range(steps):
        next(stepping)
    stepping.close()
    assert seen[-1] == "GeneratorExit"
    stepping = first_step_in(scope(), items(scope, seen))
    for _ in range(steps):
        next(stepping)
    with pytest.raises(KeyError):
        stepping.throw(KeyError("x"))
    assert seen[-1] == "KeyError"


@pytest.mark.parametrize("steps", [1, 2])
def test_the_same_asynchronously_thrown(scope: Scope, steps: int) -> None:
    seen: list[Any] = []

    async def main() -> None:
        stepping = afirst_step_in(scope(), aitems(scope, seen))
        for _ in range(steps):
            await anext(stepping)
        await stepping.aclose()
        assert seen[-1] == "GeneratorExit"
        stepping = afirst_step_in(scope(), aitems(scope, seen))
        for _ in range(steps):
            await anext(stepping)
        with pytest.raises(KeyError):
            await stepping.athrow(KeyError("x"))
        assert seen[-1] == "KeyError"

    asyncio.run(main())


def test_one_that_is_empty_or_fails_at_once(scope: Scope) -> None:
    def fails() -> Generator[int, None, None]:
        raise KeyError
        yield

    assert list(first_step_in(scope(), iter(()))) == []
    with pytest.raises(KeyError):
        list(first_step_in(scope(), fails()))
    assert scope.depth == 0


def test_what_is_no_generator_is_iterated_too(scope: Scope) -> None:
    assert list(first_step_in(scope(), iter([1, 2]))) == [1, 2]
