"""The OpenAI Agents SDK -> spans of runs, agents, model calls, function tools, handoffs and guardrails.

Comes in: the SDK's own traces and spans, at the place where they start and finish. Goes out: spans of ours, under which
hangs what the run's code does. Switched on by ``agent_trace_otel.instrument()``. The SDK's export to OpenAI goes on as
it was, and what switches that off (``set_tracing_disabled``, other processors) does not switch this off.

    trace                  invoke_workflow {name}
    agent                  invoke_agent {name}
    generation, response   chat {model}, lent to the client's call below
    function               execute_tool {name}
    handoff                execute_tool transfer_to_{agent}
    guardrail              execute_tool {name}, type guardrail; blocked if it was tripped
    any other              no span: tasks, turns and lists of tools say nothing that the calls in them don't
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as context_api

from agent_trace_instrumentors import _agents_models as models
from agent_trace_instrumentors import _agents_spans as told
from agent_trace_instrumentors._base import Instrumentor, Library, Target
from agent_trace_instrumentors._loan import Loan
from agent_trace_otel import guard, model_io, semconv, spans

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from agent_trace_instrumentors._base import Wrapper

MAX_OPEN: Final = 10_000
"""Spans remembered: one that nobody finishes must not stay for ever."""
_function: Final[ContextVar[_Told | None]] = ContextVar("agent_trace_agents_function", default=None)
"""The function call that has begun here and has not said what it is called with."""


class _Told:
    """One span of the SDK's that is open, and ours of the same."""

    __slots__ = ("before", "began", "data", "error", "inside", "is_current", "kind", "loan", "of", "raised", "span")

    def __init__(self, of: object, *, is_current: bool) -> None:
        self.of = of
        """The SDK's own, kept so that its id is not another's."""
        self.data: Any = getattr(of, "span_data", None)
        self.kind = "trace" if self.data is None else str(self.data.type)
        self.is_current = is_current
        self.before = context_api.get_current()
        self.inside: Context | None = None
        self.span: Span | None = None
        self.loan: Loan | None = None
        self.error: object = None
        """What was said of its failure."""
        self.raised: BaseException | None = None
        self.began = time.time_ns()


_open: Final[OrderedDict[int, _Told]] = OrderedDict()


# -- starts ------------------------------------------------------------------------------------------------------


def around_start(_original: Callable[..., Any]) -> Wrapper:
    """Begin a span with one of the SDK's."""

    def start(wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - handed on
        result = wrapped(*args, **kwargs)
        _start(instance, *args, **kwargs)
        return result

    return start


@guard.guarded("trace a span of the Agents SDK")
def _start(of: object, mark_as_current: bool = False) -> None:  # noqa: FBT001, FBT002 - the SDK's own arguments
    if id(of) in _open or not spans.traces_here():
        return
    begun = _Told(of, is_current=mark_as_current)
    if begun.kind not in _STARTS:
        return
    _open[id(of)] = begun
    if len(_open) > MAX_OPEN:
        _open.popitem(last=False)
    start = _STARTS[begun.kind]
    if start is not None:
        _begun(begun, start(begun))
    elif begun.kind == "function":
        _function.set(begun)


def _begun(begun: _Told, span: Span | None) -> None:
    """Make a span that has started the current one, where the SDK's is that, too."""
    begun.span = span
    if span is None:
        return
    if begun.kind in _MODELS:
        begun.loan = Loan(span)
    if begun.is_current:
        begun.inside = spans.context_of(span) if begun.loan is None else begun.loan.context()
        context_api.attach(begun.inside)


def _start_trace(begun: _Told) -> Span | None:
    of: Any = begun.of
    group = getattr(of, "group_id", None)
    conversation = {semconv.CONVERSATION_ID: str(group)} if group else {}
    name = str(getattr(of, "name", "") or "Agent workflow")
    name = "Agent workflow" if name == "no-op" else name
    return spans.start_agent(name, operation=semconv.INVOKE_WORKFLOW, attributes=conversation)


def _start_agent(begun: _Told) -> Span | None:
    return spans.start_agent(str(begun.data.name))


def _start_guardrail(begun: _Told) -> Span | None:
    span = spans.start_tool(str(begun.data.name))
    if span is not None:
        span.set_attribute(semconv.TOOL_TYPE, "guardrail")
    return span


def _start_model(begun: _Told) -> Span | None:
    asked = models.take_request()
    request = model_io.read_request(told.request_of_data(begun.data) if asked is None else asked)
    return spans.start_model_call(
        request.model,
        provider=request.provider,
        messages=request.messages,
        system=request.system,
        attributes=request.attributes,
    )


_STARTS: Final[Mapping[str, Callable[[_Told], Span | None] | None]] = {
    "trace": _start_trace,
    "agent": _start_agent,
    "generation": _start_model,
    "response": _start_model,
    "guardrail": _start_guardrail,
    "function": None,  # once it is known what it is called with
    "handoff": None,  # at its end it is known to whom
}
_MODELS: Final = frozenset({"generation", "response"})


def around_tool_context(_original: Callable[..., Any]) -> Wrapper:
    """Begin the span of a function call, where the SDK says what it is called with."""

    def make(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - handed on
        made = wrapped(*args, **kwargs)
        _call(made, *args[1:], **kwargs)
        return made

    return make


@guard.guarded("trace a function call of the Agents SDK")
def _call(made: object, call_id: object = None, tool_call: object = None, *_: object, **given: object) -> None:
    begun = _function.get()
    if begun is None or begun.span is not None or id(begun.of) not in _open:
        return
    _function.set(None)
    arguments = getattr(tool_call, "arguments", None) or given.get("tool_arguments")
    call_id = call_id or given.get("tool_call_id") or getattr(made, "tool_call_id", None)
    name = str(begun.data.name)
    _begun(begun, spans.start_tool(name, _parsed(arguments), call_id=str(call_id) if call_id else None))


def _parsed(arguments: object) -> object:
    """Return a call's arguments as an object, where they are the JSON text of one."""
    import json

    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


# -- ends --------------------------------------------------------------------------------------------------------


def around_error(_original: Callable[..., Any]) -> Wrapper:
    """Take note of what is said of a span's failure; the SDK forgets it when its own tracing is off."""

    def set_error(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - handed on
        begun = _open.get(id(instance))
        if begun is not None:
            begun.error = args[0] if args else kwargs.get("error")
        return wrapped(*args, **kwargs)

    return set_error


def around_exit(_original: Callable[..., Any]) -> Wrapper:
    """Take note of the exception that ends a span."""

    def leave(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - handed on
        begun = _open.get(id(instance))
        if begun is not None and len(args) > 1:
            begun.raised = args[1]
        return wrapped(*args, **kwargs)

    return leave


def around_finish(_original: Callable[..., Any]) -> Wrapper:
    """End a span with the SDK's."""

    def finish(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - handed on
        _finish(instance)
        return wrapped(*args, **kwargs)

    return finish


@guard.guarded("end the span of one of the Agents SDK's")
def _finish(of: object) -> None:
    begun = _open.pop(id(of), None)
    if begun is None:
        return
    if begun.inside is not None and context_api.get_current() is begun.inside:
        # no token: a generator may be finished in another context than it began in
        context_api.attach(begun.before)
    if begun.kind == "handoff":
        begun.span = spans.start_tool(told.handoff_tool(begun.data.to_agent), {"from": begun.data.from_agent})
    elif begun.span is None and begun.kind == "function":
        begun.span = spans.start_tool(str(begun.data.name), _parsed(begun.data.input), began_ns=begun.began)
    if begun.span is not None:
        _end(begun, begun.span)


def _end(begun: _Told, span: Span) -> None:
    attributes = _answer(begun)
    if isinstance(begun.raised, GeneratorExit):
        spans.end(span, attributes, outcome=semconv.OUTCOME_ABANDONED)
        return
    if begun.raised is not None:
        spans.end(span, attributes, error=begun.raised)
        return
    kind, message = told.failure_of(begun.error or getattr(begun.of, "error", None))
    if kind:
        attributes[semconv.ERROR_TYPE] = semconv.TOOL_ERROR if begun.kind == "function" else kind
        spans.end(span, attributes, outcome=semconv.OUTCOME_ERROR, message=message)
    elif begun.kind == "guardrail" and begun.data.triggered:
        spans.end(span, attributes, outcome=semconv.OUTCOME_BLOCKED, message="the guardrail was tripped")
    else:
        spans.end(span, attributes)


def _answer(begun: _Told) -> dict[str, Any]:
    """Return what is known at the end alone."""
    if begun.kind in _MODELS:
        # what the client's call has told is more exact
        return {**told.answer_of(begun.data), **(begun.loan.attributes if begun.loan is not None else {})}
    result: object = None
    if begun.kind == "function":
        result = begun.data.output
    elif begun.kind == "handoff":
        result = {"to": begun.data.to_agent}
    elif begun.kind == "guardrail":
        result = {"triggered": bool(begun.data.triggered)}
    shown = None if result is None else spans.content_text(result)
    return {} if shown is None else {semconv.TOOL_CALL_RESULT: shown}


_SPANS: Final = "agents.tracing.spans"
_TRACES: Final = "agents.tracing.traces"
_RESPONSES: Final = "agents.models.openai_responses"
_COMPLETIONS: Final = "agents.models.openai_chatcompletions"
_LITELLM: Final = "agents.extensions.models.litellm_model"


class OpenAIAgentsInstrumentor(Instrumentor):
    """Runs, agents, model calls, function tools, handoffs, guardrails."""

    name = "openai_agents"
    library = Library("openai-agents", oldest=(0, 3), before=(1,))
    targets = (
        *(Target(_SPANS, f"{kind}.start", around_start) for kind in ("SpanImpl", "NoOpSpan")),
        *(Target(_SPANS, f"{kind}.finish", around_finish, while_suppressed=True) for kind in ("SpanImpl", "NoOpSpan")),
        *(Target(_SPANS, f"{kind}.__exit__", around_exit, while_suppressed=True) for kind in ("SpanImpl", "NoOpSpan")),
        *(Target(_SPANS, f"{kind}.set_error", around_error) for kind in ("SpanImpl", "NoOpSpan")),
        *(Target(_TRACES, f"{kind}.start", around_start) for kind in ("TraceImpl", "NoOpTrace")),
        *(
            Target(_TRACES, f"{kind}.finish", around_finish, while_suppressed=True)
            for kind in ("TraceImpl", "NoOpTrace")
        ),
        *(
            Target(_TRACES, f"{kind}.__exit__", around_exit, while_suppressed=True)
            for kind in ("TraceImpl", "NoOpTrace")
        ),
        Target("agents.tool_context", "ToolContext.from_agent_context", around_tool_context),
        Target(_RESPONSES, "OpenAIResponsesModel.get_response", models.around_response),
        Target(_RESPONSES, "OpenAIResponsesModel.stream_response", models.around_stream),
        Target(_COMPLETIONS, "OpenAIChatCompletionsModel.get_response", models.around_response),
        Target(_COMPLETIONS, "OpenAIChatCompletionsModel.stream_response", models.around_stream),
        Target(_LITELLM, "LitellmModel.get_response", models.around_response),
        Target(_LITELLM, "LitellmModel.stream_response", models.around_stream),
    )
