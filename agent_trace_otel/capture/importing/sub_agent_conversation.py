"""The transcript of a sub-agent -> its beginnings, calls and ends, as hooks would have told of them.

Comes in: lines. Goes out: items. Called by `session_import`; pure but for the note beside the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from agent_trace_otel.capture.hooks.transcript.files import read_agent
from agent_trace_otel.capture.importing.conversation import Conversation, Facts, Item, Said, has_results
from agent_trace_otel.capture.importing.transcripts import SUFFIX, Line
from agent_trace_otel.model_io.fields import text_field


class SubAgentConversation(Conversation):
    """The conversation of one sub-agent, which may be continued after it has ended.

    Args:
        path: its transcript.
        unknown: counts the types of lines that are not understood.
        is_over: whether nothing more will be written.
    """

    def __init__(self, path: Path, unknown: Counter[str], *, is_over: bool) -> None:
        agent_id = path.name.removeprefix("agent-").removesuffix(SUFFIX)
        note = read_agent(path.with_name(f"{path.stem}.meta.json"))
        self._agent = {"agent_id": agent_id, "agent_type": text_field(note, "agent_type") or ""}
        self._note = note if note is not None and note.get("tool_use_id") else None
        self._is_over = is_over
        self._is_at_work = False
        super().__init__(self._agent, unknown)

    def take(self, line: Line) -> Iterator[Item]:
        """Yield what the next line tells."""
        value, kind = line.value, text_field(line.value, "type")
        at = self._time(value)
        prompt_id = text_field(value, "promptId") or ""
        if kind == "user" and has_results(value):
            yield from self._start(at)
            yield from self._calls.ended(value, at, prompt_id)
        elif kind == "user":
            if self._is_answered and value.get("isMeta") is not True:
                yield from self._stop()
            yield from self._start(at)
        elif kind == "assistant":
            self._agent["agent_type"] = self._agent["agent_type"] or text_field(value, "attributionAgent") or ""
            yield from self._start(at)
            self._hear(value, at)
            yield from self._calls.begun(value, at, prompt_id)
        yield Facts(self._facts.take(value, line.place))

    def finish(self) -> Iterator[Item]:
        """Yield what follows from the end of the file."""
        yield Facts(self._facts.finish(closed=self._is_over))
        if self._is_answered and self._answer is not None and (self._is_over or self._answer.stop_reason):
            yield from self._stop()

    def _start(self, at: int) -> Iterator[Item]:
        if not self._is_at_work:
            self._is_at_work = True
            if self._note is not None:
                yield Facts([self._note])
            yield Said(at, {"hook_event_name": "SubagentStart", **self._agent})

    def _stop(self) -> Iterator[Said]:
        if self._is_at_work and self._answer is not None:
            said = {"last_assistant_message": self._answer.text}
            yield Said(self._answer.at, {"hook_event_name": "SubagentStop", **self._agent, **said})
            self._is_at_work, self._answer = False, None
