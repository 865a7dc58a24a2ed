"""Callables of every kind -> the same kind, with something done around each call.

Comes in: a function, method, generator, coroutine function, partial or callable object, and a `Probe` that begins and
ends spans. Goes out: a callable that behaves as the original did. Called by `decorators`.

The call's context is attached only while the callable's own code runs: a generator that waits at a yield leaves its
consumer's context alone, and no token lives across the yield.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
import weakref
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol, cast

from opentelemetry import context as context_api
from opentelemetry.context import attach, detach

from agent_trace_otel import guard, semconv, spans

if TYPE_CHECKING:
    from opentelemetry.trace import Span


_SOLE_REFERENCES = 2  # the variable, and the argument of getrefcount(): nobody else can be using it


class Stream(Protocol):
    """Takes what a generator yields, one item at a time."""

    def add(self, item: Any) -> None:  # noqa: ANN401 - the user's own values
        """Take an item; must not raise."""


class Probe(Protocol):
    """What to do around a call. No method may raise."""

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | None:
        """Start a span; None lets the call pass untraced."""

    def end(self, span: Span, result: Any) -> None:  # noqa: ANN401 - the user's own values
        """End the span of a call that returned."""

    @abstractmethod
    def stream(self, span: Span) -> Stream:
        """Return what takes a generator's items."""

    def end_stream(
        self,
        span: Span,
        stream: Any,  # noqa: ANN401 - what `stream` returned
        result: Any,  # noqa: ANN401 - the user's own values
        *,
        outcome: str,
        error: BaseException | None,
    ) -> None:
        """End the span of a generator that returned ``result``, failed with ``error`` or was abandoned."""


def wrap(target: Any, make_probe: Callable[[Callable[..., Any]], Probe]) -> Any:  # noqa: ANN401 - any callable
    """Return ``target`` with a probe around each call; staticmethod and classmethod objects keep their kind.

    A class gets its ``__call__`` wrapped, if it defines one, and stays the class it is.
    """
    if isinstance(target, (staticmethod, classmethod)):
        return _wrap_method(target, make_probe)
    if isinstance(target, type):
        if "__call__" in vars(target):
            setattr(target, "__call__", wrap(vars(target)["__call__"], make_probe))  # noqa: B010 - a dunder
        return target
    probe = make_probe(target)
    kind = _kind_of(target)
    wrapper = {
        "generator": _generator,
        "async generator": _async_generator,
        "coroutine": _coroutine,
        "function": _function,
    }[kind](target, probe)
    if hasattr(target, "__name__"):
        functools.update_wrapper(wrapper, target)
    else:
        _describe(wrapper, target)
    return wrapper


def _wrap_method(method: Any, make_probe: Callable[[Callable[..., Any]], Probe]) -> Any:  # noqa: ANN401 - either kind
    return method.__class__(wrap(method.__func__, make_probe))


def innermost(target: Any) -> Any:  # noqa: ANN401 - any callable
    """Return what partials are made of."""
    while isinstance(target, functools.partial):
        target = cast("Any", target).func
    return target


def _kind_of(target: Callable[..., Any]) -> str:
    """Tell what calling it gives, looking through partials and callable objects."""
    inner = innermost(target)
    if not inspect.isroutine(inner):
        inner = getattr(inner.__class__, "__call__", inner)  # noqa: B004 - it is the function that is asked for
    if inspect.isasyncgenfunction(inner):
        return "async generator"
    if inspect.iscoroutinefunction(inner):
        return "coroutine"
    return "generator" if inspect.isgeneratorfunction(inner) else "function"


def _describe(wrapper: Callable[..., Any], target: Callable[..., Any]) -> None:
    """Give the wrapper of a partial or callable object the name and text that it lacks itself."""
    inner = innermost(target)
    wrapper.__name__ = getattr(inner, "__name__", type(inner).__name__)
    wrapper.__qualname__ = getattr(inner, "__qualname__", wrapper.__name__)
    wrapper.__doc__ = target.__doc__
    wrapper.__dict__.update(getattr(target, "__dict__", {}))
    wrapper.__wrapped__ = target  # type: ignore[attr-defined]


def _function(target: Callable[..., Any], probe: Probe) -> Callable[..., Any]:
    begin, end, context_of = probe.begin, probe.end, spans.context_of

    def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the user's own values
        span = begin(args, kwargs)
        if span is None:
            return target(*args, **kwargs)
        token = attach(context_of(span))
        try:
            result: object = target(*args, **kwargs)
        except BaseException as error:
            detach(token)
            _end_failed(span, error)
            raise
        detach(token)
        later = _WRAPPERS_OF_RESULTS.get(type(result))
        if later is not None and sys.getrefcount(result) <= _SOLE_REFERENCES:
            # a plain function that hands out a coroutine or generator: its work is yet to come
            return _watched(later, result, span, probe)
        end(span, result)
        return result

    return wrapper


@guard.guarded("end a span")
def _end_failed(span: Span, error: BaseException) -> None:
    """End the span of a call that raised; the user's exception is the one that goes on."""
    spans.end(span, error=error)


def _coroutine(target: Callable[..., Any], probe: Probe) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the user's own values
        span = probe.begin(args, kwargs)
        if span is None:
            return await target(*args, **kwargs)
        # a task has a context of its own and is suspended as a whole, so one token for the whole call is enough
        token = attach(spans.context_of(span))
        try:
            result = await target(*args, **kwargs)
        except BaseException as error:
            detach(token)
            _end_failed(span, error)
            raise
        detach(token)
        probe.end(span, result)
        return result

    return wrapper


def _generator(target: Callable[..., Any], probe: Probe) -> Callable[..., Any]:
    """Run a generator as ``yield from`` does (PEP 380), the span's context attached around each step."""

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        steps: Generator[Any, Any, Any] = target(*args, **kwargs)  # first: wrong arguments begin nothing
        span = probe.begin(args, kwargs)
        if span is None:
            return (yield from steps)
        running = _Running(span, probe)
        sent: Any = None
        advance: Callable[[Any], Any] = steps.send
        while True:
            with running:
                try:
                    item = advance(sent)
                except StopIteration as stop:
                    running.returned(stop.value)
                    return stop.value
            running.stream.add(item)
            try:
                sent, advance = (yield item), steps.send
            except GeneratorExit:
                with running:
                    steps.close()
                running.abandoned()
                raise
            except BaseException as error:  # noqa: BLE001 - handed into the generator, as throw() asks
                sent, advance = error, steps.throw

    return wrapper


def _async_generator(target: Callable[..., Any], probe: Probe) -> Callable[..., Any]:
    """Run an async generator (PEP 525), the span's context attached around each step."""

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        steps = target(*args, **kwargs)
        span = probe.begin(args, kwargs)
        running = _Running(span, probe)
        sent: Any = None
        advance: Callable[[Any], Any] = steps.asend
        while True:
            with running:
                try:
                    item = await advance(sent)
                except StopAsyncIteration:
                    running.returned(None)
                    return
            running.stream.add(item)
            try:
                sent, advance = (yield item), steps.asend
            except GeneratorExit:
                with running:
                    await steps.aclose()
                running.abandoned()
                raise
            except BaseException as error:  # noqa: BLE001 - handed into the generator, as athrow() asks
                sent, advance = error, steps.athrow

    return wrapper


class _Running:
    """A generator's span while it is iterated; ``with running:`` stands around each step.

    What the generator attaches and holds across its yield is kept for its next step. An exception that leaves a step
    ends the span and goes on.
    """

    def __init__(self, span: Span | None, probe: Probe) -> None:
        self.stream = probe.stream(span) if span is not None else _Unwatched()
        self._span = span
        self._probe = probe
        self._context = spans.context_of(span) if span is not None else None
        self._token: Any = None

    def __enter__(self) -> None:
        if self._context is not None:
            self._token = attach(self._context)

    def __exit__(self, kind: object, error: BaseException | None, stack: object) -> None:
        if self._context is not None:
            self._context = context_api.get_current()
            detach(self._token)
        if error is not None:
            self._end(None, error=error)

    def returned(self, value: object) -> None:
        self._end(value)

    def abandoned(self) -> None:
        self._end(None, outcome=semconv.OUTCOME_ABANDONED)

    def _end(self, value: object, *, outcome: str = semconv.OUTCOME_OK, error: BaseException | None = None) -> None:
        span, self._span = self._span, None
        if span is not None:
            self._probe.end_stream(span, self.stream, value, outcome=outcome, error=error)


class _Unwatched:
    """Takes the items of a generator that is not traced."""

    def add(self, item: object) -> None:
        """Keep nothing."""


def _watched(
    wrap_result: Callable[[Callable[..., Any], Probe], Callable[..., Any]], result: object, span: Span, probe: Probe
) -> object:
    """Return what a call handed out with its span around it; one that nobody ever runs is abandoned."""
    begun = _Begun(probe, span)
    watched = wrap_result(lambda: result, begun)()
    weakref.finalize(watched, begun.abandon).atexit = False
    return watched


class _Begun:
    """A probe whose span has begun already."""

    def __init__(self, probe: Probe, span: Span) -> None:
        self._span = span
        self._has_run = False
        self.end = probe.end
        self.stream = probe.stream
        self.end_stream = probe.end_stream

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | None:  # noqa: ARG002 - Probe's interface
        """Return the span of the call that gave the coroutine or generator."""
        self._has_run = True
        return self._span

    @guard.guarded("end a span")
    def abandon(self) -> None:
        """End the span of what was never run."""
        if not self._has_run:
            spans.end(self._span, outcome=semconv.OUTCOME_ABANDONED)


_WRAPPERS_OF_RESULTS: dict[type, Callable[[Callable[..., Any], Probe], Callable[..., Any]]] = {
    types.CoroutineType: _coroutine,
    types.GeneratorType: _generator,
    types.AsyncGeneratorType: _async_generator,
}
