"""The lines of one transcript -> what Claude Code's hooks would have said of them, with the facts beside it.

Comes in: lines in file order. Goes out: items in the order in which they are to be told. Called by `session_import`;
pure. Hooks say more than transcripts do: that permission was asked for, which instructions were loaded, why a session
ended. And they say it later: a call's times are those of its two lines here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as new_field
from typing import Any, Final, NamedTuple

from agent_trace_otel.capture.hooks.transcript.calls import INTERRUPTED, SYNTHETIC, CallAssembler
from agent_trace_otel.capture.hooks.transcript.facts import Fact, text_of, time_ns
from agent_trace_otel.model_io.fields import field, members, text_field

_TOOL_ERROR: Final = re.compile(r"<tool_use_error>(.*)</tool_use_error>\Z", re.DOTALL)
_NEVER_RAN: Final = ("<tool_use_error>Error: No such tool", "<tool_use_error>InputValidationError")
_NOT_TO_PROCEED: Final = "The user doesn't want to "
_ERROR: Final = "Error: "


class Said(NamedTuple):
    """What a hook would have been told, and when (unix nanoseconds)."""

    at: int
    payload: Mapping[str, Any]


class Facts(NamedTuple):
    """What the transcript tells beside the hooks."""

    facts: list[Fact]


class Settle(NamedTuple):
    """Everything is read that bears on what was said."""


class RunBegins(NamedTuple):
    """A client process takes up the session."""

    at: int


class RunEnds(NamedTuple):
    """It is over."""

    at: int
    is_lost: bool
    """Whether the client was gone in the middle of its work."""


Item = Said | Facts | Settle | RunBegins | RunEnds


@dataclass(slots=True)
class Answer:
    """The model's last message in a conversation."""

    id: str
    at: int
    texts: list[str]
    stop_reason: str | None = None
    error: str = ""
    """The class of the failure that the client tells in its place."""

    @property
    def text(self) -> str:
        """What was said."""
        return "\n".join(self.texts)


@dataclass(slots=True)
class ToolCalls:
    """The tool calls of one conversation that have begun."""

    agent: Mapping[str, str] = new_field(default_factory=dict[str, str])
    """What names the sub-agent in its hooks' payloads, nothing for the main one."""
    _open: dict[str, tuple[str, Any]] = new_field(default_factory=dict[str, tuple[str, Any]])

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def forget(self) -> None:
        """Forget the open ones: their process is gone."""
        self._open.clear()

    def begun(self, line: Mapping[str, Any], at: int, prompt_id: str) -> Iterator[Said]:
        """Yield the calls that a line of an answer asks for."""
        for block in members(field(field(line, "message"), "content")):
            call_id = text_field(block, "id")
            if text_field(block, "type") == "tool_use" and call_id and call_id not in self._open:
                self._open[call_id] = (text_field(block, "name") or "", field(block, "input"))
                yield Said(at, self._payload("PreToolUse", call_id, prompt_id))

    def ended(self, line: Mapping[str, Any], at: int, prompt_id: str) -> Iterator[Said]:
        """Yield how the calls ended that a user's line has results of."""
        blocks = [
            block
            for block in members(field(field(line, "message"), "content"))
            if text_field(block, "type") == "tool_result" and text_field(block, "tool_use_id") in self._open
        ]
        for block in blocks:
            call_id = text_field(block, "tool_use_id") or ""
            # the line's own result is of one call
            whole = field(line, "toolUseResult") if len(blocks) == 1 else None
            name, more = _ending(line, block, whole)
            said = self._payload(name, call_id, prompt_id)
            del self._open[call_id]
            if name == "PostToolBatch":
                yield Said(at, {"hook_event_name": name, "tool_calls": [{**said, **more}], **self.agent})
            else:
                yield Said(at, {**said, **more})

    def _payload(self, name: str, call_id: str, prompt_id: str) -> dict[str, Any]:
        tool, given = self._open[call_id]
        about = {"hook_event_name": name, "tool_name": tool, "tool_input": given, "tool_use_id": call_id}
        return {**about, **({"prompt_id": prompt_id} if prompt_id else {}), **self.agent}


class Conversation:
    """What is common to the main conversation and those of sub-agents.

    Args:
        agent: what names the sub-agent in payloads, nothing for the main one.
        unknown: counts the types of lines that are not understood.
    """

    def __init__(self, agent: Mapping[str, str], unknown: Counter[str]) -> None:
        self.latest_ns = 0
        """The newest time of a line so far."""
        self._calls = ToolCalls(agent)
        self._answer: Answer | None = None
        agent_id = agent.get("agent_id", "")
        self._facts = CallAssembler(since_ns=0, agent_id=agent_id, from_start=True, told={}, unknown=unknown)

    def _time(self, line: Mapping[str, Any]) -> int:
        at = time_ns(line.get("timestamp")) or self.latest_ns
        self.latest_ns = max(self.latest_ns, at)
        return at

    def _hear(self, line: Mapping[str, Any], at: int) -> None:
        """Take note of a line of the model's answer, or of the client's own in its place."""
        message = field(line, "message")
        if text_field(message, "model") == SYNTHETIC:
            if line.get("isApiErrorMessage") is True:
                kind = text_field(line, "apiErrorType", "error") or "unknown"
                self._answer = Answer(text_field(message, "id") or "", at, _texts(message), error=kind)
            return
        identity = text_field(message, "id") or ""
        if self._answer is None or self._answer.id != identity:
            self._answer = Answer(identity, at, [])
        self._answer.at = max(self._answer.at, at)
        self._answer.texts += _texts(message)
        self._answer.stop_reason = text_field(message, "stop_reason") or self._answer.stop_reason

    @property
    def _is_answered(self) -> bool:
        """Whether the agent may stop with its last message as it is."""
        answer = self._answer
        return answer is not None and not answer.error and answer.stop_reason != "tool_use" and not len(self._calls)


def is_prompt(line: Mapping[str, Any]) -> bool:
    """Tell whether a user's line is what somebody asked for, and none of the client's own."""
    if line.get("isMeta") is True or line.get("isCompactSummary") is True or line.get("isSidechain") is True:
        return False
    text = prompt_text(line)
    return bool(text) and not text.startswith(_OF_THE_CLIENT) and not has_results(line)


def prompt_text(line: Mapping[str, Any]) -> str:
    """Return what a user's line asks for; a command as it was typed."""
    text = text_of(field(field(line, "message"), "content"))
    if text.startswith("<command-message>") and (command := _COMMAND.search(text)):
        given = _ARGUMENTS.search(text)
        return f"{command[1]} {given[1] if given else ''}".rstrip()
    return text


def has_results(line: Mapping[str, Any]) -> bool:
    """Tell whether a user's line has results of tool calls."""
    blocks = members(field(field(line, "message"), "content"))
    return any(text_field(block, "type") == "tool_result" for block in blocks)


_COMMAND: Final = re.compile(r"<command-name>([^<]*)</command-name>")
_ARGUMENTS: Final = re.compile(r"<command-args>([^<]*)</command-args>")
_OF_THE_CLIENT: Final = ("<command-name>", "<local-command-", "<bash-", "<system-reminder>", INTERRUPTED)
"""How a user's line begins that no hook is told of: commands of the client's own and their output."""


def _ending(line: Mapping[str, Any], block: object, whole: object) -> tuple[str, dict[str, Any]]:
    """Return the hook event that tells a call's end, with what it adds."""
    text = text_of(field(block, "content"))
    if field(block, "is_error") is not True:
        return "PostToolUse", {"tool_response": text if whole is None else whole}
    is_decided = text_field(field(line, "permissionDecision"), "decision") == "reject"
    is_refused = text_field(line, "toolDenialKind") is not None
    if not is_decided and text.startswith((_NOT_TO_PROCEED, INTERRUPTED)):
        return "PostToolUseFailure", {"error": text, "is_interrupt": True}
    if is_decided or is_refused or text.startswith(_NEVER_RAN):
        return "PostToolBatch", {"tool_response": text}
    told = _TOOL_ERROR.match(text)
    error = whole.removeprefix(_ERROR) if isinstance(whole, str) else told[1] if told else text
    return "PostToolUseFailure", {"error": error}


def _texts(message: object) -> list[str]:
    content: object = field(message, "content")
    if isinstance(content, str):
        return [content]
    blocks = (block for block in members(content) if text_field(block, "type") == "text")
    return [text for block in blocks if (text := text_field(block, "text"))]
