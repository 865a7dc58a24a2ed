"""One request of MCP as one side sees it: a span from the moment it is sent or handled until it is answered.

Comes in: method, params as parsed JSON, and which connection it belongs to. Goes out: a `Request`, whose context the
call runs in, or None when nothing is traced. Called by `_mcp_v1` and `_mcp_v2`. The other side is told of the span by
``params._meta.traceparent`` (MCP 2026-07-28, basic, `_meta`; SEP-414).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.context import Context

from agent_trace_instrumentors import _mcp_messages as messages
from agent_trace_instrumentors import _mcp_transports as transports
from agent_trace_instrumentors._mcp_messages import Json
from agent_trace_otel import guard, mcp_io, semconv, spans

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext

R = TypeVar("R")

_KEY: Final = context_api.create_key("agent_trace.mcp.request")
_MAX_ASKED_FOR_INPUT: Final = 1000


class Request:
    """One request that is open on this side; it ends once, whoever tells first.

    Args:
        span: its span, just started.
        method: the JSON-RPC method.
        target: the tool or prompt, where the method has one.
        params: its parameters as parsed JSON.
        connection: the SDK's object that requests of this connection are sent with.
        is_handled: it is answered here; False for one that is sent from here.
        request_id: its JSON-RPC id, which the span tells already; None if it is not known yet.
    """

    def __init__(  # noqa: PLR0913 - what is known of a request
        self,
        span: Span,
        method: str,
        target: str,
        params: Json,
        connection: object,
        request_id: object,
        *,
        is_handled: bool,
    ) -> None:
        self.span = span
        self.method = method
        self.target = target
        self.connection = connection
        self.is_handled = is_handled
        self.wants_progress = "progressToken" in messages.meta_of(params)
        self.context = context_api.set_value(_KEY, self, spans.context_of(span))
        self._above = trace_api.get_current_span().get_span_context()
        self.request_id = request_id
        _open[span.get_span_context().span_id] = self

    def identify(self, request_id: object) -> None:
        """Tell the JSON-RPC id, unless it is told already."""
        if self.request_id is None:
            self.request_id = request_id
            self.span.set_attribute(semconv.JSONRPC_REQUEST_ID, str(request_id))

    @guard.guarded("pass on the context of an MCP request")
    def inject(self, meta: dict[str, Any]) -> None:
        """Name the span in a request's ``_meta``, unless its sender named another one.

        The one that the span hangs under is no other one: fastmcp's client names what is current, a moment before.
        """
        from opentelemetry import propagate

        if self.is_above_all(_named_in(meta)):
            propagate.inject(meta, self.context)

    def is_above_all(self, named: SpanContext) -> bool:
        """Tell whether what handles the request hangs under it, for all that its ``_meta`` names."""
        return not named.is_valid or named.span_id == self._above.span_id

    @guard.guarded("tell of an MCP notification")
    def notified(self, method: str, params: Json) -> None:
        """Add a notification that belongs to the request as a span event.

        `subscriptions/listen` is answered when its stream ends, hours later: its acknowledgement ends the span.
        """
        if self.span.is_recording():  # it may come after the answer
            self.span.add_event(semconv.MCP_NOTIFICATION_EVENT, messages.read_notification(method, params))
        if method == mcp_io.LISTEN_ACKNOWLEDGED:
            self._end(messages.Ending())

    def telling(self, on_progress: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        """Return a progress callback that tells of each report before it calls the user's."""
        self.wants_progress = True

        async def tell(*report: Any) -> None:
            told = dict(zip(("progress", "total", "message"), report, strict=False))
            self.notified(mcp_io.PROGRESS, {name: value for name, value in told.items() if value is not None})
            await on_progress(*report)

        return tell

    @guard.guarded("end the span of an MCP request")
    def answered(self, answer: object) -> None:
        """End the span with what came back: a result, or the SDK's ErrorData."""
        ending, result = messages.Ending(), messages.NOTHING
        try:
            refusal = messages.read_error(answer)
            result = messages.as_json(answer) if refusal is None else result
            ending = refusal or messages.read_result(self.method, result)
        finally:
            self._end(ending)
        if semconv.MCP_PROTOCOL_VERSION in ending.attributes:
            _versions[self.connection] = ending.attributes[semconv.MCP_PROTOCOL_VERSION]
        state = result.get("requestState")
        if isinstance(state, str):
            _asked_for_input[state, self.is_handled] = self.span.get_span_context()
            if len(_asked_for_input) > _MAX_ASKED_FOR_INPUT:
                _asked_for_input.popitem(last=False)

    @guard.guarded("end the span of an MCP request")
    def failed(self, error: BaseException) -> None:
        """End the span with what was raised: the SDK's error for a JSON-RPC error, or anything else."""
        refusal = messages.read_error(getattr(error, "error", None))
        if refusal is not None:
            self._end(refusal)
        elif self._close():
            spans.end(self.span, error=error)

    @guard.guarded("end the span of an MCP request")
    def interrupted(self) -> None:
        """End the span of a request that nobody waits for any more."""
        self._end(messages.Ending(outcome=semconv.OUTCOME_INTERRUPTED))

    def _end(self, ending: messages.Ending) -> None:
        if self._close():
            spans.end(self.span, ending.attributes, outcome=ending.outcome, message=ending.message)

    def _close(self) -> bool:
        return _open.pop(self.span.get_span_context().span_id, None) is not None


_open: dict[int, Request] = {}
"""What is open in this process, by span id."""
_versions: WeakKeyDictionary[object, str] = WeakKeyDictionary()
"""The protocol version that a connection's handshake agreed on."""
_asked_for_input: OrderedDict[tuple[str, bool], SpanContext] = OrderedDict()
"""What was answered with a wish for more input (2026-07-28), by its requestState and side: it will be sent again."""


def current() -> Request | None:
    """Return the innermost request that the caller's code is part of."""
    found = context_api.get_value(_KEY)
    return found if isinstance(found, Request) else None


def open_listen(connection: object, request_id: object) -> Request | None:
    """Return the `subscriptions/listen` that was sent under an id and is not acknowledged yet."""
    for request in tuple(_open.values()):
        if (request.method, request.request_id) == (messages.LISTEN, request_id) and request.connection is connection:
            return request
    return None


@guard.guarded("trace an MCP request")
def send(method: str, params: Json, connection: object, request_id: object = None) -> Request | None:
    """Start the CLIENT span of a request that is about to be sent."""
    return _start(method, params, connection, request_id, {}, is_handled=False)


@guard.guarded("trace an MCP request")
def handle(method: str, params: Json, connection: object, request_id: object, known: Json) -> Request | None:
    """Start the SERVER span of a request that is about to be handled, under the span that its sender names.

    Args:
        method: the JSON-RPC method.
        params: its parameters as parsed JSON.
        connection: the SDK's object that requests of this connection are sent with.
        request_id: its JSON-RPC id.
        known: further attributes.
    """
    around = trace_api.get_current_span()
    token = context_api.attach(_context_of(method, messages.meta_of(params), connection))
    try:
        request = _start(method, params, connection, request_id, known, is_handled=True)
        above = trace_api.get_current_span().get_span_context()
    finally:
        context_api.detach(token)
    sender = _caller(method)
    if request is not None and sender is not None:  # one is told the id alone, the other whether progress is wanted
        sender.identify(request_id)
        request.wants_progress |= sender.wants_progress
    # the convention wants the ambient context linked: an HTTP server's span, when the client's trace is another one
    if request is not None and around.is_recording() and around.get_span_context().trace_id != above.trace_id:
        request.span.add_link(around.get_span_context())
    return request


async def follow(request: Request | None, call: Awaitable[R]) -> R:
    """Await a call inside a request's span; as it ends, so does the span."""
    if request is None:
        return await call
    token = context_api.attach(request.context)
    try:
        answer = await call
    except BaseException as error:
        request.failed(error)
        raise
    finally:
        context_api.detach(token)
    request.answered(answer)
    return answer


def _start(  # noqa: PLR0913 - what is known of a request
    method: str, params: Json, connection: object, request_id: object, known: Json, *, is_handled: bool
) -> Request | None:
    if not spans.traces_here():
        return None
    target, attributes = messages.read_request(method, params)
    version = _versions.get(connection)
    if version is not None:
        attributes.setdefault(semconv.MCP_PROTOCOL_VERSION, version)
    if request_id is not None:
        attributes[semconv.JSONRPC_REQUEST_ID] = str(request_id)
    known = {**transports.attributes_of(connection, is_handled=is_handled), **known}
    span = spans.start_request(method, target, is_servers=is_handled, attributes={**known, **attributes})
    if span is None:
        return None
    asked = _asked_for_input.pop((str(params.get("requestState")), is_handled), None)
    if asked is not None:
        span.add_link(asked)
    return Request(span, method, target, params, connection, request_id, is_handled=is_handled)


# -- context -----------------------------------------------------------------------------------------------------


def _extract(meta: Json, base: Context) -> Context:
    """Return a context with what ``_meta`` names, through the propagators that the process is set up with."""
    from opentelemetry import propagate

    return propagate.extract({name: value for name, value in meta.items() if isinstance(value, str)}, base)


def _named_in(meta: Json) -> SpanContext:
    """Return the span that a request's ``_meta`` names, an invalid one if it names none."""
    return trace_api.get_current_span(_extract(meta, Context())).get_span_context()


def _context_of(method: str, meta: Json, connection: object) -> Context:
    """Return the context that a request is handled in.

    A message comes out of a loop that began long before it, so what is current there says little: the session may be
    another one by now. Where the sender's span is of this process, or of the trace of a request that this process has
    sent, that request's context is taken instead.
    """
    named, sender = _named_in(meta), _caller(method)
    if sender is not None and sender.is_above_all(named):
        return context_api.get_current()
    if named.is_valid:
        near = _open.get(named.span_id) or _of_same_trace(named)
        return _extract(meta, context_api.get_current() if near is None else near.context)
    causes = [request for request in tuple(_open.values()) if request.connection is connection]
    if method in messages.OF_SERVERS and len(causes) == 1 and not causes[0].is_handled:
        return causes[0].context  # the server asks back, and there is only one call that it can do so for
    return context_api.get_current()


def _caller(method: str) -> Request | None:
    """Return the request that calls its handler in process, without JSON-RPC, so that its context is the handler's."""
    sender = current()
    is_open = sender is not None and _open.get(sender.span.get_span_context().span_id) is sender
    return sender if sender is not None and is_open and (sender.method, sender.is_handled) == (method, False) else None


def _of_same_trace(named: SpanContext) -> Request | None:
    opened = tuple(_open.values())
    return next((request for request in opened if request.span.get_span_context().trace_id == named.trace_id), None)
