"""Steps -> spans: one run of another program's session, as it is reported.

Comes in: steps, in the order in which they were told. Goes out: spans through `spans`, at the times that were told.
Called by `hook_session`. A span's parent may have ended: its context is remembered, or derived anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from opentelemetry.trace import SpanContext, TraceFlags

from agent_trace_otel import guard, identity, pipeline, semconv, spans
from agent_trace_otel.capture.hooks.story.steps import (
    RUN,
    Begin,
    End,
    Follow,
    FollowContext,
    FollowSession,
    Learn,
    Point,
    Ref,
    Step,
)
from agent_trace_otel.processor.span_sessions import writer_for
from agent_trace_otel.spans import point_events
from agent_trace_otel.spans.told import Told, link_to

if TYPE_CHECKING:
    from opentelemetry.trace import Link, Span

    from agent_trace_otel.identity import Session
    from agent_trace_otel.process import ProcessIdentity

_MAX_REMEMBERED: Final = 8192
_GONE: Final = "the client was gone before it ended"
_CONTENT: Final = frozenset({semconv.TEXT, semconv.DETAIL})
_guarded: Final = guard.guarded("tell a step of a session")  # the steps after one that can't be told are told

FindSession = Callable[[str], "tuple[str, str] | None"]
"""Returns the last span of a session as (trace id, span id) in hex, by the session's id; empty for the one that the
same client process had before."""


class ReportedRun:
    """The spans of one run.

    Args:
        session: whose run it is; its trace directory, redaction and parent are set.
        in_force: the pipeline that the session is recorded by.
        find_session: finds a session that this one follows from.
    """

    def __init__(self, session: Session, in_force: pipeline.SeparatePipeline, find_session: FindSession) -> None:
        self.session = session
        self.pipeline = in_force
        self._find_session = find_session
        self._open: dict[Ref, Span] = {}
        self._contexts: OrderedDict[Ref, SpanContext] = OrderedDict()

    def begin(
        self,
        run: int,
        previous: tuple[str, str] | None,
        of: ProcessIdentity,
        attributes: Mapping[str, Any],
    ) -> None:
        """Begin the run's own span.

        Args:
            run: which run of the session it is, from 1.
            previous: the span of the run before, as (trace id, span id) in hex.
            of: the client's process.
            attributes: what is known of the run.
        """
        with self.pipeline:
            spans.start_session(self.session, run=run, previous=previous, of=of, attributes=attributes)
        if self.session.root is not None:
            self._open[RUN] = self.session.root

    def join(self, session_id: str, at: int, attributes: Mapping[str, Any]) -> None:
        """Begin the run as an agent of the session that the client was started in, under the span it was started in.

        Args:
            session_id: the client's own.
            at: unix nanoseconds; a session may be joined more than once.
            attributes: what is known of the run.
        """
        told = Told(self.session, at, ("agent", f"{session_id}@{at}"), attributes=attributes)
        with self.pipeline:
            self.session.root = spans.start_agent(self.session.name, agent_id=session_id, told=told)
        if self.session.root is not None:
            self._open[RUN] = self.session.root

    def skip_written(self) -> None:
        """Write only what the folder has not: the run is told anew."""
        writer_for(self.session.trace_dir, self.session.id).skip_written()

    def write_all(self) -> None:
        """Write everything again: what was told before is told."""
        writer_for(self.session.trace_dir, self.session.id).write_all()

    def span_of(self, ref: Ref) -> Span | None:
        """Return a span that is open."""
        return self._open.get(ref)

    def take(self, steps: Sequence[Step]) -> None:
        """Do what the steps say."""
        if steps:
            with self.pipeline:
                for step in steps:
                    self._ACTIONS[type(step)](self, step)

    def _begin(self, step: Begin) -> None:
        if step.ref in self._open:
            return
        links = tuple(link for link in map(self._link, step.links) if link is not None)
        parent = None if step.parent == RUN else self._context(step.parent)
        key = (step.ref.kind, step.ref.key)
        told = Told(self.session, step.at, key, parent=parent, links=links, attributes=step.attributes)
        span = self._STARTS[step.ref.kind](step, told)
        if span is not None:
            self._open[step.ref] = span
            self._contexts[step.ref] = span.get_span_context()
            if len(self._contexts) > _MAX_REMEMBERED:
                self._contexts.popitem(last=False)

    def _end(self, step: End) -> None:
        span = self._open.pop(step.ref, None)
        message = step.message or (_GONE if step.outcome == semconv.OUTCOME_LOST else "")
        spans.end(span, step.attributes, outcome=step.outcome, message=message, end_ns=step.at)
        if step.ref == RUN:
            self.session.ended = True

    def _point(self, step: Point) -> None:
        span = self._open.get(step.ref) or self.session.root
        attributes = step.attributes
        if not pipeline.settings().capture_content:
            attributes = {name: value for name, value in attributes.items() if name not in _CONTENT}
        point_events.log_told(span, step.name, attributes, step.at)

    def _learn(self, step: Learn) -> None:
        span = self._open.get(step.ref)
        if span is not None:
            span.set_attributes(step.attributes)

    def _follow(self, step: Follow) -> None:
        self._add_link(step.ref, self._link(step.target))

    def _follow_session(self, step: FollowSession) -> None:
        found = self._find_session(step.session_id)
        self._add_link(RUN, link_to(*found) if found is not None else None)

    def _follow_context(self, step: FollowContext) -> None:
        parts = step.traceparent.split("-")
        ctx = identity.context_of_environment({"TRACEPARENT": step.traceparent})
        self._add_link(step.ref, link_to(parts[1], parts[2]) if ctx is not None else None)

    def _add_link(self, ref: Ref, link: Link | None) -> None:
        span = self._open.get(ref)
        if span is not None and link is not None:
            span.add_link(link.context, link.attributes)

    def _link(self, target: Ref) -> Link | None:
        context = self._context(target)
        return link_to(f"{context.trace_id:032x}", f"{context.span_id:016x}") if context is not None else None

    def _context(self, ref: Ref) -> SpanContext | None:
        """Return a span's context, that of a span of an earlier run included: ids follow from what they are of."""
        root = self.session.root
        known = self._contexts.get(ref)
        if known is not None or root is None:
            return known
        run = root.get_span_context()
        own_trace = ref.kind == "turn" and pipeline.settings().trace_per == "turn"
        trace_id = identity.derived_trace_id(self.session.id, ref.key) if own_trace else run.trace_id
        span_id = identity.derived_span_id(self.session.id, ref.kind, ref.key)
        return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(run.trace_flags))

    _ACTIONS: ClassVar[Mapping[type, Callable[..., None]]] = {
        Begin: _guarded(_begin),
        End: _guarded(_end),
        Point: _guarded(_point),
        Learn: _guarded(_learn),
        Follow: _guarded(_follow),
        FollowSession: _guarded(_follow_session),
        FollowContext: _guarded(_follow_context),
    }

    _STARTS: ClassVar[Mapping[str, Callable[[Begin, Told], Span | None]]] = {
        "turn": lambda step, told: spans.start_turn(step.name, step.given or "", key=step.ref.key, told=told),
        "agent": lambda step, told: spans.start_agent(step.name, given=step.given or None, told=told),
        "tool": lambda step, told: spans.start_tool(step.name, step.given, told=told),
        "chat": lambda step, told: spans.start_model_call(step.name or None, messages=step.given or None, told=told),
    }
