"""The one span processor: writes each span's story to its session folder while it happens and hands a copy to OTLP.

Comes in: spans of any tracer, at start and at end, and span events as they are logged. Goes out: opening events, point
events and closing events in events.ndjson, the span in spans.jsonl, and the same redacted copy to a batch processor.
Installed by `pipeline`, or by the user in a provider of their own.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import baggage
from opentelemetry import context as context_api
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import StatusCode

from agent_trace_otel import config, guard, identity, semconv
from agent_trace_otel.redact import Redactor
from agent_trace_otel.span_copy import Cleaner
from agent_trace_otel.store import span_events
from agent_trace_otel.store.spans_file import encode_line
from agent_trace_otel.store.writer import SessionWriter

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

MAX_OPEN_SPANS = 100_000
MAX_WRITERS = 10_000
MAX_TRACES = 10_000
PENDING_PER_TRACE = 256
PENDING_IN_ALL = 10_000
PENDING_NS = 5 * 60 * 1_000_000_000


@dataclass(slots=True)
class _OpenSpan:
    """What the processor remembers of a span between its start and its end."""

    kind: span_events.Kind
    raw: Mapping[str, Any]
    clean: dict[str, Any]
    name: str
    clean_name: str
    cleaner: Cleaner
    place: span_events.Place
    writer: SessionWriter | None
    agent: str = ""
    in_model: bool = False
    in_tool: bool = False
    muted: bool = False
    opened: bool = False
    inherited: bool = False
    points: set[str] = field(default_factory=set[str])


class SessionSpanProcessor(SpanProcessor):
    """Writes session folders; add it to any TracerProvider.

    Args:
        trace_dir: where session folders go; default AGENT_TRACE_DIR, else ``.agent-traces`` in the current directory.
        redact: False writes values as they are; a `Redactor` brings rules of the user's own.
        delivery: the span processor that sends the redacted copies, usually a batch processor; None sends nothing,
            since a provider of the user's own has its exporters already.
        settings: everything at once, instead of the arguments above.

    Example:
        provider.add_span_processor(AgentTraceSpanProcessor(trace_dir="traces"))
    """

    def __init__(
        self,
        trace_dir: str | os.PathLike[str] | None = None,
        *,
        redact: bool | Redactor | None = None,
        delivery: SpanProcessor | None = None,
        settings: config.Settings | None = None,
    ) -> None:
        redactor = redact if isinstance(redact, Redactor) else Redactor()
        if settings is None:
            settings = config.load(
                trace_dir=None if trace_dir is None else Path(trace_dir),
                redact=redact if isinstance(redact, bool) else None,
            )
        self.settings = settings
        self.delivery = delivery
        self._redacting = Cleaner(redactor, capture_content=settings.capture_content)
        self._plain = Cleaner(None, capture_content=settings.capture_content)
        self._open: dict[int, _OpenSpan] = {}
        self._traces: OrderedDict[int, SessionWriter] = OrderedDict()
        self._pending: OrderedDict[int, list[ReadableSpan]] = OrderedDict()
        self._pending_count = 0
        self._lock = threading.Lock()
        _processors.add(self)

    # -- the SpanProcessor interface -----------------------------------------------------------------------------

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Write the event that opens the span."""
        try:
            self._start(span, parent_context)
        except Exception as error:  # noqa: BLE001 - never the user's problem
            guard.report("record the start of a span", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Write the event that closes the span and the span itself; hand the copy on."""
        try:
            self._end(span)
        except Exception as error:  # noqa: BLE001 - never the user's problem
            guard.report("record the end of a span", error)

    def shutdown(self) -> None:
        """Stop sending; what is written stays written."""
        if self.delivery is not None:
            guard.guarded("stop sending")(self.delivery.shutdown)()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits to be sent; False if that took too long."""
        if self.delivery is None:
            return True
        return guard.guarded("send spans")(self.delivery.force_flush)(timeout_millis) is True

    # -- span events, as they are logged -------------------------------------------------------------------------

    def on_event(self, span_id: int, name: str, attributes: Mapping[str, Any], time_ns: int) -> bool:
        """Write a span event's line now, not when its span ends; False if the span is not one of ours."""
        state = self._open.get(span_id)
        if state is None or state.writer is None:
            return False
        self._write_point(state, name, state.cleaner.attributes(attributes), time_ns)
        return True

    # -- start ---------------------------------------------------------------------------------------------------

    def _start(self, span: ReadableSpan, parent_context: Context | None) -> None:
        state = self._open_state(span, parent_context)
        if len(self._open) >= MAX_OPEN_SPANS:
            self._open.pop(next(iter(self._open)), None)
        self._open[span.context.span_id] = state
        if state.writer is not None and state.kind != "generic":
            self._write_opening(state, span)

    def _open_state(self, span: ReadableSpan, parent_context: Context | None) -> _OpenSpan:
        context = span.context
        raw: dict[str, Any] = span.attributes.copy() if span.attributes else {}  # type: ignore[attr-defined]
        kind = span_events.kind_of(raw)
        parent = self._open.get(span.parent.span_id) if span.parent is not None else None
        explicit = identity.of_context(parent_context)
        writer = self._writer_of(context.trace_id, kind, raw, parent, explicit, parent_context)
        redact = explicit.redact if explicit is not None else self.settings.redact
        cleaner = parent.cleaner if explicit is None and parent else self._redacting if redact else self._plain
        agent = parent.agent if parent is not None else ""
        if kind == "agent" and (parent is not None or explicit is not None) and _is_sub_agent(raw):
            agent = str(raw.get(semconv.AGENT_NAME, ""))
        in_model = parent is not None and parent.in_model
        in_tool = parent is not None and parent.in_tool
        return _OpenSpan(
            kind=kind,
            raw=raw,
            clean=cleaner.attributes(raw),
            name=span.name,
            clean_name=cleaner.text(span.name),
            cleaner=cleaner,
            place=span_events.Place(
                format(context.trace_id, "032x"),
                format(context.span_id, "016x"),
                format(span.parent.span_id, "016x") if span.parent is not None else "",
                cleaner.text(agent) if agent else "",
            ),
            writer=writer,
            agent=agent,
            in_model=in_model or kind == "model",
            in_tool=in_tool or kind == "tool",
            # the inner span of a call that has one already: its story is told once, by the outer span
            muted=(kind == "model" and in_model) or (kind == "tool" and in_tool and semconv.MCP_METHOD_NAME in raw),
        )

    # -- end -----------------------------------------------------------------------------------------------------

    def _end(self, span: ReadableSpan) -> None:
        state = self._open.pop(span.context.span_id, None)
        if state is None:
            state = self._open_state(span, context_api.Context())
        elif state.inherited:
            return  # this process is a fork's child; the parent ends the span
        raw: dict[str, Any] = span.attributes.copy() if span.attributes else {}  # type: ignore[attr-defined]
        if state.kind == "generic":
            self._look_again(state, span, raw)
        if state.writer is None:
            self._keep(span)
            return
        attributes = self._clean_again(state, raw)
        name = state.clean_name if span.name is state.name else state.cleaner.text(span.name)
        attributes.setdefault(semconv.SESSION_ID, state.writer.session_id)
        copy = state.cleaner.span(span, name, attributes)
        if state.kind != "generic":
            self._write_opening(state, span)
        if copy.events:
            self._write_points(state, copy)
        state.writer.span(encode_line(copy))
        self._write_closing(state, copy, attributes)
        if self.delivery is not None:
            self.delivery.on_end(copy)

    def _look_again(self, state: _OpenSpan, span: ReadableSpan, raw: Mapping[str, Any]) -> None:
        """Tell a span's kind by what it has learnt since its start (instrumentations set the operation late)."""
        state.kind = span_events.kind_of(raw)
        if state.writer is None:
            state.writer = self._writer_of(span.context.trace_id, state.kind, raw, None, None, context_api.Context())

    @staticmethod
    def _clean_again(state: _OpenSpan, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Clean what is new since the start; what was clean then and is the same object needs no second look."""
        before, cleaned = state.raw, state.clean
        new = {key: value for key, value in raw.items() if before.get(key, _NOTHING) is not value}
        if len(raw) == len(before) + len(new):
            return cleaned | state.cleaner.attributes(new)
        return state.cleaner.attributes(raw)

    # -- lines ---------------------------------------------------------------------------------------------------

    def _write_opening(self, state: _OpenSpan, span: ReadableSpan) -> None:
        writer = state.writer
        if state.opened or writer is None:
            return
        state.opened = True
        start_ns = span.start_time or time.time_ns()
        if state.kind == "session":
            command = " ".join(str(word) for word in state.clean.get(semconv.PROCESS_COMMAND_ARGS, ()))
            writer.begin(start_ns, str(state.clean.get(semconv.AGENT_NAME, "")), command)
        elif not writer.begun:
            self._begin_implicit(state, span, start_ns)
        if state.muted:
            return
        found = span_events.opening(state.kind, state.clean, state.place, self.settings.max_value_bytes)
        if found is not None:
            writer.event(found[0], start_ns, state.place.span_id, found[1])

    def _begin_implicit(self, state: _OpenSpan, span: ReadableSpan, start_ns: int) -> None:
        """Write the session_start of a session that nobody opened, once, when its folder is made."""
        writer = state.writer
        if writer is None or not writer.begin_if_new():
            return
        name = str(state.clean.get(semconv.AGENT_NAME) or span.resource.attributes.get(semconv.SERVICE_NAME) or "")
        event_id = span_events.point_id(state.place.span_id, start_ns, "session_start", 0)
        data = span_events.point_data(
            span_events.Point("session_start", {"agent_name": state.cleaner.text(name), "command": []}), state.place
        )
        writer.event("session_start", start_ns, event_id, data)

    def _write_points(self, state: _OpenSpan, span: ReadableSpan) -> None:
        counts: dict[tuple[str, int], int] = {}
        for event in span.events:
            occurrence = (event.name, event.timestamp)
            counts[occurrence] = count = counts.get(occurrence, -1) + 1
            self._write_point(state, event.name, event.attributes or {}, event.timestamp, count)

    def _write_point(
        self, state: _OpenSpan, name: str, attributes: Mapping[str, Any], time_ns: int, count: int = 0
    ) -> None:
        found = span_events.point(name, attributes, self.settings.max_value_bytes)
        if found is None or state.writer is None:
            return
        event_id = span_events.point_id(state.place.span_id, time_ns, found.event_type, count)
        if event_id in state.points:
            return
        state.points.add(event_id)
        state.writer.event(found.event_type, time_ns, event_id, span_events.point_data(found, state.place))

    def _write_closing(self, state: _OpenSpan, span: ReadableSpan, attributes: Mapping[str, Any]) -> None:
        writer = state.writer
        if writer is None or state.muted:
            return
        end_ns = span.end_time or time.time_ns()
        duration_ms = (end_ns - (span.start_time or end_ns)) / 1e6
        failed = span.status.status_code is StatusCode.ERROR
        message, exception_type = _failure(span) if failed else ("", "")
        ending = span_events.Ending(failed, message, exception_type, duration_ms)
        found = span_events.closing(state.kind, attributes, ending, state.place, self.settings.max_value_bytes)
        if found is not None:
            writer.event(
                found[0],
                end_ns,
                span_events.closing_id(state.place.span_id),
                found[1],
                parent_id=state.place.span_id,
                duration_ms=duration_ms,
            )
        if state.kind == "session":
            writer.end(end_ns)

    # -- which session -------------------------------------------------------------------------------------------

    def _writer_of(  # noqa: PLR0913 - the answers are asked for in order
        self,
        trace_id: int,
        kind: span_events.Kind,
        raw: Mapping[str, Any],
        parent: _OpenSpan | None,
        explicit: identity.Session | None,
        context: Context | None,
    ) -> SessionWriter | None:
        """Return the session a span belongs to, by the first rule that answers; None for "not known yet".

        The explicit session of the context; the conversation that an agent span names; its parent's session; the
        conversation that baggage names; the trace's, if it has one; the process's session; the trace itself.
        """
        if explicit is not None:
            return writer_for(explicit.trace_dir, explicit.id)
        is_agents = kind != "generic"
        named = _conversation(raw) if is_agents else None
        if named is None and parent is not None and parent.writer is not None:
            return parent.writer
        if named is None and is_agents:
            named = _conversation(baggage.get_all(context))
        if named is not None:
            writer = writer_for(self.settings.trace_dir, identity.folder_name(named))
        elif trace_id in self._traces:
            return self._traces[trace_id]
        elif (process_session := identity.of_process()) is not None:
            return writer_for(process_session.trace_dir, process_session.id)
        elif is_agents:
            writer = writer_for(self.settings.trace_dir, format(trace_id, "032x"))
        else:
            return None
        if self._traces.get(trace_id) is not writer:
            self._remember(trace_id, writer)
        return writer

    def _remember(self, trace_id: int, writer: SessionWriter) -> None:
        """Let later spans of the trace follow, and write those that ended before it had a session."""
        with self._lock:
            self._traces[trace_id] = writer
            if len(self._traces) > MAX_TRACES:
                self._traces.popitem(last=False)
            waiting = self._pending.pop(trace_id, [])
            self._pending_count -= len(waiting)
        for span in waiting:
            self.on_end(span)
        for state in tuple(self._open.values()) if waiting or len(self._open) > 1 else ():
            if state.writer is None and state.place.trace_id == format(trace_id, "032x"):
                state.writer = writer

    def _keep(self, span: ReadableSpan) -> None:
        """Keep a span that ended before its trace had a session, within bounds."""
        now = time.time_ns()
        with self._lock:
            waiting = self._pending.setdefault(span.context.trace_id, [])
            if len(waiting) < PENDING_PER_TRACE:
                waiting.append(span)
                self._pending_count += 1
            while self._pending:
                oldest = next(iter(self._pending.values()))
                fresh = oldest and now - (oldest[-1].end_time or 0) < PENDING_NS
                if fresh and self._pending_count <= PENDING_IN_ALL:
                    break
                self._pending_count -= len(self._pending.popitem(last=False)[1])

    def after_fork_in_child(self) -> None:
        """Leave the parent's open and waiting spans to the parent."""
        self._lock = threading.Lock()
        self._pending.clear()
        self._pending_count = 0
        for state in self._open.values():
            state.inherited = True


AgentTraceSpanProcessor = SessionSpanProcessor
"""The name for users: ``provider.add_span_processor(AgentTraceSpanProcessor())``."""

_NOTHING = object()
_processors: weakref.WeakSet[SessionSpanProcessor] = weakref.WeakSet()
_writers: OrderedDict[tuple[Path, str], SessionWriter] = OrderedDict()
_writers_lock = threading.Lock()


def writer_for(trace_dir: Path, session_id: str) -> SessionWriter:
    """Return this process's writer of a session: one, however many processors and providers feed it."""
    global _writers_lock  # noqa: PLW0602 - read only; renewed after a fork
    key = (trace_dir, session_id)
    writer = _writers.get(key)
    if writer is None:
        with _writers_lock:
            writer = _writers.setdefault(key, SessionWriter(trace_dir, session_id))
            if len(_writers) > MAX_WRITERS:
                _writers.popitem(last=False)
    return writer


def announce_event(span_id: int, name: str, attributes: Mapping[str, Any], time_ns: int) -> bool:
    """Tell the processors that a span event was logged; True if one of them wrote it."""
    return any([processor.on_event(span_id, name, attributes, time_ns) for processor in tuple(_processors)])


def _after_fork_in_child() -> None:
    global _writers_lock  # noqa: PLW0603 - a thread of the parent may have held it
    _writers_lock = threading.Lock()
    for writer in tuple(_writers.values()):
        writer.renew_lock()
    for processor in tuple(_processors):
        processor.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _conversation(values: Mapping[str, Any]) -> str | None:
    named = values.get(semconv.CONVERSATION_ID) or values.get(semconv.SESSION_ID)
    return str(named) if named else None


def _is_sub_agent(raw: Mapping[str, Any]) -> bool:
    return raw.get(semconv.OPERATION_NAME) == semconv.INVOKE_AGENT and raw.get(semconv.SCOPE) != semconv.SCOPE_TURN


def _failure(span: ReadableSpan) -> tuple[str, str]:
    """Return (message, exception type) of a failed span: its exception event's, else the status description."""
    for event in reversed(span.events):
        if event.name == semconv.EXCEPTION_EVENT and event.attributes:
            message = event.attributes.get(semconv.EXCEPTION_MESSAGE) or span.status.description
            return str(message or ""), str(event.attributes.get(semconv.EXCEPTION_TYPE) or "")
    return span.status.description or "", ""
