"""Decorators on every kind of callable and with every nasty argument: the span is right, the program is not touched."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import gc
import inspect
import json
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from typing import Any

import pytest
from opentelemetry import trace as trace_api

from agent_trace_otel import end_session, start_session, trace_agent, trace_llm_call, trace_tool
from agent_trace_otel.store.events import TraceEvent
from agent_trace_otel.testing import Recorded


@pytest.fixture
def opened(recorded: Recorded) -> Iterator[Recorded]:
    """Open a session around the test."""
    start_session("test")
    yield recorded
    end_session()


def calls(recorded: Recorded) -> list[TraceEvent]:
    """Return the opening and closing events of calls."""
    return [event for event in recorded.events() if event.event_type not in ("session_start", "session_end")]


def only_call(recorded: Recorded) -> tuple[TraceEvent, TraceEvent]:
    """Return the one call's opening and closing event."""
    opening, closing = calls(recorded)
    assert closing.parent_id == opening.event_id
    return opening, closing


def only_span(recorded: Recorded) -> Any:
    """Return the one finished span."""
    (span,) = recorded.spans()
    return span


# -- kinds of callable -------------------------------------------------------------------------------------------


def test_function(opened: Recorded) -> None:
    @trace_tool
    def add(a: int, b: int = 2, *rest: int, **more: int) -> int:
        """Add."""
        return a + b

    assert add(1, 5, 7, x=3) == 6
    assert (add.__name__, add.__doc__) == ("add", "Add.")
    opening, closing = only_call(opened)
    assert opening.data["tool_name"] == "add"
    assert opening.data["arguments"] == {"a": 1, "b": 5, "rest": [7], "x": 3}
    assert closing.event_type == "tool_result"
    assert closing.data["result"] == "6"
    assert only_span(opened).attributes["gen_ai.tool.call.arguments"] == '{"a":1,"b":5,"rest":[7],"x":3}'


def test_called_form_names_the_tool(opened: Recorded) -> None:
    @trace_tool(name="web_search")
    def search(query: str) -> str:
        return query

    assert search("q") == "q"
    assert only_span(opened).name == "execute_tool web_search"
    assert only_call(opened)[1].data["result"] == "q"


def test_lambda_and_builtin(opened: Recorded) -> None:
    assert trace_tool(lambda x: x * 2)(4) == 8
    assert trace_tool(len)([1, 2]) == 2
    assert [span.name for span in opened.spans()] == ["execute_tool <lambda>", "execute_tool len"]


def test_async_function(opened: Recorded) -> None:
    @trace_tool
    async def fetch(url: str) -> str:
        await asyncio.sleep(0)
        return url.upper()

    assert inspect.iscoroutinefunction(fetch)
    assert asyncio.run(fetch("u")) == "U"
    assert only_call(opened)[1].data["result"] == "U"


def test_generator_covers_the_iteration(opened: Recorded) -> None:
    @trace_tool
    def rows(n: int) -> Iterator[str]:
        for i in range(n):
            yield f"row{i}"

    assert inspect.isgeneratorfunction(rows)
    iterator = rows(2)
    assert calls(opened) == []
    assert next(iterator) == "row0"
    assert [event.event_type for event in calls(opened)] == ["tool_call"]
    assert list(iterator) == ["row1"]
    assert only_call(opened)[1].data["result"] == '["row0","row1"]'
    assert only_span(opened).attributes["agent_trace.chunks"] == 2


def test_generator_send_throw_and_return_value(opened: Recorded) -> None:
    @trace_tool
    def talk() -> Generator[Any, Any, str]:
        got = yield "ready"
        try:
            yield got * 2
        except KeyError as error:
            yield f"caught {error}"
        return "bye"

    steps = talk()
    assert next(steps) == "ready"
    assert steps.send(21) == 42
    assert steps.throw(KeyError("k")) == "caught 'k'"
    with pytest.raises(StopIteration) as stopped:
        next(steps)
    assert stopped.value.value == "bye"
    assert only_call(opened)[1].data["result"] == "bye"


@pytest.mark.parametrize("leave", ["break", "close", "collect"])
def test_generator_left_early_is_abandoned_not_failed(opened: Recorded, leave: str) -> None:
    closed = []

    @trace_tool
    def rows() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    iterator = rows()
    for row in iterator:
        assert row == 1
        break
    if leave == "close":
        iterator.close()  # type: ignore[attr-defined]
    del iterator
    gc.collect()
    assert closed == [True]
    _, closing = only_call(opened)
    assert closing.event_type == "tool_result"
    assert closing.data["outcome"] == "abandoned"
    span = only_span(opened)
    assert span.status.status_code.name == "UNSET"
    assert span.attributes["agent_trace.chunks"] == 1


def test_generator_that_fails(opened: Recorded) -> None:
    @trace_tool
    def rows() -> Iterator[int]:
        yield 1
        message = "no more"
        raise ValueError(message)

    with pytest.raises(ValueError, match="no more"):
        list(rows())
    assert only_call(opened)[1].data["message"] == "no more"


def test_generator_leaves_its_consumers_context_alone(opened: Recorded) -> None:
    @trace_tool
    def inner() -> None: ...

    @trace_tool
    def rows() -> Iterator[int]:
        inner()
        yield 1
        inner()
        yield 2

    outside = trace_api.get_current_span()
    for _ in rows():
        assert trace_api.get_current_span() is outside
    by_name = [(span.name, span.parent.span_id) for span in opened.spans() if span.parent]
    rows_id = next(span.context.span_id for span in opened.spans() if span.name == "execute_tool rows")
    assert by_name[:2] == [("execute_tool inner", rows_id)] * 2


def test_generator_keeps_what_it_attached_across_a_yield(opened: Recorded) -> None:
    held = trace_api.NonRecordingSpan(trace_api.SpanContext(1, 2, is_remote=False))

    @trace_tool
    def rows() -> Iterator[int]:
        with trace_api.use_span(held):
            yield 1
            assert trace_api.get_current_span() is held
            yield 2

    assert list(rows()) == [1, 2]


def test_async_generator(opened: Recorded) -> None:
    @trace_tool
    async def rows(n: int) -> AsyncGenerator[int, str]:
        for i in range(n):
            got = yield i
            assert got in (None, "sent")

    async def main() -> list[int]:
        steps = rows(3)
        first = await steps.__anext__()
        second = await steps.asend("sent")
        return [first, second, *[i async for i in steps]]

    assert inspect.isasyncgenfunction(rows)
    assert asyncio.run(main()) == [0, 1, 2]
    assert only_call(opened)[1].data["result"] == "[0,1,2]"


@pytest.mark.parametrize("leave", ["break", "aclose"])
def test_async_generator_left_early(opened: Recorded, leave: str) -> None:
    closed = []

    @trace_tool
    async def rows() -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def main() -> None:
        steps = rows()
        async for _ in steps:
            break
        if leave == "aclose":
            await steps.aclose()
        del steps
        for _ in range(5):  # the event loop closes a collected generator in a task of its own
            await asyncio.sleep(0)

    asyncio.run(main())
    gc.collect()
    assert closed == [True]
    assert only_call(opened)[1].data["outcome"] == "abandoned"


def test_async_generator_throw(opened: Recorded) -> None:
    @trace_tool
    async def rows() -> AsyncGenerator[str, None]:
        try:
            yield "a"
        except KeyError:
            yield "caught"

    async def main() -> str:
        steps = rows()
        await steps.__anext__()
        return await steps.athrow(KeyError("k"))

    assert asyncio.run(main()) == "caught"


class Tools:
    """Methods of every kind, decorated in either order."""

    @trace_tool
    def method(self, x: int) -> int:
        return x + 1

    @classmethod
    @trace_tool
    def class_inner(cls, x: int) -> int:
        return x + 2

    @trace_tool
    @classmethod
    def class_outer(cls, x: int) -> int:
        return x + 3

    @staticmethod
    @trace_tool
    def static_inner(x: int) -> int:
        return x + 4

    @trace_tool
    @staticmethod
    def static_outer(x: int) -> int:
        return x + 5

    @trace_tool
    async def async_method(self, x: int) -> int:
        return x + 6


def test_methods_lose_only_their_receiver(opened: Recorded) -> None:
    tools = Tools()
    assert tools.method(1) == 2
    assert (Tools.class_inner(1), Tools.class_outer(1)) == (3, 4)
    assert (Tools.static_inner(1), Tools.static_outer(1)) == (5, 6)
    assert asyncio.run(tools.async_method(1)) == 7
    arguments = [event.data["arguments"] for event in calls(opened) if event.event_type == "tool_call"]
    assert arguments == [{"x": 1}] * 6


def test_function_whose_parameter_is_called_self_keeps_it(opened: Recorded) -> None:
    @trace_tool
    def odd(self: int) -> int:
        return self

    assert odd(3) == 3
    assert only_call(opened)[0].data["arguments"] == {"self": 3}


def test_partial(opened: Recorded) -> None:
    def power(base: int, exponent: int) -> int:
        return base**exponent

    square = trace_tool(functools.partial(power, exponent=2))
    assert square(3) == 9
    assert only_span(opened).name == "execute_tool power"


def test_partial_of_async(opened: Recorded) -> None:
    async def fetch(url: str, retries: int) -> str:
        return f"{url}{retries}"

    traced: Callable[..., Awaitable[str]] = trace_tool(functools.partial(fetch, retries=3))

    async def main() -> str:
        return await traced("u")

    assert asyncio.run(main()) == "u3"
    assert only_call(opened)[1].data["result"] == "u3"


class Callme:
    """A callable object."""

    def __call__(self, x: int) -> int:
        return x * 10


def test_callable_object(opened: Recorded) -> None:
    traced = trace_tool(Callme())
    assert traced(2) == 20
    assert only_span(opened).name == "execute_tool Callme"
    assert only_call(opened)[0].data["arguments"] == {"x": 2}


def test_async_callable_object(opened: Recorded) -> None:
    class Fetch:
        async def __call__(self, x: int) -> int:
            return x

    traced = trace_tool(Fetch())
    assert inspect.iscoroutinefunction(traced)
    assert asyncio.run(traced(5)) == 5


def test_class_keeps_its_kind_and_its_calls_are_traced(opened: Recorded) -> None:
    @trace_tool
    class Search:
        def __call__(self, q: str) -> str:
            return q

    assert isinstance(Search, type)
    assert Search()("x") == "x"
    assert [event.event_type for event in calls(opened)] == ["tool_call", "tool_result"]


def test_plain_function_that_returns_a_coroutine(opened: Recorded) -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    @trace_tool
    def make() -> Any:
        return work()

    async def main() -> str:
        coroutine = make()
        assert [event.event_type for event in calls(opened)] == ["tool_call"]
        return await coroutine  # type: ignore[no-any-return]

    assert asyncio.run(main()) == "done"
    assert only_call(opened)[1].data["result"] == "done"


def test_plain_function_that_returns_a_generator(opened: Recorded) -> None:
    @trace_tool
    def make() -> Any:
        return (i for i in range(3))

    assert list(make()) == [0, 1, 2]
    assert only_call(opened)[1].data["result"] == "[0,1,2]"


# -- errors ------------------------------------------------------------------------------------------------------


class AwkwardError(Exception):
    """An exception whose text can't be had."""

    def __str__(self) -> str:
        message = "no text"
        raise RuntimeError(message)


def test_exception_passes_through_unchanged(opened: Recorded) -> None:
    original = LookupError("gone")

    @trace_tool
    def fail() -> None:
        raise original

    with pytest.raises(LookupError) as caught:
        fail()
    assert caught.value is original
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "fail"
    assert caught.value.__context__ is None
    _, closing = only_call(opened)
    assert (closing.event_type, closing.data["message"]) == ("error", "gone")
    assert closing.data["exception_type"] == "LookupError"
    span = only_span(opened)
    assert span.status.status_code.name == "ERROR"
    assert span.attributes["error.type"] == "LookupError"
    assert span.attributes["agent_trace.outcome"] == "error"
    assert [event.name for event in span.events] == ["exception"]
    assert "raise original" in span.events[0].attributes["exception.stacktrace"]


def test_exception_without_text(opened: Recorded) -> None:
    @trace_tool
    def fail() -> None:
        raise AwkwardError

    with pytest.raises(AwkwardError):
        fail()
    assert "str failed" in only_call(opened)[1].data["message"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_interruption_is_not_an_error(opened: Recorded, kind: type[BaseException]) -> None:
    @trace_tool
    def stop() -> None:
        raise kind

    with pytest.raises(kind):
        stop()
    _, closing = only_call(opened)
    assert (closing.event_type, closing.data["outcome"]) == ("tool_result", "interrupted")
    assert only_span(opened).status.status_code.name == "UNSET"


def test_task_cancelled(opened: Recorded) -> None:
    @trace_tool
    async def wait() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert only_call(opened)[1].data["outcome"] == "interrupted"


# -- arguments ---------------------------------------------------------------------------------------------------


class BadRepr:
    """An object that can't be shown."""

    def __repr__(self) -> str:
        message = "no repr"
        raise RuntimeError(message)


class BadMapping(dict[str, Any]):
    """A mapping that breaks when read."""

    def items(self) -> Any:
        message = "no items"
        raise RuntimeError(message)

    def __iter__(self) -> Any:
        message = "no iteration"
        raise RuntimeError(message)


@dataclasses.dataclass
class Point:
    """A plain record."""

    x: int
    y: float


def _cyclic() -> list[Any]:
    cycle: list[Any] = [1]
    cycle.append(cycle)
    return cycle


def _deep() -> Any:
    value: Any = 0
    for _ in range(100_000):
        value = [value]
    return value


NASTY: dict[str, Any] = {
    "bad repr": BadRepr(),
    "bad mapping": BadMapping(a=1),
    "cyclic": _cyclic(),
    "deep": _deep(),
    "huge string": "x" * 5_000_000,
    "huge list": list(range(1_000_000)),
    "many keys": {f"k{i}": i for i in range(100_000)},
    "bytes": b"\xff\xfe\x00",
    "surrogate": "\ud800 lone",
    "separators": "\u2028\u2029\x85\n\r",
    "nan": float("nan"),
    "infinity": float("-inf"),
    "big int": 2**200,
    "enormous int": 1 << 100_000,
    "set": {1, 2},
    "object": object(),
    "class": int,
    "odd keys": {1: "a", (2, 3): "b", None: "c"},
    "record": Point(1, 2.5),
    "lambda": lambda: None,
    "none": None,
    "empty": "",
    "exception": ValueError("v"),
    "memory": memoryview(b"abc"),
}


@pytest.mark.parametrize("name", sorted(NASTY))
def test_nasty_arguments_and_results_are_harmless(opened: Recorded, name: str) -> None:
    value = NASTY[name]

    @trace_tool
    def same(value: Any) -> Any:
        return value

    assert same(value) is value
    opening, closing = only_call(opened)
    assert closing.event_type == "tool_result"
    assert isinstance(opening.data["arguments"], dict)
    lines = (opened.trace_dir / opened.sessions()[0] / "events.ndjson").read_bytes().splitlines()
    assert all(line.isascii() and len(line) < 100_000 for line in lines)
    span = only_span(opened)
    json.loads(span.attributes["gen_ai.tool.call.arguments"], parse_constant=pytest.fail)
    assert len(span.attributes["gen_ai.tool.call.arguments"]) < 3_000_000


def test_values_are_shown_as_what_they_are(opened: Recorded) -> None:
    @trace_tool
    def show(**values: Any) -> None: ...

    show(record=Point(1, 2.5), raw=b"text", nan=float("nan"), big=2**70, members={1}, cycle=_cyclic())
    assert only_call(opened)[0].data["arguments"] == {
        "record": {"x": 1, "y": 2.5},
        "raw": "text",
        "nan": "nan",
        "big": 2**70,
        "members": [1],
        "cycle": [1, "… [circular]"],
    }


def test_long_value_is_cut_in_the_timeline_and_whole_in_the_span(opened: Recorded) -> None:
    @trace_tool
    def read(path: str) -> str:
        return "y" * 50_000

    read("x" * 40_000)
    opening, closing = only_call(opened)
    assert len(opening.data["arguments"]["path"]) < 17_000
    assert "[cut: " in opening.data["arguments"]["path"]
    assert "[cut: " in closing.data["result"]
    span = only_span(opened)
    assert json.loads(span.attributes["gen_ai.tool.call.arguments"]) == {"path": "x" * 40_000}
    assert span.attributes["gen_ai.tool.call.result"] == "y" * 50_000


def test_wrong_call_raises_the_callables_own_error(opened: Recorded) -> None:
    @trace_tool
    def one(x: int) -> int:
        return x

    with pytest.raises(TypeError, match="positional argument"):
        one(1, 2)  # type: ignore[call-arg]
    assert only_call(opened)[1].event_type == "error"


# -- nesting -----------------------------------------------------------------------------------------------------


def test_nesting_and_agents(opened: Recorded) -> None:
    @trace_tool
    def leaf() -> int:
        return 1

    @trace_agent(name="researcher")
    def research(task: str) -> int:
        return leaf()

    @trace_tool
    def outer() -> int:
        return research("find it") + leaf()

    assert outer() == 2
    spans = {span.name: span for span in opened.spans() if span.parent}
    leaves = [span for span in opened.spans() if span.name == "execute_tool leaf"]
    assert leaves[0].parent
    assert leaves[0].parent.span_id == spans["invoke_agent researcher"].context.span_id
    assert spans["invoke_agent researcher"].parent.span_id == spans["execute_tool outer"].context.span_id  # type: ignore[union-attr]
    agents = [event.data.get("agent") for event in calls(opened) if event.data["tool_name"] == "leaf"]
    assert agents == ["researcher", "researcher", None, None]
    assert [event.event_type for event in calls(opened)].count("tool_call") == 3


def test_decorated_call_without_session_or_provider_passes_through(recorded: Recorded) -> None:
    @trace_tool
    def tool() -> int:
        return 1

    @trace_llm_call
    def ask(prompt: str) -> str:
        return prompt

    @trace_agent
    def agent() -> int:
        ask("x")
        return tool()

    assert agent() == 1
    assert not recorded.trace_dir.exists()
