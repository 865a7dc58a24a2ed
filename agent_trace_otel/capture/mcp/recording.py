"""The recording child: copies of what a proxy passed on, in; the session folder, out.

Started by `copies.CopySender.start_recorder`, one for each proxy. It ignores the signals that end the proxy, reads on
until the proxy's end of the socket is closed (a killed proxy's too), closes what is open and exits.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast
from urllib.parse import parse_qs, urlsplit

from agent_trace_otel import content, guard, pipeline, semconv
from agent_trace_otel.capture.mcp import copies, messages
from agent_trace_otel.capture.mcp.copies import FROM_CLIENT, FROM_SERVER, Copy
from agent_trace_otel.capture.mcp.copy_reading import number_of, read_copies
from agent_trace_otel.capture.mcp.decoding import DecodedFramer, decoder
from agent_trace_otel.capture.mcp.framing import (
    BodyFramer,
    EventFramer,
    Framed,
    Framer,
    LineFramer,
)
from agent_trace_otel.capture.mcp.messages import text_member
from agent_trace_otel.capture.mcp.pairing import CANCELLED, UNREAD, Exchange, Pairing, Step, Stray, is_stateless
from agent_trace_otel.capture.mcp.session import RecordedSession

_HTTP_ERROR = 400
_MAX_EVENTS = 10_000
"""Server-sent events whose ids are remembered."""
_KILLED = "the proxy was killed"
_ENDED = "the connection ended before an answer came"


class _Connection:
    """One connection's exchange, and a framer for each direction."""

    def __init__(self, number: int, facts: messages.JSON, transport: str) -> None:
        self.exchange = Exchange(number, attributes={semconv.NETWORK_TRANSPORT: transport})
        self.status = 0
        self.error = ""
        self.is_resumed = facts.get("resumed") is True
        self.exchange.is_answered_elsewhere = facts.get("answers_elsewhere") is True
        self.framers: list[Framer] = [LineFramer(), LineFramer()]
        if facts:
            self.learn(FROM_CLIENT, facts)
            self.framers[FROM_SERVER] = BodyFramer()

    def learn(self, direction: int, facts: messages.JSON) -> None:
        """Take facts that the proxy told when it knew them: of the connection, or of what a direction says next."""
        exchange = self.exchange
        if "key" in facts:
            exchange.next_key = text_member(facts, "key")
            return
        exchange.session = text_member(facts, "session") or exchange.session
        exchange.protocol = text_member(facts, "protocol") or exchange.protocol
        status = facts.get("status")
        self.status = status if isinstance(status, int) else self.status
        self.error = text_member(facts, "error") or self.error
        told = {
            semconv.SERVER_ADDRESS: text_member(facts, "server_address"),
            semconv.SERVER_PORT: facts.get("server_port"),
            semconv.NETWORK_PROTOCOL_VERSION: text_member(facts, "http_version"),
            semconv.NETWORK_PROTOCOL_NAME: "http" if facts.get("http_version") else "",
        }
        exchange.attributes.update({name: value for name, value in told.items() if value})
        self.framers[direction] = _body_framer(facts)

    @property
    def is_unread(self) -> bool:
        """Whether the server answered something that could not be decoded."""
        answer = self.framers[FROM_SERVER]
        return isinstance(answer, DecodedFramer) and answer.is_torn


class Recording:
    """Everything one proxy tells, put into a session.

    Args:
        session: the session.
        transport: the conventions' network.transport, ``pipe`` or ``tcp``.
    """

    def __init__(self, session: RecordedSession, transport: str) -> None:
        self._session = session
        self._transport = transport
        self._pairing = Pairing()
        self._connections: dict[int, _Connection] = {}
        self._counts: Counter[str] = Counter()
        self._events_passed: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._last: messages.JSON | None = None
        """What the proxy told of its end; None as long as it has not."""

    def take(self, copy: Copy) -> None:
        """Record one copy; one that can't be understood costs nothing but itself."""
        try:
            self._take(copy)
        except Exception as error:  # noqa: BLE001 - the messages after it are recorded
            guard.report("record an MCP message", error)

    def close(self) -> None:
        """Close what is open, and the session: the proxy has ended, or was killed."""
        at = time.time_ns()
        is_killed = self._last is None
        for number in tuple(self._connections):
            self._end_directions(number, at)
        self._steps(self._pairing.close_all(_KILLED if is_killed else _ENDED, at))
        told: dict[str, Any] = {name: count for name, count in self._counts.items() if count}
        code = (self._last or {}).get("exit_code")
        if isinstance(code, int):
            told[semconv.PROCESS_EXIT_CODE] = code
        self._session.close(at, told, _KILLED if is_killed else "")

    def _take(self, copy: Copy) -> None:
        number = copy.connection
        if number == copies.SESSION:
            self._last = _facts(copy.content)
        elif copy.kind == copies.OPEN:
            facts = _facts(copy.content)
            self._connections[number] = _Connection(number, facts, self._transport)
            if "refused" in facts:
                self._session.note(semconv.MCP_REFUSED_EVENT, {semconv.DETAIL: content.to_json(facts)}, copy.at)
        elif copy.kind == copies.CLOSE:
            self._close_connection(number, _facts(copy.content), copy.at)
        elif (connection := self._connections.get(number)) is None:
            self._counts[semconv.MCP_LOST_COPIES] += 1
        elif copy.kind == copies.DATA:
            self._read(connection, copy.direction, connection.framers[copy.direction].feed(copy.content), copy.at)
        elif copy.kind == copies.END:
            self._read(connection, copy.direction, connection.framers[copy.direction].end(), copy.at)
        elif copy.kind == copies.META:
            connection.learn(copy.direction, _facts(copy.content))
        elif copy.kind == copies.LOST:
            connection.framers[copy.direction].gap()
            self._counts[semconv.MCP_LOST_COPIES] += number_of(copy.content)

    def _read(self, connection: _Connection, direction: int, framed: Iterable[Framed], at: int) -> None:
        for piece in framed:
            if self._has_passed(piece.event_id, connection):
                continue
            if piece.event == "endpoint":  # HTTP+SSE names the session in the URL to post to
                query = parse_qs(urlsplit(piece.content.decode("utf-8", "replace")).query)
                connection.exchange.session = next(iter(query.get("sessionId") or query.get("session_id") or ()), "")
            elif piece.content.strip():
                found, unreadable = messages.read(piece)
                self._counts[semconv.MCP_UNREADABLE] += unreadable
                for message in found:
                    self._steps(self._pairing.take(message, direction, connection.exchange, at))

    def _has_passed(self, event_id: str, connection: _Connection) -> bool:
        """Tell whether a resumed stream repeats an event; ids are unique in a session (MCP, Streamable HTTP)."""
        if not event_id:
            return False
        key = connection.exchange.session, event_id
        is_repeated = connection.is_resumed and key in self._events_passed
        self._events_passed[key] = None
        if len(self._events_passed) > _MAX_EVENTS:
            self._events_passed.popitem(last=False)
        return is_repeated

    def _steps(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if isinstance(step, Stray):
                self._counts[semconv.MCP_UNMATCHED] += 1
            self._session.take(step)

    def _end_directions(self, number: int, at: int) -> None:
        connection = self._connections[number]
        for direction in (FROM_CLIENT, FROM_SERVER):
            self._read(connection, direction, connection.framers[direction].end(), at)

    def _close_connection(self, number: int, facts: messages.JSON, at: int) -> None:
        if number not in self._connections:
            return
        self._end_directions(number, at)
        connection = self._connections.pop(number)
        exchange = connection.exchange
        if connection.status >= _HTTP_ERROR:
            why = connection.error or f"HTTP status {connection.status}"
            status = str(connection.status)
            self._steps(self._pairing.close(exchange, why, at, error_type=status, is_final=True))
        elif connection.is_unread:
            self._steps(self._pairing.close(exchange, UNREAD, at, is_final=True))
        else:
            # the client takes a stateless call back by closing its stream (MCP 2026-07-28, cancellation)
            is_taken_back = facts.get("by") == "client" and is_stateless(exchange.protocol)
            self._steps(self._pairing.close(exchange, CANCELLED if is_taken_back else connection.error or _ENDED, at))


def _body_framer(facts: messages.JSON) -> Framer:
    kind = text_member(facts, "content_type").partition(";")[0].strip().lower()
    framer: Framer = EventFramer() if kind == "text/event-stream" else BodyFramer()
    coding = text_member(facts, "content_encoding")
    return framer if coding.strip().lower() in ("", "identity") else DecodedFramer(framer, decoder(coding))


def _facts(content: bytes) -> messages.JSON:
    value: Any = json.loads(content) if content else None
    return cast("messages.JSON", value) if isinstance(value, dict) else {}


def main(argv: Sequence[str]) -> NoReturn:
    """Record until the proxy is gone.

    Args:
        argv: descriptor of the socket, unix nanoseconds of the start, transport, name, redact (1, 0 or empty), trace
            directory, and the command.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    descriptor, began, transport, name, redact, trace_dir, *command = argv
    end = socket.socket(fileno=int(descriptor))
    session = RecordedSession(
        command,
        int(began),
        name=name,
        redact=None if redact == "" else redact == "1",
        trace_dir=Path(trace_dir) if trace_dir else None,
    )
    recording = Recording(session, transport)
    for copy in read_copies(end):
        recording.take(copy)
    recording.close()
    with contextlib.suppress(OSError):
        end.send(copies.WRITTEN)
    end.close()
    pipeline.force_flush(pipeline.settings().exit_timeout)
    sys.stdout.flush()
    os._exit(0)
