"""mcp 1.x: where requests go out and where they are handled -> spans.

Called by `mcp`. Both directions pass `BaseSession.send_request`, and whatever handles a request does so inside
``with responder:``, in the task and context that the handler runs in: streams and queues lie behind it. 1.x traces
nothing itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import Token
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from opentelemetry import context as context_api

from agent_trace_instrumentors import _mcp_messages as messages
from agent_trace_instrumentors import _mcp_requests as requests
from agent_trace_instrumentors import _mcp_transports as transports
from agent_trace_otel import guard, spans

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from agent_trace_instrumentors._base import Wrapper

Asynchronous: TypeAlias = Callable[..., Awaitable[Any]]

_HANDLED: Final = "_agent_trace_handled"


# -- sent --------------------------------------------------------------------------------------------------------


def around_send(_original: Callable[..., Any]) -> Wrapper:
    """Trace a request that a session sends."""

    async def send(wrapped: Asynchronous, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        given = args[0] if args else kwargs.get("request")
        sent = _start(instance, given)
        if sent is not None:
            injecting = _Injecting(given, sent)
            args, kwargs = (injecting, *args[1:])[: len(args)], dict(kwargs)
            if not args:
                kwargs["request"] = injecting
            if kwargs.get("progress_callback") is not None:
                kwargs["progress_callback"] = sent.telling(kwargs["progress_callback"])
        return await requests.follow(sent, wrapped(*args, **kwargs))

    return send


@guard.guarded("trace an MCP request")
def _start(session: object, given: object) -> requests.Request | None:
    if not spans.traces_here():
        return None
    request = messages.as_json(given)
    # the id that send_request is about to take; nothing runs in between
    request_id = getattr(session, "_request_id", None)
    return requests.send(request["method"], request.get("params") or {}, session, request_id)


class _Injecting(transports.Proxy):
    """A request that names its span in ``params._meta`` when it is written; the sender's own object stays as it is."""

    def __init__(self, request: object, sent: requests.Request) -> None:
        super().__init__(request)
        self._self_sent = sent

    def model_dump(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return what the request itself returns, with the context in its place."""
        dumped: dict[str, Any] = self.__wrapped__.model_dump(*args, **kwargs)
        params: dict[str, Any] = dumped.get("params") or {}
        meta: dict[str, Any] = params.get("_meta") or {}
        self._self_sent.inject(meta)
        if meta:
            dumped["params"] = {**params, "_meta": meta}
        return dumped


def around_notify(_original: Callable[..., Any]) -> Wrapper:
    """Tell of what a handler sends in the course of its request: progress, log messages."""

    async def notify(wrapped: Asynchronous, _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        _tell(*args, **kwargs)
        return await wrapped(*args, **kwargs)

    return notify


@guard.guarded("tell of an MCP notification")
def _tell(notification: object, *_: object, **__: object) -> None:
    request = requests.current()
    if request is not None and request.is_handled:
        said = messages.as_json(notification)
        request.notified(said["method"], said.get("params") or {})


# -- handled -----------------------------------------------------------------------------------------------------


class _Handled:
    """What is kept on a responder while its request is handled."""

    def __init__(self, request: requests.Request) -> None:
        self.request = request
        self.token: Token[Context] = context_api.attach(request.context)
        self.answer: object = None


def around_enter(_original: Callable[..., Any]) -> Wrapper:
    """Start the span of a request where its handling begins."""

    def enter(wrapped: Callable[..., object], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:  # noqa: ANN401 - a RequestResponder
        entered = wrapped(*args, **kwargs)
        _begin(instance)
        return entered

    return enter


@guard.guarded("trace an MCP request")
def _begin(responder: Any) -> None:  # noqa: ANN401 - a RequestResponder
    request = messages.as_json(responder.request)
    known = transports.attributes_of_message(responder.message_metadata)
    session = responder._session  # noqa: SLF001 - it has no other name
    handled = requests.handle(request["method"], request.get("params") or {}, session, responder.request_id, known)
    if handled is not None:
        vars(responder)[_HANDLED] = _Handled(handled)


def around_respond(_original: Callable[..., Any]) -> Wrapper:
    """Remember the answer until the handling is over."""

    async def respond(wrapped: Asynchronous, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        handled: _Handled | None = vars(instance).get(_HANDLED)
        if handled is not None:
            handled.answer = args[0] if args else kwargs.get("response")
        return await wrapped(*args, **kwargs)

    return respond


def around_exit(_original: Callable[..., Any]) -> Wrapper:
    """End the span of a request where its handling ends."""

    def leave(
        wrapped: Callable[..., object], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        try:
            return wrapped(*args, **kwargs)
        finally:
            _finish(instance, *args, **kwargs)

    return leave


@guard.guarded("end the span of an MCP request")
def _finish(responder: Any, _kind: object = None, error: BaseException | None = None, *_: object) -> None:  # noqa: ANN401 - a RequestResponder
    handled: _Handled | None = responder.__dict__.pop(_HANDLED, None)
    if handled is None:
        return
    context_api.detach(handled.token)
    if handled.answer is not None and not responder.cancelled:
        handled.request.answered(handled.answer)
    elif error is not None and not responder.cancelled:
        handled.request.failed(error)
    else:  # its sender gave it up, or the connection is gone: some versions keep that to themselves
        handled.request.interrupted()
