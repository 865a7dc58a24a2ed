"""Watched streams: whatever is iterated, the hooks hear of every chunk and of one end."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import programs
import pytest
from opentelemetry import context as context_api

from agent_trace_instrumentors._stream import AsyncStream, SyncStream, Watch, watched
from agent_trace_otel import guard


class Heard:
    """Hooks that remember."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def chunk(self, item: Any) -> None:
        self.told.append(item)

    def end(self, *, is_abandoned: bool) -> None:
        self.told.append("abandoned" if is_abandoned else "end")

    def error(self, error: BaseException) -> None:
        self.told.append(type(error))


class Client:
    """A client's own stream object: iterator, context manager, with methods that read on."""

    def __init__(self, *items: Any) -> None:
        self.items = iter(items)
        self.model = "colour-1"
        self.closed = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        item = next(self.items)
        if isinstance(item, BaseException):
            raise item
        return item

    def __enter__(self) -> Client:  # noqa: PYI034 - Self is of a later Python
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> str:
        self.closed += 1
        return "closed"


class Manager:
    """What gives its stream on entry."""

    def __init__(self, stream: Client) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError  # it looks like a stream; what is iterated is what it gives on entry

    def __enter__(self) -> Client:
        return self.stream

    def __exit__(self, *_: object) -> bool:
        return True


def watch(stream: Any, **settings: Any) -> tuple[Any, list[Any]]:
    heard = Heard()
    return watched(stream, Watch(heard, **settings)), heard.told


@pytest.fixture(autouse=True)
def _no_failure() -> Iterator[None]:
    guard.failures.clear()
    yield
    assert guard.failures == {}


def test_the_stand_in_is_what_it_stands_for() -> None:
    stream, told = watch(Client(1, 2))
    assert isinstance(stream, Client)
    assert type(stream) is SyncStream
    assert (stream.model, stream.__class__) == ("colour-1", Client)
    assert iter(stream) is stream
    assert not hasattr(stream, "aclose")
    assert list(stream) == [1, 2]
    assert told == [1, 2, "end"]


def test_the_end_is_told_once_whoever_tells_it() -> None:
    stream, told = watch(Client(1))
    with stream as entered:
        assert entered is stream
        assert list(stream) == [1]
        assert next(stream, "over") == "over"
    assert stream.close() == "closed"
    del stream, entered
    gc.collect()
    assert told == [1, "end"]


def test_an_iterable_that_is_no_iterator_is_followed_through_its_iterator() -> None:
    stream, told = watch(["a", "b"])
    assert list(stream) == ["a", "b"]
    assert told == ["a", "b", "end"]


def test_what_cannot_be_iterated_is_left_alone() -> None:
    answer = object()
    assert watch(answer)[0] is answer


@pytest.mark.parametrize("way", ["close", "with", "drop"])
def test_a_generator_that_is_left_is_abandoned(way: str) -> None:
    cleaned: list[str] = []

    def chunks() -> Iterator[int]:
        try:
            yield from range(9)
        finally:
            cleaned.append("up")

    stream, told = watch(chunks())
    assert next(stream) == 0
    if way == "close":
        stream.close()
    del stream
    gc.collect()
    assert told == [0, "abandoned"]
    assert cleaned == ["up"]


def test_an_exception_of_the_users_abandons_and_goes_on() -> None:
    stream, told = watch(Client(1, 2))
    next(stream)
    with pytest.raises(ZeroDivisionError), stream:
        raise ZeroDivisionError
    assert told == [1, "abandoned"]


def test_an_exception_of_the_streams_is_told_and_goes_on() -> None:
    error = ConnectionResetError("gone")
    stream, told = watch(Client(1, error))
    with pytest.raises(ConnectionResetError) as raised:
        list(stream)
    assert raised.value is error
    assert told == [1, ConnectionResetError]


def test_what_a_manager_gives_is_watched_and_its_answer_kept() -> None:
    stream, told = watch(Manager(Client(1, 2)))
    with stream as entered:
        assert isinstance(entered, Client)
        assert next(entered) == 1
        raise ZeroDivisionError  # the manager swallows it
    assert told == [1, "abandoned"]


def test_a_hook_that_fails_is_reported_and_the_stream_goes_on() -> None:
    class Broken(Heard):
        def chunk(self, item: Any) -> None:
            raise ZeroDivisionError

        def end(self, *, is_abandoned: bool) -> None:
            raise ZeroDivisionError

    assert list(watched(Client(1, 2), Watch(Broken()))) == [1, 2]
    assert guard.failures
    guard.failures.clear()


def test_an_object_that_takes_no_weak_references_is_abandoned_with_its_stand_in() -> None:
    class Slotted:
        __slots__ = ("left",)

        def __iter__(self) -> Slotted:
            return self

        def __next__(self) -> int:
            return 1

    stream, told = watch(Slotted())
    next(stream)
    del stream
    gc.collect()
    assert told == [1, "abandoned"]


def test_the_stream_runs_in_its_own_context_and_the_user_in_the_users() -> None:
    key = context_api.create_key("here")
    seen: list[object] = []

    def chunks() -> Iterator[int]:
        for number in range(2):
            seen.append(context_api.get_value(key))
            yield number

    stream, _ = watch(chunks(), context=context_api.set_value(key, "inside"))
    while next(stream, None) is not None:
        seen.append(context_api.get_value(key))
    assert seen == ["inside", None, "inside", None]


def test_many_threads_hear_of_one_end() -> None:
    for _ in range(50):
        heard = Heard()
        watch = Watch(heard)
        gate = threading.Barrier(4)

        def finish(end: Any, gate: threading.Barrier = gate) -> None:
            gate.wait()
            end()

        threads = [threading.Thread(target=finish, args=(end,)) for end in (watch.end, watch.abandon) * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(heard.told) == 1


# -- async -------------------------------------------------------------------------------------------------------


async def numbers(count: int, error: BaseException | None = None) -> AsyncIterator[int]:
    for number in range(count):
        yield number
    if error is not None:
        raise error


def test_an_async_stream_is_followed_to_its_end() -> None:
    async def work() -> None:
        stream, told = watch(numbers(2))
        assert type(stream) is AsyncStream
        assert not hasattr(stream, "__next__")
        assert [item async for item in stream] == [0, 1]
        assert told == [0, 1, "end"]

    asyncio.run(work())


@pytest.mark.parametrize("way", ["aclose", "drop", "error", "cancel"])
def test_an_async_stream_that_does_not_end_says_why(way: str) -> None:
    async def stuck() -> AsyncIterator[int]:
        yield 0
        await asyncio.Event().wait()

    async def work() -> list[Any]:
        stream, told = watch({"error": numbers(1, OSError()), "cancel": stuck()}.get(way) or numbers(3))
        assert await anext(stream) == 0
        if way == "aclose":
            await stream.aclose()
        elif way == "error":
            with pytest.raises(OSError):
                await anext(stream)
        elif way == "cancel":
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(stream), 0.01)
        del stream
        gc.collect()
        await asyncio.sleep(0)
        return told

    ends = {"aclose": "abandoned", "drop": "abandoned", "error": OSError, "cancel": asyncio.CancelledError}
    assert asyncio.run(work()) == [0, ends[way]]


# -- the process -------------------------------------------------------------------------------------------------

LEFT_OPEN = """
import agent_trace_otel as at
from agent_trace_instrumentors import _model_call

at.start_session("left")
def chunks():
    yield "Sea"
    yield " green."
stream = _model_call.run(_model_call.begin({"model": "colour-1", "prompt": "Name one."}), chunks, (), {})
print(next(stream))
"""


def test_a_stream_that_is_open_when_the_program_ends_is_abandoned(tmp_path: Any) -> None:
    ran = programs.run(LEFT_OPEN, tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, "Sea\n", "")
    call = next(span for span in ran.recorded.spans() if span.name.startswith("chat"))
    told = dict(call.attributes or {})
    assert told["agent_trace.outcome"] == "abandoned"
    assert told["agent_trace.chunks"] == 1


FORKED = """
import os, sys
import agent_trace_otel as at
from agent_trace_instrumentors import _model_call

at.start_session("forked")
def chunks():
    yield "Sea"
    yield " green."
stream = _model_call.run(_model_call.begin({"model": "colour-1", "prompt": "Name one."}), chunks, (), {})
next(stream)
child = os.fork()
if not child:
    sys.exit()
os.waitpid(child, 0)
print(list(stream))
"""


def test_a_fork_leaves_the_stream_to_its_parent(tmp_path: Any) -> None:
    ran = programs.run(FORKED, tmp_path)
    assert (ran.code, ran.out) == (0, "[' green.']\n")
    (call,) = [span for span in ran.recorded.spans() if span.name.startswith("chat")]
    assert dict(call.attributes or {})["agent_trace.outcome"] == "ok"
