"""The tool calls of one coding agent's session: which are open, and how each one ended.

Comes in: hook payloads about tools, permission decisions from the transcript. Goes out: steps. Pure; part of
`claude_code`. A call is known by its tool_use_id; clients that give none are paired first in, first out by agent, tool
and input. How a call ended that got no PostToolUse, the first of these tells: the transcript's permission decision, a
permission request for the same call, the text that the model was shown.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from agent_trace_otel import content, semconv
from agent_trace_otel.capture.hooks.story import tool_details
from agent_trace_otel.capture.hooks.story.steps import Begin, End, Ref, Step
from agent_trace_otel.model_io.fields import members

Payload = Mapping[str, Any]

TOOL_ERROR: Final = "tool_error"
PERMISSION_DENIED: Final = "permission_denied"
_REFUSALS: Final = frozenset({"reject", "deny", "denied"})
_SPAWNING: Final = frozenset({"Agent", "Task"})
_MAX_REMEMBERED: Final = 4096
_MAX_DURATION: Final = 1e11  # milliseconds, three years: with more, times leave what a span can hold

_SHOWN: Final = (
    ("Permission to use", semconv.OUTCOME_DENIED),
    ("<tool_use_error>Error: No such tool", semconv.OUTCOME_UNKNOWN_TOOL),
    ("<tool_use_error>InputValidationError", semconv.OUTCOME_INVALID),
    ("PreToolUse:", semconv.OUTCOME_BLOCKED),
    ("[Request interrupted by user", semconv.OUTCOME_INTERRUPTED),
)
"""How the text begins that the model is shown in place of a result, and what that means."""


@dataclass(slots=True)
class Call:
    """A call that has begun, or that only the summary of a batch tells of."""

    id: str
    tool: str
    kind: str
    """What Claude Code calls a tool of that kind."""
    given: Mapping[str, Any]
    agent_id: str
    began: int
    parent: Ref
    path: str = ""
    """The file that the call is about, where the hook says so beside the input."""
    was_asked: bool = False
    """Whether permission was asked for."""
    is_seen: bool = True
    """Whether a PreToolUse told of it, so that its span is open."""
    shown_at: int = 0
    """When the model was shown a text in place of a result; 0 while it was not."""
    shown: str = ""

    @property
    def ref(self) -> Ref:
        """Its span."""
        return Ref("tool", self.id)


@dataclass(slots=True)
class Calls:
    """What is known of a session's calls."""

    unanswered: str = semconv.OUTCOME_BLOCKED
    """Outcome of a call that began and of which nothing tells how it ended."""
    closed: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None])
    """Ids of the last calls that have ended, those of earlier runs included."""
    _open: dict[str, Call] = field(default_factory=dict[str, Call])
    _told: OrderedDict[str, tuple[str, str]] = field(default_factory=OrderedDict[str, tuple[str, str]])
    """What the transcript says by tool_use_id: the outcome of asking for permission, and the text of the result."""
    _unnamed: int = 0

    def __iter__(self) -> Iterator[Call]:
        """Iterate over the calls that are open."""
        return iter(tuple(self._open.values()))

    def begin(self, payload: Payload, at: int, parent: Callable[[], Ref]) -> list[Step]:
        """Begin a call (PreToolUse), unless its end was told before."""
        call_id = _id_of(payload)
        if call_id in self.closed or call_id in self._open:
            return []
        return [_begun(self._new(payload, call_id, at, parent()))]

    def end(self, payload: Payload, at: int, parent: Callable[[], Ref]) -> list[Step]:
        """End a call (PostToolUse, PostToolUseFailure); ``parent`` is asked if nobody saw it begin."""
        call, duration = self._find(payload), _nanoseconds(payload.get("duration_ms"))
        steps: list[Step] = []
        if call is None:
            call_id = _id_of(payload)
            if call_id in self.closed:
                return []
            call = self._new(payload, call_id, at - (duration or 0), parent())
            call.is_seen = False
        if not call.is_seen:
            steps.append(_begun(call))
        self._close(call)
        return [*steps, _ended(call, payload, at if duration is None else call.began + duration)]

    def deny(self, payload: Payload, at: int) -> list[Step]:
        """End a call that was refused (PermissionDenied)."""
        call = self._find(payload)
        if call is None:
            return []
        self._close(call)
        about = {semconv.ERROR_TYPE: PERMISSION_DENIED}
        return [End(call.ref, at, semconv.OUTCOME_DENIED, str(payload.get("reason") or ""), about)]

    def ask(self, payload: Payload) -> Ref | None:
        """Note that permission was asked for (a PermissionRequest has no tool_use_id) and return the call's span."""
        alike = [call for call in self._open.values() if _is_of(call, payload) and call.given == _given(payload)]
        found = next((call for call in alike if not call.was_asked), None)
        if found is None:
            return None
        found.was_asked = True
        return found.ref

    def was_asked(self, payload: Payload) -> bool:
        """Tell whether permission was asked for such a call before."""
        asked = (call for call in self._open.values() if call.was_asked and _is_of(call, payload))
        return any(call.given == _given(payload) for call in asked)

    def show(self, payload: Payload, at: int, parent: Callable[[], Ref]) -> None:
        """Note what the model is shown of a batch's calls (PostToolBatch); those without a result wait for `settle`."""
        for told in members(payload.get("tool_calls")):
            if not isinstance(told, Mapping):
                continue
            one = cast("Payload", told)
            call_id = _id_of(one)
            if not call_id or call_id in self.closed:
                continue
            call = self._open.get(call_id)
            if call is None:
                call = self._new({**one, "agent_id": payload.get("agent_id")}, call_id, at, parent())
                call.is_seen = False
            call.shown_at, call.shown = at, _text_of(one.get("tool_response"))

    def told(self, fact: Mapping[str, Any]) -> None:
        """Note what the transcript says of a call: a decision on permission, the text of its result."""
        call_id = str(fact.get("tool_use_id") or "")
        outcome, text = self._told.get(call_id, ("", ""))
        if fact.get("kind") == "decision":
            by_hook = fact.get("source") == "hook"
            refusal = semconv.OUTCOME_BLOCKED if by_hook else semconv.OUTCOME_DENIED
            outcome = refusal if fact.get("decision") in _REFUSALS else semconv.OUTCOME_OK
        self._told[call_id] = (outcome, str(fact.get("text") or text))
        if len(self._told) > _MAX_REMEMBERED:
            self._told.popitem(last=False)

    def is_closed(self, call_id: str) -> bool:
        """Tell whether a call has ended."""
        return call_id in self.closed

    def known(self, call_id: str) -> Call | None:
        """Return an open call."""
        return self._open.get(call_id)

    def spawning(self, kind: str) -> list[Call]:
        """Return the open calls that may have started a sub-agent of some type."""
        return [
            call
            for call in self._open.values()
            if call.kind in _SPAWNING and (not kind or call.given.get("subagent_type") in (None, kind))
        ]

    @property
    def are_unsettled(self) -> bool:
        """Whether there are calls whose end follows from what else is known."""
        return any(call.shown_at for call in self._open.values())

    @property
    def are_decided(self) -> bool:
        """Whether the transcript has been read as far as it tells of all these."""
        return all(call.id in self._told for call in self._open.values() if call.shown_at)

    def settle(self, stopped: Mapping[str, int]) -> list[Step]:
        """End the calls that will get no result any more.

        Args:
            stopped: when an agent stopped, by agent id, empty for the main one; its calls have ended too.
        """
        steps: list[Step] = []
        for call in self:
            at = call.shown_at or max(call.began, stopped.get(call.agent_id, 0))
            if call.shown_at or stopped.get(call.agent_id, 0) >= call.began:
                if not call.is_seen:
                    steps.append(_begun(call))
                self._close(call)
                steps.append(self._verdict(call, at))
        return steps

    def close(self, at: int, outcome: str) -> list[Step]:
        """End all calls in one way, the last first."""
        calls = tuple(self)
        for call in calls:
            self._close(call)
        return [End(call.ref, max(at, call.began), outcome) for call in reversed(calls)]

    def _verdict(self, call: Call, at: int) -> End:
        outcome, text = self._told.get(call.id, ("", ""))
        text = call.shown or text
        if outcome in ("", semconv.OUTCOME_OK):
            shown = next((meaning for begin, meaning in _SHOWN if text.startswith(begin)), "")
            otherwise = self.unanswered if call.is_seen else semconv.OUTCOME_UNKNOWN
            was_refused = call.was_asked and not outcome
            outcome = semconv.OUTCOME_DENIED if was_refused else shown or otherwise
        kind = PERMISSION_DENIED if outcome == semconv.OUTCOME_DENIED else outcome
        attributes = {semconv.ERROR_TYPE: kind} if outcome in semconv.FAILED_OUTCOMES else {}
        return End(call.ref, at, outcome, text, attributes)

    def _new(self, payload: Payload, call_id: str, at: int, parent: Ref) -> Call:
        if not call_id:
            self._unnamed += 1  # the session's next run counts anew, and its calls are others
            call_id = f"unnamed-{at}-{self._unnamed}"
        tool, path = str(payload.get("tool_name") or ""), str(payload.get("file_path") or "")
        kind = str(payload.get("tool_kind") or tool)
        call = Call(call_id, tool, kind, _given(payload), _agent_of(payload), at, parent, path)
        self._open[call_id] = call
        return call

    def _find(self, payload: Payload) -> Call | None:
        call_id = _id_of(payload)
        if call_id:
            return self._open.get(call_id)
        alike = [call for call in self._open.values() if _is_of(call, payload)]
        return next((call for call in alike if call.given == _given(payload)), alike[0] if alike else None)

    def _close(self, call: Call) -> None:
        self._open.pop(call.id, None)
        self.closed[call.id] = None
        if len(self.closed) > _MAX_REMEMBERED:
            self.closed.popitem(last=False)


def _begun(call: Call) -> Begin:
    given = {"file_path": call.path, **call.given} if call.path else call.given
    attributes = {semconv.TOOL_CALL_ID: call.id, **tool_details.of_call(call.kind, given)}
    return Begin(call.ref, call.began, call.tool, call.parent, call.given, attributes=attributes)


def _ended(call: Call, payload: Payload, at: int) -> End:
    if payload.get("is_interrupt"):
        return End(call.ref, at, semconv.OUTCOME_INTERRUPTED, str(payload.get("error") or ""))
    if "error" in payload:
        text = content.to_text(payload["error"])
        attributes = {semconv.ERROR_TYPE: TOOL_ERROR, **tool_details.of_failure(call.kind, text)}
        return End(call.ref, at, semconv.OUTCOME_ERROR, text or "the tool failed", attributes)
    response = payload.get("tool_response")
    attributes = tool_details.of_result(call.kind, response)
    if response is not None:
        attributes[semconv.TOOL_CALL_RESULT] = content.to_text(tool_details.shown(response))
    return End(call.ref, at, attributes=attributes)


def _id_of(payload: Payload) -> str:
    found = payload.get("tool_use_id")
    return found if isinstance(found, str) else ""


def _agent_of(payload: Payload) -> str:
    return str(payload.get("agent_id") or "")


def _given(payload: Payload) -> Mapping[str, Any]:
    given = payload.get("tool_input")
    return cast("Mapping[str, Any]", given) if isinstance(given, Mapping) else {} if given is None else {"value": given}


def _is_of(call: Call, payload: Payload) -> bool:
    return call.agent_id == _agent_of(payload) and call.tool == payload.get("tool_name")


def _text_of(shown: object) -> str:
    """Return the text of what the model is shown: text, or a list of content blocks."""
    if isinstance(shown, str):
        return shown
    if isinstance(shown, list):
        blocks = [cast("Payload", block) for block in cast("list[object]", shown) if isinstance(block, Mapping)]
        return "\n".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
    return "" if shown is None else json.dumps(shown)


def _nanoseconds(milliseconds: object) -> int | None:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, (int, float)):
        return None
    return int(milliseconds * 1_000_000) if 0 <= milliseconds < _MAX_DURATION else None
