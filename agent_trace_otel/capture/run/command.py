"""``agent-trace run -- COMMAND``: a program started as it is, with variables that make its Pythons trace.

Comes in: a `Plan`. Goes out: the program's own streams, signals and exit code, as if it had been started directly; and
the run's session. Called by the command line.

The program is started before anything is imported that it does not need; the session is opened while it starts. It
stays in the caller's process group and terminal, so that what a terminal sends to the whole group is not passed on.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from agent_trace_otel.capture.run import plan as planning
from agent_trace_otel.capture.run.reports import Reports
from agent_trace_otel.capture.signals import (
    AWAITED,
    FORWARDED,
    KILLED,
    NOT_EXECUTABLE,
    NOT_FOUND,
    next_signal,
    take_no_notice,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import FrameType

    from agent_trace_otel.capture.run.plan import Plan
    from agent_trace_otel.capture.run.session import RunSession

_DECIDED_BY_ROOT = ("parentbased_always_off", "parentbased_traceidratio")  # samplers: what the root decides, all follow


def run(plan: Plan, say: Callable[[str], None]) -> NoReturn:
    """Run a program and end as it does.

    The exit code is the program's, 128 + n if signal n ended it; 127 or 126 if there is no such command, as in a shell.

    Args:
        plan: the run.
        say: takes one line for the user.
    """
    reports = Reports(say, plan.session_id)
    session = None
    if not plan.parent and os.environ.get("OTEL_TRACES_SAMPLER") in _DECIDED_BY_ROOT:
        session = _opened(plan, os.getpid())
        plan = plan._replace(flags=session.flags)
    before = signal.signal(signal.SIGCHLD, take_no_notice)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)  # also in the threads to come
    try:
        program = _started(plan.command, plan.environment(os.environ, reports.path), mask, before)
    except (OSError, ValueError) as error:
        reports.close()
        say(f"can't run {plan.command[0]}: {(error.strerror if isinstance(error, OSError) else None) or error}")
        if session is not None:
            session.close(NOT_FOUND, time.time_ns())
        sys.exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)
    reports.listen()
    option = planning.never_traced(plan.command)
    if option:
        reports.tell(f"{plan.command[0]} {option} imports nothing of ours, so the program is not traced")
    if session is None and not plan.joins:
        session = _opened(plan, program.pid)
    exit_code = _end_of(program)
    ended_ns = time.time_ns()
    shown_code = exit_code if exit_code >= 0 else KILLED - exit_code
    while waiting := signal.sigpending().intersection(FORWARDED):  # for the program, which did not wait for them
        signal.sigwait(waiting)
    for number in FORWARDED:  # from now on a signal is meant for us, who only have to write the end
        signal.signal(number, functools.partial(_leave, shown_code))
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    reports.close()
    if reports.knows and not reports.is_traced:
        reports.tell(
            "no Python process of the program could be traced; other programs, and python -I, -S and -E, can't"
        )
    if session is not None:
        session.close(exit_code, ended_ns)
    sys.exit(shown_code)


def _leave(code: int, *_: object) -> None:
    os._exit(code)


def _opened(plan: Plan, pid: int) -> RunSession:
    from agent_trace_otel.capture.run.session import RunSession

    return RunSession(plan, pid)


def _started(
    command: tuple[str, ...],
    environment: Mapping[str, str],
    mask: Iterable[int],
    on_child: Callable[[int, FrameType | None], object] | int | None,
) -> subprocess.Popen[bytes]:
    """Start the program; it inherits what this process inherited.

    Args:
        command: its command line.
        environment: its variables.
        mask: the signals that this process had blocked.
        on_child: what it did about SIGCHLD.

    Raises:
        OSError: there is no such program, or it can't be executed.
        ValueError: a word of the command can't be passed on.
    """

    def put_signals_back() -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL if on_child is None else on_child)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    return subprocess.Popen(  # noqa: S603 - what the user asked to run
        command,
        env=environment,
        close_fds=False,  # what this process opens is closed all the same
        preexec_fn=put_signals_back,  # noqa: PLW1509 - there is one thread as yet
    )


def _end_of(program: subprocess.Popen[bytes]) -> int:
    """Return how the program ended, as Python tells it; until then it gets the signals that come."""
    while (code := program.poll()) is None:
        number, is_for_the_group = next_signal()
        if number != signal.SIGCHLD and not is_for_the_group:
            program.send_signal(number)
    return code
