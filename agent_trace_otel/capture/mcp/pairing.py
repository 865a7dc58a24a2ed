"""Messages in the order they were seen -> which request each of them opens, answers, cancels or tells of.

Comes in: `Message`s with their direction, time and exchange. Goes out: `Step`s, which `session` turns into spans. Pure.

Requests are known by exchange or session, direction and id (a client and its server count their ids apart; 1 is not
"1"; an id that was answered may be used again). Before 2026-07-28 an answer may come on another HTTP exchange of the
same session; from then on each exchange is for itself (MCP, Streamable HTTP).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agent_trace_otel import content, mcp_io
from agent_trace_otel.capture.mcp.copies import FROM_CLIENT
from agent_trace_otel.capture.mcp.messages import Id, Message, id_of, member, text_member

CANCELLED = "cancelled"
ACKNOWLEDGED = "acknowledged"
REUSED = "another request took its id before it was answered"
UNREAD = "answered in a content coding that can't be read here"
"""Why a request ended without an answer."""

STATELESS_SINCE = "2026-07-28"

_MAX_REMEMBERED = 1000
_Home = tuple[str, Hashable]
_Key = tuple[_Home, int, Id]


@dataclass(slots=True, eq=False)
class Exchange:
    """What messages come on: a stdio connection, or one HTTP request and its response."""

    number: int
    session: str = ""
    """Mcp-Session-Id, or the sessionId of HTTP+SSE."""
    protocol: str = ""
    """MCP-Protocol-Version."""
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the spans of its requests tell of the connection."""
    is_answered_elsewhere: bool = False
    """HTTP+SSE: whatever the protocol version asked for, answers come on the stream of the session."""
    next_key: str = ""
    """Of the span of the client's next request, where its context was injected into the request on its way."""
    open: tuple[dict[Request, None], dict[Request, None]] = field(default_factory=lambda: ({}, {}))
    """The unanswered requests that came on it, by direction."""

    @property
    def home(self) -> _Home:
        """Where its requests wait for their answers."""
        if self.session and (self.is_answered_elsewhere or not is_stateless(self.protocol)):
            return "session", self.session
        return "exchange", self.number


@dataclass(slots=True, eq=False)
class Request:
    """One request on its way."""

    message: Message
    direction: int
    at: int
    """Unix nanoseconds."""
    exchange: Exchange
    home: _Home
    span_key: str = ""
    """What its span's id is derived from, if the proxy made one up on the way."""
    retry_of: Request | None = None
    """The request whose ``input_required`` it answers (MCP 2026-07-28, multi round-trip requests)."""
    related: Request | None = None
    """The only open request of the other side, when this one came (a tool call that asks for a sampling)."""

    @property
    def key(self) -> _Key:
        """What its answer is looked up by."""
        assert self.message.id is not None  # noqa: S101 - that makes it a request
        return self.home, self.direction, self.message.id


class Began(NamedTuple):
    """A request was sent."""

    request: Request


class Answered(NamedTuple):
    """A request has its answer."""

    request: Request
    answer: Message
    at: int


class Left(NamedTuple):
    """A request ends without an answer."""

    request: Request
    why: str
    """`CANCELLED`, `ACKNOWLEDGED`, `REUSED`, `UNREAD`, or what `Pairing.close` was told."""
    at: int
    error_type: str = ""
    """The conventions' error.type, if the end is an error with one of its own."""


class Noted(NamedTuple):
    """A notification, with the request that it is about."""

    message: Message
    request: Request | None
    at: int


class Stray(NamedTuple):
    """An answer to nothing."""

    answer: Message


Step = Began | Answered | Left | Noted | Stray


def is_stateless(protocol: str) -> bool:
    """Tell whether a protocol version has no sessions; versions are dates."""
    return protocol >= STATELESS_SINCE and protocol[:1].isdigit()


class Pairing:
    """The open requests of one proxy."""

    def __init__(self) -> None:
        self._open: dict[_Key, Request] = {}
        self._finished: OrderedDict[_Key, None] = OrderedDict()
        """Requests that ended without an answer, which may come all the same."""
        self._by_token: dict[tuple[_Home, int, Id], Request] = {}
        self._waiting: OrderedDict[Hashable, Request] = OrderedDict()
        """Calls that the server wants to see again with more input."""

    def take(self, message: Message, direction: int, exchange: Exchange, at: int) -> Iterator[Step]:
        """Yield what a message means.

        Args:
            message: the message.
            direction: 0 if the client sent it, 1 if the server did.
            exchange: what it came on.
            at: unix nanoseconds.
        """
        if not message.method:
            yield from self._answer(message, direction, exchange, at)
        elif message.id is not None:
            yield from self._request(message, direction, exchange, at)
        else:
            yield from self._notification(message, direction, exchange, at)

    def close(
        self, exchange: Exchange, why: str, at: int, *, error_type: str = "", is_final: bool = False
    ) -> Iterator[Left]:
        """Yield the requests that can't be answered any more now that an exchange is over.

        Args:
            exchange: the exchange; requests of a session wait on for another one, unless this one was refused.
            why: for people, or `CANCELLED`.
            at: unix nanoseconds.
            error_type: if that is an error with a type of its own, such as an HTTP status.
            is_final: whether nothing else can answer them: the server took none of them, or has answered here.
        """
        for request in [request for requests in exchange.open for request in requests]:
            if is_final or request.home == ("exchange", exchange.number):
                yield self._leave(request, why, at)._replace(error_type=error_type)

    def close_all(self, why: str, at: int) -> Iterator[Left]:
        """Yield every open request: nothing more comes."""
        for request in tuple(self._open.values()):
            self._forget(request)
            yield Left(request, why, at)

    def _request(self, message: Message, direction: int, exchange: Exchange, at: int) -> Iterator[Step]:
        protocol = text_member(member(message.params, "_meta"), mcp_io.PROTOCOL_VERSION_KEY)
        if protocol:
            exchange.protocol = protocol
        request = Request(message, direction, at, exchange, exchange.home)
        if direction == FROM_CLIENT:
            request.span_key, exchange.next_key = exchange.next_key, ""
        request.retry_of = self._retried(message)
        others = exchange.open[1 - direction]
        request.related = next(iter(others)) if len(others) == 1 else None
        before = self._open.get(request.key)
        if before is not None:
            self._forget(before)
            yield Left(before, REUSED, at)
        self._finished.pop(request.key, None)
        self._open[request.key] = request
        exchange.open[direction][request] = None
        token = id_of(message.meta.get("progressToken"))
        if token is not None:
            self._by_token[request.home, direction, token] = request
        yield Began(request)

    def _answer(self, message: Message, direction: int, exchange: Exchange, at: int) -> Iterator[Step]:
        if message.id is None:
            yield Stray(message)
            return
        request = self._find(message.id, 1 - direction, exchange)
        if request is not None:
            self._forget(request)
            yield self._answered(request, message, at)
            return
        key = exchange.home, 1 - direction, message.id
        if key in self._finished:
            del self._finished[key]
        else:
            yield Stray(message)

    def _answered(self, request: Request, answer: Message, at: int) -> Answered:
        if text_member(answer.result, "resultType") == "input_required":
            state = text_member(answer.result, "requestState")
            _remember(self._waiting, ("state", state) if state else _same_call(request.message), request)
        return Answered(request, answer, at)

    def _notification(self, message: Message, direction: int, exchange: Exchange, at: int) -> Iterator[Step]:
        params = message.params or {}
        request: Request | None = None
        if message.method == mcp_io.CANCELLED:
            cancelled = id_of(params.get("requestId"))
            request = self._find(cancelled, direction, exchange) if cancelled is not None else None
            if request is not None:
                yield Noted(message, request, at)
                yield self._leave(request, CANCELLED, at)
                return
        elif message.method == mcp_io.LISTEN_ACKNOWLEDGED:
            subscription = id_of(message.meta.get(mcp_io.SUBSCRIPTION_KEY))
            request = self._find(subscription, 1 - direction, exchange) if subscription is not None else None
            if request is not None:
                yield Noted(message, request, at)
                yield self._leave(request, ACKNOWLEDGED, at)
                return
        elif message.method == mcp_io.PROGRESS:
            token = id_of(params.get("progressToken"))
            request = self._by_token.get((exchange.home, 1 - direction, token)) if token is not None else None
        elif message.method == mcp_io.LOG_MESSAGE:
            others = exchange.open[1 - direction]
            request = next(iter(others)) if len(others) == 1 else None
        yield Noted(message, request, at)

    def _leave(self, request: Request, why: str, at: int) -> Left:
        self._forget(request)
        _remember(self._finished, request.key, None)
        return Left(request, why, at)

    def _find(self, id_: Id, direction: int, exchange: Exchange) -> Request | None:
        """Return an open request by its id: on the exchange, in its session, or the only one if no session is known."""
        homes: list[_Home] = [("exchange", exchange.number), exchange.home]
        for home in homes:
            found = self._open.get((home, direction, id_))
            if found is not None:
                return found
        if exchange.session or is_stateless(exchange.protocol):
            return None
        like = [key for key in self._open if key[1:] == (direction, id_) and key[0][0] == "exchange"]
        return self._open[like[0]] if len(like) == 1 else None

    def _retried(self, message: Message) -> Request | None:
        if not self._waiting or message.params is None:
            return None
        state = text_member(message.params, "requestState")
        if not state and "inputResponses" not in message.params:
            return None
        return self._waiting.pop(("state", state) if state else _same_call(message), None)

    def _forget(self, request: Request) -> None:
        if self._open.get(request.key) is request:
            del self._open[request.key]
        request.exchange.open[request.direction].pop(request, None)
        token = id_of(request.message.meta.get("progressToken"))
        if token is not None:
            self._by_token.pop((request.home, request.direction, token), None)


def _same_call(message: Message) -> Hashable:
    """Return what a call and its retry have in common."""
    params = message.params or {}
    target = text_member(params, "name") or text_member(params, "uri")
    return "call", message.method, target, content.to_json(params.get("arguments"))


def _remember(where: OrderedDict[Any, Any], key: Hashable, value: object) -> None:
    where[key] = value
    if len(where) > _MAX_REMEMBERED:
        where.popitem(last=False)
