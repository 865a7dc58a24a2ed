"""A client's session as a part of the program's: ids of its own, in the folder of its host.

Called by `conversation`, where the program has a session open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api

from agent_trace_otel import identity, process, semconv, spans
from agent_trace_otel.capture.hooks.sessions.reported import ReportedRun
from agent_trace_otel.capture.hooks.story.steps import RUN, Begin, Step
from agent_trace_otel.spans.told import Told

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from agent_trace_otel.identity import Session

AGENT: Final = "claude-code"


@dataclass(slots=True, eq=False)
class GuestSession(identity.Session):
    """The client's session as a part of another one: its ids are its own, its folder is the other's."""

    host: Session | None = None
    around: Context | None = None
    """The context that the program started the client in."""

    @property
    def session_id(self) -> str:
        """The session that its spans are of."""
        return self.host.id if self.host is not None else self.id

    def context(self, base: Context | None = None) -> Context:
        """Return a context of the host session in which the client's own span is current."""
        ctx = context_api.set_value(identity.SESSION_KEY, self.host, base)
        span = self.root or trace_api.get_current_span(self.around)
        return trace_api.set_span_in_context(span, ctx)


class GuestRun(ReportedRun):
    """A run that is an agent of the host session."""

    def begin(
        self, run: int, previous: tuple[str, str] | None, of: process.ProcessIdentity, attributes: Mapping[str, Any]
    ) -> None:
        """Begin the client's span: an agent's."""
        del previous
        session = cast("GuestSession", self.session)
        parent = trace_api.get_current_span(session.around).get_span_context()
        if not parent.is_valid and session.host is not None:
            parent = trace_api.get_current_span(session.host.context()).get_span_context()
        told = Told(session, session.started_ns, ("run", str(run)), parent=parent, attributes=attributes)
        session.root = span = spans.start_agent(AGENT, attributes={semconv.PROCESS_PID: of.pid}, told=told)
        if span is not None:
            self._open[RUN] = span

    def take(self, steps: Sequence[Step]) -> None:
        """Do what the steps say; a model call says whose it is, since its turn may have ended."""
        super().take([_named(step) if isinstance(step, Begin) and step.ref.kind == "chat" else step for step in steps])


def _named(step: Begin) -> Begin:
    return replace(step, attributes={semconv.AGENT_NAME: AGENT, **step.attributes})
