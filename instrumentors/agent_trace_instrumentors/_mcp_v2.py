"""mcp 2.x: where requests go out and where they are handled -> spans, which stand in for the SDK's own.

Called by `mcp`. The SDK traces itself, by scope ``mcp-python-sdk``, but tells neither arguments nor results nor tools'
failures to the sender, and nothing at all of clients whose server is in the same process. So for each request that is
traced here its own span is left out; what it would have told besides is taken over. Its spans of notifications stay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from opentelemetry.trace import INVALID_SPAN

from agent_trace_instrumentors import _mcp_messages as messages
from agent_trace_instrumentors import _mcp_requests as requests
from agent_trace_instrumentors import _mcp_transports as transports
from agent_trace_otel import guard, mcp_io, semconv

if TYPE_CHECKING:
    from agent_trace_instrumentors._base import Wrapper

Asynchronous: TypeAlias = Callable[..., Awaitable[Any]]

_OPTS_AT: Final = 2  # method, params, opts


# -- sent --------------------------------------------------------------------------------------------------------


def around_send(_original: Callable[..., Any]) -> Wrapper:
    """Trace a request that a dispatcher sends."""

    async def send(wrapped: Asynchronous, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        sent = _start(instance, *args, **kwargs)
        if sent is not None:
            args, kwargs = _with_progress(sent, args, kwargs)
        return await requests.follow(sent, wrapped(*args, **kwargs))

    return send


@guard.guarded("trace an MCP request")
def _start(
    dispatcher: object,
    method: str,
    params: Mapping[str, Any] | None,
    opts: Mapping[str, Any] | None = None,
    **_: object,
) -> requests.Request | None:
    sender = getattr(dispatcher, "_peer", dispatcher)  # in process, it is the receiving side that dispatches
    return requests.send(method, params or {}, sender, (opts or {}).get("request_id"))


def _with_progress(
    sent: requests.Request, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a send with a progress callback that tells of each report, where there is one."""
    is_positional = len(args) > _OPTS_AT
    opts: dict[str, Any] | None = args[_OPTS_AT] if is_positional else kwargs.get("opts")
    if not opts or opts.get("on_progress") is None:
        return args, kwargs
    telling = {**opts, "on_progress": sent.telling(opts["on_progress"])}
    if is_positional:
        return (*args[:_OPTS_AT], telling, *args[_OPTS_AT + 1 :]), kwargs
    return args, {**kwargs, "opts": telling}


def around_native_client_span(_original: Callable[..., Any]) -> Wrapper:
    """Leave out the SDK's span of a request that has one; only that span tells which id the request got."""

    def start(wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - a context manager
        sent = requests.current()
        attributes: dict[str, Any] = kwargs.get("attributes") or {}
        if sent is None or sent.is_handled or attributes.get(semconv.MCP_METHOD_NAME) != sent.method:
            return wrapped(*args, **kwargs)
        sent.identify(attributes.get(semconv.JSONRPC_REQUEST_ID))
        return nullcontext(INVALID_SPAN)

    return start


def around_inject(_original: Callable[..., Any]) -> Wrapper:
    """Leave a context in ``_meta`` that the caller chose, which the SDK would write over."""

    def inject(wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        sent = requests.current()
        if sent is None or sent.is_handled:
            wrapped(*args, **kwargs)
        else:
            sent.inject(*args, **kwargs)

    return inject


# -- handled -----------------------------------------------------------------------------------------------------


def around_handle(_original: Callable[..., Any]) -> Wrapper:
    """Trace a request that a server or a client handles."""

    async def handle(wrapped: Asynchronous, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        handled = _begin(instance, *args, **kwargs)
        if handled is not None and args:
            args = (_Telling(args[0], handled), *args[1:])
        return await requests.follow(handled, wrapped(*args, **kwargs))

    return handle


@guard.guarded("trace an MCP request")
def _begin(
    handler: Any,  # noqa: ANN401 - a ServerRunner or a ClientSession
    dctx: Any,  # noqa: ANN401 - a DispatchContext
    method: str,
    params: Mapping[str, Any] | None,
) -> requests.Request | None:
    known = transports.attributes_of_message(dctx.message_metadata)
    server = getattr(handler, "connection", None)
    version = handler.protocol_version if server is None else server.protocol_version
    if version is not None:
        known[semconv.MCP_PROTOCOL_VERSION] = version
    connection = handler._dispatcher if server is None else server  # noqa: SLF001 - it has no other name
    return requests.handle(method, params or {}, connection, dctx.request_id, known)


class _Telling(transports.Proxy):
    """What a handler sends notifications through: each is told of before it goes on its way."""

    def __init__(self, dctx: object, handled: requests.Request) -> None:
        super().__init__(dctx)
        self._self_handled = handled

    async def notify(self, method: str, params: Mapping[str, Any] | None, *args: Any, **kwargs: Any) -> None:
        """Send a notification."""
        self._self_handled.notified(method, params or {})
        await self.__wrapped__.notify(method, params, *args, **kwargs)

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Send a progress notification, if the request's sender wants any."""
        send = self.__wrapped__.progress
        if self._self_handled.wants_progress:
            send = self._self_handled.telling(send)
        await send(progress, total, message)


def around_native_server_span(_original: Callable[..., Any]) -> Wrapper:
    """Leave out the SDK's span of a request that has one."""

    async def trace(wrapped: Asynchronous, _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        if _is_traced(*args, **kwargs):
            return await _call_next(*args, **kwargs)
        return await wrapped(*args, **kwargs)

    return trace


@guard.guarded("leave out the span of an MCP request")
def _is_traced(ctx: Any, *_: object, **__: object) -> bool:  # noqa: ANN401 - a ServerRequestContext
    handled = requests.current()
    return (
        handled is not None
        and handled.is_handled
        and (handled.method, handled.request_id) == (ctx.method, ctx.request_id)
    )


async def _call_next(ctx: object, call_next: Callable[[object], Awaitable[Any]]) -> object:
    return await call_next(ctx)


def around_input_request(_original: Callable[..., Any]) -> Wrapper:
    """Trace what a server asks for in a result (2026-07-28): the request stands in there, not on the wire."""

    async def dispatch(
        wrapped: Asynchronous, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        return await requests.follow(_begin_input(instance, *args, **kwargs), wrapped(*args, **kwargs))

    return dispatch


@guard.guarded("trace an MCP request")
def _begin_input(session: Any, _ctx: object, request: object) -> requests.Request | None:  # noqa: ANN401 - a ClientSession
    asked = messages.as_json(request)
    handled = requests.current()
    if handled is not None and handled.is_handled and handled.method == asked["method"]:
        return None  # it came over the wire, and is traced where it came in
    known = {semconv.MCP_PROTOCOL_VERSION: session.protocol_version}
    return requests.handle(asked["method"], asked.get("params") or {}, session._dispatcher, None, known)  # noqa: SLF001 - it has no other name


def around_notification(_original: Callable[..., Any]) -> Wrapper:
    """End the span of a subscription where the server acknowledges it."""

    def intercept(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - handed on
        _acknowledge(instance, *args, **kwargs)
        return wrapped(*args, **kwargs)

    return intercept


@guard.guarded("end the span of an MCP subscription")
def _acknowledge(session: Any, method: str, params: Mapping[str, Any] | None) -> None:  # noqa: ANN401 - a ClientSession
    if method == mcp_io.LISTEN_ACKNOWLEDGED:
        request_id = messages.meta_of(params or {}).get(mcp_io.SUBSCRIPTION_KEY)
        listen = requests.open_listen(session._dispatcher, request_id)  # noqa: SLF001 - it has no other name
        if listen is not None:
            listen.notified(method, params or {})
