"""Log events of coding agents -> what happened, with what is remembered of each session between them.

Comes in: log records. Goes out: `Told`, one a prompt, model call or tool call. Called by `spans`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from agent_trace_otel.capture.collect.logs.claude_code import CLAUDE_CODE
from agent_trace_otel.capture.collect.logs.codex import CODEX
from agent_trace_otel.capture.collect.logs.gemini_cli import GEMINI_CLI
from agent_trace_otel.capture.collect.logs.records import LogRecord
from agent_trace_otel.capture.collect.logs.told import Session, Story, Told, text

STORIES: Final[Mapping[str, Story]] = {
    "com.anthropic.claude_code": CLAUDE_CODE,
    "codex_": CODEX,
    "gemini-cli": GEMINI_CLI,
}
"""Beginning of an instrumentation scope's name -> the story told under it."""

_MAX_SESSIONS: Final = 10_000


class Stories:
    """The sessions of all agents that report in logs."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[tuple[str, str], Session] = OrderedDict()

    def tell(self, records: Iterable[LogRecord]) -> Iterator[tuple[Story, str, LogRecord, Told]]:
        """Yield what happened, with whose story it is, the session's id and the record that told it."""
        found = [(story, record) for record in records if (story := _story_of(record)) is not None]
        for story, record in found:
            if record.name == "assistant_response":
                self._session(story, record).responses[text(record.attributes.get("request_id"))] = text(
                    record.attributes.get("response")
                )
        for story, record in found:
            session = self._session(story, record)
            told = story.events[record.name](record, session) if record.name in story.events else None
            if told is None:
                continue
            if told.kind == "turn":
                session.turn = told.key
            yield story, text(record.attributes[story.session]), record, replace(told, turn=told.turn or session.turn)
        for story, record in found:
            self._session(story, record).responses.clear()

    def _session(self, story: Story, record: LogRecord) -> Session:
        key = (story.agent, text(record.attributes[story.session]))
        known = self._sessions.setdefault(key, Session())
        if len(self._sessions) > _MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return known


def _story_of(record: LogRecord) -> Story | None:
    for scope, story in STORIES.items():
        if record.scope.startswith(scope) and text(record.attributes.get(story.session)):
            return None if story.spans_tell_all and record.in_span else story
    return None
