"""Child processes -> spans: what ``strace -f`` would show of an agent, its children joining the session.

Comes in: subprocess (run, call, check_output, Popen), os.popen, asyncio's subprocesses, os.system. Goes out: one span a
process, from its start to the moment the program learns its exit code. Switched on by
``agent_trace_otel.instrument("subprocesses")``; outside a session nothing is done.

All of them but os.system start their child through `subprocess.Popen`, so that is the place. Not seen: os.fork,
os.exec*, os.spawn*, os.posix_spawn, multiprocessing, and event loops that start processes themselves, as uvloop does.

A child gets the session's variables and its span as TRACEPARENT. The one of os.system, which takes no environment,
has those that the session set for the whole process, so what it does hangs under the session itself.
"""

from __future__ import annotations

import atexit
import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent_trace_instrumentors._base import Instrumentor, Target, Wrapper
from agent_trace_otel import guard, semconv, spans

if TYPE_CHECKING:
    from asyncio.base_subprocess import BaseSubprocessTransport

    from opentelemetry.trace import Span

_SHELL: Final = "/bin/sh"  # what subprocess and C's system() run
_SPAN: Final = "_agent_trace_span"


class _Running:
    """Spans of processes whose exit code is not known yet; whoever takes one out ends it, once."""

    def __init__(self) -> None:
        self._spans: dict[int, Span] = {}
        self._watches_exit = False

    def add(self, process: subprocess.Popen[Any], span: Span) -> None:
        span.set_attribute(semconv.PROCESS_PID, process.pid)
        if not self._watches_exit:
            # registered after the provider was made, so called before it shuts down
            self._watches_exit = True
            atexit.register(self.abandon_all)
        self._spans[id(span)] = span
        vars(process)[_SPAN] = span

    def take(self, process: subprocess.Popen[Any]) -> Span | None:
        span = vars(process).pop(_SPAN, None)
        return None if span is None else self._spans.pop(id(span), None)

    @guard.guarded("end the spans of processes that go on")
    def abandon_all(self) -> None:
        """End the spans of what the program leaves behind, running or not waited for."""
        while self._spans:
            spans.end(self._spans.popitem()[1], outcome=semconv.OUTCOME_ABANDONED)

    def after_fork_in_child(self) -> None:
        """Leave the parent's processes to the parent."""
        self._spans.clear()


_running = _Running()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_running.after_fork_in_child)


# -- starts ------------------------------------------------------------------------------------------------------


def _around_popen(original: Callable[..., Any]) -> Wrapper:
    """Start a span with the process; it goes on after ``Popen(...)`` has returned."""
    names = list(inspect.signature(original).parameters)[1:]
    env_at = names.index("env")

    def start(
        wrapped: Callable[..., object],
        instance: subprocess.Popen[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        given = dict(zip(names, args, strict=False)) | kwargs if _in_session() else {}
        span = _start(given) if given else None
        if span is None:
            wrapped(*args, **kwargs)
            return
        env = _joined(given.get("env"), span)
        if env is not None and len(args) > env_at:
            args = (*args[:env_at], env, *args[env_at + 1 :])
        elif env is not None:
            kwargs = {**kwargs, "env": env}
        try:
            wrapped(*args, **kwargs)
        except BaseException as error:
            _fail(span, error)
            raise
        _remember(instance, span)

    return start


_in_session = guard.guarded("look for the session of a process")(spans.in_session)


@guard.guarded("start the span of a process")
def _start(given: Mapping[str, Any]) -> Span | None:
    argv = _words(given.get("args"))
    executable = given.get("executable")
    program = os.fsdecode(executable) if executable else ""
    if given.get("shell"):
        argv = [program or _SHELL, "-c", *argv]
    cwd = Path(os.fsdecode(given.get("cwd") or os.curdir)).absolute()
    return spans.start_process(argv, str(cwd), executable=program)


def _words(args: Any) -> list[str]:  # noqa: ANN401 - what a user calls a command
    """Return a command line's words; an iterator is left to Popen, since reading it would empty it."""
    if isinstance(args, (str, bytes, os.PathLike)):
        return [_text(args)]
    return [] if isinstance(args, Iterator) else [_text(word) for word in args]


def _text(word: Any) -> str:  # noqa: ANN401 - what a user calls a word
    """Return a word as text; Popen will refuse what is none, and the span is to tell of it."""
    try:
        return os.fsdecode(word)
    except TypeError:
        return str(word)


@guard.guarded("let a process join the session")
def _joined(env: Any, span: Span) -> dict[str, Any] | None:  # noqa: ANN401 - what a user calls an environment
    """Return the child's environment, None to leave it as it is given.

    A session variable that differs from this process's own was chosen by the caller, who is not overruled; one that is
    the same came in with a copy of os.environ.
    """
    inherited: Any = os.environ if env is None else env
    if not hasattr(inherited, "items"):
        return None  # Popen says what is wrong with it
    ours = spans.environment_of(span)
    variables = {os.fsdecode(name): value for name, value in inherited.items()}
    if any(name in variables and os.fsdecode(variables[name]) != os.environ.get(name) for name in ours):
        return None
    return variables | ours


@guard.guarded("follow a process")
def _remember(process: subprocess.Popen[Any], span: Span) -> None:
    _running.add(process, span)


@guard.guarded("end the span of a process")
def _fail(span: Span, error: BaseException) -> None:
    spans.end(span, error=error)


# -- ends --------------------------------------------------------------------------------------------------------


def _around_reaping(_original: Callable[..., Any]) -> Wrapper:
    """End the span if that told the exit code: wait, poll, communicate, ``with`` and __del__ all come by here."""

    def reap(
        wrapped: Callable[..., object],
        instance: subprocess.Popen[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> object:
        try:
            return wrapped(*args, **kwargs)
        finally:
            _finish(instance)

    return reap


def _around_asyncio_exit(_original: Callable[..., Any]) -> Wrapper:
    """End the span before the event loop tells the program."""

    def exited(
        wrapped: Callable[..., object],
        instance: BaseSubprocessTransport,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> object:
        _finish_of_transport(instance, *args, **kwargs)
        return wrapped(*args, **kwargs)

    return exited


@guard.guarded("end the span of a process")
def _finish_of_transport(transport: BaseSubprocessTransport, returncode: int) -> None:
    process = transport.get_extra_info("subprocess")
    span = _running.take(process)
    if span is not None:
        _end(span, returncode)


@guard.guarded("end the span of a process")
def _finish(process: subprocess.Popen[Any]) -> None:
    exit_code = process.returncode
    span = None if exit_code is None else _running.take(process)
    if span is not None and exit_code is not None:
        _end(span, exit_code)


def _end(span: Span, exit_code: int) -> None:
    """End a span with the exit code as Python tells it: negative for the signal that killed the process."""
    if exit_code == sys.maxsize:  # Popen's mark for a child that somebody else has reaped
        spans.end(span, outcome=semconv.OUTCOME_ABANDONED)
    elif exit_code == 0:
        spans.end(span, {semconv.PROCESS_EXIT_CODE: exit_code})
    else:
        kind, message = (str(exit_code), f"exit code {exit_code}") if exit_code > 0 else _killed_by(-exit_code)
        attributes = {semconv.PROCESS_EXIT_CODE: exit_code, semconv.ERROR_TYPE: kind}
        spans.end(span, attributes, outcome=semconv.OUTCOME_ERROR, message=message)


def _killed_by(number: int) -> tuple[str, str]:
    try:
        name = signal.Signals(number).name
    except ValueError:  # a real-time signal has none
        name = f"signal {number}"
    return name, f"killed by {name}"


# -- os.system ---------------------------------------------------------------------------------------------------


def _around_system(_original: Callable[..., Any]) -> Wrapper:
    def run(wrapped: Callable[..., int], _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        command = args[0] if args else kwargs.get("command")
        span = _start({"args": command, "shell": True}) if _in_session() else None
        if span is None:
            return wrapped(*args, **kwargs)
        try:
            status = wrapped(*args, **kwargs)
        except BaseException as error:
            _fail(span, error)
            raise
        _end_by_status(span, status)
        return status

    return run


@guard.guarded("end the span of a process")
def _end_by_status(span: Span, status: int) -> None:
    _end(span, os.waitstatus_to_exitcode(status) if status >= 0 else sys.maxsize)


class SubprocessInstrumentor(Instrumentor):
    """One span a child process: name, words, directory, process id, exit code, duration."""

    name = "subprocesses"
    targets = (
        Target("subprocess", "Popen.__init__", _around_popen),
        # not public, but the two ways on which every public one learns the exit code, __del__ and ^C included
        Target("subprocess", "Popen._wait", _around_reaping, while_suppressed=True),
        Target("subprocess", "Popen._internal_poll", _around_reaping, while_suppressed=True),
        Target(
            "asyncio.base_subprocess",
            "BaseSubprocessTransport._process_exited",
            _around_asyncio_exit,
            while_suppressed=True,
        ),
        Target("os", "system", _around_system),
    )
