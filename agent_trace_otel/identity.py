"""Session identity: its id, its trace id, its folder, and which session a context belongs to.

Called by `spans` (to open and find sessions) and by `processor` (to tell whose span it sees). Knows nothing of files.

A session travels in the OpenTelemetry context under `SESSION_KEY`; threads and executors that got no context fall back
to the process's session, which is the first one that start_session() opened here or the one that a parent process named
in AGENT_TRACE_SESSION_ID.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from agent_trace_otel import ids

if TYPE_CHECKING:
    from opentelemetry.context import Context

SESSION_KEY = context_api.create_key("agent_trace.session")
SESSION_ID_VARIABLE = "AGENT_TRACE_SESSION_ID"
TRACE_DIR_VARIABLE = "AGENT_TRACE_DIR"

new_id, folder_name, trace_id_of = ids.new_id, ids.folder_name, ids.trace_id_of
derived_span_id, derived_trace_id = ids.derived_span_id, ids.derived_trace_id


@dataclass(slots=True, eq=False)
class Session:
    """One agent session as this process sees it; meta.json has the numbers."""

    id: str
    name: str
    trace_dir: Path
    redact: bool = True
    started_ns: int = field(default_factory=time.time_ns)
    parent: Context | None = None
    """The context the session hangs under: the caller's, or that of a parent process."""
    outer: Context | None = None
    """The caller's context when the session was opened; end_session() goes back to it."""
    root: trace_api.Span | None = None
    """The session span; None when the session was opened by another process."""
    pid: int = field(default_factory=os.getpid)
    """The process that opened this object: only it may end the session (a forked child holds a copy)."""
    ended: bool = False
    """Whether it is over. Contexts that were made while it was open still name it."""
    is_reported: bool = False
    """Whether it is another program's: told by hooks or seen by a proxy, never what this process itself does."""

    @property
    def session_id(self) -> str:
        """The id, under the name that SessionMeta uses."""
        return self.id

    @property
    def folder(self) -> Path:
        """Where the session is written."""
        return self.trace_dir / self.id

    def context(self, base: Context | None = None) -> Context:
        """Return a context that belongs to this session, its current span being the session's root."""
        ctx = context_api.set_value(SESSION_KEY, self, base)
        if self.root is not None:
            return trace_api.set_span_in_context(self.root, ctx)
        inherited = trace_api.get_current_span(self.parent) if self.parent is not None else trace_api.INVALID_SPAN
        return trace_api.set_span_in_context(inherited, ctx)

    def environment(self) -> dict[str, str]:
        """Return the variables that make a child process join this session under the caller's current span.

        Example:
            subprocess.run(command, env={**os.environ, **session.environment()})
        """
        variables = {SESSION_ID_VARIABLE: self.id, TRACE_DIR_VARIABLE: str(self.trace_dir)}
        ctx = context_api.get_current()
        if not trace_api.get_current_span(ctx).get_span_context().is_valid:
            ctx = self.context(ctx)
        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier, ctx)
        return variables | {name.upper(): value for name, value in carrier.items()}


def of_context(ctx: Context | None = None) -> Session | None:
    """Return the session that a context names explicitly."""
    found = (context_api.get_current() if ctx is None else ctx).get(SESSION_KEY)
    return found if isinstance(found, Session) else None


def current() -> Session | None:
    """Return the caller's open session: the one of its context, else the process's."""
    found = of_context()
    return _process.session if found is None or found.ended else found


class _ProcessSession:
    """The session that calls without a context belong to."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self._lock = threading.RLock()
        self._environ_before: dict[str, str | None] = {}

    def open(self, session: Session) -> None:
        """Make it the process's session if there is none, and name it to child processes."""
        with self._lock:
            if self.session is not None and self.session.root is not None:
                return
            self.session = session
            for name, value in {SESSION_ID_VARIABLE: session.id, TRACE_DIR_VARIABLE: str(session.trace_dir)}.items():
                self._environ_before[name] = os.environ.get(name)
                os.environ[name] = value
            carrier: dict[str, str] = {}
            TraceContextTextMapPropagator().inject(carrier, session.context())
            for name in ("TRACEPARENT", "TRACESTATE"):
                self._environ_before[name] = os.environ.get(name)
                if name.lower() in carrier:
                    os.environ[name] = carrier[name.lower()]

    def close(self, session: Session) -> None:
        """Forget the session and put the environment back as it was."""
        with self._lock:
            if self.session is not session:
                return
            self.session = None
            for name, value in self._environ_before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            self._environ_before.clear()

    def renew_lock(self) -> None:
        self._lock = threading.RLock()


_process = _ProcessSession()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.renew_lock)

open_in_process: Callable[[Session], None] = _process.open
close_in_process: Callable[[Session], None] = _process.close


def of_process() -> Session | None:
    """Return the process's session, None when there is none."""
    return _process.session


def of_process_root() -> Session | None:
    """Return the process's session if this process opened it (and so exports it to its children)."""
    return _process.session if _process.session is not None and _process.session.root is not None else None


def named_in_environment(environ: Mapping[str, str] | None = None) -> str | None:
    """Return the session id that a parent process (or the user) named; None while we export our own."""
    if of_process_root() is not None:
        return None
    named = (os.environ if environ is None else environ).get(SESSION_ID_VARIABLE, "").strip()
    return folder_name(named) if named else None


def context_of_environment(environ: Mapping[str, str] | None = None) -> Context | None:
    """Return the parent context that TRACEPARENT and TRACESTATE name (W3C Trace Context, OTEP 4258), if valid."""
    env = os.environ if environ is None else environ
    carrier: dict[str, Any] = {name.lower(): env[name] for name in ("TRACEPARENT", "TRACESTATE") if env.get(name)}
    if not carrier:
        return None
    ctx = TraceContextTextMapPropagator().extract(carrier, context_api.Context())
    return ctx if trace_api.get_current_span(ctx).get_span_context().is_valid else None


def adopt(session: Session) -> None:
    """Make a session of a parent process this process's fallback (its environment names it already)."""
    if _process.session is None:
        _process.session = session
