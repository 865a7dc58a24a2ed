"""One HTTP exchange: a client's request -> the server, its answer -> the client, copies of both -> the recording.

Comes in: requests of aiohttp's server. Goes out: requests of aiohttp's client, and answers. Called by `http`. Bytes go
on as they arrive, in both directions; bodies are neither decoded nor kept, and what may be changed in them has a module
of its own: `http_endpoint`, `http_oauth`, `context`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from agent_trace_otel.capture.mcp.http import oauth as http_oauth
from agent_trace_otel.capture.mcp.http.access import Access
from agent_trace_otel.capture.mcp.http.copying import ExchangeCopies, Recorder
from agent_trace_otel.capture.mcp.http.endpoint import EndpointEvent
from agent_trace_otel.capture.mcp.http.headers import (
    Headers,
    decoded,
    end_to_end,
    first,
    is_encoded,
    is_event_stream,
    may_be_changed,
    spelled_alike,
    values,
    with_set,
    without,
)
from agent_trace_otel.capture.mcp.http.upstream import Routes, Upstream
from agent_trace_otel.capture.mcp.injection import Injector

_SMALL = 65536  # bytes; a request's body up to this size is read whole, which saves a packet
_INJECTED = 1 << 20  # bytes; a longer one is not injected into, but passed on as it arrives
_OF_ONE_LEG = frozenset({"host", "expect"})
"""Headers of a request that are made anew for the server: aiohttp has answered Expect, and writes the server's Host."""
_ADDED_BY_AIOHTTP = ("Content-Type", "Date", "Server")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK, _FORBIDDEN, _BAD_REQUEST, _BAD_GATEWAY = 200, 403, 400, 502
_CONNECTION_CLOSED = -32000  # what both official SDKs mean by this JSON-RPC code
_INVALID_REQUEST = -32600  # JSON-RPC 2.0, section 5.1


@dataclass(frozen=True, slots=True)
class Forwarding:
    """What the user asked for."""

    upstream: Upstream
    access: Access
    added: tuple[tuple[str, str], ...] = ()
    """Headers for the server alone; never recorded."""
    rewrites_oauth: bool = False
    injector: Injector | None = None
    """What puts trace contexts into requests, if anything does."""
    proxy: str | None = None
    """URL of an HTTP proxy between here and the server."""


class Changing(Protocol):
    """Changes a body on its way."""

    def feed(self, piece: bytes) -> bytes:
        """Return what goes on when a piece has arrived, maybe nothing yet."""
        ...

    def rest(self) -> bytes:
        """Return what is left at the end of the body."""
        ...


class Exchanges:
    """The exchanges of one proxy: what they share, and how each goes."""

    def __init__(
        self, session: aiohttp.ClientSession, how: Forwarding, recorder: Recorder, say: Callable[[str], None]
    ) -> None:
        """Make the handler of a proxy.

        Args:
            session: the connections to the server.
            how: what the user asked for.
            recorder: where copies go.
            say: tells the user something, in one line.
        """
        self._session = session
        self._how = how
        self._routes = Routes(how.upstream)
        self._recorder = recorder
        self._say = say
        self._said: set[str] = set()
        self._open: set[aiohttp.ClientResponse] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        headers = decoded(request.raw_headers)
        refused, why = self._how.access.refusal(values(headers, "host"), values(headers, "origin"))
        version = f"{request.version.major}.{request.version.minor}"
        copies = self._recorder.exchange(request.method, request.raw_path, version, headers, refused)
        try:
            if refused:
                self._say_once(refused, f"refused a request: {why}")
                copies.answered_here(_FORBIDDEN, "")
                return _error(_FORBIDDEN, _INVALID_REQUEST, why)
            return await self._forward(request, headers, copies)
        except (web.RequestPayloadError, ConnectionError):  # the request's body is malformed or was cut off
            copies.cut_by("client")
            return web.Response(status=_BAD_REQUEST)
        except asyncio.CancelledError:  # the client is gone
            copies.cut_by("client")
            raise
        finally:
            copies.close()

    async def close_streams(self, _: web.Application) -> None:
        """Cut off the streams: they would go on for ever. Other answers may still be completed."""
        for answer in list(self._open):
            if is_event_stream(decoded(answer.raw_headers)):
                answer.close()

    async def _forward(self, request: web.Request, headers: Headers, copies: ExchangeCopies) -> web.StreamResponse:
        sent = with_set(end_to_end(without(headers, _OF_ONE_LEG)), self._how.added)
        if self._how.rewrites_oauth and request.path.startswith(http_oauth.WELL_KNOWN):
            sent = with_set(sent, [("Accept-Encoding", "identity")])
        body, sent = await self._body(request, sent, copies)
        try:
            answer = await self._session.request(
                request.method,
                URL(self._routes.url_of(request.raw_path), encoded=True),
                headers=spelled_alike(sent),
                data=body,
                allow_redirects=False,
                proxy=self._how.proxy,
            )
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            why = f"agent-trace: no answer from {self._how.upstream.origin}: {error or type(error).__name__}"
            self._say_once("unreachable", why.removeprefix("agent-trace: "))
            copies.answered_here(_BAD_GATEWAY, why)
            return _error(_BAD_GATEWAY, _CONNECTION_CLOSED, why, body)
        self._open.add(answer)
        try:
            return await self._pass_on(request, answer, copies)
        finally:
            self._open.discard(answer)
            answer.close()  # of an answer that is complete the connection is back in the pool already

    async def _body(
        self, request: web.Request, headers: Headers, copies: ExchangeCopies
    ) -> tuple[bytes | AsyncIterator[bytes] | None, Headers]:
        """Return a request's body, whole or as it arrives, and the headers that fit it."""
        if not request.body_exists:
            copies.client_is_done()
            return None, headers
        injects = self._how.injector is not None and may_be_changed(headers)
        length = request.content_length
        if length is None or length > (_INJECTED if injects else _SMALL):
            return _pieces(request, copies), headers
        body = await request.read()
        injected = self._how.injector.inject(body) if injects and self._how.injector is not None else None
        if injected is not None:
            copies.is_injected(injected[1])
        copies.from_client(body)
        copies.client_is_done()
        if injected is None:
            return body, headers
        return injected[0], with_set(headers, [("Content-Length", str(len(injected[0])))])

    async def _pass_on(
        self, request: web.Request, answer: aiohttp.ClientResponse, copies: ExchangeCopies
    ) -> web.StreamResponse:
        headers = decoded(answer.raw_headers)
        copies.answered(answer.status, headers)
        if answer.status in _REDIRECTS and first(headers, "location"):
            self._say_once("redirect", "the server redirects; a client that follows leaves the proxy")
        here = f"http://{request.host}"
        passed = end_to_end(headers)
        if self._how.rewrites_oauth:
            passed = http_oauth.challenged(passed, lambda url: self._routes.moved(url, here))
        changing = self._changing(request, answer.status, headers, here)
        if changing is not None:
            passed = without(passed, {"content-length"})
        out = _Passed(answer, passed)
        try:
            await out.prepare(request)
            async for piece in answer.content.iter_any():
                going = piece if changing is None else changing.feed(piece)
                if going:
                    await out.write(going)
                copies.from_server(piece)
            await out.write_eof(b"" if changing is None else changing.rest())
            copies.server_is_done()
        except (aiohttp.ClientError, OSError):
            client = request.transport
            copies.cut_by("client" if client is None or client.is_closing() else "server")
            # what was announced can't be kept; closing before the last chunk is how HTTP tells (RFC 9112, section 8)
            if client is not None:
                client.close()
        return out

    def _changing(self, request: web.Request, status: int, headers: Headers, here: str) -> Changing | None:
        """Return what changes the body of an answer on its way; almost always nothing does."""
        if is_encoded(headers):
            return None
        if request.method == "GET" and is_event_stream(headers):
            return EndpointEvent(lambda url: self._moved_endpoint(url, request.raw_path, here))
        if self._how.rewrites_oauth and status == _OK and request.path.startswith(http_oauth.WELL_KNOWN):
            return http_oauth.Metadata(lambda url: self._routes.moved(url, here))
        return None

    def _moved_endpoint(self, url: str, target: str, here: str) -> str:
        moved = self._routes.moved_endpoint(url, target, here)
        if moved is None:
            self._say_once("endpoint", "the server's endpoint has another origin: what is sent there is not recorded")
            return url
        return moved

    def _say_once(self, what: str, message: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._say(message)


class _Passed(web.StreamResponse):
    """An answer of the server's, with no header that is not its own."""

    def __init__(self, answer: aiohttp.ClientResponse, headers: Headers) -> None:
        super().__init__(status=answer.status, reason=answer.reason, headers=CIMultiDict(headers))
        self.names = {name.lower() for name, _ in headers}
        if answer.content.is_eof():
            # it is complete already: head and body may leave in one packet (where aiohttp knows the flag, since 3.12)
            self._send_headers_immediately = False


async def take_back_headers(_: web.Request, answer: web.StreamResponse) -> None:
    """Take back what aiohttp adds to the headers of a server's answer; a handler of ``on_response_prepare``."""
    if isinstance(answer, _Passed):
        for name in _ADDED_BY_AIOHTTP:
            if name.lower() not in answer.names:
                answer.headers.pop(name, None)


async def _pieces(request: web.Request, copies: ExchangeCopies) -> AsyncIterator[bytes]:
    """Yield a request's body as it arrives."""
    async for piece in request.content.iter_any():
        copies.from_client(piece)
        yield piece
    copies.client_is_done()


def _error(status: int, code: int, message: str, body: object = None) -> web.Response:
    """Return an answer of our own: a JSON-RPC error, for the request in the body if that is one."""
    try:
        asked: Any = json.loads(body) if isinstance(body, bytes) else None
    except (ValueError, RecursionError):
        asked = None
    number: Any = cast("dict[str, Any]", asked).get("id") if isinstance(asked, dict) else None
    text = json.dumps({"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}})
    return web.Response(status=status, text=text, content_type="application/json")
