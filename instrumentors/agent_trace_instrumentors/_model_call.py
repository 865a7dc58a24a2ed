"""What stands around one call of a model: its arguments -> a span, its answer or stream -> attributes, its end.

Called by the instrumentors of model clients and of frameworks around them. An instrumentor finds the one method that
every way to the model comes by (so that a helper on top of it, such as a parser, is no second call), and wraps it:

    def around_chat(_original):
        def chat(wrapped, instance, args, kwargs):
            return run(begin(kwargs, provider="acme"), wrapped, args, kwargs)
        return chat

`run_async` is for coroutine functions. `begin` gives None when nothing is to be traced, and both take that. They call
``wrapped`` once and return what it gave; an iterator comes back as a stand-in (`_stream`), whose iteration the span
covers. Where a client gives something else than an answer or an iterator, a subclass of `ModelCall` says so in `take`,
and is made by ``begin(..., kind=Subclass)``.
A call inside a framework's own takes the framework's span, if one is lent (`_loan`), and has none of its own.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry import context as context_api

from agent_trace_instrumentors._loan import Loan, taken_loan
from agent_trace_instrumentors._stream import Watch, has_method, watched
from agent_trace_otel import guard, model_io, semconv, spans

if TYPE_CHECKING:
    from opentelemetry.trace import Span

T = TypeVar("T")


class ModelCall:
    """One call of a model, from its start to its one end; the hooks of its stream, if it streams.

    Args:
        span: the call's span, its own or a lent one.
        loan: the loan that the span is of, None for a span of its own.
    """

    def __init__(self, span: Span, loan: Loan | None = None) -> None:
        self.span = span
        self.context = spans.context_of(span)
        self._loan = loan
        self._reading: model_io.StreamReading | None = None
        self._started = time.perf_counter()
        self._first: float | None = None

    # what a call returns

    def take(self, result: Any) -> Any:  # noqa: ANN401 - the client's own values
        """Take what the call returned, an answer or an iterator, and return it, or its stand-in."""
        if has_method(result, "__next__", "__anext__"):
            return watched(result, Watch(self))
        self.answered(result)
        return result

    def answered(self, answer: object) -> None:
        """End the call with its whole answer: a client's object or parsed JSON."""
        self.finish(model_io.read_response(answer), failure=model_io.read_failure(answer))

    def failed(self, error: BaseException) -> None:
        """End the call with what it raised."""
        self.finish(self.failure(error), error=error)

    def failure(self, error: BaseException) -> dict[str, Any]:  # noqa: ARG002 - what subclasses read
        """Return what an error tells beside its type and text; a subclass knows its client's errors."""
        return {}

    # what a stream tells (`_stream.Hooks`)

    def chunk(self, item: Any, /) -> None:  # noqa: ANN401 - the client's own values
        """Take one chunk."""
        reading = self._reading
        if reading is None:
            self._first = time.perf_counter() - self._started
            reading = self._reading = model_io.StreamReading()
            self.chunk = reading.add  # type: ignore[method-assign] # from here on there is nothing else to do
        reading.add(item)

    def end(self, *, is_abandoned: bool) -> None:
        """End the call with its stream."""
        if is_abandoned:
            self.finish(self.streamed(), outcome=semconv.OUTCOME_ABANDONED)
        else:
            streamed = self.streamed()
            self.finish(streamed, failure=None if self._reading is None else self._reading.failure())

    def error(self, error: BaseException) -> None:
        """End the call with what its stream raised."""
        self.finish({**self.streamed(), **self.failure(error)}, error=error)

    def streamed(self) -> dict[str, Any]:
        """Return what the chunks so far tell."""
        reading = self._reading
        if reading is None:
            return {semconv.CHUNKS: 0}
        attributes = {**reading.attributes(), semconv.CHUNKS: reading.chunks}
        if self._first is not None:
            attributes[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = self._first
        return attributes

    # the end

    def finish(
        self,
        attributes: dict[str, Any],
        *,
        outcome: str = semconv.OUTCOME_OK,
        error: BaseException | None = None,
        failure: tuple[str, str] | None = None,
    ) -> None:
        """End the span; a lent one is filled in and left to its owner, who learns of the error as well.

        Args:
            attributes: what is known only now.
            outcome: a value of agent_trace.outcome.
            error: what the call raised.
            failure: code and text of a failure that came as an answer; nothing was raised.
        """
        if not spans.captures_content():
            attributes.pop(semconv.OUTPUT_MESSAGES, None)
        message = ""
        if failure is not None:
            attributes[semconv.ERROR_TYPE], message = failure
            outcome = semconv.OUTCOME_ERROR
        if self._loan is None:
            spans.end(self.span, attributes, outcome=outcome, error=error, message=message)
        else:
            self._loan.fill(attributes)


C = TypeVar("C", bound=ModelCall)


def begin(  # noqa: PLR0913 - one argument a kind of attribute
    arguments: Mapping[str, Any],
    *,
    kind: type[C] = ModelCall,  # type: ignore[assignment] # the default of a type variable, PEP 696
    provider: str | None = None,
    operation: str | None = None,
    model: str | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> C | None:
    """Start a model call, None when nothing is to be traced here; never raises.

    Args:
        arguments: the call's arguments by name, or its request body.
        kind: what follows the call.
        provider: a value of gen_ai.provider.name; by default what the model's name tells.
        operation: one of ``semconv.MODEL_OPERATIONS``; by default what the arguments tell.
        model: the model asked for; by default what the arguments tell.
        attributes: what else is known at the start.
    """
    try:
        if not spans.traces_here():
            return None
        request = model_io.read_request(arguments)
        asked: dict[str, Any] = {
            "model": model or request.model,
            "operation": operation or request.operation,
            "provider": provider or request.provider,
            "messages": request.messages,
            "system": request.system,
            "attributes": {**request.attributes, **(attributes or {})},
        }
        loan = taken_loan()
        if loan is not None:
            call = kind(loan.span, loan)
            loan.fill(spans.model_request_attributes(**asked))
            return call
        span = spans.start_model_call(**asked)
        return None if span is None else kind(span)
    except Exception as error:  # noqa: BLE001 - never the user's problem
        guard.report("trace a model call", error)
        return None


def run(call: ModelCall | None, wrapped: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> T:
    """Call ``wrapped`` as the call, and return what it returned or, of an iterator, the stand-in."""
    if call is None:
        return wrapped(*args, **kwargs)
    token = context_api.attach(call.context)
    try:
        result = wrapped(*args, **kwargs)
    except BaseException as error:
        context_api.detach(token)
        _failed(call, error)
        raise
    context_api.detach(token)
    return _taken(call, result)


async def run_async(
    call: ModelCall | None, wrapped: Callable[..., Awaitable[T]], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> T:
    """Do the same with a coroutine function."""
    if call is None:
        return await wrapped(*args, **kwargs)
    token = context_api.attach(call.context)
    try:
        result = await wrapped(*args, **kwargs)
    except BaseException as error:
        context_api.detach(token)
        _failed(call, error)
        raise
    context_api.detach(token)
    return _taken(call, result)


@guard.guarded("end the span of a model call")
def _failed(call: ModelCall, error: BaseException) -> None:
    call.failed(error)


def _taken(call: ModelCall, result: T) -> T:
    try:
        taken: T = call.take(result)
    except Exception as error:  # noqa: BLE001 - never the user's problem
        guard.report("read what a model answered", error)
        return result
    return taken
