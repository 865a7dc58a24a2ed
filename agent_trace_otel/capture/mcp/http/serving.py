"""The two sides of the HTTP proxy: a listening socket and connections to the server -> `http_exchange`, until a signal.

Called by `http`. aiohttp is set up here so that it adds, decodes, follows and remembers nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys

import aiohttp
from aiohttp import web

from agent_trace_otel.capture.mcp.copies import CopySender
from agent_trace_otel.capture.mcp.http.copying import Recorder
from agent_trace_otel.capture.mcp.http.exchange import Exchanges, Forwarding, take_back_headers

_LONGEST_HEADER = 1 << 18  # bytes; MCP 2026-07-28 puts arguments into Mcp-Param-* headers
_IDLE_UPSTREAM = 4.0  # seconds; servers commonly close an idle connection after 5, and a POST can't be sent again
_CONNECT = 30.0  # seconds
_GRACE = 1.0  # seconds that answers under way have at the end
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_UNWANTED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")  # what aiohttp would add to a request


def serve(listener: socket.socket, how: Forwarding, sender: CopySender, *, is_recorded: bool) -> int:
    """Answer what comes to a socket until a signal says to stop.

    Args:
        listener: a listening socket.
        how: what the user asked for.
        sender: takes the copies.
        is_recorded: False if nobody reads them.

    Returns:
        The signal's number.
    """
    return asyncio.run(_serve(listener, how, sender, is_recorded=is_recorded))


async def _serve(listener: socket.socket, how: Forwarding, sender: CopySender, *, is_recorded: bool) -> int:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()
    for number in _STOPPING:
        loop.add_signal_handler(number, _stop, stopped, number)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_UPSTREAM),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
        auto_decompress=False,
        request_class=_AsItCame,
        skip_auto_headers=_UNWANTED,
        max_line_size=_LONGEST_HEADER,
        max_field_size=_LONGEST_HEADER,
    )
    async with session:
        exchanges = Exchanges(session, how, Recorder(sender, how.upstream), _say)
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{path:.*}", exchanges.handle)
        app.on_response_prepare.append(take_back_headers)
        app.on_shutdown.append(exchanges.close_streams)
        silent = logging.getLogger("agent_trace_otel.capture.mcp.http.proxy")
        silent.setLevel(logging.CRITICAL + 1)  # a client's bad request is no news
        runner = web.AppRunner(
            app,
            access_log=None,
            auto_decompress=False,
            handle_signals=False,
            handler_cancellation=True,
            logger=silent,
            max_field_size=_LONGEST_HEADER,
            max_line_size=_LONGEST_HEADER,
            shutdown_timeout=_GRACE,
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            _say(f"{'recording' if is_recorded else 'NOT recording'} http://{shown}:{port} -> {how.upstream.shown}")
            return await stopped
        finally:
            await runner.cleanup()


class _AsItCame(aiohttp.ClientRequest):
    """A request that gets no ``Content-Length: 0`` from aiohttp where the client has sent none, such as a DELETE."""

    GET_METHODS = aiohttp.ClientRequest.ALL_METHODS


def _stop(stopped: asyncio.Future[int], number: int) -> None:
    if not stopped.done():
        stopped.set_result(number)


def _say(message: str) -> None:
    line = "".join(char if char.isprintable() else "?" for char in message)
    with contextlib.suppress(OSError, ValueError):  # nobody has to listen
        sys.stderr.write(f"agent-trace: {line}\n")
        sys.stderr.flush()
