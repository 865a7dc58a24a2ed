"""One process of Claude Code that a program drives: its messages -> spans, told as the recorder of hooks tells them.

Comes in: prompts, messages, the end, each when it passes. Goes out: spans through `reported`, at the times at which
things were seen or, what the transcript tells, happened. Called by the instrumentor of claude-agent-sdk, in the
program's own thread: reading the transcript takes a few milliseconds a message.

In a session of the program's the client is an agent of it, in its folder; else the client's session has a folder of its
own, as with hooks. Either way each span has the id that follows from the client's session (`identity.derived_span_id`):
told twice, it is the same span.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api

from agent_trace_otel import guard, identity, pipeline, process, semconv, spans
from agent_trace_otel.capture.agent_sdk.guests import AGENT, GuestRun, GuestSession
from agent_trace_otel.capture.agent_sdk.payloads import Messages, text_of
from agent_trace_otel.capture.agent_sdk.prompts import Asked, told_prompts
from agent_trace_otel.capture.agent_sdk.streamed_calls import StreamedCalls
from agent_trace_otel.capture.agent_sdk.untold_tools import UntoldTools
from agent_trace_otel.capture.hooks.sessions.reported import ReportedRun
from agent_trace_otel.capture.hooks.sessions.transcripts import Transcripts
from agent_trace_otel.capture.hooks.story.claude_code import ClaudeCode
from agent_trace_otel.capture.hooks.story.steps import Ref
from agent_trace_otel.capture.hooks.transcript.facts import time_ns
from agent_trace_otel.store.writer import Runs, runs_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from agent_trace_otel.identity import Session
    from agent_trace_otel.pipeline import SeparatePipeline

_LOOK_SECONDS: Final = 0.05
_LATE_NS: Final = 1_000_000_000
"""How long the transcript may lag behind a turn's end."""


class Conversation:
    """What one process of the client is told and tells.

    Args:
        config_dir: the client's folder of settings and transcripts.
        resumes: whether it goes on with a session that there was before.
        writes_transcript: whether it keeps one.
    """

    def __init__(self, config_dir: Path, *, resumes: bool = False, writes_transcript: bool = True) -> None:
        self.pid = 0
        """The client's process id, once it is known."""
        self._config_dir = config_dir
        self._resumes = resumes
        self._writes_transcript = writes_transcript
        self._around = context_api.get_current()
        self._host = identity.current()
        self._began = time.time_ns()
        self._messages = Messages()
        self._transcripts = Transcripts()
        self._machine: ClaudeCode | None = None
        self._run: ReportedRun | None = None
        self._session_id = self._cwd = self._path = ""
        self._look_at = 0.0
        """When the transcript is looked for again (monotonic seconds)."""
        self._prompts: list[tuple[str, int]] = []
        """What was sent and has not been answered, with its time."""
        self._prompt_id: str = ""
        self._asked = Asked()
        self._is_asked = False
        """Whether it works on what it was asked."""
        self._stopped_at = 0
        self._is_over = False
        self._streamed = StreamedCalls(self._began)
        self._untold = UntoldTools()
        self._lag = 0
        """How long ago the last message was made when it came, in nanoseconds."""
        self._lock = threading.RLock()
        self.error: BaseException | None = None
        """What went wrong with the client."""

    # -- what comes in -------------------------------------------------------------------------------------------

    @guard.guarded("tell what the Agent SDK was asked")
    def prompt(self, message: Mapping[str, Any]) -> None:
        """Take a message that the program sends."""
        if message.get("type") == "user":
            content = cast("Mapping[str, Any]", message.get("message") or {}).get("content")
            with self._lock:
                self._settle(is_last=False)
                at = time.time_ns()
                self._prompts.append((text_of(content), at))
                self._streamed.asked(at)

    @guard.guarded("tell what the Agent SDK was told")
    def message(self, message: Mapping[str, Any]) -> None:
        """Take a message of the client's."""
        at = self._time_of(message)
        with self._lock:
            if self._is_over:
                return
            if self._machine is None:
                self._begin(message)
            if self._machine is None:
                return
            if message.get("type") in ("assistant", "user", "result"):
                self._open_turn(message)
            self._streamed.see(message, at)
            for payload in self._messages.read(message):
                self._untold.told(payload)
                if payload["hook_event_name"] == "SubagentStop":
                    self._read()
                    for over in self._untold.stopped(payload["agent_id"]):
                        self._hook(over, at)
                self._hook(payload, at)
                if payload["hook_event_name"] in ("Stop", "StopFailure"):
                    self._stopped_at = at
                self._is_asked &= payload["hook_event_name"] not in ("Stop", "StopFailure", "Interrupt")
            self._learn(self._messages.facts)
            if message.get("type") == "result" and not self._transcript():
                self._learn([{"kind": "cost", "usd": float(message.get("total_cost_usd") or 0.0), "at_ns": at}])
            self._read()
            self._settle(is_last=False)

    @guard.guarded("end what the Agent SDK began")
    def close(self, error: BaseException | None = None) -> None:
        """End it: the client is gone, with ``error`` if something went wrong."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            if self._machine is None:
                self._tell_failure(error)
                return
            self._open_turn({})
            at = time.time_ns()
            self._read()
            self._settle(is_last=True)
            self._hook({"hook_event_name": "SessionEnd", "reason": "other"}, at)
            self._read()
            for told in self._transcripts.finish(closed=True):
                self._learn(told["facts"])
            self._learn(self._streamed.take(self._prompt_id, has_transcript=bool(self._path)))
            if self._run is not None:
                self._run.take(self._machine.settle())

    def _time_of(self, message: Mapping[str, Any]) -> int:
        """Return when a message was made: many tell it; a busy program reads them late."""
        now = time.time_ns()
        made = time_ns(message.get("timestamp"))
        if self._began <= made <= now:
            self._lag = now - made
        return now - self._lag

    # -- the run -------------------------------------------------------------------------------------------------

    def _begin(self, message: Mapping[str, Any]) -> None:
        session_id = message.get("session_id")
        if not isinstance(session_id, str) or not session_id:
            return
        self._session_id, self._cwd = session_id, str(message.get("cwd") or "")
        folder, settings = identity.folder_name(session_id), pipeline.settings()
        where: Session
        if self._host is not None:
            where = GuestSession(
                folder, AGENT, self._host.trace_dir, redact=self._host.redact, started_ns=self._began,
                is_reported=True, host=self._host, around=self._around,
            )  # fmt: skip
            run: ReportedRun = GuestRun(where, _HERE, _find_none)
        else:
            is_inside = trace_api.get_current_span(self._around).get_span_context().is_valid
            where = identity.Session(
                folder, AGENT, settings.trace_dir, redact=settings.redact, started_ns=self._began,
                parent=self._around if is_inside else None, is_reported=True,
            )  # fmt: skip
            run = ReportedRun(where, _HERE, _find_none)
        before = _runs_before(where.trace_dir, folder)
        cwd = {semconv.PROCESS_WORKING_DIRECTORY: self._cwd} if self._cwd else {}
        run.begin(before.count + 1, before.last, process.of(self.pid) if self.pid else _NOBODY, cwd)
        self._run = run
        self._machine = ClaudeCode(AGENT, provider="anthropic", unanswered=semconv.OUTCOME_UNKNOWN)
        self._transcripts.begin(self._began)
        self._hook({"hook_event_name": "SessionStart", "source": "resume" if self._resumes else "startup"}, self._began)
        if self._resumes:
            skipped = self._transcripts.skipped()
            if skipped is not None:
                self._transcripts.passed(skipped)
                self._learn(skipped["facts"])

    def _tell_failure(self, error: BaseException | None) -> None:
        """Tell of a client that said nothing before it failed."""
        if error is None and not self._prompts:
            return
        token = context_api.attach(self._around)
        try:
            given = self._prompts[0][0] if self._prompts else None
            spans.end(spans.start_agent(AGENT, given=given), error=error, outcome=semconv.OUTCOME_UNKNOWN)
        finally:
            context_api.detach(token)

    def _hook(self, payload: dict[str, Any], at: int) -> None:
        if self._machine is None or self._run is None:
            return
        place = {"session_id": self._session_id, "cwd": self._cwd, "transcript_path": self._transcript()}
        if self._prompt_id:
            place["prompt_id"] = self._prompt_id
        whole = {**place, **payload}
        self._transcripts.see(whole)
        self._run.take(self._machine.hook(whole, at))

    # -- turns ---------------------------------------------------------------------------------------------------

    def _open_turn(self, message: Mapping[str, Any]) -> None:
        """Tell what the client was asked, now that it answers: by then the transcript has the prompt's own id.

        What the program did not send through the SDK's own transport, and what the client tells itself, stands there
        alone.
        """
        waiting, self._prompts = self._prompts, []
        for text, at in waiting:
            self._prompt_id = self._asked.id_of(text, self._transcript())
            self._hook({"hook_event_name": "UserPromptSubmit", "prompt": text}, at)
            self._is_asked = True
        if not self._is_asked and message.get("type") == "assistant" and not message.get("parent_tool_use_id"):
            last = next(told_prompts(self._transcript()), None)
            if last is not None and last.id != self._prompt_id:
                self._prompt_id, self._is_asked = last.id, True
                self._hook({"hook_event_name": "UserPromptSubmit", "prompt": last.text}, max(last.at, self._began))

    def _settle(self, *, is_last: bool) -> None:
        """End the turn that has stopped, once the transcript has told of it or is too late."""
        if not self._stopped_at or self._machine is None or self._run is None:
            return
        is_late = time.time_ns() - self._stopped_at > _LATE_NS
        if not (is_last or is_late or self._prompts or self._machine.is_informed):
            return
        if is_last or is_late:
            for told in self._transcripts.finish(closed=False):
                self._learn(told["facts"])
        if not self._writes_transcript or not self._path:
            self._learn(self._streamed.take(self._prompt_id, has_transcript=bool(self._path)))
        self._stopped_at = 0
        self._run.take(self._machine.settle())

    # -- transcripts ---------------------------------------------------------------------------------------------

    def _transcript(self) -> str:
        """Return the path of the transcript, empty while there is none."""
        if not self._path and self._writes_transcript and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            found = next(self._config_dir.glob(f"projects/*/{_plain(self._session_id)}.jsonl"), None)
            self._path = str(found) if found is not None else ""
        return self._path

    def _read(self) -> None:
        """Take what the transcript tells by now."""
        if self._machine is None or not self._transcript():
            return
        self._transcripts.want_all()
        for agent_id in self._machine.unplaced_agents:
            note = self._transcripts.note_of(agent_id)
            self._learn([note] if note is not None else [])
        while (told := self._transcripts.read()) is not None:
            self._learn(told["facts"])

    def _learn(self, facts: list[dict[str, Any]]) -> None:
        if not facts or self._machine is None or self._run is None:
            return
        for fact in facts:
            if fact.get("kind") == "call":
                self._streamed.told(fact.get("key"))
                named = str(fact.get("prompt_id"))
                if not fact.get("agent_id") and named not in self._machine.carried.places:
                    fact["prompt_id"] = self._asked.given_for(named, self._transcript()) or self._prompt_id
        untold = [told for fact in facts for told in self._untold.learn(fact)]
        if not pipeline.settings().capture_content:
            facts = [{**fact, **{name: none for name, none in _NO_CONTENT.items() if name in fact}} for fact in facts]
        self._run.take(self._machine.learn(facts))
        for payload, at in untold:
            self._hook(payload, at)

    # -- what the program does for the client --------------------------------------------------------------------

    def context_of_call(self, call_id: str) -> Context | None:
        """Return the context for what the program does for the client: in one of its calls, or in none.

        None while the client has not said which session is its own.
        """
        with self._lock:
            if self._run is None:
                return None
            ctx = self._run.session.context(context_api.get_current())
            span: Span | None = self._run.span_of(Ref("tool", call_id)) if call_id else None
            return ctx if span is None else trace_api.set_span_in_context(span, ctx)


def _runs_before(trace_dir: Path, folder: str) -> Runs:
    """Return what is known of the session's runs so far; those that are parts of other sessions have no folder."""
    found = runs_of(trace_dir, folder)
    with _counting:
        count = max(found.count, _counted.get(folder, 0))
        _counted[folder] = count + 1
    return Runs(count, found.last)


def _plain(session_id: str) -> str:
    """Return a session id as a pattern that matches nothing else."""
    return "".join(c if c.isalnum() or c in "-_" else "?" for c in session_id)


def _find_none(_session_id: str) -> tuple[str, str] | None:
    return None


_counted: Final[dict[str, int]] = {}
"""How many runs of a session this process has told."""
_counting: Final = threading.RLock()
_HERE: Final = cast("SeparatePipeline", nullcontext())
"""The process's own pipeline, which is in force already."""
_NOBODY: Final = process.ProcessIdentity(0, "", "", "")
_NO_CONTENT: Final[Mapping[str, Any]] = {"input": [], "output": [], "text": "", "description": ""}
