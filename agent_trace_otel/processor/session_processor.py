"""The one span processor: writes each span's story to its session folder while it happens and hands a copy to OTLP.

Comes in: spans of any tracer, at start and at end, and span events as they are logged. Goes out: opening events, point
events and closing events in events.ndjson, the span in spans.jsonl, and the same redacted copy to a batch processor.
Installed by `pipeline`, or by the user in a provider of their own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from opentelemetry import context as context_api
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import StatusCode

from agent_trace_otel import config, guard, identity, semconv
from agent_trace_otel.processor import foreign, recording, span_telling
from agent_trace_otel.processor.folding import Folding, model_call
from agent_trace_otel.processor.open_span import OpenSpan, is_of_ours, is_told_by_sender
from agent_trace_otel.processor.plain_tools import PlainCall, PlainToolCalls
from agent_trace_otel.processor.span_copy import Cleaner, attributes_of
from agent_trace_otel.processor.span_sessions import SpanSessions, writer_for
from agent_trace_otel.redact import Redactor
from agent_trace_otel.store import span_events
from agent_trace_otel.store.spans_file import encode_line

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span
    from opentelemetry.trace import SpanContext

    from agent_trace_otel.store.writer import SessionWriter

MAX_OPEN_SPANS = 100_000


class SessionSpanProcessor(SpanProcessor):
    """Writes session folders; add it to any TracerProvider.

    Args:
        trace_dir: where session folders go; default AGENT_TRACE_DIR, else ``.agent-traces`` in the current directory.
        redact: False writes values as they are; a `Redactor` brings rules of the user's own.
        delivery: the span processor that sends the redacted copies, usually a batch processor; None sends nothing,
            since a provider of the user's own has its exporters already.
        settings: everything at once, instead of the arguments above.
        sessions: which session each span belongs to, where that is not the usual (`collect`).

    Example:
        provider.add_span_processor(AgentTraceSpanProcessor(trace_dir="traces"))
    """

    is_live = True
    """False when spans come only after their end, from an exporter."""

    def __init__(
        self,
        trace_dir: str | os.PathLike[str] | None = None,
        *,
        redact: bool | Redactor | None = None,
        delivery: SpanProcessor | None = None,
        settings: config.Settings | None = None,
        sessions: SpanSessions | None = None,
    ) -> None:
        settings = settings or config.of_program(
            trace_dir=None if trace_dir is None else Path(trace_dir),
            redact=redact if isinstance(redact, bool) else None,
        )
        self._open: dict[int, OpenSpan] = {}
        self._plain_tools = PlainToolCalls()
        self._folding = Folding()
        self._told_by_another: set[int] = set()
        self._sessions = sessions or SpanSessions(settings.trace_dir)
        self.follow(settings, redact=redact, delivery=delivery)
        recording.add(self)

    def follow(
        self, settings: config.Settings, *, redact: bool | Redactor | None, delivery: SpanProcessor | None
    ) -> None:
        """Obey these settings from now on; spans that are open keep their session's folder."""
        self.settings = settings
        self.redact = redact
        self.delivery = delivery
        redactor = redact if isinstance(redact, Redactor) else settings.redactor()
        self._redacting = Cleaner(redactor, capture_content=settings.capture_content)
        self._plain = Cleaner(None, capture_content=settings.capture_content)
        self._limit = settings.max_value_bytes
        self._sessions.trace_dir = settings.trace_dir

    # -- the SpanProcessor interface -----------------------------------------------------------------------------

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Write the event that opens the span."""
        try:
            self._start(span, parent_context)
        except Exception as error:  # noqa: BLE001 - never the user's problem
            guard.report("record the start of a span", error)

    def record(self, spans: Sequence[ReadableSpan]) -> None:
        """Write the whole story of spans that nobody saw begin, in the order they ended.

        All begin before the first one ends: a call inside another must know its outer one.
        """
        for span in sorted(spans, key=lambda span: span.start_time or 0):
            self.on_start(cast("Span", span), _NOWHERE)  # reads only what an ended span has too
        for span in spans:
            self.on_end(span)

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

    def on_event(self, span_id: int, name: str, attributes: Mapping[str, Any], time_ns: int) -> None:
        """Write a span event's line now, not when its span ends."""
        state = self._open.get(span_id)
        if state is not None and state.writer is not None:
            self._write_point(state, state.writer, name, state.cleaner.attributes(attributes), time_ns, 0)

    def is_open(self, span_id: int) -> bool:
        """Tell whether the processor has seen the span begin and not end."""
        return span_id in self._open

    # -- start ---------------------------------------------------------------------------------------------------

    def _start(self, span: ReadableSpan, parent_context: Context | None) -> None:
        ids = _ids(span)
        if recording.are_several() and recording.is_told_by_another(self, ids.span_id):
            self._told_by_another.add(ids.span_id)
            return
        parent = self._parent_of(span)
        explicit = identity.of_context(parent_context)
        state = self._plain_tools.begin(span, ids, parent, explicit, self._limit)
        if state is None:
            state = self._remember(span, ids, parent, explicit, parent_context)
        if len(self._open) >= MAX_OPEN_SPANS:
            self._open.pop(next(iter(self._open)), None)
        self._open[ids.span_id] = state
        if state.writer is not None and state.kind != "generic":
            if state.plain is not None:
                state.opened = True
                state.writer.event("tool_call", state.plain.start_ns, state.span_id, state.plain.opening)
            else:
                self._write_opening(state, state.writer, span)
            if self._sessions.keeps:
                self._write_kept(ids.trace_id)

    def _parent_of(self, span: ReadableSpan) -> OpenSpan | None:
        return self._open.get(span.parent.span_id) if span.parent is not None else None

    def _remember(
        self,
        span: ReadableSpan,
        ids: SpanContext,
        parent: OpenSpan | None,
        explicit: identity.Session | None,
        context: Context | None,
    ) -> OpenSpan:
        above = span.parent
        state = OpenSpan()
        state.session, state.plain = explicit, None
        raw: Mapping[str, Any] = attributes_of(span)
        state.is_foreign = not is_of_ours(span)
        if state.is_foreign:
            raw = foreign.read(span, raw).attributes
        state.kind = kind = span_events.kind_of(raw)
        if parent is not None and explicit is parent.session and explicit is not None:
            state.writer, state.cleaner = parent.writer, parent.cleaner
        elif explicit is not None:
            state.writer = writer_for(explicit.trace_dir, explicit.id)
            self._sessions.remember(ids.trace_id, state.writer)
            state.cleaner = self._redacting if explicit.redact else self._plain
        else:
            inherited = parent.writer if parent is not None else None
            chooses = kind in ("agent", "session") or (inherited is None and kind != "generic")
            state.writer = self._sessions.find(ids.trace_id, raw, inherited, context, is_agents=chooses)
            by_default = self._redacting if self.settings.redact else self._plain
            state.cleaner = parent.cleaner if parent is not None else by_default
        span_telling.read_opening(state, raw)
        if parent is None or parent.writer is not state.writer:  # an outer session's calls don't tell this one's
            # the call of a sub-agent whose own span has ended, or was another process's
            state.agent = str(state.clean.get(semconv.AGENT_NAME, "")) if kind == "model" and is_of_ours(span) else ""
            state.in_model, state.in_tool = kind == "model", kind == "tool"
            state.muted = is_told_by_sender(span, explicit)
        else:
            state.agent = parent.agent
            state.in_model = parent.in_model or kind == "model"
            state.in_tool = parent.in_tool or kind == "tool"
            state.muted = span_telling.is_told_by(parent, kind, raw) or kind == parent.kind == "resource"
        if self._sessions.tells(span, state.writer):
            state.muted = True
        if kind == "agent" and (parent is not None or explicit is not None) and span_telling.is_sub_agent(raw):
            state.agent = str(state.clean.get(semconv.AGENT_NAME, ""))
        state.opened = state.inherited = False
        state.points = state.call = None
        state.above = parent
        state.span_id = f"{ids.span_id:016x}"
        if parent is not None:
            state.trace_id, state.parent_id = parent.trace_id, parent.span_id
        else:
            state.trace_id = f"{ids.trace_id:032x}"
            state.parent_id = f"{above.span_id:016x}" if above is not None else ""
        self._folding.begin(state)
        state.tail = span_telling.tail(state, raw)
        return state

    # -- end -----------------------------------------------------------------------------------------------------

    def _end(self, span: ReadableSpan) -> None:
        ids = _ids(span)
        state = self._take(span, ids)
        if state is None:
            return
        if state.plain is not None and self._end_plain(state, state.plain, span, ids):
            return
        raw = attributes_of(span)
        told: Mapping[str, Any] = raw
        speaks: tuple[str, ...] = ()
        announces = False
        if state.is_foreign:
            reading = foreign.read(span, raw)
            told, speaks = reading.attributes, reading.dialects
            announces = reading.announces and span.status.status_code is not StatusCode.ERROR
        if state.kind == "generic":
            self._look_again(state, ids.trace_id, told)
        writer = state.writer
        if writer is None:
            self._sessions.keep(span, ids.trace_id)
            return
        is_begun = state.opened and not state.muted
        values = None
        if state.kind == "model" or (state.is_foreign and state.kind != "generic"):
            values = self._fold(state, span_telling.read_closing(state, told), speaks, announces=announces)
        if state.call is not None or state.calls is not None:
            self._folding.pass_on(state)
        stamps = span_telling.stamps(state, writer, raw)
        raw.update(stamps)
        clean, encoded = state.cleaner.encoded(raw, state.raw, state.clean)
        copy = state.cleaner.span(span, clean if stamps or clean is not raw else None)
        if not state.opened and state.kind != "generic":
            self._write_opening(state, writer, span)
        if copy is not span and copy.events:
            self._write_points(state, writer, copy)
        is_new = writer.span(encode_line(copy, encoded, is_bare=copy is span), state.span_id)
        self._write_closing(state, writer, copy, clean if values is None else values, is_begun=is_begun)
        if is_new and self.delivery is not None:
            _hand_on(self.delivery, copy, writer)
        if self._sessions.keeps:
            self._write_kept(ids.trace_id)

    def _fold(
        self, state: OpenSpan, values: Mapping[str, Any], speaks: tuple[str, ...], *, announces: bool
    ) -> Mapping[str, Any]:
        """Return what a call's closing event tells, with what other spans of the same call know.

        ``announces`` says that a span to come tells the same call.
        """
        if state.kind != "model":
            return values
        call = model_call(state, values, speaks)
        if announces:
            state.muted, state.call, call.told = True, call, ""
            return values
        self._folding.end(state, call)
        return call.values

    def _take(self, span: ReadableSpan, ids: SpanContext) -> OpenSpan | None:
        """Return what is remembered of a span that ends, None if somebody else tells it."""
        state = self._open.pop(ids.span_id, None)
        if state is None:
            if ids.span_id in self._told_by_another:
                self._told_by_another.discard(ids.span_id)
                return None
            state = self._remember(span, ids, self._parent_of(span), None, _NOWHERE)
        elif state.inherited:
            return None
        if self.is_live:
            recording.tell(ids.span_id, self.settings.trace_dir)
        return state

    def _end_plain(self, state: OpenSpan, call: PlainCall, span: ReadableSpan, ids: SpanContext) -> bool:
        finished = self._plain_tools.finish(state, call, span, ids, self._limit)
        if finished is None or state.writer is None:
            return False
        if state.calls is not None:
            self._folding.pass_on(state)
        end_ns, duration_ms = _duration(span)
        line, data = finished
        is_new = state.writer.span(line, state.span_id)
        event_id = span_events.closing_id(state.span_id)
        state.writer.event("tool_result", end_ns, event_id, data, parent_id=state.span_id, duration_ms=duration_ms)
        if is_new and self.delivery is not None:
            _hand_on(self.delivery, span, state.writer)
        return True

    def _write_kept(self, trace_id: int) -> None:
        """Write the spans that ended before their trace had a session."""
        for waiting in self._sessions.take_kept(trace_id):
            self.on_end(waiting)

    def _look_again(self, state: OpenSpan, trace_id: int, raw: Mapping[str, Any]) -> None:
        """Tell a span's kind by what it has learnt since its start: some instrumentations set the operation late."""
        state.kind = span_events.kind_of(raw)
        state.muted = span_telling.is_told_by(state, state.kind, raw)
        state.tail = span_telling.tail(state, raw)
        span_telling.read_opening(state, raw)
        if state.writer is None:
            state.writer = self._sessions.find(trace_id, raw, None, _NOWHERE, is_agents=state.kind != "generic")

    # -- lines ---------------------------------------------------------------------------------------------------

    def _write_opening(self, state: OpenSpan, writer: SessionWriter, span: ReadableSpan) -> None:
        state.opened = True
        start_ns = span.start_time or time.time_ns()
        if state.kind == "session":
            command = " ".join(span_events.words(state.clean.get(semconv.PROCESS_COMMAND_ARGS)))
            writer.begin(start_ns, str(state.clean.get(semconv.AGENT_NAME, "")), command)
        elif not writer.begun and writer.begin_if_new():
            self._begin_implicit(state, writer, span, start_ns)
        if state.muted:
            return
        # at their start, spans of our own hold JSON that we wrote; anybody else's is checked
        is_ours = state.clean is state.raw and span.end_time is None and is_of_ours(span)
        found = span_events.opening(state.kind, state.clean, state.tail, self._limit, is_json=is_ours)
        if found is not None:
            writer.event(found[0], start_ns, state.span_id, found[1])

    @staticmethod
    def _begin_implicit(state: OpenSpan, writer: SessionWriter, span: ReadableSpan, start_ns: int) -> None:
        """Write the session_start of a session that nobody opened, once, when its folder is made."""
        name = state.clean.get(semconv.AGENT_NAME) or span.resource.attributes.get(semconv.SERVICE_NAME) or ""
        clean_name = state.cleaner.text(str(name))
        writer.begin(start_ns, clean_name, "")
        event_id = span_events.point_id(state.span_id, start_ns, "session_start", 0)
        data = span_events.with_tail({"agent_name": clean_name, "command": []}, state.tail)
        writer.event("session_start", start_ns, event_id, data)

    @guard.guarded("write span events")
    def _write_points(self, state: OpenSpan, writer: SessionWriter, span: ReadableSpan) -> None:
        counts: dict[tuple[str, int], int] = {}
        for event in span.events:
            occurrence = (event.name, event.timestamp)
            counts[occurrence] = count = counts.get(occurrence, -1) + 1
            self._write_point(state, writer, event.name, event.attributes or {}, event.timestamp, count)

    def _write_point(  # noqa: PLR0913 - one event
        self,
        state: OpenSpan,
        writer: SessionWriter,
        name: str,
        attributes: Mapping[str, Any],
        time_ns: int,
        count: int,
    ) -> None:
        found = span_events.point(name, attributes, self._limit)
        if found is None:
            return
        event_type, data = found
        event_id = span_events.point_id(state.span_id, time_ns, event_type, count)
        if state.points is None:
            state.points = set()
        if event_id not in state.points:
            state.points.add(event_id)
            writer.event(event_type, time_ns, event_id, span_events.with_tail(data, state.tail))

    @guard.guarded("write the end of a call")
    def _write_closing(
        self,
        state: OpenSpan,
        writer: SessionWriter,
        span: ReadableSpan,
        attributes: Mapping[str, Any],
        *,
        is_begun: bool,
    ) -> None:
        """Write the event that closes a span; ``is_begun`` says that it has opened, whoever tells its end."""
        if state.muted and not is_begun:
            return
        end_ns, duration_ms = _duration(span)
        if state.muted and state.call is not None:
            found: tuple[str, str] | None = span_events.repeated(attributes, state.call.told, state.tail)
        else:
            failure = span_telling.failure(span) if span.status.status_code is StatusCode.ERROR else None
            found = span_events.closing(state.kind, attributes, failure, duration_ms, state.tail, self._limit)
        if found is not None:
            parent_id = "" if state.kind == "session" else state.span_id
            event_id = span_events.closing_id(state.span_id)
            writer.event(found[0], end_ns, event_id, found[1], parent_id=parent_id, duration_ms=duration_ms)
        if state.kind == "session":
            writer.end(end_ns)

    def after_fork_in_child(self) -> None:
        """Leave the parent's open and kept spans to the parent."""
        self._sessions.after_fork_in_child()
        for state in self._open.values():
            state.inherited = True


AgentTraceSpanProcessor = SessionSpanProcessor
"""The name for users: ``provider.add_span_processor(AgentTraceSpanProcessor())``."""

_NOWHERE = context_api.Context()


def _hand_on(delivery: SpanProcessor, span: ReadableSpan, writer: SessionWriter) -> None:
    """Give a span to what sends; ours learns where it is written, and so where it can be read again."""
    take = getattr(delivery, "on_end_in", None)
    if take is None:
        delivery.on_end(span)
    else:
        take(span, writer.folder)


def _duration(span: ReadableSpan) -> tuple[int, float]:
    """Return (end in unix nanoseconds, milliseconds since the start)."""
    end_ns = span.end_time or time.time_ns()
    return end_ns, (end_ns - (span.start_time or end_ns)) / 1e6


def _ids(span: ReadableSpan) -> SpanContext:
    ids: SpanContext = span.context  # pyright: ignore[reportAssignmentType] - every span of an SDK has one
    return ids
