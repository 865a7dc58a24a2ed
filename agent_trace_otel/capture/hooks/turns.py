"""One turn of a coding agent: what a prompt set off, until the agent stops.

Comes in: prompts, answers, failures. Goes out: the steps of the turn's span. Pure; part of `claude_code`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent_trace_otel import semconv
from agent_trace_otel.capture.hooks.steps import Begin, End, Ref
from agent_trace_otel.spans import messages_json

NOTIFICATION: Final = "task_notification"
_NOTIFICATION: Final = re.compile(r"\s*<task-notification>")
_TOOL: Final = re.compile(r"<tool-use-id>([^<\s]+)</tool-use-id>")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What set a turn off or came into it; ``id`` is empty where the client gives none."""

    id: str
    at: int
    text: str = ""
    source: str = ""
    """Who said it, empty for a person."""
    traceparent: str = ""
    """The span of the client's own telemetry that it belongs to, if there is one."""

    @classmethod
    def of(cls, payload: Mapping[str, Any], at: int, traceparent: str) -> Prompt:
        """Read a UserPromptSubmit; that a task has finished is told like a prompt, and is none of a person's."""
        text = str(payload.get("prompt") or "")
        source = NOTIFICATION if _NOTIFICATION.match(text) else str(payload.get("source") or "")
        return cls(str(payload.get("prompt_id") or ""), at, text, "" if source == "user" else source, traceparent)

    @property
    def cause(self) -> Ref | None:
        """The tool call that the notification is about."""
        found = _TOOL.search(self.text) if self.source == NOTIFICATION else None
        return Ref("tool", found[1]) if found else None


@dataclass(slots=True)
class Turn:
    """One turn and its span."""

    key: str
    agent: str
    prompts: list[Prompt]
    stopped_at: int = 0
    """When the agent stopped; 0 while it works."""
    said: str = ""
    """Its last answer."""
    failure: tuple[str, str] = ("", "")
    """Type and message of what made it fail."""
    is_failed: bool = False
    """Whether the client itself said so."""

    @property
    def ref(self) -> Ref:
        """Its span."""
        return Ref("turn", self.key)

    def begin(self, after: Ref | None) -> Begin:
        """Begin its span; ``after`` is the span of a turn that this one goes on with."""
        first = self.prompts[0]
        links = tuple(link for link in (after, first.cause) if link is not None)
        attributes = {semconv.PROMPT_ID: first.id} if first.id else {}
        given = "" if first.source == NOTIFICATION else first.text
        return Begin(self.ref, first.at, self.agent, given=given, links=links, attributes=attributes)

    def fail(self, kind: str, message: str) -> None:
        """Note that the client says that it failed."""
        self.failure, self.is_failed = (kind, message), True

    def last_call(self, error: Mapping[str, Any]) -> None:
        """Note how its last model call so far went; ``error`` is empty if well."""
        if not self.is_failed:
            self.failure = (str(error.get("type", "")), str(error.get("message", "")))

    def end(self, at: int = 0, *, otherwise: str = semconv.OUTCOME_UNKNOWN) -> End:
        """End its span, at ``at`` and with the outcome ``otherwise`` if the agent has not stopped by itself."""
        attributes: dict[str, Any] = {}
        if self.said:
            attributes[semconv.OUTPUT_MESSAGES] = messages_json("assistant", self.said)
        kind, message = self.failure
        if kind:
            attributes[semconv.ERROR_TYPE] = kind
            return End(self.ref, self.stopped_at or at, semconv.OUTCOME_ERROR, message or kind, attributes)
        if self.stopped_at:
            return End(self.ref, self.stopped_at, attributes=attributes)
        return End(self.ref, max(at, self.prompts[0].at), otherwise, attributes=attributes)
