"""One transcript -> the session of it, told through the same story and the same spans as hooks tell it.

Comes in: a transcript, the trace directory that it goes to. Goes out: spans, and what was added. Called by `command`.
What the folder has stays as it is: a span that has ended there is told no second time, and a run that hooks recorded
keeps its times.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

from agent_trace_otel import identity
from agent_trace_otel.capture.hooks.dialects.registry import CLAUDE_CODE
from agent_trace_otel.capture.hooks.sessions.reported import ReportedRun
from agent_trace_otel.capture.hooks.sessions.transcripts import with_origin
from agent_trace_otel.capture.hooks.story.carried import Carried
from agent_trace_otel.capture.hooks.story.claude_code import ClaudeCode
from agent_trace_otel.capture.hooks.story.steps import Step
from agent_trace_otel.capture.hooks.transcript.facts import time_ns
from agent_trace_otel.capture.importing.conversation import Facts, Item, RunBegins, RunEnds, Said, Settle
from agent_trace_otel.capture.importing.folder_state import state_of
from agent_trace_otel.capture.importing.main_conversation import MainConversation
from agent_trace_otel.capture.importing.sub_agent_conversation import SubAgentConversation
from agent_trace_otel.capture.importing.telling import RunTelling, begin_run
from agent_trace_otel.capture.importing.transcripts import Line, Transcript, lines_of
from agent_trace_otel.pipeline import SeparatePipeline
from agent_trace_otel.processor.span_sessions import writer_for
from agent_trace_otel.store.folder import SPANS


@dataclass(slots=True)
class Added:
    """What an import has added to a session."""

    session_id: str
    store: Path
    spans: Counter[str] = field(default_factory=Counter[str])
    """New spans by kind: run, turn, agent, tool, chat."""
    unreadable: int = 0
    """Lines that could not be read."""
    is_open: bool = False
    """Whether more is expected: the transcript was written to just now."""
    is_recorded: bool = False
    """Whether hooks record the session just now, so that its last run was not touched."""

    @property
    def spans_path(self) -> Path:
        """The session's spans, as OTLP JSON lines."""
        return self.store / self.session_id / SPANS


class SessionImport:
    """One import of one transcript.

    Args:
        transcript: the transcript.
        store: the trace directory that the session goes to.
        recorded_by: the pipeline that makes the spans; None for a dry run, which only counts.
        is_over: whether the transcript will not grow any more.
        progress: called with the number of bytes that were read since it was called last.
    """

    def __init__(
        self,
        transcript: Transcript,
        store: Path,
        recorded_by: SeparatePipeline | None,
        *,
        is_over: bool,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        session_id = identity.folder_name(transcript.session_id)
        self._transcript = transcript
        self._pipeline = recorded_by
        self._is_over = is_over
        self._progress = progress
        self._known = state_of(store / session_id, session_id)
        self._added = Added(session_id, store)
        self._unknown: Counter[str] = Counter()
        self._carried = Carried()
        self._machine: ClaudeCode | None = None
        self._telling: RunTelling | None = None
        self._last_at = self._ended_at = 0
        self._has_told = False

    def run(self) -> Added:
        """Read the transcript to its end and tell what is missing.

        Raises:
            OSError: a file can't be read.
        """
        main = MainConversation(self._transcript, self._unknown)
        files = [_pieces(0, self._transcript.path, main.take, lambda: iter(()), self._unknown)]
        for number, path in enumerate(self._transcript.sub_agents(), 1):
            agent = SubAgentConversation(path, self._unknown, is_over=self._is_over)
            files.append(_pieces(number, path, agent.take, agent.finish, self._unknown))
        before = 0
        for _, number, place, items in heapq.merge(*files):
            self._take(items)
            if number == 0:
                self._progress(place - before)
                before = place
        self._take(main.finish(is_over=self._is_over))
        self._added.is_open = self._machine is not None
        self._added.unreadable = sum(count for kind, count in self._unknown.items() if kind.startswith("("))
        self._close()
        return self._added

    def _take(self, items: Iterable[Item]) -> None:
        for item in items:
            self._ACTIONS[type(item)](self, item)

    def _begin_run(self, begins: RunBegins) -> None:
        self._machine = ClaudeCode(
            CLAUDE_CODE.name,
            provider=CLAUDE_CODE.provider,
            unanswered=CLAUDE_CODE.unanswered,
            carried=self._carried,
        )
        after = min(self._ended_at, begins.at - 1)
        run = self._known.run_in(after, begins.at) or self._known.add(begins.at)
        if not run.was_imported(begins.at) and run.may_go_on():
            self._added.is_recorded = True
            return
        previous = self._known.before(run)

        def begin() -> ReportedRun | None:
            if self._pipeline is None:
                return None
            self._has_told = True
            return begin_run(
                self._known, run, previous, self._added.store, self._transcript.cwd, recorded_by=self._pipeline
            )

        self._telling = RunTelling(self._known, run, begins.at, begin, self._added.spans)

    def _hear(self, said: Said) -> None:
        if self._machine is not None:
            self._last_at = max(self._last_at, said.at)
            self._tell(self._machine.hook(said.payload, said.at))

    def _learn(self, told: Facts) -> None:
        if self._machine is None:
            return
        path, first = self._transcript.path, self._transcript.first_ns
        facts = [with_origin(cast("dict[str, Any]", fact), path, first) for fact in told.facts]
        self._tell(self._machine.learn([fact for fact in facts if self._machine.needs(fact)]))

    def _settle(self, _: Settle) -> None:
        if self._machine is not None and self._machine.awaits_settling:
            self._tell(self._machine.settle())

    def _end_run(self, ends: RunEnds) -> None:
        if self._machine is None:
            return
        at = max(self._last_at, ends.at)
        if ends.is_lost:
            self._tell(self._machine.lose(at))
        else:
            self._tell(self._machine.hook({"hook_event_name": "SessionEnd"}, at))
            self._tell(self._machine.settle())
        self._carried, self._ended_at = self._machine.carried, at
        self._machine = self._telling = None
        self._last_at = 0

    def _tell(self, steps: Sequence[Step]) -> None:
        if self._telling is not None:
            self._telling.take(steps)

    def _close(self) -> None:
        """Leave the folder as one that nobody writes to."""
        if not self._has_told:
            return
        writer = writer_for(self._added.store, self._added.session_id)
        writer.write_all()
        if self._known.last_end():
            writer.end(self._known.last_end())  # it may have been a run before the last one that was told just now

    _ACTIONS: ClassVar[dict[type, Callable[..., None]]] = {
        RunBegins: _begin_run,
        Said: _hear,
        Facts: _learn,
        Settle: _settle,
        RunEnds: _end_run,
    }


def _pieces(
    number: int,
    path: Path,
    take: Callable[[Line], Iterator[Item]],
    finish: Callable[[], Iterator[Item]],
    unknown: Counter[str],
) -> Iterator[tuple[int, int, int, Iterator[Item]]]:
    """Yield (newest time so far, number of the file, place, what the line tells) for each line of a file."""
    latest = 0
    waiting: Line | None = None
    for line in lines_of(path, unknown):
        if waiting is not None:
            yield latest, number, waiting.place, take(waiting)
        waiting, latest = line, max(latest, time_ns(line.value.get("timestamp")))
    if waiting is not None:
        yield latest, number, waiting.place, _both(take(waiting), finish)


def _both(first: Iterator[Item], then: Callable[[], Iterator[Item]]) -> Iterator[Item]:
    yield from first
    yield from then()
