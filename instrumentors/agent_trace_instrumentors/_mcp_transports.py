"""What connects a client to its server -> attributes of its requests: transport, address, MCP session.

Sessions and dispatchers know the stream that they write to, and only what made the stream knows where it leads. Called
by `mcp` to note the streams and by `_mcp_requests` to read of them. A client that took ``stdio_client`` by name before
it was wrapped says nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import wrapt

from agent_trace_otel import guard, semconv

if TYPE_CHECKING:
    from agent_trace_instrumentors._base import Wrapper

    Proxy = wrapt.ObjectProxy[Any]
else:
    Proxy = wrapt.ObjectProxy  # generic for type checkers alone

_PIPE: Final = object()
_WRITE_STREAM_AT: Final = 3  # post_writer(client, write_stream_reader, read_stream_writer, write_stream, ...)

_leads_to: WeakKeyDictionary[Any, object] = WeakKeyDictionary()
"""Write streams, and the HTTP transport that reads of them, or `_PIPE`."""


def _stream(written: Any) -> Any:  # noqa: ANN401 - a stream
    """Return what can be referred to weakly: the memory stream itself, which 2.x wraps."""
    return getattr(written, "_inner", written)


def around_stdio(_original: Callable[..., Any]) -> Wrapper:
    """Note the stream that leads to a server's process."""

    def connect(wrapped: Callable[..., Any], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - a context manager
        return _Noting(wrapped(*args, **kwargs))

    return connect


class _Noting(Proxy):
    """A context manager of (read stream, write stream) that notes the latter."""

    async def __aenter__(self) -> object:
        streams = await self.__wrapped__.__aenter__()
        _note_pipe(streams)
        return streams

    async def __aexit__(self, *error: object) -> bool | None:
        handled: bool | None = await self.__wrapped__.__aexit__(*error)
        return handled


@guard.guarded("note the transport of an MCP client")
def _note_pipe(streams: Any) -> None:  # noqa: ANN401 - a pair of streams
    _leads_to[_stream(streams[1])] = _PIPE


def around_post_writer(_original: Callable[..., Any]) -> Wrapper:
    """Note the stream that a Streamable HTTP transport reads of, before anything is written to it."""

    def start(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - a coroutine
        _note_http(instance, *args, **kwargs)
        return wrapped(*args, **kwargs)

    return start


@guard.guarded("note the transport of an MCP client")
def _note_http(transport: object, *args: Any, **kwargs: Any) -> None:
    written = args[_WRITE_STREAM_AT] if len(args) > _WRITE_STREAM_AT else kwargs["write_stream"]
    _leads_to[_stream(written)] = transport


def attributes_of(connection: object, *, is_handled: bool) -> dict[str, Any]:
    """Return what is known of a client's connection; nothing of a server's, and of one in memory.

    Args:
        connection: a session of mcp 1.x or a dispatcher of 2.x.
        is_handled: the request comes from the server, whose address is not this side's to tell.
    """
    written = getattr(connection, "_write_stream", None)
    transport: Any = None if written is None else _leads_to.get(_stream(written))
    if transport is None:
        return {}
    if transport is _PIPE:
        return {semconv.NETWORK_TRANSPORT: "pipe"}
    return _of_http(transport.session_id) | ({} if is_handled else _address(transport.url))


def attributes_of_message(metadata: object) -> dict[str, Any]:
    """Return what is known of the HTTP request that a message came to a server with; nothing for other transports.

    Args:
        metadata: the SDK's ServerMessageMetadata, or anything.
    """
    headers = getattr(getattr(metadata, "request_context", None), "headers", None)
    return {} if headers is None else _of_http(headers.get("mcp-session-id"))


def _of_http(session_id: str | None) -> dict[str, Any]:
    """Return what every request over HTTP tells; sessions of 2026-07-28, which are stateless, have no id."""
    attributes: dict[str, Any] = {semconv.NETWORK_TRANSPORT: "tcp", semconv.NETWORK_PROTOCOL_NAME: "http"}
    return attributes | ({semconv.MCP_SESSION_ID: session_id} if session_id else {})


def _address(url: str) -> dict[str, Any]:
    split = urlsplit(url)
    port = split.port or {"http": 80, "https": 443}.get(split.scheme)
    return {semconv.SERVER_ADDRESS: split.hostname or "", **({semconv.SERVER_PORT: port} if port else {})}
