"""Where LangChain runs what: the context of each run's own code, so that what happens there hangs under it.

Comes in: the places where LangChain enters a run (its own copy of the context, the call of a model's client). Goes out:
the same places, in the context of the run's span. Called by `langchain`. LangChain makes a copy of the context for the
code of each chain and tool, which is where the span is made current: nothing has to be undone there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry import context as context_api

from agent_trace_instrumentors._first_step import afirst_step_in, first_step_in
from agent_trace_otel import guard

if TYPE_CHECKING:
    from contextvars import Token
    from uuid import UUID

    from opentelemetry.context import Context

    from agent_trace_instrumentors._base import Wrapper
    from agent_trace_instrumentors._langchain_runs import Run, Runs


class _Step:
    """The first step of a stream, in which the model's client is called: who called it, and how that was entered."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self._entered: Token[Context] | None = None

    @guard.guarded("lend a span to the client of a LangChain model")
    def enter(self) -> None:
        if self.run is not None and self.run.loan is not None and self._entered is None:
            self._entered = context_api.attach(self.run.loan.context())

    def leave(self) -> None:
        if self._entered is not None:
            context_api.detach(self._entered)
            self._entered = None


_step: Final[ContextVar[_Step | None]] = ContextVar("agent_trace_langchain_step", default=None)


def begun(run: Run | None) -> None:
    """Take note of the model's run that has begun in the current step of a stream, if that is one."""
    step = _step.get()
    if step is not None and step.run is None:
        step.run = run


def around_entering(runs: Runs) -> Callable[[Callable[..., Any]], Wrapper]:
    """Make a run's span current in the copy of the context that its code gets."""

    def make(_original: Callable[..., Any]) -> Wrapper:
        def enter(wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - handed on
            result = wrapped(*args, **kwargs)
            _enter(runs, *args, **kwargs)
            return result

        return enter

    return make


@guard.guarded("enter a LangChain run")
def _enter(runs: Runs, config: dict[str, Any], *_: object, **__: object) -> None:
    run = runs.of(getattr(config.get("callbacks"), "parent_run_id", None))
    if run is not None:
        context_api.attach(run.enter())


def around_generate(runs: Runs, index: int, name: str) -> Callable[[Callable[..., Any]], Wrapper]:
    """Lend a model's span to the client that a method calls.

    Args:
        runs: the open runs.
        index: where the run's manager, or the list of them, stands among the arguments.
        name: what that is called.
    """

    def make(_original: Callable[..., Any]) -> Wrapper:
        def generate(
            wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:  # noqa: ANN401 - handed on
            step = _step_of(runs, args[index] if len(args) > index else kwargs.get(name))
            step.enter()
            try:
                return wrapped(*args, **kwargs)
            finally:
                step.leave()

        return generate

    return make


def around_agenerate(runs: Runs, index: int, name: str) -> Callable[[Callable[..., Any]], Wrapper]:
    """Do the same for a coroutine function."""

    def make(_original: Callable[..., Any]) -> Wrapper:
        async def generate(
            wrapped: Callable[..., Awaitable[Any]], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> Any:  # noqa: ANN401 - handed on
            step = _step_of(runs, args[index] if len(args) > index else kwargs.get(name))
            step.enter()
            try:
                return await wrapped(*args, **kwargs)
            finally:
                step.leave()

        return generate

    return make


def _step_of(runs: Runs, manager: object) -> _Step:
    step = _Step()
    managers = cast("list[object]", manager) if isinstance(manager, list) else [manager]
    run_id: UUID | None = getattr(managers[0], "run_id", None) if managers else None
    step.run = runs.of(run_id)
    return step


def around_start(_original: Callable[..., Any]) -> Wrapper:
    """Enter a model's run once it has begun, for the rest of the step."""

    def start(wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - handed on
        result = wrapped(*args, **kwargs)
        _enter_step()
        return result

    return start


def around_astart(_original: Callable[..., Any]) -> Wrapper:
    """Do the same for a coroutine function."""

    async def start(
        wrapped: Callable[..., Awaitable[Any]], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # noqa: ANN401 - handed on
        result = await wrapped(*args, **kwargs)
        _enter_step()
        return result

    return start


@guard.guarded("enter a LangChain model call")
def _enter_step() -> None:
    step = _step.get()
    if step is not None:
        step.enter()


@contextmanager
def _first_step() -> Generator[None, None, None]:
    step = _Step()
    token = _step.set(step)
    try:
        yield
    finally:
        step.leave()
        _step.reset(token)


def around_stream(_original: Callable[..., Any]) -> Wrapper:
    """Lend a model's span to the client that a generator calls in its first step."""

    def stream(wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - a generator
        return first_step_in(_first_step(), wrapped(*args, **kwargs))

    return stream


def around_astream(_original: Callable[..., Any]) -> Wrapper:
    """Do the same for an asynchronous generator."""

    def stream(wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - a generator
        return afirst_step_in(_first_step(), wrapped(*args, **kwargs))

    return stream
