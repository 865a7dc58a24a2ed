"""One run of an imported session: steps -> spans, without what the folder has.

Comes in: the steps of the story. Goes out: those that add something, to `reported`; how many spans they were. Called
by `session_import`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from agent_trace_otel import identity, semconv
from agent_trace_otel.capture.hooks.dialects.registry import CLAUDE_CODE
from agent_trace_otel.capture.hooks.sessions.reported import ReportedRun
from agent_trace_otel.capture.hooks.story.steps import RUN, Begin, End, FollowSession, Point, Ref, Step
from agent_trace_otel.capture.importing.folder_state import FolderState, KnownRun
from agent_trace_otel.pipeline import SeparatePipeline
from agent_trace_otel.process import ProcessIdentity
from agent_trace_otel.store.writer import runs_of

_NOBODY: Final = ProcessIdentity(0, "", "", "")


class RunTelling:
    """Tells of one run what is missing.

    Args:
        known: what the folder has.
        run: the run.
        began: when its part of the transcript begins, in unix nanoseconds.
        begin: begins the run's own span once something is to be told; returns None in a dry run.
        counts: counts the spans that are added, by kind.
    """

    def __init__(
        self,
        known: FolderState,
        run: KnownRun,
        began: int,
        begin: Callable[[], ReportedRun | None],
        counts: Counter[str],
    ) -> None:
        self._known = known
        self._run = run
        self._begin = begin
        self._counts = counts
        self._is_foreign = not run.was_imported(began)
        """Whether hooks recorded it, at times of their own."""
        self._was_open = run.ended_ns == 0
        self._skipped: set[Ref] = set()
        self._reported: ReportedRun | None = None
        if run.is_new:
            counts["run"] += 1
            self._reported = begin()

    def take(self, steps: Sequence[Step]) -> None:
        """Tell the steps, without those of spans that are there."""
        for told in (missing for step in steps if (missing := self._missing(step)) is not None):
            if self._reported is None:
                self._reported = self._begin()
            if self._reported is not None:
                self._reported.take([told])
            if isinstance(told, End) and told.ref == RUN:
                self._run.ended_ns = told.at
            elif isinstance(told, End):
                self._counts[told.ref.kind] += 1

    def _missing(self, step: Step) -> Step | None:
        """Return a step if it adds something."""
        if isinstance(step, FollowSession):
            return step if self._was_open and not self._is_foreign else None
        if step.ref == RUN:
            return self._missing_of_run(step)
        if step.ref in self._skipped:
            return None
        span_id = f"{identity.derived_span_id(self._known.session_id, *step.ref):016x}"
        if isinstance(step, Begin) and span_id in self._known.finished:
            self._skipped.add(step.ref)
            return None
        if isinstance(step, Point) and self._is_foreign and span_id in self._known.mentioned:
            return None  # told there, at another time
        return step

    def _missing_of_run(self, step: Step) -> Step | None:
        if isinstance(step, End):
            if self._was_open:
                return step
            # its span was begun anew to hang others under, and ends as it did
            return replace(step, at=self._run.ended_ns) if self._reported is not None else None
        return step if self._was_open and not self._is_foreign else None


def begin_run(  # noqa: PLR0913 - what is known of a run
    known: FolderState,
    run: KnownRun,
    previous: KnownRun | None,
    store: Path,
    cwd: str,
    *,
    recorded_by: SeparatePipeline,
) -> ReportedRun:
    """Begin the span of a run, one that the folder has included, and write from now on only what it has not.

    Args:
        known: what the folder has.
        run: the run.
        previous: the run before, which it follows from.
        store: the trace directory.
        cwd: where the client was started, "" if that is not known.
        recorded_by: the pipeline that makes the spans.
    """
    parent = f"00-{run.trace_id}-{run.parent_span_id}-01" if run.parent_span_id else ""
    session = identity.Session(
        known.session_id,
        CLAUDE_CODE.name,
        store,
        redact=recorded_by.settings.redact,
        started_ns=run.started_ns,
        parent=identity.context_of_environment({"TRACEPARENT": parent}),
        is_reported=True,
    )

    def find_session(session_id: str) -> tuple[str, str] | None:
        return runs_of(store, identity.folder_name(session_id)).last if session_id else None

    reported = ReportedRun(session, recorded_by, find_session)
    reported.skip_written()
    attributes = {semconv.PROCESS_WORKING_DIRECTORY: cwd} if cwd else {}
    reported.begin(run.number, previous.context if previous else None, run.client or _NOBODY, attributes)
    return reported
