"""Which session a span belongs to, and the one writer that a process has for it.

Comes in: a span's ids, kind, attributes, parent and context. Goes out: a `SessionWriter`, or None while nobody can
know. Called by `processor`. The rules are asked in order; README, "Sessions", says them to users.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import baggage

from agent_trace_otel import identity, semconv
from agent_trace_otel.store.writer import SessionWriter

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan

MAX_WRITERS = 10_000
MAX_TRACES = 10_000
PENDING_PER_TRACE = 256
PENDING_IN_ALL = 10_000
PENDING_NS = 5 * 60 * 1_000_000_000


class SpanSessions:
    """What one processor knows of traces and their sessions.

    Args:
        trace_dir: where the folders of sessions go that nobody opened explicitly.
    """

    def __init__(self, trace_dir: Path) -> None:
        self.keeps = False
        """Whether there are spans to take back."""
        self.trace_dir = trace_dir
        self._traces: OrderedDict[int, SessionWriter] = OrderedDict()
        self._pending: OrderedDict[int, list[ReadableSpan]] = OrderedDict()
        self._pending_count = 0
        self._lock = threading.RLock()

    def find(
        self,
        trace_id: int,
        attributes: Mapping[str, Any],
        parent: SessionWriter | None,
        context: Context | None,
        *,
        is_agents: bool,
    ) -> SessionWriter | None:
        """Return the writer by the first rule that answers, None for "not known yet".

        The conversation that the span names; its parent's session; the conversation that baggage names; the trace's
        session, if it has one; the process's session; the trace itself. Only spans of an agent's doing (``is_agents``)
        choose a conversation or found a session of their own.

        The explicit session of the context comes before all of them; the caller has asked it.
        """
        named = conversation_of(attributes) if is_agents else None
        if named is None and parent is not None:
            return parent
        if named is None and is_agents:
            named = conversation_of(baggage.get_all(context))
        if named is not None:
            writer = writer_for(self.trace_dir, identity.folder_name(named))
        elif trace_id in self._traces:
            return self._traces[trace_id]
        elif (of_process := identity.of_process()) is not None:
            return writer_for(of_process.trace_dir, of_process.id)
        elif is_agents:
            writer = writer_for(self.trace_dir, format(trace_id, "032x"))
        else:
            return None
        self.remember(trace_id, writer)
        return writer

    def remember(self, trace_id: int, writer: SessionWriter) -> None:
        """Let later spans of the trace follow, those too whose parent is not known here any more."""
        if self._traces.get(trace_id) is writer:
            return
        with self._lock:
            self._traces[trace_id] = writer
            if len(self._traces) > MAX_TRACES:
                self._traces.popitem(last=False)

    def keep(self, span: ReadableSpan, trace_id: int) -> None:
        """Keep a span that ended before its trace had a session, within bounds: the oldest traces are forgotten."""
        now = span.end_time or 0
        with self._lock:
            waiting = self._pending.setdefault(trace_id, [])
            if len(waiting) < PENDING_PER_TRACE:
                waiting.append(span)
                self.keeps = True
                self._pending_count += 1
            while self._pending:
                oldest = next(iter(self._pending.values()))
                fresh = bool(oldest) and now - (oldest[-1].end_time or 0) < PENDING_NS
                if fresh and self._pending_count <= PENDING_IN_ALL:
                    break
                self._pending_count -= len(self._pending.popitem(last=False)[1])

    def take_kept(self, trace_id: int) -> list[ReadableSpan]:
        """Hand back the spans kept for a trace that has a session now."""
        with self._lock:
            waiting = self._pending.pop(trace_id, [])
            self._pending_count -= len(waiting)
            self.keeps = bool(self._pending)
        return waiting

    def tells(self, span: ReadableSpan, writer: SessionWriter | None) -> bool:  # noqa: ARG002 - `collect` knows more
        """Tell whether somebody else tells a span's story in its session, so that it has no events of its own."""
        return False

    def after_fork_in_child(self) -> None:
        """Leave the parent's kept spans to the parent."""
        self._lock = threading.RLock()
        self._pending.clear()
        self._pending_count = 0


def conversation_of(values: Mapping[str, Any]) -> str | None:
    """Return the conversation that attributes or baggage name."""
    named = values.get(semconv.CONVERSATION_ID) or values.get(semconv.SESSION_ID)
    return str(named) if named else None


class _Writers:
    """This process's writers: one a session, however many processors and providers feed it."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Path, str], SessionWriter] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, trace_dir: Path, session_id: str) -> SessionWriter:
        writer = self._known.get((trace_dir, session_id))
        if writer is None:
            with self._lock:
                writer = self._known.setdefault((trace_dir, session_id), SessionWriter(trace_dir, session_id))
                if len(self._known) > MAX_WRITERS:
                    self._known.popitem(last=False)
        return writer

    def forget(self) -> None:
        self._known.clear()

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()
        for writer in tuple(self._known.values()):
            writer.after_fork_in_child()


writers = _Writers()
writer_for = writers.get
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=writers.after_fork_in_child)
