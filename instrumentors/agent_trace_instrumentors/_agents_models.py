"""Models of the OpenAI Agents SDK: what they are asked, so that the span of the call can tell it from the start.

Called by `openai_agents`: the SDK's own span of a model call learns only at its end what was asked, if at all.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from agent_trace_instrumentors import _agents_spans as told
from agent_trace_instrumentors._first_step import afirst_step_in
from agent_trace_otel import guard

if TYPE_CHECKING:
    from agent_trace_instrumentors._base import Wrapper

_request: Final[ContextVar[dict[str, Any] | None]] = ContextVar("agent_trace_agents_request", default=None)


def take_request() -> dict[str, Any] | None:
    """Return what the model is being asked, once; None if nobody has said."""
    asked = _request.get()
    _request.set(None)
    return asked


@contextmanager
def _asking(asked: dict[str, Any] | None) -> Generator[None, None, None]:
    token = _request.set(asked)
    try:
        yield
    finally:
        _request.reset(token)


def around_response(original: Callable[..., Any]) -> Wrapper:
    """Say what a model is asked, so that its span can tell it from the start."""
    names = _names(original)

    async def respond(
        wrapped: Callable[..., Awaitable[Any]], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # noqa: ANN401 - handed on
        with _asking(_request_of(instance, names, args, kwargs, streams=False)):
            return await wrapped(*args, **kwargs)

    return respond


def around_stream(original: Callable[..., Any]) -> Wrapper:
    """Do the same for a model that streams: its span begins in the first step."""
    names = _names(original)

    def stream(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - handed on
        asked = _request_of(instance, names, args, kwargs, streams=True)
        return afirst_step_in(_asking(asked), wrapped(*args, **kwargs))

    return stream


@guard.guarded("read what a model of the Agents SDK is asked")
def _request_of(
    model: object, names: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any], *, streams: bool
) -> dict[str, Any]:
    return told.request_of(model, {**dict(zip(names, args, strict=False)), **kwargs}, streams=streams)


def _names(original: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(original).parameters)[1:]
