"""Sessions opened by the program itself: start_session, end_session, session.

Comes in: calls of the user's. Goes out: one session span and its folder through `spans`. None of these raises because
tracing failed.
"""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api

from agent_trace_otel import config, guard, identity, pipeline, spans
from agent_trace_otel.identity import Session
from agent_trace_otel.store.events import SessionMeta

if TYPE_CHECKING:
    from opentelemetry.context import Context


def start_session(
    name: str = "",
    *,
    session_id: str | None = None,
    trace_dir: str | os.PathLike[str] | None = None,
    redact: bool | None = None,
) -> Session:
    """Open a session; calls in this context, and in threads without one, belong to it until end_session().

    Args:
        name: the agent's name.
        session_id: an id of your own; an existing one is resumed, as is the one that a parent process named in
            AGENT_TRACE_SESSION_ID. Default a new UUID.
        trace_dir: where the folder goes; default AGENT_TRACE_DIR, else ``.agent-traces`` in the current directory.
        redact: False writes and sends this session's values as they are.

    Returns:
        The session; ``session.id`` is the folder's name.

    Example:
        session = start_session("my-agent")
        ...
        end_session()
    """
    _leave_ended()
    settings = pipeline.settings()
    named = session_id or identity.named_in_environment()
    caller = context_api.get_current()
    has_parent = trace_api.get_current_span(caller).get_span_context().is_valid
    opened = Session(
        id=identity.folder_name(str(named)) if named else identity.new_id(),
        name=name,
        trace_dir=settings.trace_dir if trace_dir is None else config.absolute(Path(trace_dir)),
        redact=settings.redact if redact is None else redact,
        parent=caller if has_parent else _context_of_parent_process(),
    )
    opened.outer = caller
    _start(opened, resumed=named is not None)
    context_api.attach(opened.context(caller))
    return opened


def _context_of_parent_process() -> Context | None:
    """Return the context that TRACEPARENT names, unless it is what this process exports for its own children."""
    return identity.context_of_environment() if identity.of_process_root() is None else None


@guard.guarded("start the session")
def _start(opened: Session, *, resumed: bool) -> None:
    if not resumed:
        spans.start_session(opened)
        return
    from agent_trace_otel.store.writer import runs_of

    before = runs_of(opened.trace_dir, opened.id)
    spans.start_session(opened, run=before.count + 1, previous=before.last)


def end_session() -> SessionMeta | None:
    """End the caller's innermost session, else the process's.

    Returns:
        What meta.json says of the finished session; None if there was none to end.
    """
    _leave_ended()
    ending = identity.current()
    if ending is None or (ending.root is None and ending is not identity.of_context()):
        return None
    return _end(ending, None)


def _end(ending: Session, error: BaseException | None) -> SessionMeta | None:
    guard.guarded("end the session")(spans.end_session)(ending, error)
    if identity.of_context() is ending:
        context_api.attach(_without(ending))
    return _meta_of(ending)


def _leave_ended() -> None:
    """Go back to before the sessions of this context that somebody else has ended, such as another thread."""
    while (found := identity.of_context()) is not None and found.ended:
        context_api.attach(_without(found))


def _without(ended: Session) -> Context:
    """Return the current context as it would be had the session not been opened; other values stay."""
    ctx, outer = context_api.get_current(), ended.outer or context_api.Context()
    ctx = context_api.set_value(identity.SESSION_KEY, identity.of_context(outer), ctx)
    if trace_api.get_current_span(ctx) is ended.root:
        ctx = trace_api.set_span_in_context(trace_api.get_current_span(outer), ctx)
    return ctx


@guard.guarded("read the session's numbers")
def _meta_of(ended: Session) -> SessionMeta:
    from agent_trace_otel.processor.span_sessions import writer_for

    return writer_for(ended.trace_dir, ended.id).meta()


class session_scope(AbstractContextManager[Session], AbstractAsyncContextManager[Session]):  # noqa: N801 - used as a function
    """``with session("my-agent") as s:`` or ``async with``; takes what start_session takes.

    An exception that leaves the block is the session's failure, and goes on.
    """

    def __init__(
        self,
        name: str = "",
        *,
        session_id: str | None = None,
        trace_dir: str | os.PathLike[str] | None = None,
        redact: bool | None = None,
    ) -> None:
        self._name = name
        self._session_id = session_id
        self._trace_dir = trace_dir
        self._redact = redact
        self._opened: list[Session] = []

    def __enter__(self) -> Session:
        opened = start_session(self._name, session_id=self._session_id, trace_dir=self._trace_dir, redact=self._redact)
        self._opened.append(opened)
        return opened

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        _end(self._opened.pop(), error)

    async def __aenter__(self) -> Session:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, stack)
