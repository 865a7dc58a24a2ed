"""The recorder's worker: entries of all sessions -> the session that each belongs to.

Comes in: entries as the journals hand them out. Goes out: spans of every session, by the pipeline for its settings.
Loaded by `recorder` in a thread of its own, since it loads the OpenTelemetry SDK.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from agent_trace_otel import guard
from agent_trace_otel.capture.hooks.intake.frames import UNKNOWN_SESSION, SessionKey
from agent_trace_otel.capture.hooks.intake.journal import Entry, Journals
from agent_trace_otel.capture.hooks.sessions.hook_session import NEVER, HookSession
from agent_trace_otel.capture.hooks.sessions.run_header import RunHeader
from agent_trace_otel.pipeline import SeparatePipeline

_CHECKPOINT: Final = "checkpoint"
_KEPT_NS: Final = 30 * 24 * 3600 * 1_000_000_000
"""How long it is remembered where an ended session was, for the day on which it is resumed."""
_MAX_PIPELINES: Final = 16
"""That are kept; more only while sessions use them."""
_AGAIN_SECONDS: Final = 10.0
"""Until something is tried again that failed."""
_MAX_CLIENTS: Final = 1024


class SessionsWorker:
    """All sessions of the recorder; implements `service.Worker`."""

    def __init__(self, journals: Journals) -> None:
        self._journals = journals
        self._sessions: dict[SessionKey, HookSession] = {}
        self._positions: dict[SessionKey, int] = {}
        """The offset of the last entry that was taken of each."""
        self._replayed: dict[SessionKey, int] = {}
        """Up to where a journal was replayed that somebody has looked into: what is on the queue may be among that."""
        self._due: dict[SessionKey, float] = {}
        self._pipelines: OrderedDict[str, SeparatePipeline] = OrderedDict()
        self._cold = list(reversed(journals.keys()))
        """Journals of an earlier recorder that were not looked into yet."""
        self._clients: OrderedDict[int, tuple[str, str]] = OrderedDict()
        """The last session of each client process, and the one before."""

    # -- service.Worker ------------------------------------------------------------------------------------------

    def take(self, key: SessionKey, offset: int, entry: Entry) -> None:
        """Take the next entry, whose line begins at ``offset`` of its journal."""
        if key.session_id == UNKNOWN_SESSION:
            self._journals.remove(key)  # nothing in it can be told; the recorder has counted it
            return
        if offset < self._replayed.get(key, 0):
            return
        self._replayed.pop(key, None)  # somebody may remove the file, and it begins anew
        session = self._sessions.get(key) or self._wake(key, offset, entry)
        self._positions[key] = offset
        session.take(entry)
        self._remember(key, session.last_client)
        self._due[key] = 0.0

    def work(self) -> float:
        """Do one slice of background work; return in how many seconds the next one is wanted."""
        if self._cold:
            self._look_into(self._cold.pop())
            return 0.0
        now = time.monotonic()
        for key in [key for key, due in self._due.items() if due <= now]:
            wait = self._work_on(key)
            if wait is not None:
                self._due[key] = now + wait
        return max(0.0, min(self._due.values(), default=now + NEVER) - now)

    def finish(self) -> None:
        """Send what there is; sessions that are open stay so, their journals have all of them."""
        for pipeline in self._pipelines.values():
            guard.guarded("send spans")(pipeline.shutdown)()

    def open_sessions(self) -> int:
        """Return how many sessions have not ended."""
        return sum(session.is_open for session in tuple(self._sessions.values()))

    # -- hook_session.Surroundings -------------------------------------------------------------------------------

    def append(self, key: SessionKey, kind: str, at: int, data: Mapping[str, Any]) -> None:
        """Write an entry of our own to a session's journal."""
        self._journals.append(key, Entry(kind, at, {**data, "kind": kind, "at": at}))

    def pipeline(self, header: RunHeader, env: Mapping[str, str], name: str) -> SeparatePipeline:
        """Return the pipeline for a session's settings; ``env`` has what the header may not hold."""
        own = {key: value for key, value in env.items() if key.startswith("AGENT_TRACE_")}
        settings = RunHeader.settings_of({**header.env, **own}, header.store)
        wish = f"{name} {settings!r} {sorted(settings.keys.items())}"
        found = self._pipelines.get(wish)
        if found is None:
            self._end_idle_pipelines()
            found = self._pipelines[wish] = SeparatePipeline(settings, settings.service_name or name)
        self._pipelines.move_to_end(wish)
        return found

    def before(self, client: int, session_id: str) -> str:
        """Return the id of the session that a client process had before this one."""
        while self._cold:
            self._look_into(self._cold.pop())
        last, before = self._clients.get(client, ("", ""))
        return before if last == session_id else last

    def _end_idle_pipelines(self) -> None:
        """Make room for one more pipeline: those that were used longest ago are shut down, if no session needs them."""
        used = {id(session.pipeline) for session in self._sessions.values()}
        for wish, found in tuple(self._pipelines.items()):
            if len(self._pipelines) < _MAX_PIPELINES:
                return
            if id(found) not in used:
                del self._pipelines[wish]
                guard.guarded("send spans")(found.shutdown)()

    # -- sessions ------------------------------------------------------------------------------------------------

    def _wake(self, key: SessionKey, until: int, entry: Entry | None = None) -> HookSession:
        """Return a session as its journal tells it up to ``until``; what its folder has is not written again.

        ``entry`` is the live one that it is woken for.
        """
        session = self._sessions[key] = HookSession(key, self)
        if entry is not None:
            session.prepare(entry)
        session.is_replaying = True
        try:
            for told in self._journals.replay(key, until):
                guard.guarded("replay what hooks said")(session.take)(told)
        except OSError as error:
            guard.report("read a journal", error)
        session.replayed()
        self._remember(key, session.last_client)
        return session

    def _look_into(self, key: SessionKey) -> None:
        """Go on with a session that an earlier recorder left open; forget one that ended long ago."""
        if key in self._sessions:
            return
        size = self._journals.size(key)
        first = self._journals.first(key)
        if first is None or key.session_id == UNKNOWN_SESSION:
            self._journals.remove(key)
        elif first.kind == _CHECKPOINT and self._is_alone(key):
            self._remember(key, int(first.data.get("client", 0)))
            if time.time_ns() - first.at > _KEPT_NS:
                self._journals.remove(key)
        else:
            self._wake(key, size)
            self._positions[key] = self._replayed[key] = size
            self._due[key] = 0.0

    def _is_alone(self, key: SessionKey) -> bool:
        entries = self._journals.replay(key, self._journals.size(key))
        return next(entries, None) is not None and next(entries, None) is None

    def _work_on(self, key: SessionKey) -> float | None:
        session = self._sessions[key]
        wait = guard.guarded("work on a session")(session.work)()
        if session.is_open:
            return _AGAIN_SECONDS if wait is None else wait
        try:
            checkpoint = session.checkpoint()
            entry = Entry(_CHECKPOINT, time.time_ns(), checkpoint)
            if not self._journals.replace(key, [entry], processed=self._positions.get(key, 0)):
                return 0.1
        except OSError as error:
            guard.report("close a session's journal", error)
            return _AGAIN_SECONDS
        del self._sessions[key], self._due[key]
        self._positions.pop(key, None)
        self._replayed.pop(key, None)
        return None

    def _remember(self, key: SessionKey, client: int) -> None:
        last, _ = self._clients.get(client, ("", ""))
        if client and last != key.session_id:
            self._clients[client] = (key.session_id, last)
            self._clients.move_to_end(client)
            if len(self._clients) > _MAX_CLIENTS:
                self._clients.popitem(last=False)
