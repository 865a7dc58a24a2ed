"""The session that a proxy records: opened, or joined where a traced agent runs; paired messages in, spans out.

Comes in: `Step`s of `pairing`. Goes out: one span a request, of either direction, through `spans`; notifications as
events of theirs. Called by `recording`, in a process of its own.

An agent that is traced names its session in AGENT_TRACE_SESSION_ID and its current span in TRACEPARENT: then what the
proxy sees is part of that session, and the proxy neither begins nor ends it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Link

from agent_trace_otel import identity, mcp_io, pipeline, semconv, spans
from agent_trace_otel.capture.mcp import attributes as told_attributes
from agent_trace_otel.capture.mcp.context import parent_of
from agent_trace_otel.capture.mcp.injection import KIND
from agent_trace_otel.capture.mcp.messages import text_member
from agent_trace_otel.capture.mcp.naming import name_of
from agent_trace_otel.capture.mcp.pairing import (
    ACKNOWLEDGED,
    CANCELLED,
    UNREAD,
    Answered,
    Began,
    Left,
    Noted,
    Request,
    Step,
)
from agent_trace_otel.spans import point_events
from agent_trace_otel.spans.told import Told
from agent_trace_otel.store.writer import runs_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_MAX_EVENTS = 1000
"""Notifications kept of one span: a server may send them for days."""
_MAX_PEERS = 1000


@dataclass(slots=True)
class _Agreed:
    """What client and server of one MCP session have told of themselves."""

    protocol: str = ""
    client: str = ""
    server: str = ""


class RecordedSession:
    """One session of the store, made of what one proxy saw.

    Args:
        command: the server's command line, or its URL as the only word.
        began: unix nanoseconds.
        name: the session's name; by default the server's, as its command or URL tells it.
        redact: False records values as they are; None is as the settings say.
        trace_dir: where the folder goes; None is as the settings say.
    """

    def __init__(
        self,
        command: Sequence[str],
        began: int,
        *,
        name: str = "",
        redact: bool | None = None,
        trace_dir: Path | None = None,
    ) -> None:
        name = name or name_of(command)
        pipeline.configure(trace_dir=trace_dir, redact=redact, service_name=name)
        settings = pipeline.settings()
        named, parent = identity.named_in_environment(), identity.context_of_environment()
        self._session = identity.Session(
            named or identity.new_id(),
            name,
            settings.trace_dir,
            redact=settings.redact,
            started_ns=began,
            parent=parent,
            is_reported=True,
        )
        self._spans: dict[Request, Span] = {}
        self._finished: OrderedDict[Request, Span] = OrderedDict()
        """Spans of calls that the server wants to see again, for their retries' links."""
        self._agreed: OrderedDict[object, _Agreed] = OrderedDict()
        self._events: Counter[int] = Counter()
        if named is None or parent is None:
            before = runs_of(settings.trace_dir, self._session.id)
            spans.start_session(
                self._session,
                run=before.count + 1,
                previous=before.last,
                attributes={semconv.PROCESS_COMMAND_ARGS: tuple(command)},
            )

    @property
    def root(self) -> Span | None:
        """The session's own span; None if it is another process's."""
        return self._session.root

    def take(self, step: Step) -> None:
        """Record one step."""
        if isinstance(step, Began):
            self._begin(step.request)
        elif isinstance(step, Answered):
            self._answer(step)
        elif isinstance(step, Left):
            self._leave(step)
        elif isinstance(step, Noted):
            told = told_attributes.of_notification(step.message)
            span = self._spans.get(step.request) if step.request is not None else None
            self.note(semconv.MCP_NOTIFICATION_EVENT, told, step.at, span)

    def close(self, at: int, attributes: dict[str, Any], lost: str = "") -> None:
        """End the session if it is the proxy's own, and send what waits to be sent.

        Args:
            at: unix nanoseconds.
            attributes: what is known only now.
            lost: why the recording is not whole, if it isn't.
        """
        if self.root is not None:
            self._session.ended = True
            outcome = semconv.OUTCOME_LOST if lost else semconv.OUTCOME_OK
            spans.end(self.root, attributes, outcome=outcome, message=lost, end_ns=at)

    def _begin(self, request: Request) -> None:
        message = request.message
        agreed = self._agreed_in(request)
        agreed.client = told_attributes.client_info(message) or agreed.client
        links = [self._spans.get(request.related)] if request.related is not None else []
        if request.retry_of is not None:
            links.append(self._finished.pop(request.retry_of, None))
        span = spans.start_request(
            message.method,
            mcp_io.target_of(message.method, message.params),
            is_servers=bool(request.direction),
            attributes=told_attributes.of_request(request, agreed.protocol),
            told=Told(
                owner=self._session,
                at=request.at,
                key=(KIND, request.span_key) if request.span_key else None,
                parent=None if request.span_key else parent_of(message.meta),
                links=tuple(Link(linked.get_span_context()) for linked in links if linked is not None),
            ),
        )
        if span is not None:
            self._spans[request] = span

    def _answer(self, step: Answered) -> None:
        request, answer = step.request, step.answer
        agreed = self._agreed_in(request)
        server = told_attributes.server_info(request, answer)
        if request.message.method == "initialize":
            agreed.protocol = text_member(answer.result, "protocolVersion") or agreed.protocol
        if server and server != agreed.server:
            agreed.server = server
            if self.root is not None:
                self.root.set_attributes({semconv.MCP_SERVER_INFO: server, semconv.MCP_CLIENT_INFO: agreed.client})
        ending = told_attributes.of_answer(request, answer)
        told = {**ending.attributes, **({semconv.MCP_SERVER_INFO: agreed.server} if agreed.server else {})}
        span = self._end(request, told, ending.outcome, ending.message, step.at)
        if span is not None and text_member(answer.result, "resultType") == "input_required":
            self._finished[request] = span
            if len(self._finished) > _MAX_PEERS:
                self._finished.popitem(last=False)

    def _leave(self, step: Left) -> None:
        if step.why == CANCELLED:
            self._end(step.request, {}, semconv.OUTCOME_INTERRUPTED, "", step.at)
        elif step.why == ACKNOWLEDGED:
            self._end(step.request, {}, semconv.OUTCOME_OK, "", step.at)
        elif step.why == UNREAD:
            self._end(step.request, {semconv.DETAIL: UNREAD}, semconv.OUTCOME_UNKNOWN, "", step.at)
        elif step.error_type:
            told = {semconv.ERROR_TYPE: step.error_type}
            self._end(step.request, told, semconv.OUTCOME_ERROR, step.why, step.at)
        else:
            self._end(step.request, {}, semconv.OUTCOME_LOST, step.why, step.at)

    def _end(self, request: Request, told: dict[str, Any], outcome: str, message: str, at: int) -> Span | None:
        span = self._spans.pop(request, None)
        if span is not None:
            self._events.pop(span.get_span_context().span_id, None)
            spans.end(span, told, outcome=outcome, message=message, end_ns=max(at, request.at))
        return span

    def note(self, event: str, told: Mapping[str, Any], at: int, span: Span | None = None) -> None:
        """Log an event on a span, by default on the session's own; a span takes so many and no more."""
        span = span or self.root
        if span is None:
            return
        span_id = span.get_span_context().span_id
        self._events[span_id] += 1
        if self._events[span_id] <= _MAX_EVENTS:
            point_events.log_told(span, event, told, at)

    def _agreed_in(self, request: Request) -> _Agreed:
        home = request.exchange.home
        found = self._agreed.get(home)
        if found is None:
            found = self._agreed[home] = self._agreed.get(request.home) or _Agreed()
            if len(self._agreed) > _MAX_PEERS:
                self._agreed.popitem(last=False)
        return found
