"""Which session a received span belongs to, over requests, restarts and spans that arrive before their parents.

Comes in: spans as `intake` hands them over, and the questions of the processor. Goes out: writers. The rules are those
of `span_sessions`, for spans whose beginning nobody saw:

- what a trace's first named span says holds for the whole trace, also for spans that came before it: their folder,
  named by the trace until then, becomes part of the conversation's (`joining`);
- a session that a coding agent's hooks tell is written where they write it (`hooked`);
- a span of a trace without any agent's span waits on disk (`notebook`): its sender has been told that it is taken;
- what an earlier collector has written is not written again.
"""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent_trace_otel import guard, identity
from agent_trace_otel.capture.collect.hooked import Hooked, store_of
from agent_trace_otel.capture.collect.joining import finish, join
from agent_trace_otel.capture.collect.notebook import Bound, Notebook
from agent_trace_otel.capture.collect.waiting import Waiting
from agent_trace_otel.errors import StoreError
from agent_trace_otel.processor import foreign
from agent_trace_otel.processor.span_copy import Cleaner, attributes_of
from agent_trace_otel.processor.span_sessions import MAX_TRACES, SpanSessions, conversation_of, writer_for
from agent_trace_otel.store import span_events
from agent_trace_otel.store.folder import EVENTS, SessionFolder
from agent_trace_otel.store.spans_file import encode_line, spans_of_line

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan

    from agent_trace_otel import config
    from agent_trace_otel.store.writer import SessionWriter

_MAX_CAUGHT_UP: Final = 64
"""Sessions of earlier processes of which the ids in the folder are remembered."""


class CollectedSessions(SpanSessions):
    """The sessions of one collector.

    Args:
        settings: how spans are recorded.
    """

    def __init__(self, settings: config.Settings) -> None:
        super().__init__(settings.trace_dir)
        redactor = settings.redactor() if settings.redact else None
        self._cleaner = Cleaner(redactor, capture_content=settings.capture_content)
        self._hooked = Hooked()
        self._waiting = Waiting()
        self._bound: OrderedDict[int, Bound] = OrderedDict()
        self._founded: OrderedDict[int, Bound] = OrderedDict()
        """Traces that are sessions by themselves for lack of a name; nobody but a collector writes their folders."""
        self._writers: OrderedDict[str, SessionWriter] = OrderedDict()
        self._joined: deque[tuple[float, Path, Path]] = deque()
        """When a folder was emptied, which one, and whose it is now."""
        self._caught_up: OrderedDict[SessionWriter, None] = OrderedDict()
        self.lost = 0
        """Lines that could not be written to the notebook."""
        self._notebook = Notebook(settings.trace_dir)

    # -- what `intake` asks for ----------------------------------------------------------------------------------

    def restore(self) -> list[ReadableSpan]:
        """Take over what an earlier collector has left; return the spans whose session is known by now."""
        ready: list[ReadableSpan] = []
        for entry in self._notebook.read():
            if isinstance(entry, Bound):
                trace_id = int(entry.trace_id, 16)
                if entry.session == entry.trace_id:
                    _remember(self._founded, trace_id, entry)
                else:
                    _remember(self._bound, trace_id, entry)
                    self._join_folder(trace_id, entry)
                continue
            with contextlib.suppress(ValueError):  # a torn line
                for span in spans_of_line(entry):
                    trace_id = _trace_id(span)
                    if self._of_trace(trace_id) is None:
                        self._wait(trace_id, encode_line(span))
                    else:
                        ready.append(span)
        return ready

    def learn(self, spans: Iterable[ReadableSpan]) -> None:
        """Note which conversations the spans name, before any of them is written."""
        for span in spans:
            trace_id = _trace_id(span)
            if trace_id not in self._bound:
                named = _named_by(span)
                if named is not None:
                    self._note(trace_id, named)

    def are_told(self, span: ReadableSpan) -> bool:
        """Tell whether hooks tell the session of a span that was made of a log event."""
        named = conversation_of(span.attributes or {}) or ""
        writer = self._writer(Bound("", identity.folder_name(named), self._store_of(named)))
        return self._hooked.tell(span, writer)

    def let_go(self) -> list[ReadableSpan]:
        """Return the spans that have waited long enough for a session, and forget them."""
        lines = self._waiting.take_old(time.monotonic())
        self.keeps = bool(self._waiting)
        if self._notebook.is_worth_rewriting(self._waiting.size):
            self.rewrite_notebook()
        return [span for line in lines for span in spans_of_line(line)]

    @guard.guarded("write the collector's notebook anew")
    def rewrite_notebook(self) -> None:
        """Keep in the notebook only what still matters."""
        known = [*self._founded.values(), *self._bound.values()]
        self._notebook.rewrite([*(bound.line() for bound in known), *self._waiting.lines()])

    def lost_lines(self) -> int:
        """Return how many lines could not be written so far."""
        return self.lost + sum(writer.lost for writer in self._writers.values())

    def catch_up(self) -> None:
        """Be ready for spans that were half written: the next time, only their missing lines are."""
        for writer in self._writers.values():
            if writer.lost:
                self._skip_written(writer)

    def finish_joins(self, *, older_than: float) -> None:
        """Remove the folders that were emptied so many seconds ago."""
        while self._joined and time.monotonic() - self._joined[0][0] >= older_than:
            _, source, target = self._joined.popleft()
            guard.guarded("remove a folder that became part of another")(finish)(source, target)

    def close(self) -> None:
        """Give the notebook back."""
        self.finish_joins(older_than=0.0)
        self._notebook.close()

    # -- what the processor asks for -----------------------------------------------------------------------------

    def find(  # noqa: D102 - as in SpanSessions
        self,
        trace_id: int,
        attributes: Mapping[str, Any],
        parent: SessionWriter | None,
        context: Context | None,  # noqa: ARG002 - received spans have none
        *,
        is_agents: bool,
    ) -> SessionWriter | None:
        named = conversation_of(attributes) if is_agents else None
        if named is not None:
            bound = self._bound.get(trace_id)
            if bound is not None and bound.session == identity.folder_name(named):
                return self._writer(bound)
            return self._writer(Bound("", identity.folder_name(named), self._store_of(named)))
        if parent is not None:
            return parent
        of_trace = self._of_trace(trace_id)
        if of_trace is None and is_agents:
            founded = _by_trace(trace_id)
            self._write(founded.line())
            _remember(self._founded, trace_id, founded)
            of_trace = self._writer(founded)
        return of_trace

    def remember(self, trace_id: int, writer: SessionWriter) -> None:
        """Do nothing: `learn` has noted whose a trace is."""

    def keep(self, span: ReadableSpan, trace_id: int) -> None:
        """Let a span wait, in memory and on disk."""
        clean, encoded = self._cleaner.encoded(attributes_of(span), {}, {})
        line = encode_line(self._cleaner.span(span, clean), encoded)
        self._write(line)
        self._wait(trace_id, line)

    def take_kept(self, trace_id: int) -> list[ReadableSpan]:
        """Hand back the spans that waited for a trace's session."""
        lines = self._waiting.take(trace_id)
        self.keeps = bool(self._waiting)
        return [span for line in lines for span in spans_of_line(line)]

    def tells(self, span: ReadableSpan, writer: SessionWriter | None) -> bool:
        """Tell whether hooks tell the span's story."""
        return writer is not None and self._hooked.tell(span, writer)

    # -- traces and their sessions -------------------------------------------------------------------------------

    def _note(self, trace_id: int, named: str) -> None:
        bound = Bound(f"{trace_id:032x}", identity.folder_name(named), self._store_of(named))
        if bound.session != bound.trace_id:
            self._write(bound.line())
            self._join_folder(trace_id, bound)
        _remember(self._bound, trace_id, bound)

    def _join_folder(self, trace_id: int, bound: Bound) -> None:
        """Let a session that had only its trace's name become part of the one that it belongs to."""
        source = self.trace_dir / bound.trace_id
        if trace_id not in self._founded or not source.is_dir():
            return
        try:
            known = self._writers.pop(bound.trace_id, None)
            if known is not None:
                known.close()
            folder = SessionFolder(self._directory(bound), bound.session)
            join(source, folder)
            self._joined.append((time.monotonic(), source, folder.path))
            del self._founded[trace_id]
            self._writers.pop(bound.session, None)
        except (OSError, StoreError) as error:
            self.lost += 1
            guard.report("join two parts of a session", error)

    def _of_trace(self, trace_id: int) -> SessionWriter | None:
        bound = self._bound.get(trace_id)
        if bound is not None:
            return self._writer(bound)
        by_trace = _by_trace(trace_id)
        is_there = by_trace.session in self._writers or (self.trace_dir / by_trace.session / EVENTS).exists()
        return self._writer(by_trace) if is_there else None

    def _directory(self, bound: Bound) -> Path:
        return Path(bound.store) if bound.store else self.trace_dir

    def _store_of(self, session_id: str) -> str:
        name = identity.folder_name(session_id)
        known = self._writers.get(name)
        store = known.folder.parent if known is not None else self.trace_dir
        if known is None and not (store / name).is_dir():
            store = store_of(session_id) or store
        return "" if store == self.trace_dir else str(store)

    # -- writers -------------------------------------------------------------------------------------------------

    def _writer(self, bound: Bound) -> SessionWriter:
        writer = self._writers.get(bound.session)
        if writer is None:
            writer = self._writers[bound.session] = writer_for(self._directory(bound), bound.session)
            writer.is_named = bound.session != bound.trace_id
            if (writer.folder / EVENTS).exists():
                self._skip_written(writer)
            if len(self._writers) > MAX_TRACES:
                self._writers.popitem(last=False)
        return writer

    def _skip_written(self, writer: SessionWriter) -> None:
        writer.skip_written()
        self._caught_up[writer] = None
        self._caught_up.move_to_end(writer)
        if len(self._caught_up) > _MAX_CAUGHT_UP:
            self._caught_up.popitem(last=False)[0].write_all()

    def _wait(self, trace_id: int, line: bytes) -> None:
        self._waiting.add(trace_id, line)
        self.keeps = True

    def _write(self, line: bytes) -> None:
        try:
            self._notebook.add(line)
        except OSError as error:
            self.lost += 1
            guard.report("write the collector's notebook", error)


def _by_trace(trace_id: int) -> Bound:
    named = f"{trace_id:032x}"
    return Bound(named, named, "")


def _remember(known: OrderedDict[int, Bound], trace_id: int, bound: Bound) -> None:
    known[trace_id] = bound
    if len(known) > MAX_TRACES:
        known.popitem(last=False)


def _trace_id(span: ReadableSpan) -> int:
    return span.context.trace_id if span.context is not None else 0


def _named_by(span: ReadableSpan) -> str | None:
    """Return the conversation that a span names, if it is an agent's doing."""
    said = foreign.read(span, attributes_of(span)).attributes
    return None if span_events.kind_of(said) == "generic" else conversation_of(said)
