"""The main transcript of a session -> its runs, turns and calls, as hooks would have told of them.

Comes in: lines. Goes out: items. Called by `session_import`; pure. What a transcript says of runs: a client that exits
writes what the session has cost; what comes after that is another process's. One that was killed writes nothing; the
next process then answers the calls that were left open. What it says of turns: the note that Stop hooks ran; where no
such hook is set up, an answer that asks for no tools, and then another prompt or the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agent_trace_otel.capture.hooks.transcript.calls import INTERRUPTED, SYNTHETIC
from agent_trace_otel.capture.hooks.transcript.facts import Fact
from agent_trace_otel.capture.importing.conversation import (
    Conversation,
    Facts,
    Item,
    RunBegins,
    RunEnds,
    Said,
    Settle,
    has_results,
    is_prompt,
    prompt_text,
)
from agent_trace_otel.capture.importing.transcripts import Line, Transcript
from agent_trace_otel.model_io.fields import field, text_field

_LEFT_OPEN: Final = "interrupted"
"""toolDenialKind of a call whose process was killed, as the next process notes it."""
_CLEARED: Final = "<command-name>/clear<"
_BEGINNINGS: Final = frozenset({"user", "assistant", "system", "queue-operation", "api-request"})


class MainConversation(Conversation):
    """The main conversation, over all runs that its file tells of."""

    def __init__(self, transcript: Transcript, unknown: Counter[str]) -> None:
        super().__init__({}, unknown)
        self._own_from = transcript.own_from
        self._source = "fork" if transcript.is_copy else "startup"
        self._runs = self._is_announced = False
        self._has_exited = False
        """Whether the run's client wrote what it writes last."""
        self._in_turn = False
        self._has_stopped = False
        """Whether the prompt's turn has stopped before."""
        self._prompt_id = ""
        self._last_at = 0
        """When the run's client was last heard of; that something waits to be said may be its successor's word."""

    def take(self, line: Line) -> Iterator[Item]:
        """Yield what the next line tells."""
        value, kind = line.value, text_field(line.value, "type")
        at = self._time(value)
        if line.place < self._own_from:
            yield self._of_turn(self._facts.take(value, line.place))  # which says where it was copied from
            return
        yield from self._follow_runs(value, at)
        if not self._runs:
            return
        if kind != "queue-operation":
            self._last_at = max(self._last_at, at)
        if kind == "user":
            yield from self._user(value, at)
        elif kind == "assistant":
            yield from self._assistant(value, at)
        elif kind == "attachment":
            yield from self._queued(field(value, "attachment"))
        elif kind == "system":
            yield from self._system(value, at)
        elif kind == "cost-state":
            self._has_exited = True
        yield self._of_turn(self._facts.take(value, line.place))
        yield Settle()

    def finish(self, *, is_over: bool) -> Iterator[Item]:
        """Yield what follows from the end of the file.

        Args:
            is_over: whether nothing more will be written, though the client has not said so.
        """
        if self._runs and (self._has_exited or is_over):
            yield from self._end_run()

    # -- runs ----------------------------------------------------------------------------------------------------

    def _follow_runs(self, line: Mapping[str, Any], at: int) -> Iterator[Item]:
        """End the run whose client is gone, and begin the next one."""
        kind = text_field(line, "type")
        is_left_open = text_field(line, "toolDenialKind") == _LEFT_OPEN
        is_anothers = self._has_exited and kind != "assistant" and (kind != "user" or is_prompt(line))
        if kind not in _BEGINNINGS or not at:
            return
        if self._runs and (is_left_open or is_anothers):
            yield from self._end_run()
        if not self._runs:
            self._runs, self._is_announced, self._last_at = True, False, at
            yield RunBegins(at)

    def _announce(self, at: int) -> Iterator[Said]:
        """Say how the run came about, once it can be known."""
        if not self._is_announced:
            self._is_announced = True
            yield Said(at, {"hook_event_name": "SessionStart", "source": self._source})
            self._source = "resume"

    def _end_run(self) -> Iterator[Item]:
        yield from self._announce(self._last_at)
        yield from self._stop_unsaid(is_last=True)
        yield self._of_turn(self._facts.finish(closed=True))
        is_lost = not self._has_exited and (self._in_turn or len(self._calls) > 0)
        self._calls.forget()
        self._answer = None
        self._runs = self._has_exited = self._in_turn = False
        yield RunEnds(self._last_at, is_lost)

    # -- turns ---------------------------------------------------------------------------------------------------

    def _user(self, line: Mapping[str, Any], at: int) -> Iterator[Item]:
        prompt_id = text_field(line, "promptId") or ""
        text = prompt_text(line)
        if is_prompt(line):
            yield from self._stop_unsaid()
            yield from self._announce(at)
            self._prompt_id = prompt_id or text_field(line, "uuid") or ""  # older clients named no prompts
            self._in_turn, self._has_stopped, self._answer = True, False, None
            yield self._prompt(text, at)
        elif has_results(line):
            yield from self._calls.ended(line, at, prompt_id or self._prompt_id)
        elif text.startswith(INTERRUPTED) and self._in_turn:
            self._in_turn = False
            self._calls.forget()
            yield Said(at, {"hook_event_name": "Interrupt", "prompt_id": prompt_id or self._prompt_id})
        elif text.startswith(_CLEARED) and not self._is_announced:
            self._source = "clear"

    def _assistant(self, line: Mapping[str, Any], at: int) -> Iterator[Item]:
        if line.get("isSidechain") is not True:  # older clients wrote sub-agents between the main one's lines
            self._hear(line, at)
            # somebody's Stop hook may have sent the agent on
            self._in_turn |= text_field(field(line, "message"), "model") != SYNTHETIC
        yield from self._calls.begun(line, at, self._prompt_id)

    def _queued(self, attachment: object) -> Iterator[Said]:
        """Take a prompt that was typed while the agent worked, and was shown to it in between."""
        if text_field(attachment, "type") == "queued_command" and self._in_turn:
            text = prompt_text({"message": {"content": field(attachment, "prompt")}})
            if text:
                yield self._prompt(text, self.latest_ns)

    def _prompt(self, text: str, at: int) -> Said:
        known = {"prompt_id": self._prompt_id} if self._prompt_id else {}
        return Said(at, {"hook_event_name": "UserPromptSubmit", "prompt": text, **known})

    def _system(self, line: Mapping[str, Any], at: int) -> Iterator[Said]:
        kind = text_field(line, "subtype")
        if kind == "stop_hook_summary" and self._answer is not None:
            yield self._stop(at)
        elif kind == "compact_boundary":
            trigger = text_field(field(line, "compactMetadata"), "trigger")
            yield from self._announce(at)
            yield Said(at, {"hook_event_name": "PostCompact", **({"trigger": trigger} if trigger else {})})

    def _of_turn(self, facts: list[Fact]) -> Facts:
        """Return facts, calls with the prompt that they belong to."""
        return Facts(
            [
                {**fact, "prompt_id": fact.get("prompt_id") or self._prompt_id} if fact["kind"] == "call" else fact
                for fact in facts
            ]
        )

    def _stop(self, at: int) -> Said:
        said = self._answer.text if self._answer is not None else ""
        is_again, self._has_stopped, self._in_turn = self._has_stopped, True, False
        about = {"hook_event_name": "Stop", "prompt_id": self._prompt_id, "stop_hook_active": is_again}
        return Said(at, {**about, "last_assistant_message": said})

    def _stop_unsaid(self, *, is_last: bool = False) -> Iterator[Item]:
        """Let a turn stop of which no line says so."""
        if not self._in_turn:
            return
        yield self._of_turn(self._facts.finish(closed=False))
        if self._answer is not None and self._answer.error:
            self._in_turn = False
            if not (is_last and self._has_exited):  # a client that exits for it runs no hook
                yield self._failure(self._answer.error, self._answer.text, self._answer.at)
        elif self._answer is not None and self._is_answered:
            yield self._stop(self._answer.at)
        yield Settle()

    def _failure(self, kind: str, message: str, at: int) -> Said:
        about = {"hook_event_name": "StopFailure", "prompt_id": self._prompt_id, "error": kind}
        return Said(at, {**about, "last_assistant_message": message})
