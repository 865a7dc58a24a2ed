"""The session's span from start to end, and the program's span in a session that another process has opened.

Called by capture paths through `spans`, and at exit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry.trace import Link, SpanKind

from agent_trace_otel import guard, identity, pipeline, process, semconv
from agent_trace_otel.identity import Session
from agent_trace_otel.process import ProcessIdentity
from agent_trace_otel.spans import start
from agent_trace_otel.spans.endings import end
from agent_trace_otel.spans.told import link_to

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_open_sessions: dict[int, Session] = {}
_last_value_before: object = getattr(sys, "last_value", None)


def start_session(  # noqa: PLR0913 - what is known of a run
    opened: Session,
    *,
    run: int = 1,
    previous: tuple[str, str] | None = None,
    links: Sequence[Link] = (),
    of: ProcessIdentity | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Start the session's span; afterwards ``opened.root`` is set, unless nothing is recorded.

    Args:
        opened: the session; its ``parent`` is the context it hangs under, None for a trace of its own.
        run: which process run of the session this is, from 1.
        previous: (trace id, span id) in hex of the run before; linked.
        links: what else it follows from.
        of: the process that the session is of, if it is another one's (``opened.is_reported``).
        attributes: what else is known of the session.
    """
    tracer = pipeline.tracer(service_name=opened.name, needed=True)
    if tracer is None:
        return
    begun: dict[str, Any] = {
        semconv.OPERATION_NAME: semconv.INVOKE_AGENT,
        semconv.SCOPE: semconv.SCOPE_SESSION,
        semconv.RUN: run,
        semconv.CONVERSATION_ID: opened.id,
        semconv.SESSION_ID: opened.id,
        **({} if opened.is_reported else {semconv.PROCESS_COMMAND_ARGS: _command()}),
        **_process_attributes(of or process.current()),
        **(attributes or {}),
    }
    if opened.name:
        begun[semconv.AGENT_NAME] = opened.name
    parent = context_api.set_value(identity.SESSION_KEY, opened, opened.parent or context_api.Context())
    name = f"{semconv.INVOKE_AGENT} {opened.name}" if opened.name else semconv.INVOKE_AGENT
    followed = [*links, link_to(*previous)] if previous is not None else [*links]
    key, trace_id = ("run", str(run)), identity.trace_id_of(opened.id)
    opened.root = start.start_with_id(
        tracer, name, parent, SpanKind.INTERNAL, begun, opened, key, trace_id, followed, opened.started_ns
    )
    if not opened.is_reported:
        _open_sessions[id(opened)] = opened
        identity.open_in_process(opened)


def end_session(opened: Session, error: BaseException | None = None, exit_code: int | None = None) -> None:
    """End the session's span, if this process started it and it is still open."""
    if _open_sessions.pop(id(opened), None) is None or opened.pid != os.getpid() or opened.root is None:
        return
    opened.ended = True
    identity.close_in_process(opened)
    attributes = {} if exit_code is None else {semconv.PROCESS_EXIT_CODE: exit_code}
    end(opened.root, attributes, error=error)


def end_sessions_at_exit() -> None:
    """End what the program left open; an unhandled exception is the reason that the last one ended."""
    error = getattr(sys, "last_value", None)
    if error is _last_value_before or hasattr(sys, "ps1"):  # an old one, or one that an interactive user saw
        error = None
    failure = error if isinstance(error, BaseException) else None
    exit_code = None if failure is None else 1
    program = _program.span if _program.pid == os.getpid() else None
    if program is not None:
        told = {} if exit_code is None else {semconv.PROCESS_EXIT_CODE: exit_code}
        guard.guarded("end the span of the program at exit")(end)(program, told, error=failure)
    _program.span = None
    for opened in reversed(tuple(_open_sessions.values())):
        guard.guarded("end a session at exit")(end_session)(opened, failure, exit_code)


pipeline.end_first_at_exit(end_sessions_at_exit)


class _Program:
    """The span of this process in a session that another process has opened."""

    span: Span | None = None
    pid = 0


_program = _Program()


def of_program() -> Span | None:
    """Return the span of this process in a session that another process has opened: ``{executable}``, INTERNAL.

    What happens between calls hangs there (semantic conventions, CLI program execution span). It is started when it is
    first asked for, and ended when the process exits.
    """
    owner = identity.current()
    if owner is None or owner.root is not None:
        return None
    if _program.span is None or _program.pid != os.getpid():
        command = _command()
        name = Path(command[0]).name if command else "process"
        attributes: dict[str, Any] = {semconv.PROCESS_EXECUTABLE_NAME: name, semconv.PROCESS_PID: os.getpid()}
        if pipeline.settings().capture_content:
            attributes[semconv.PROCESS_COMMAND_ARGS] = command
        token = context_api.attach(owner.context())
        try:
            _program.span = start.start(name, SpanKind.INTERNAL, attributes)
            _program.pid = os.getpid()
        finally:
            context_api.detach(token)
    return _program.span


def _command() -> tuple[str, ...]:
    return tuple(getattr(sys, "orig_argv", None) or sys.argv)


def _process_attributes(of: ProcessIdentity) -> dict[str, Any]:
    if not of.pid:
        return {}
    return {
        semconv.PROCESS_PID: of.pid,
        semconv.PROCESS_START: of.pid_start,
        semconv.BOOT_ID: of.boot_id,
        semconv.HOST_NAME: of.host,
    }
