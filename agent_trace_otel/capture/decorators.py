"""Functions -> spans: trace_tool, trace_agent, trace_llm_call.

Comes in: callables of the user's. Goes out: callables of the same kind; each call is a span through `spans`. The
signature is read once, when the decorator is applied. A call outside any session and provider passes through.
"""

from __future__ import annotations

import functools
import inspect
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from agent_trace_otel import content, guard, model_io, pipeline, semconv, spans
from agent_trace_otel.capture.wrapping import Probe, innermost, wrap
from agent_trace_otel.redact import DEFAULT

if TYPE_CHECKING:
    from opentelemetry.trace import Span

F = TypeVar("F", bound=Callable[..., Any])

_SELF = frozenset({"self", "cls", "mcs", "mcls"})
_MAX_STREAM_TEXT = 64 * 1024


@overload
def trace_tool(target: F, /) -> F: ...
@overload
def trace_tool(*, name: str | None = None) -> Callable[[F], F]: ...
def trace_tool(target: Any = None, /, *, name: str | None = None) -> Any:
    """Trace each call of a tool: ``execute_tool {name}`` with its arguments and result.

    Works bare and called, on functions, coroutines, generators, async generators (the span covers the iteration),
    methods, static and class methods in either order, partials and callable objects.

    Args:
        target: the callable.
        name: the tool's name; default the callable's own.

    Example:
        @trace_tool(name="web_search")
        def search(query: str) -> list[str]: ...
    """
    return _decorate(target, lambda function: _ToolProbe(function, name))


@overload
def trace_agent(target: F, /) -> F: ...
@overload
def trace_agent(*, name: str | None = None) -> Callable[[F], F]: ...
def trace_agent(target: Any = None, /, *, name: str | None = None) -> Any:
    """Trace each call of an agent or sub-agent: ``invoke_agent {name}``; what it calls hangs under it.

    Args:
        target: the callable.
        name: the agent's name; default the callable's own.
    """
    return _decorate(target, lambda function: _AgentProbe(function, name))


@overload
def trace_llm_call(target: F, /) -> F: ...
@overload
def trace_llm_call(*, model: str | None = None, provider: str | None = None) -> Callable[[F], F]: ...
def trace_llm_call(target: Any = None, /, *, model: str | None = None, provider: str | None = None) -> Any:
    """Trace each call of a model: ``chat {model}`` with messages, response, token usage and time to first chunk.

    Messages and settings are read from the arguments (``messages``, ``input`` or ``prompt``; ``model``,
    ``max_tokens``, ...), the answer from what is returned or yielded: response objects and dicts of OpenAI, Anthropic
    and their like, or plain text.

    Args:
        target: the callable.
        model: the model's name, if no argument and no response tells it.
        provider: a value of gen_ai.provider.name, such as ``openai``.
    """
    return _decorate(target, lambda function: _ModelProbe(function, model, provider))


def _decorate(target: Any, make_probe: Callable[[Callable[..., Any]], Probe]) -> Any:  # noqa: ANN401 - any callable
    if target is None:
        return functools.partial(wrap, make_probe=make_probe)
    if not callable(target) and not isinstance(target, (staticmethod, classmethod)):
        msg = f"a callable is decorated, not {target!r}: settings are named, as in @trace_tool(name=...)"
        raise TypeError(msg)
    return wrap(target, make_probe)


class _Arguments:
    """Names for what a callable is called with, the receiver of a method left out."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._names: tuple[str, ...] = ()
        self._rest = "args"
        self._skip = 0
        self._defaults: dict[str, Any] = {}
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):  # built-ins tell no signature
            return
        positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        self._rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "args")
        if positional and positional[0] in _SELF and _is_method(function):
            self._skip = 1
        self._names = tuple(positional[self._skip :])
        self._defaults = {p.name: p.default for p in parameters if p.default is not p.empty and p.default is not None}

    def named(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, as the callable sees them; a default of None says nothing and is left out."""
        if self._skip:
            args = args[self._skip :]
        names = self._names
        given = dict(zip(names, args, strict=False))
        if len(args) > len(names):
            given[self._rest] = args[len(names) :]
        if kwargs:
            given.update(kwargs)
        return {**given, **{n: v for n, v in self._defaults.items() if n not in given}} if self._defaults else given


def _is_method(function: Callable[..., Any]) -> bool:
    """Tell a function defined in a class body from one that merely calls its first parameter self."""
    outer, _, _ = getattr(function, "__qualname__", "").rpartition(".")
    return bool(outer) and not outer.endswith("<locals>")


def _name_of(function: Callable[..., Any]) -> str:
    inner = innermost(function)
    return getattr(inner, "__name__", None) or type(inner).__name__


class _Chunks:
    """What a generator yields: counted all, kept as text as far as a bound allows, never as objects."""

    def __init__(self) -> None:
        self.count = 0
        self._items: list[str] = []
        self._strings: list[str] = []
        self._left = _MAX_STREAM_TEXT

    def add(self, item: Any) -> None:  # noqa: ANN401 - the user's own values
        self.count += 1
        if self._left <= 0:
            return
        try:
            text = content.to_json(item)
        except Exception as error:  # noqa: BLE001 - never the user's problem
            guard.report("read what a generator yielded", error)
            return
        self._left -= len(text)
        self._items.append(text)
        if isinstance(item, str):
            self._strings.append(content.to_text(item))

    def result(self) -> str | None:
        """Return the items as the text of a JSON array, None if there were none.

        A secret that came in pieces is seen by redaction only if the pieces stand together: then the text that was
        streamed is returned instead.
        """
        if not self.count:
            return None
        streamed = "".join(self._strings)
        in_pieces = DEFAULT.text(streamed) is not streamed and all(DEFAULT.text(t) is t for t in self._strings)
        missing = self.count - len(self._items)
        mark = f"… [cut: {missing} items]" if missing else ""
        if in_pieces:
            return streamed + mark
        return f"[{','.join([*self._items, *([content.to_json(mark)] if mark else [])])}]"


class _CallProbe:
    """What tools, agents and models have in common: named arguments, and items of a stream that end as one result."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._named = _Arguments(function).named

    def stream(self, span: Span) -> Any:  # noqa: ANN401, ARG002 - Probe's interface
        return _Chunks()

    @guard.guarded("end the span of a stream")
    def end_stream(
        self,
        span: Span,
        stream: Any,  # noqa: ANN401 - what `stream` returned
        result: Any,  # noqa: ANN401 - the user's own values
        *,
        outcome: str,
        error: BaseException | None,
    ) -> None:
        spans.end(span, self._streamed(stream, result), outcome=outcome, error=error)

    @abstractmethod
    def _streamed(self, stream: Any, result: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
        """Return the attributes of what was streamed and returned."""


class _ToolProbe(_CallProbe):
    def __init__(self, function: Callable[..., Any], name: str | None) -> None:
        super().__init__(function)
        self._name = name or _name_of(function)

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | None:
        try:
            return spans.start_tool(self._name, self._named(args, kwargs))
        except Exception as error:  # noqa: BLE001 - never the user's problem
            guard.report("start a tool span", error)
            return None

    def end(self, span: Span, result: Any) -> None:  # noqa: ANN401 - the user's own values
        try:
            spans.end_tool(span, result)
        except Exception as error:  # noqa: BLE001 - never the user's problem
            guard.report("end a tool span", error)

    def _streamed(self, stream: _Chunks, result: Any) -> dict[str, Any]:  # noqa: ANN401 - the user's own values
        attributes: dict[str, Any] = {semconv.CHUNKS: stream.count}
        shown = stream.result() if result is None else content.to_text(result)
        if shown is not None and pipeline.settings().capture_content:
            attributes[semconv.TOOL_CALL_RESULT] = shown
        return attributes


class _AgentProbe(_CallProbe):
    def __init__(self, function: Callable[..., Any], name: str | None) -> None:
        super().__init__(function)
        self._name = name or _name_of(function)

    @guard.guarded("start an agent span")
    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | None:
        if pipeline.tracer() is None:
            return None
        given = self._named(args, kwargs)
        texts = [value for value in given.values() if isinstance(value, str)]
        return spans.start_agent(self._name, given=texts[0] if len(texts) == len(given) == 1 else given or None)

    @guard.guarded("end an agent span")
    def end(self, span: Span, result: Any) -> None:  # noqa: ANN401 - the user's own values
        spans.end(span, _answer(result))

    def _streamed(self, stream: _Chunks, result: Any) -> dict[str, Any]:  # noqa: ANN401 - the user's own values
        return {semconv.CHUNKS: stream.count, **_answer(stream.result() if result is None else result)}


def _answer(result: object) -> dict[str, Any]:
    if result is None or not pipeline.settings().capture_content:
        return {}
    return {semconv.OUTPUT_MESSAGES: spans.messages_json("assistant", content.to_text(result))}


class _ModelProbe(_CallProbe):
    def __init__(self, function: Callable[..., Any], model: str | None, provider: str | None) -> None:
        super().__init__(function)
        self._model = model
        self._provider = provider

    @guard.guarded("start a model call span")
    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | None:
        if pipeline.tracer() is None:
            return None
        named = self._named(args, kwargs)
        request = model_io.read_request(named)
        return spans.start_model_call(
            request.model or self._model,
            operation=request.operation,
            provider=self._provider or request.provider,
            messages=_only_text(named) if request.messages is None else request.messages,
            system=request.system,
            attributes=request.attributes,
        )

    @guard.guarded("end a model call span")
    def end(self, span: Span, result: Any) -> None:  # noqa: ANN401 - the user's own values
        spans.end(span, _without_content(model_io.read_response(result)))

    def stream(self, span: Span) -> _ModelStream:  # noqa: ARG002 - Probe's interface
        return _ModelStream()

    def _streamed(self, stream: _ModelStream, result: Any) -> dict[str, Any]:  # noqa: ANN401 - the user's own values
        returned = model_io.read_response(result) if result is not None else {}
        return _without_content(stream.attributes() | returned)


def _only_text(named: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Take the one text that a function is given, whatever its own name for it, for what the user said."""
    texts = [value for name, value in named.items() if isinstance(value, str) and name != "model"]
    return [spans.text_message("user", content.to_text(texts[0]))] if len(texts) == 1 else None


class _ModelStream:
    """What a model streams, and when its first chunk came."""

    def __init__(self) -> None:
        self._reading = model_io.StreamReading()
        self._started = time.perf_counter()
        self._first: float | None = None

    def add(self, item: Any) -> None:  # noqa: ANN401 - the user's own values
        if self._first is None:
            self._first = time.perf_counter() - self._started
        try:
            self._reading.add(item)
        except Exception as error:  # noqa: BLE001 - never the user's problem
            guard.report("read a model's chunk", error)

    def attributes(self) -> dict[str, Any]:
        attributes = {**self._reading.attributes(), semconv.CHUNKS: self._reading.chunks}
        if self._first is not None:
            attributes[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = self._first
        return attributes


def _without_content(attributes: dict[str, Any]) -> dict[str, Any]:
    if not pipeline.settings().capture_content:
        attributes.pop(semconv.OUTPUT_MESSAGES, None)
    return attributes
