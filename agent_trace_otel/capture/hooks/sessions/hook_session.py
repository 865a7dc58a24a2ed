"""One coding agent's session in the recorder: journal entries -> its runs, told as spans.

Comes in: entries, live or replayed after a kill, in the order of the journal. Goes out: spans through `reported`, and
entries of its own: whatever is found out beside the hooks (a run's header, the transcript's facts, a client that is
gone) goes through the journal too, so that a replay comes to the same. Called by `sessions`, in one thread.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from agent_trace_otel import guard, identity, process, semconv
from agent_trace_otel.capture.hooks.dialects import registry as dialects
from agent_trace_otel.capture.hooks.intake.journal import Entry
from agent_trace_otel.capture.hooks.sessions.deliveries import Deliveries
from agent_trace_otel.capture.hooks.sessions.own_entries import OwnEntries
from agent_trace_otel.capture.hooks.sessions.reported import ReportedRun
from agent_trace_otel.capture.hooks.sessions.run_header import CLIENT_PID, Event, RunHeader, header_of, is_enough
from agent_trace_otel.capture.hooks.sessions.told_elsewhere import is_told_elsewhere
from agent_trace_otel.capture.hooks.sessions.transcripts import Transcripts
from agent_trace_otel.capture.hooks.story.carried import Carried
from agent_trace_otel.capture.hooks.story.claude_code import ClaudeCode

if TYPE_CHECKING:
    from agent_trace_otel.capture.hooks.intake.frames import SessionKey
    from agent_trace_otel.pipeline import SeparatePipeline
    from agent_trace_otel.redact import Redactor

NEVER: Final = 3600.0
_PAUSE: Final = 0.05
"""Seconds between two looks at what is waited for."""
_SETTLE_SECONDS: Final = 1.0
"""How long the transcript may lag behind before its absence is taken for an answer."""
_END_SECONDS: Final = 2.0
_FIRST_EVENT_SECONDS: Final = 0.3
_SWEEP_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 1.0
"""Until the journal is tried again that could not be written."""
_BEGIN_AGAIN_SECONDS: Final = 60.0
_SILENT_NS: Final = 24 * 3600 * 1_000_000_000
"""After so long without a word, a session whose client is not known is taken for lost."""
_READS: Final = frozenset({"UserPromptSubmit", "Stop", "StopFailure", "SessionEnd", "PreCompact"})
_CONTENT: Final[Mapping[str, Any]] = {"input": [], "output": [], "text": "", "description": ""}
"""What becomes of what was said in facts, for users who want no content captured."""
_NEW_RUN: Final = frozenset({"startup", "resume", "fork", "clear"})


class Surroundings(Protocol):
    """What a session asks of the worker."""

    def append(self, key: SessionKey, kind: str, at: int, data: Mapping[str, Any]) -> None:
        """Write an entry to the session's journal; it comes back through `HookSession.take`."""
        ...

    def pipeline(self, header: RunHeader, env: Mapping[str, str], name: str) -> SeparatePipeline:
        """Return the pipeline for a session's settings."""
        ...

    def before(self, client: int, session_id: str) -> str:
        """Return the id of the session that a client process had before this one, empty if none is known."""
        ...


class HookSession:
    """One session.

    Args:
        key: whose session it is.
        around: the worker.
    """

    def __init__(self, key: SessionKey, around: Surroundings) -> None:
        self.key = key
        self.is_replaying = False
        """Whether entries are taken that were taken before."""
        self.last_client = 0
        """The process id of the client of the last run."""
        self._client_before = 0
        self._around = around
        self._dialect = dialects.dialect_of(key.agent, {})
        self._deliveries = Deliveries()
        self._held: list[Event] = []
        """Events that wait for the run to begin."""
        self._header: RunHeader | None = None
        self._machine: ClaudeCode | None = None
        self._run: ReportedRun | None = None
        self._redactor: Redactor | None = None
        self._with_content = True
        self._secrets: Mapping[str, str] = {}
        """The environment of the last live hook, with what no file may hold."""
        self._transcripts = Transcripts()
        self._carried = Carried()
        self._last_at = 0
        self._ended_at = 0
        self._has_started = False
        """Whether the run's SessionStart has come."""
        self._own = OwnEntries(partial(around.append, key))
        self._begin_by = self._settle_by = 0.0
        self._begin_after = 0.0
        """A run that could not begin is not tried again before that."""
        self._next_sweep = 0.0
        self._is_gone = False
        """Whether the client was found to be gone."""
        self._told_elsewhere: dict[str, bool] = {}
        """Whether other programs tell of clients, by process id."""

    @property
    def is_open(self) -> bool:
        """Whether a run has begun and not ended."""
        return self._machine is not None or bool(self._held)

    @property
    def pipeline(self) -> SeparatePipeline | None:
        """The pipeline that the run is recorded by, None between runs."""
        return self._run.pipeline if self._run is not None else None

    # -- entries -------------------------------------------------------------------------------------------------

    def prepare(self, entry: Entry) -> None:
        """Learn from a live entry what the journal may not hold, before what came earlier is replayed."""
        env = entry.data.get("env")
        if isinstance(env, Mapping):
            self._secrets = cast("Mapping[str, str]", env)

    def take(self, entry: Entry) -> None:
        """Take the next entry."""
        if entry.kind == "hook":
            self._take_hook(entry)
            return
        self._own.came_back()
        if entry.kind == "transcript":
            self._transcripts.passed(entry.data)
        if entry.kind == "run":
            if self._machine is None:
                self._begin(RunHeader.from_data(entry.data))
        elif entry.kind == "checkpoint":
            self._resume_at(entry.data)
        elif self._machine is not None and self._run is not None:
            if entry.kind == "transcript":
                self._run.take(self._machine.learn(cast("Sequence[Mapping[str, Any]]", entry.data.get("facts", ()))))
            elif entry.kind == "settled":
                self._run.take(self._machine.settle())
            elif entry.kind == "lost":
                self._run.take(self._machine.lose(entry.at))
            self._end_if_over()

    def replayed(self) -> None:
        """Go on live: everything that the journal had was taken."""
        self.is_replaying = False
        self._own.forget()
        if self._run is not None:
            self._run.write_all()
            self._want_transcripts("SessionEnd", {})
        self._make_room()
        self._want_run()

    def checkpoint(self) -> Mapping[str, Any]:
        """Return what a later run must know of the runs that have ended."""
        return {
            "carried": self._carried.to_data(),
            "offsets": self._transcripts.offsets(),
            "ended": self._ended_at,
            "client": self.last_client,
            "began": time.time_ns(),
        }

    def _resume_at(self, data: Mapping[str, Any]) -> None:
        self._carried = Carried.from_data(data.get("carried") or {})
        self._ended_at = int(data.get("ended", 0))
        self.last_client = int(data.get("client", 0))
        self._transcripts.start_at(data.get("offsets", {}))

    def _take_hook(self, entry: Entry) -> None:
        if not self._deliveries.is_new(str(entry.data.get("id"))):
            return  # a hook that had no answer in time left it in the spool too
        payload, env = entry.data.get("payload"), cast("Mapping[str, str]", entry.data.get("env") or {})
        if not isinstance(payload, dict) or self._is_told_elsewhere(env):
            return
        if not self.is_replaying:
            self._secrets = env
        given = cast("Mapping[str, Any]", payload)
        self._dialect = dialects.dialect_of(self.key.agent, given)
        for shape in self._dialect.claude_shape(str(entry.data.get("event") or ""), given):
            event = Event(shape, entry.at, env)
            if not (self._dialect.names_calls and self._deliveries.is_echo(event)):
                self._hear(event)

    def _is_told_elsewhere(self, env: Mapping[str, str]) -> bool:
        """Tell whether another program tells of the client; asked as long as the client lives, so once for each."""
        client = env.get(CLIENT_PID, "")
        if client not in self._told_elsewhere:
            self._told_elsewhere[client] = is_told_elsewhere(env)
        return self._told_elsewhere[client]

    def _hear(self, event: Event) -> None:
        if self._machine is None or self._run is None:
            if event.at <= self._ended_at or (event.name == "SessionEnd" and not self._held):
                return  # a straggler of a run that has ended
            self._held.append(event)
            self._want_run()
        elif self._is_of_next_run(event):
            self._held.append(event)
            self._machine.make_room(event.at)
            self._make_room()
        else:
            self._tell(event, self._machine, self._run)

    def _make_room(self) -> None:
        """Let the run end whose session another process goes on with: as it is about to, or as lost."""
        if self._machine is None or not self._held or self._own.are_out or self.is_replaying:
            return
        if self._machine.is_ending:
            self._settle_by = time.monotonic()
        else:
            self._own.append("lost", {"why": "another process goes on with the session"}, self._last_at)

    def _is_of_next_run(self, event: Event) -> bool:
        """Tell whether another process goes on with the session, though nobody has told that the run ended."""
        if self._held:
            return True
        known = self._header.client.pid if self._header is not None else 0
        if event.client and known:
            return event.client not in (known, self._client_before)
        is_start = event.name == "SessionStart" and event.payload.get("source") in _NEW_RUN
        is_over = self._machine is not None and self._machine.is_ending
        return is_start and self._has_started and (is_over or event.payload.get("source") != "startup")

    def _tell(self, event: Event, machine: ClaudeCode, run: ReportedRun) -> None:
        self._last_at = max(self._last_at, event.at)
        self._has_started |= event.name == "SessionStart"
        self._transcripts.see(event.payload)
        run.take(machine.hook(event.payload, event.at, event.traceparent))
        if not self.is_replaying:
            if event.name == "SessionStart" and event.payload.get("source") == "resume":
                self._pass_on(self._transcripts.skipped())
            self._want_notes(machine)
            self._want_transcripts(event.name, event.payload)

    # -- runs ----------------------------------------------------------------------------------------------------

    def _want_run(self) -> None:
        """Let a run begin once enough of it has come."""
        if not self._held or self._machine is not None or self._own.are_out or self.is_replaying:
            return
        if not self._begin_by:
            self._begin_by = time.monotonic() + _FIRST_EVENT_SECONDS
        now = time.monotonic()
        if now >= self._begin_after and (is_enough(self._held) or now >= self._begin_by):
            self._begin_after = now + _BEGIN_AGAIN_SECONDS
            header = header_of(self._held, self.key.session_id)
            self._own.append("run", header.to_data(), header.at)

    def _begin(self, header: RunHeader) -> None:
        self._header, self._begin_by, self._has_started, self._is_gone = header, 0.0, False, False
        in_force = self._around.pipeline(header, self._secrets, self._dialect.name)
        settings = in_force.settings
        self._redactor = settings.redactor() if settings.redact else None
        self._with_content = settings.capture_content
        joined = header.joined
        session = identity.Session(
            identity.folder_name(joined or self.key.session_id),
            self._dialect.name,
            header.store,
            redact=settings.redact,
            started_ns=header.at,
            parent=identity.context_of_environment({"TRACEPARENT": header.traceparent}),
            is_reported=True,
        )
        machine = ClaudeCode(
            self._dialect.name,
            provider=self._dialect.provider,
            unanswered=self._dialect.unanswered,
            traceparent=header.traceparent,
            carried=self._carried,
        )
        run = ReportedRun(session, in_force, self._find_session)
        if self.is_replaying:
            run.skip_written()
        cwd = {semconv.PROCESS_WORKING_DIRECTORY: header.cwd} if header.cwd else {}
        if joined:
            run.join(self.key.session_id, header.at, cwd)
        else:
            run.begin(header.run, header.previous, header.client, cwd)
        self._machine, self._run, self._begin_after = machine, run, 0.0
        self._transcripts.begin(header.at)
        self._last_at = header.at
        if header.client.pid != self.last_client:
            self._client_before, self.last_client = self.last_client, header.client.pid or self.last_client
        held, self._held = self._held, []
        for event in held:
            guard.guarded("take what a hook said")(self._hear)(event)
        facts, self._carried.facts = self._carried.facts, []
        run.take(machine.learn(facts))

    def _end_if_over(self) -> None:
        if self._machine is not None and self._run is not None and self._machine.is_over:
            self._run.write_all()
            self._carried, self._ended_at = self._machine.carried, self._last_at
            self._machine = self._run = self._header = None
            self._settle_by = 0.0
            self._want_run()

    def _find_session(self, session_id: str) -> tuple[str, str] | None:
        """Find the last span of a session that this one follows from."""
        from agent_trace_otel.store.writer import runs_of

        if self._header is None:
            return None
        found = session_id or self._around.before(self._header.client.pid, self.key.session_id)
        return runs_of(self._header.store, identity.folder_name(found)).last if found else None

    # -- what the hooks don't tell -------------------------------------------------------------------------------

    def work(self) -> float:
        """Do a slice of what is to be done beside the hooks; return in how many seconds the next is wanted."""
        now = time.monotonic()
        if self._own.are_out:
            return 0.01 if self._own.write() else _AGAIN_SECONDS
        if self._machine is None:
            self._want_run()
            return _PAUSE if self._held else NEVER
        if self._read_a_slice():
            return 0.0
        if self._machine.unplaced_agents and now >= self._transcripts.notes_by:
            self._place_without_notes(self._machine)
            return 0.0
        if self._machine.awaits_settling:
            self._settle_by = self._settle_by or now + (_END_SECONDS if self._machine.is_ending else _SETTLE_SECONDS)
            if self._machine.is_informed or now >= self._settle_by:
                self._settle(self._machine)
                return 0.0
            self._transcripts.want_all()
            return _PAUSE
        self._sweep(now)
        return _PAUSE if self._machine.unplaced_agents else max(self._next_sweep - now, _PAUSE)

    def _read_a_slice(self) -> bool:
        read = self._transcripts.read()
        if read is None:
            return False
        self._pass_on(read)
        return True

    def _pass_on(self, read: Mapping[str, Any] | None) -> None:
        """Write what a transcript tells to the journal, without secrets and what is known already."""
        if read is None or self._machine is None:
            return
        facts = [fact for fact in read["facts"] if self._machine.needs(fact)]
        if not self._with_content:
            facts = [{**fact, **{name: empty for name, empty in _CONTENT.items() if name in fact}} for fact in facts]
        if self._redactor is not None:
            facts = [self._redactor.value(fact) for fact in facts]
        self._own.append("transcript", {**read, "facts": facts})

    def _settle(self, machine: ClaudeCode) -> None:
        self._settle_by = 0.0
        for read in self._transcripts.finish(closed=machine.is_ending):
            self._pass_on(read)
        self._own.append("settled", {})

    def _want_notes(self, machine: ClaudeCode) -> None:
        """Look for the notes of sub-agents that came up just now."""
        for agent_id in machine.unplaced_agents:
            fact = self._transcripts.note_of(agent_id)
            if fact is not None:
                self._pass_on({"facts": [fact]})

    def _place_without_notes(self, machine: ClaudeCode) -> None:
        facts = [
            self._transcripts.note_of(agent_id) or {"kind": "agent", "agent_id": agent_id, "tool_use_id": ""}
            for agent_id in machine.unplaced_agents
        ]
        self._pass_on({"facts": facts})

    def _want_transcripts(self, event: str, payload: Mapping[str, Any]) -> None:
        if event == "SubagentStop":
            self._transcripts.want_agent(str(payload.get("agent_id") or ""))
        elif event in _READS or (self._machine is not None and self._machine.awaits_settling):
            self._transcripts.want_all() if event == "SessionEnd" else self._transcripts.want_main()
        if event in ("SessionEnd", "Stop", "StopFailure"):
            self._settle_by = 0.0

    def _sweep(self, now: float) -> None:
        """Notice that the client is gone."""
        if now < self._next_sweep or self._header is None:
            return
        self._next_sweep = now + _SWEEP_SECONDS
        client = self._header.client
        is_gone = client.pid != 0 and process.is_running(client) is False
        if is_gone or (not client.pid and time.time_ns() - self._last_at > _SILENT_NS):
            if not self._is_gone:
                self._is_gone, self._next_sweep = True, now
                self._transcripts.want_all()  # what it wrote last is read first
            else:
                for read in self._transcripts.finish(closed=True):
                    self._pass_on(read)
                self._own.append("lost", {"why": "the client is gone"}, self._last_at)
