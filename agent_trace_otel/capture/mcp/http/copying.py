"""What is recorded of an HTTP exchange: its head, its bodies and how it ended -> records for the recording child.

Called by `http_exchange`. The few headers that tell what a body is and which session it belongs to are named here; no
other header, no query and no body that can't hold messages leaves this process.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Mapping
from urllib.parse import parse_qs

from agent_trace_otel.capture.mcp import copies
from agent_trace_otel.capture.mcp.copies import Copy
from agent_trace_otel.capture.mcp.http.headers import Headers, first, media_type
from agent_trace_otel.capture.mcp.http.upstream import Upstream, without_keys

_HOLDS_MESSAGES = frozenset({"application/json", "text/event-stream", ""})
"""Media types of bodies that are copied (MCP, Streamable HTTP); a body that names none is looked at."""
_SESSION_QUERY = ("sessionId", "session_id")
"""How the official SDKs name the session of HTTP+SSE in the endpoint's query."""

_ON_ITS_WAY = 0.001
"""Seconds that a request has to leave before its copy does."""


class Recorder:
    """Numbers the exchanges of a proxy."""

    def __init__(self, sender: copies.CopySender, upstream: Upstream) -> None:
        self._sender = sender
        self._numbers = itertools.count(1)
        self._server = {"server_address": upstream.host, "server_port": upstream.port}

    def exchange(self, method: str, target: str, version: str, headers: Headers, refused: str) -> ExchangeCopies:
        """Begin the record of one exchange.

        Args:
            method: the request's method.
            target: the request line's target; its query is left out.
            version: of HTTP, such as ``1.1``.
            headers: all headers of the request.
            refused: ``host`` or ``origin`` if that is why the server never sees the request.
        """
        path, _, query = target.partition("?")
        known = {
            "method": method,
            "path": without_keys(path),
            "http_version": version,
            "protocol": first(headers, "mcp-protocol-version"),
            "session": first(headers, "mcp-session-id") or _session_of(query),
            "answers_elsewhere": bool(_session_of(query)),  # HTTP+SSE: on the stream of the session
            "resumed": bool(first(headers, "last-event-id")),  # its events may have passed before
            **_body_facts(headers),
            **self._server,
            "refused": refused,
        }
        holds_messages = media_type(headers) in _HOLDS_MESSAGES
        return ExchangeCopies(self._sender, next(self._numbers), known, copies_request=holds_messages)


class ExchangeCopies:
    """The record of one exchange.

    Records are handed over in as few system calls as may be, since each wakes the recording child, which then competes
    with client and server for a processor: a request's as soon as it is on its way, an answer's when it has passed.
    """

    def __init__(
        self, sender: copies.CopySender, number: int, known: Mapping[str, object], *, copies_request: bool
    ) -> None:
        """Begin the record; its Recorder does."""
        self._sender = sender
        self._number = number
        self._copies_request = copies_request
        self._copies_answer = False
        self._cut_by = ""
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._records: list[Copy] = []
        self._tell(copies.OPEN, content=_facts(known))

    def is_injected(self, key: str) -> None:
        """Record that the span of the request that follows has the id that this key stands for."""
        self._tell(copies.META, copies.FROM_CLIENT, _facts({"key": key}))

    def from_client(self, piece: bytes) -> None:
        """Record a piece of the request's body, as it stands on the wire."""
        if self._copies_request:
            self._tell(copies.DATA, copies.FROM_CLIENT, piece)
            self._loop.call_later(_ON_ITS_WAY, self._hand_over)

    def client_is_done(self) -> None:
        """Record that the request is complete."""
        self._tell(copies.END, copies.FROM_CLIENT)
        self._loop.call_later(_ON_ITS_WAY, self._hand_over)

    def answered(self, status: int, headers: Headers) -> None:
        """Record the head of the server's answer."""
        self._copies_answer = media_type(headers) in _HOLDS_MESSAGES
        session = first(headers, "mcp-session-id")
        self._tell(
            copies.META, copies.FROM_SERVER, _facts({"status": status, "session": session, **_body_facts(headers)})
        )

    def answered_here(self, status: int, why: str) -> None:
        """Record an answer that the proxy gave by itself.

        Args:
            status: its status.
            why: what kept the server from answering.
        """
        self._tell(copies.META, copies.FROM_SERVER, _facts({"status": status, "error": why}))

    def from_server(self, piece: bytes) -> None:
        """Record a piece of the answer's body, as it stands on the wire."""
        if self._copies_answer:
            self._tell(copies.DATA, copies.FROM_SERVER, piece)
            self._loop.call_soon(self._hand_over)  # unless the answer ends before anything else happens

    def server_is_done(self) -> None:
        """Record that the answer is complete."""
        self._tell(copies.END, copies.FROM_SERVER)

    def cut_by(self, side: str) -> None:
        """Remember that ``client`` or ``server`` went away before the answer was complete."""
        self._cut_by = self._cut_by or side

    def close(self) -> None:
        """Record that the exchange is over."""
        self._tell(copies.CLOSE, content=_facts({"by": self._cut_by}))
        self._hand_over()
        self._is_closed = True

    def _tell(self, kind: int, direction: int = 0, content: bytes = b"") -> None:
        if self._is_closed:  # a server may answer before a request is complete
            return
        self._records.append(Copy(kind, direction, self._number, time.time_ns(), content))

    def _hand_over(self) -> None:
        if self._records:
            self._sender.send_all(self._records)
            self._records = []


def _body_facts(headers: Headers) -> dict[str, object]:
    return {"content_type": first(headers, "content-type"), "content_encoding": first(headers, "content-encoding")}


def _session_of(query: str) -> str:
    """Return the session that HTTP+SSE names in a query."""
    found = parse_qs(query)
    return next((found[name][0] for name in _SESSION_QUERY if name in found), "")


def _facts(known: Mapping[str, object]) -> bytes:
    """Return what is known as a JSON object; what is empty is left out."""
    return json.dumps({name: value for name, value in known.items() if value}).encode("ascii")
