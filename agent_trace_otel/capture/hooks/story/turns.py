"""The turns of a coding agent's session: what a prompt sets off, until the agent stops.

Comes in: prompts, answers, failures. Goes out: the steps of the turns' spans. Pure; part of `claude_code`. A turn opens
with a prompt, or with a call that no prompt announced; more prompts may come into it. It is over when the agent stops,
and its span ends when the transcript was read, or when the next thing happens: somebody's Stop hook may send the agent
on, which is another turn of the same prompt.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent_trace_otel import semconv
from agent_trace_otel.capture.hooks.story.steps import RUN, Begin, End, Follow, FollowContext, Point, Ref, Step
from agent_trace_otel.spans import messages_json

NOTIFICATION: Final = "task_notification"
_NOTIFICATION: Final = re.compile(r"\s*<task-notification>")
_MAX_PROMPTS: Final = 2048
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
    """Type and message of what made it fail, as the client says."""
    last_error: tuple[str, str] = ("", "")
    """The same of its last model call, empty if that went well."""

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

    def end(self, at: int = 0, *, otherwise: str = semconv.OUTCOME_UNKNOWN) -> End:
        """End its span, at ``at`` and with the outcome ``otherwise`` if the agent has not stopped by itself."""
        attributes: dict[str, Any] = {}
        if self.said:
            attributes[semconv.OUTPUT_MESSAGES] = messages_json("assistant", self.said)
        kind, message = self.last_error if self.last_error[0] else self.failure  # the API's own word says more
        if kind:
            attributes[semconv.ERROR_TYPE] = kind
            return End(self.ref, self.stopped_at or at, semconv.OUTCOME_ERROR, message or kind, attributes)
        if self.stopped_at:
            return End(self.ref, self.stopped_at, attributes=attributes)
        return End(self.ref, max(at, self.prompts[0].at), otherwise, attributes=attributes)


class PlacesOfPrompts:
    """The turns of prompt ids, the last ones: where what the transcript tells of a prompt belongs."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, list[tuple[int, Ref]]] = OrderedDict()

    def __contains__(self, prompt_id: str) -> bool:
        """Tell whether a prompt has come into a turn."""
        return prompt_id in self._turns

    def add(self, prompt_id: str, began: int, turn: Ref) -> None:
        """Note that a prompt belongs to a turn that began at ``began``."""
        if prompt_id:
            self._turns.setdefault(prompt_id, []).append((began, turn))
            if len(self._turns) > _MAX_PROMPTS:
                self._turns.popitem(last=False)

    def of(self, prompt_id: str, at: int | None = None) -> Ref | None:
        """Return a prompt's turn, the last one, or the one that it was at some time."""
        turns = self._turns.get(prompt_id)
        if not turns:
            return None
        return next((ref for began, ref in reversed(turns) if at is None or began <= at), turns[0][1])

    def count(self, prompt_id: str) -> int:
        """Return how many turns a prompt has set off: the first has its id for a key, the others add their number."""
        keys = (ref.key.partition("#") for _, ref in self._turns.get(prompt_id, ()))
        numbers = (number or "1" for first, _, number in keys if first == prompt_id)
        return max((int(number) for number in numbers if number.isdecimal()), default=0)

    def to_data(self, count: int) -> list[list[Any]]:
        """Return the last ``count``, JSON-able."""
        return [[prompt, *found[-1]] for prompt, found in self._turns.items()][-count:]

    @classmethod
    def from_data(cls, data: Any) -> PlacesOfPrompts:  # noqa: ANN401 - JSON
        """Read them back."""
        places = cls()
        for prompt, began, ref in data:
            places.add(str(prompt), int(began), Ref("turn", str(ref[1])))
        return places


class Turns:
    """The turns of one run.

    Args:
        agent: the agent's name.
        traceparent: the context that the run was started in; another one is the client's own telemetry.
        places: the turns of prompts, those of earlier runs included.
    """

    def __init__(self, agent: str, traceparent: str, places: PlacesOfPrompts) -> None:
        self.current: Turn | None = None
        self._stopped: list[Turn] = []
        """Turns that have stopped and end when the transcript was read."""
        self._agent = agent
        self._traceparent = traceparent
        self._places = places
        self._counts: Counter[str] = Counter()
        """How often each key was used."""
        self._stopped_at = 0
        """When the last turn stopped."""

    @property
    def here(self) -> Ref:
        """The span that things happen on just now."""
        latest = self.current or (self._stopped[-1] if self._stopped else None)
        return latest.ref if latest is not None else RUN

    @property
    def are_stopped(self) -> bool:
        """Whether there are turns that have stopped and not ended."""
        return bool(self._stopped)

    @property
    def stopped_at(self) -> int:
        """When the last turn stopped."""
        return self._stopped_at

    @property
    def said(self) -> str:
        """What was said last before the agent stopped, empty when it has not or something came after that."""
        return self._stopped[-1].said if self._stopped and self.current is None else ""

    def prompt(self, payload: Mapping[str, Any], at: int, traceparent: str) -> list[Step]:
        """Take a prompt: it opens a turn, or comes into the one that is open."""
        prompt = Prompt.of(payload, at, traceparent)
        steps: list[Step] = []
        if self.current is None:
            steps += self._open([prompt])
        else:
            self.current.prompts.append(prompt)
            steps += self._enter(self.current, prompt)
        source = {semconv.PROMPT_SOURCE: prompt.source} if prompt.source else {}
        return [*steps, Point(self.here, at, semconv.USER_PROMPT_EVENT, {semconv.TEXT: prompt.text, **source})]

    def place(self, payload: Mapping[str, Any], at: int) -> list[Step]:
        """Make sure that there is a turn for what happens at ``at``."""
        if self._stopped and self.current is None and at <= self._stopped_at:
            return []  # a straggler of the turn that has stopped
        return self._open_unannounced(str(payload.get("prompt_id") or ""), at)

    def stop(self, payload: Mapping[str, Any], at: int) -> list[Step]:
        """Take a Stop: the agent has said its last word, unless somebody's hook sends it on."""
        said = str(payload.get("last_assistant_message") or "")
        steps, turn = self._halt(payload, at)
        if turn is not None:
            turn.said = said
        if said:
            ref = turn.ref if turn is not None else RUN
            steps.append(Point(ref, at, semconv.ASSISTANT_RESPONSE_EVENT, {semconv.TEXT: said}))
        return steps

    def fail(self, payload: Mapping[str, Any], at: int) -> list[Step]:
        """Take a StopFailure. It runs beside the hook of the next prompt, which may have come in already."""
        kind = str(payload.get("error") or "") or semconv.OUTCOME_ERROR
        said = str(payload.get("last_assistant_message") or payload.get("error_details") or "")
        later = self._take_later(str(payload.get("prompt_id") or ""))
        steps, turn = self._halt(payload, min([at, *(prompt.at for prompt in later)]))
        if turn is not None:
            turn.failure = turn.failure if turn.failure[0] else (kind, said)
        return [*steps, *self._open(later)] if later else steps

    def end_stopped(self) -> list[Step]:
        """End the turns in which the agent has stopped."""
        stopped, self._stopped = self._stopped, []
        return [turn.end() for turn in stopped]

    def end(self, at: int, outcome: str) -> list[Step]:
        """End all turns however they stand, with this outcome unless it is known to be another."""
        steps = self.end_stopped()
        turn, self.current = self.current, None
        return [*steps, turn.end(at, otherwise=outcome)] if turn is not None else steps

    def last_call(self, ref: Ref, error: Mapping[str, Any]) -> None:
        """Note how the last model call of a turn went; ``error`` is empty if well."""
        for turn in self._known(ref):
            turn.last_error = _type_and_message(error)

    def failed(self, ref: Ref, error: Mapping[str, Any]) -> None:
        """Note what else a turn failed of, as the transcript says."""
        for turn in self._known(ref):
            turn.failure = _type_and_message(error)

    def _known(self, ref: Ref) -> list[Turn]:
        return [turn for turn in (*self._stopped, self.current) if turn is not None and turn.ref == ref]

    def _open(self, prompts: list[Prompt]) -> list[Step]:
        first = prompts[0]
        key = first.id or f"{first.at}"
        self._counts[key] = count = max(self._counts[key], self._places.count(first.id)) + 1
        before = self._places.of(first.id) if count > 1 else None
        self.current = turn = Turn(key if count == 1 else f"{key}#{count}", self._agent, prompts)
        steps: list[Step] = [turn.begin(before)]
        for number, prompt in enumerate(prompts):
            steps += self._enter(turn, prompt, is_first=number == 0)
        return steps

    def _open_unannounced(self, prompt_id: str, at: int) -> list[Step]:
        """Open a turn for what no prompt announced; if the prompt's turn has stopped, this goes on with it."""
        if self.current is not None:
            return []
        began = self._stopped_at if prompt_id in self._places else 0
        return self._open([Prompt(prompt_id, began or at)])

    def _enter(self, turn: Turn, prompt: Prompt, *, is_first: bool = False) -> list[Step]:
        self._places.add(prompt.id, turn.prompts[0].at, turn.ref)
        steps: list[Step] = []
        if prompt.cause is not None and not is_first:
            steps.append(Follow(turn.ref, prompt.cause))
        if prompt.traceparent and prompt.traceparent != self._traceparent:
            steps.append(FollowContext(turn.ref, prompt.traceparent))
        return steps

    def _halt(self, payload: Mapping[str, Any], at: int) -> tuple[list[Step], Turn | None]:
        """Let the turn stop; one that nobody announced was one all the same."""
        prompt_id = str(payload.get("prompt_id") or "")
        if self.current is None and prompt_id in self._places and not payload.get("stop_hook_active"):
            return [], None  # told twice
        steps = self._open_unannounced(prompt_id, at)
        turn, self.current = self.current, None
        if turn is not None:
            self._stopped_at = turn.stopped_at = max(at, turn.prompts[0].at)
            self._stopped.append(turn)
        return steps, turn

    def _take_later(self, prompt_id: str) -> list[Prompt]:
        """Take those prompts out of the turn that came after another one of it."""
        prompts = self.current.prompts if self.current is not None else []
        last = max((number for number, prompt in enumerate(prompts) if prompt.id == prompt_id), default=len(prompts))
        later = prompts[last + 1 :]
        del prompts[last + 1 :]
        return later


def _type_and_message(error: Mapping[str, Any]) -> tuple[str, str]:
    return str(error.get("type", "")), str(error.get("message", ""))
