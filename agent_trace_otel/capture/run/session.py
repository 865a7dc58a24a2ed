"""A run's session: its span from before the program's start to its end, with the exit code.

Comes in: a `Plan`, the program's process id, how it ended. Goes out: one session span through `spans`. Called by
`command` while the program runs. The program's processes hang under this span's id before it is started, since the id
follows from the session's.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from agent_trace_otel import guard, identity, pipeline, process, semconv, spans

if TYPE_CHECKING:
    from agent_trace_otel.capture.run.plan import Plan


class RunSession:
    """The session that a run opens.

    Args:
        plan: the run.
        pid: of the program.
    """

    def __init__(self, plan: Plan, pid: int) -> None:
        self._session: identity.Session | None = None
        self._open(plan, process.of(pid))

    @property
    def flags(self) -> str:
        """The trace flags that the sampler has decided on, as TRACEPARENT has them."""
        root = None if self._session is None else self._session.root
        return "01" if root is None else f"{root.get_span_context().trace_flags:02x}"

    @guard.guarded("record the run")
    def _open(self, plan: Plan, program: process.ProcessIdentity) -> None:
        pipeline.configure(trace_dir=plan.trace_dir, redact=plan.redact, service_name=plan.service_name)
        parent = identity.context_of_environment({"TRACEPARENT": plan.parent}) if plan.parent else None
        opened = identity.Session(
            plan.session_id,
            plan.name,
            plan.trace_dir,
            redact=pipeline.settings().redact,
            started_ns=plan.began,
            parent=parent,
            is_reported=True,
        )
        told = {semconv.PROCESS_COMMAND_ARGS: plan.command}
        spans.start_session(opened, run=plan.number, previous=plan.previous, of=program, attributes=told)
        self._session = opened

    @guard.guarded("record the end of the run")
    def close(self, exit_code: int, at: int) -> None:
        """End the session.

        Args:
            exit_code: as Python tells it: negative for the signal that ended the program.
            at: when, in unix nanoseconds.
        """
        if self._session is None or self._session.root is None:
            return
        self._session.ended = True
        told, outcome, message = _end(exit_code)
        spans.end(self._session.root, told, outcome=outcome, message=message, end_ns=at)


def _end(exit_code: int) -> tuple[dict[str, Any], str, str]:
    """Return (attributes, outcome, message) of a program's end."""
    if exit_code == 0:
        return {semconv.PROCESS_EXIT_CODE: 0}, semconv.OUTCOME_OK, ""
    if exit_code > 0:
        told = {semconv.PROCESS_EXIT_CODE: exit_code, semconv.ERROR_TYPE: str(exit_code)}
        return told, semconv.OUTCOME_ERROR, f"exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:  # a real-time signal has none
        name = f"signal {-exit_code}"
    told = {semconv.PROCESS_EXIT_CODE: 128 - exit_code}
    if -exit_code == signal.SIGINT:
        return told, semconv.OUTCOME_INTERRUPTED, ""
    return {**told, semconv.ERROR_TYPE: name}, semconv.OUTCOME_ERROR, f"killed by {name}"
