"""Claude Code's hook payloads and transcript facts -> steps: which spans begin, end and learn what, and when.

Comes in: one run of a session, event by event, each with the time at which its hook began; the facts that `transcript`
reads; word that it was read. Goes out: steps for `reported`. Pure: no clock, no file. Other agents' payloads come in
the same shape (`dialects`).

    session run   first event .. SessionEnd
    turn          UserPromptSubmit, or a tool call that none announced .. Stop, StopFailure
    sub-agent     SubagentStart .. SubagentStop, under the Agent call that started it, which it may outlive
    tool call     see `calls`
    model call    a fact, under its turn or sub-agent; kept until that is known

What follows from an event only together with the transcript waits for `settle`.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from agent_trace_otel import content, semconv
from agent_trace_otel.capture.hooks import model_calls
from agent_trace_otel.capture.hooks.calls import Calls
from agent_trace_otel.capture.hooks.steps import (
    RUN,
    End,
    Follow,
    FollowContext,
    FollowSession,
    Learn,
    Point,
    Ref,
    Step,
)
from agent_trace_otel.capture.hooks.sub_agents import SubAgent, SubAgents
from agent_trace_otel.capture.hooks.turns import Prompt, Turn
from agent_trace_otel.spans import messages_json

Payload = Mapping[str, Any]
Fact = Mapping[str, Any]

_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ABOUT_AGENTS: Final = frozenset({"SubagentStart", "SubagentStop"})
_MAX_TURNS: Final = 2048
_MAX_HELD: Final = 2048
_MAX_KEPT: Final = 64
_PLACE: Final = frozenset(
    {"session_id", "transcript_path", "agent_transcript_path", "cwd", "hook_event_name", "prompt_id", "permission_mode",
     "effort", "agent_id", "agent_type", "tool_use_id"}
)  # fmt: skip
"""Members of a payload that say where it belongs; the others are the event's own."""


@dataclass(slots=True)
class Carried:
    """What one run of a session leaves to the next."""

    cost: float = 0.0
    """What the session has cost so far in US dollars, as the client counts."""
    turns: OrderedDict[str, list[tuple[int, Ref]]] = field(default_factory=OrderedDict[str, list[tuple[int, Ref]]])
    """The turns of each prompt id, the last ones, with the times at which they began: one may go on after its end."""
    agents: SubAgents = field(default_factory=SubAgents)
    held: list[Fact] = field(default_factory=list[Fact])
    """Model calls of turns and sub-agents that no hook has told of yet."""

    def to_data(self) -> dict[str, Any]:
        """Return what a later recorder needs of it, JSON-able."""
        turns = [[prompt, *found[-1]] for prompt, found in self.turns.items()][-_MAX_KEPT:]
        return {"cost": self.cost, "turns": turns}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Carried:
        """Read it back."""
        told = data.get("turns", ())
        turns = OrderedDict((str(prompt), [(int(began), Ref("turn", str(ref[1])))]) for prompt, began, ref in told)
        return cls(float(data.get("cost", 0.0)), turns)


class ClaudeCode:
    """One run of one session.

    Args:
        agent: the agent's name.
        provider: who serves its model, None if that is not known.
        unanswered: the outcome of a call that began and of which nothing tells how it ended.
        traceparent: the context that the run itself was started in; another one later is the client's own telemetry.
        carried: what the runs before left.
    """

    def __init__(
        self,
        agent: str,
        *,
        provider: str | None = None,
        unanswered: str = semconv.OUTCOME_BLOCKED,
        traceparent: str = "",
        carried: Carried | None = None,
    ) -> None:
        self.agent = agent
        self.is_over = False
        self.carried = carried or Carried()
        """What this run leaves to the next."""
        self._provider = provider
        self._traceparent = traceparent
        self._cost_before = self.carried.cost
        self._turn: Turn | None = None
        self._stopped_at = 0
        """When the turn before stopped."""
        self._turns = self.carried.turns
        self._turn_keys: Counter[str] = Counter()
        self._agents = self.carried.agents
        self._calls = Calls(unanswered)
        self._last_said = ""
        self._ending_at = 0
        self._cost_is_told = False

    # -- what comes in -------------------------------------------------------------------------------------------

    def hook(self, payload: Payload, at: int, traceparent: str = "") -> list[Step]:
        """Take one event, ``at`` unix nanoseconds; ``traceparent`` is that of the hook's environment."""
        name = str(payload.get("hook_event_name") or "")
        agent_id = str(payload.get("agent_id") or "")
        if agent_id and name not in _ABOUT_AGENTS:
            agent = self._agents.of(agent_id, str(payload.get("agent_type") or ""), at)
            if not agent.is_placed:
                agent.waiting.append((payload, at, traceparent))
                return []
            steps = self._begin(agent)
            return [*steps, *self._take(name, payload, at, traceparent)]
        return self._take(name, payload, at, traceparent)

    def _take(self, name: str, payload: Payload, at: int, traceparent: str) -> list[Step]:
        take = self._EVENTS.get(name)
        return self._other(payload, at, traceparent) if take is None else take(self, payload, at, traceparent)

    def learn(self, facts: Sequence[Fact]) -> list[Step]:
        """Take what a transcript tells."""
        steps: list[Step] = []
        for fact in facts:
            take = self._FACTS.get(str(fact.get("kind")))
            steps += take(self, fact) if take is not None else []
        return steps

    def needs(self, fact: Fact) -> bool:
        """Tell whether a fact could change anything: most results are known from the hooks."""
        return fact.get("kind") != "result" or not self._calls.is_closed(str(fact.get("tool_use_id")))

    @property
    def awaits_settling(self) -> bool:
        """Whether something follows from the transcript that is read now."""
        stopped = self._turn is not None and self._turn.stopped_at > 0
        return stopped or self._ending_at > 0 or self._calls.are_unsettled

    @property
    def is_ending(self) -> bool:
        """Whether the session's end was told."""
        return self._ending_at > 0

    @property
    def is_informed(self) -> bool:
        """Whether the transcript was read as far as that: it lags behind the events."""
        said = self._turn.said if self._turn is not None and self._turn.stopped_at else ""
        is_said = not said or self._last_said.endswith(said)
        return is_said and self._calls.are_decided and (self._cost_is_told or not self._ending_at)

    @property
    def unplaced_agents(self) -> list[str]:
        """Ids of sub-agents of which it is not known who started them; their note beside the transcript tells."""
        return [agent.id for agent in self._agents.unplaced()]

    def settle(self) -> list[Step]:
        """Tell what follows, now that the transcript was read."""
        steps = self._place_all()
        stopped = self._agents.stopped()
        if self._turn is not None and self._turn.stopped_at:
            stopped[""] = self._turn.stopped_at
        steps += self._calls.settle(stopped)
        steps += self._end_stopped_turn()
        if self._ending_at:
            is_interrupted = bool(tuple(self._calls))
            steps += self._calls.close(self._ending_at, semconv.OUTCOME_INTERRUPTED)
            steps += self._agents.close(self._ending_at, semconv.OUTCOME_INTERRUPTED)
            outcome = semconv.OUTCOME_INTERRUPTED if is_interrupted else semconv.OUTCOME_UNKNOWN
            steps += self._finish(self._ending_at, outcome, semconv.OUTCOME_OK)
        return steps

    def lose(self, at: int) -> list[Step]:
        """Tell the end of a run whose client is gone without a word; ``at`` is when it was last heard of.

        Model calls that nobody can place yet are left to the next run, should there be one.
        """
        lost = semconv.OUTCOME_LOST
        steps = [*self._place_all(), *self._end_stopped_turn()]
        steps += [*self._calls.close(at, lost), *self._agents.close(at, lost)]
        return [*steps, *self._finish(at, lost, lost)]

    def _finish(self, at: int, of_turn: str, of_run: str) -> list[Step]:
        steps: list[Step] = []
        if self._turn is not None:
            steps.append(self._turn.end(at, otherwise=of_turn))
            self._turn = None
        if of_run != semconv.OUTCOME_LOST:
            for call in self.carried.held:
                steps += self._model_call(call, RUN)
            self.carried.held.clear()
        self.is_over = True
        # a client that was killed may begin to count anew
        spent = self.carried.cost - (self._cost_before if self.carried.cost >= self._cost_before else 0.0)
        attributes = {semconv.SESSION_COST: round(spent, 9)} if self._cost_is_told else {}
        return [*steps, End(RUN, at, of_run, attributes=attributes)]

    # -- turns ---------------------------------------------------------------------------------------------------

    def _prompt(self, payload: Payload, at: int, traceparent: str) -> list[Step]:
        prompt = Prompt.of(payload, at, traceparent)
        steps: list[Step] = []
        steps += self._end_stopped_turn()
        if self._turn is None:
            steps += self._open_turn([prompt])
        else:
            self._turn.prompts.append(prompt)
            steps += self._joined(self._turn, prompt)
        source = {semconv.PROMPT_SOURCE: prompt.source} if prompt.source else {}
        steps.append(Point(self._here(), at, semconv.USER_PROMPT_EVENT, {semconv.TEXT: prompt.text, **source}))
        return steps

    def _is_in_turn(self, prompt_id: str) -> bool:
        return self._turn is not None and bool(prompt_id) and prompt_id in {one.id for one in self._turn.prompts}

    def _open_turn(self, prompts: list[Prompt]) -> list[Step]:
        first = prompts[0]
        key = first.id or f"{first.at}"
        self._turn_keys[key] += 1
        count = self._turn_keys[key]
        before = self._turns[first.id][-1][1] if count > 1 and first.id in self._turns else None
        self._turn = turn = Turn(key if count == 1 else f"{key}#{count}", self.agent, prompts)
        steps: list[Step] = [turn.begin(before)]
        steps += [Follow(turn.ref, one.cause) for one in prompts[1:] if one.cause is not None]
        for one in prompts:
            steps += self._entered(turn, one)
        return steps

    def _joined(self, turn: Turn, prompt: Prompt) -> list[Step]:
        steps: list[Step] = [Follow(turn.ref, prompt.cause)] if prompt.cause is not None else []
        return [*steps, *self._entered(turn, prompt)]

    def _entered(self, turn: Turn, prompt: Prompt) -> list[Step]:
        """Note whose prompt it is, for the model calls that the transcript tells by prompt."""
        steps: list[Step] = []
        if prompt.traceparent and prompt.traceparent != self._traceparent:
            steps.append(FollowContext(turn.ref, prompt.traceparent))
        if prompt.id:
            self._turns.setdefault(prompt.id, []).append((turn.prompts[0].at, turn.ref))
            if len(self._turns) > _MAX_TURNS:
                self._turn_keys.pop(self._turns.popitem(last=False)[0], None)
            steps += self._release(lambda call: not call.get("agent_id") and call.get("prompt_id") == prompt.id)
        return steps

    def _stop(self, payload: Payload, at: int, _: str) -> list[Step]:
        said = str(payload.get("last_assistant_message") or "")
        steps = self._halt(payload, at)
        if self._turn is not None:
            self._turn.said = said
        if said:
            steps.append(Point(self._here(), at, semconv.ASSISTANT_RESPONSE_EVENT, {semconv.TEXT: said}))
        return steps

    def _stop_failure(self, payload: Payload, at: int, _: str) -> list[Step]:
        kind = str(payload.get("error") or "") or semconv.OUTCOME_ERROR
        said = str(payload.get("last_assistant_message") or payload.get("error_details") or "")
        prompt_id = str(payload.get("prompt_id") or "")
        if self._turn is not None and self._is_in_turn(prompt_id) and self._turn.prompts[-1].id != prompt_id:
            return self._split(prompt_id, at, (kind, said))
        steps = self._halt(payload, at)
        if self._turn is not None:
            self._turn.fail(kind, said)
        return steps

    def _halt(self, payload: Payload, at: int) -> list[Step]:
        """Let the turn stop; one that nobody announced was one all the same."""
        is_continued = bool(payload.get("stop_hook_active"))
        steps = self._end_stopped_turn() if is_continued else []
        if self._turn is None:
            prompt_id = str(payload.get("prompt_id") or "")
            if prompt_id in self._turns and not is_continued:
                return []  # told twice
            steps += self._open_turn([Prompt(prompt_id, self._goes_on_from(prompt_id) or at)])
        if self._turn is not None:
            self._turn.stopped_at = max(at, self._turn.prompts[0].at)
        return steps

    def _goes_on_from(self, prompt_id: str) -> int:
        """Return when the turn stopped that somebody's Stop hook sent on, 0 if this is none of that."""
        return self._stopped_at if prompt_id in self._turns else 0

    def _split(self, prompt_id: str, at: int, failure: tuple[str, str]) -> list[Step]:
        """End a turn that failed when the next prompt had come in already: both hooks run at the same time."""
        turn = self._turn
        if turn is None:
            return []
        last = max(n for n, one in enumerate(turn.prompts) if one.id == prompt_id)
        turn.prompts, later = turn.prompts[: last + 1], turn.prompts[last + 1 :]
        turn.stopped_at = max(min(at, later[0].at), turn.prompts[0].at)
        turn.fail(*failure)
        return [*self._end_stopped_turn(), *self._open_turn(later)]

    def _end_stopped_turn(self) -> list[Step]:
        turn = self._turn
        if turn is None or not turn.stopped_at:
            return []
        self._turn, self._stopped_at = None, turn.stopped_at
        return [turn.end()]

    def _where(self, payload: Payload, at: int) -> tuple[list[Step], Ref]:
        """Return where a call of the payload belongs, with the steps that make that place."""
        agent_id = str(payload.get("agent_id") or "")
        if agent_id:
            agent = self._agents.start(agent_id, "", at)
            return self._begin(agent), agent.ref
        steps: list[Step] = []
        prompt_id = str(payload.get("prompt_id") or "")
        if self._turn is not None and self._turn.stopped_at and at > self._turn.stopped_at:
            steps += self._end_stopped_turn()
        if self._turn is None:
            steps += self._open_turn([Prompt(prompt_id, self._goes_on_from(prompt_id) or at)])
        return steps, self._turn.ref if self._turn is not None else RUN

    def _here(self) -> Ref:
        return self._turn.ref if self._turn is not None else RUN

    # -- tool calls ----------------------------------------------------------------------------------------------

    def _begin_call(self, payload: Payload, at: int, _: str) -> list[Step]:
        places: list[Step] = []
        steps = self._calls.begin(payload, at, self._maker(payload, at, places))
        return [*places, *steps]

    def _end_call(self, payload: Payload, at: int, _: str) -> list[Step]:
        places: list[Step] = []
        started = self._agents.started_by(payload)
        steps = self._calls.end(payload, at, self._maker(payload, at, places))
        return [*places, *steps, *(self._begin(started) if started is not None else [])]

    def _maker(self, payload: Payload, at: int, places: list[Step]) -> Callable[[], Ref]:
        """Return what makes the place of a call, should it have to begin; the steps go to ``places``."""

        def place() -> Ref:
            steps, ref = self._where(payload, at)
            places.extend(steps)
            return ref

        return place

    def _show_batch(self, payload: Payload, at: int, _: str) -> list[Step]:
        places: list[Step] = []
        self._calls.show(payload, at, self._maker(payload, at, places))
        return places

    def _ask(self, payload: Payload, at: int, _: str) -> list[Step]:
        ref = self._calls.ask(payload) or self._place_of(payload, at)
        return [Point(ref, at, semconv.PERMISSION_REQUEST_EVENT, _detail(payload))]

    # -- sub-agents ----------------------------------------------------------------------------------------------

    def _start_agent(self, payload: Payload, at: int, _: str) -> list[Step]:
        agent = self._agents.start(str(payload.get("agent_id") or ""), str(payload.get("agent_type") or ""), at)
        return self._begin(agent)

    def _stop_agent(self, payload: Payload, at: int, traceparent: str) -> list[Step]:
        agent_id, kind = str(payload.get("agent_id") or ""), str(payload.get("agent_type") or "")
        known = self._agents.known(agent_id)
        if known is None and not kind:  # the client's own, such as the one that compacts; nobody started it
            return [Point(RUN, at, semconv.COMPACTION_EVENT, _detail(payload))]
        agent = known or self._agents.start(agent_id, kind, at)
        if agent.ended_at:
            return []
        if not agent.is_placed:
            agent.waiting.append((payload, at, traceparent))
            return []
        steps = self._begin(agent)
        agent.ended_at = max(at, agent.began)
        said = str(payload.get("last_assistant_message") or "")
        attributes = {semconv.OUTPUT_MESSAGES: messages_json("assistant", said)} if said else {}
        return [*steps, End(agent.ref, agent.ended_at, attributes=attributes)]

    def _place_all(self) -> list[Step]:
        """Let no sub-agent wait any longer for word of who started it."""
        steps: list[Step] = []
        for agent in self._agents.unplaced():
            self._agents.told(agent.id, "", self._calls)
            steps += self._begin(agent)
        return steps

    def _begin(self, agent: SubAgent) -> list[Step]:
        """Begin a sub-agent's span once it is known where it belongs, and tell what waited for that."""
        if agent.is_begun or not agent.is_placed:
            return []
        agent.is_begun = True
        steps: list[Step] = [agent.begin(self._here())]
        steps += self._release(lambda call: call.get("agent_id") == agent.id)
        waiting, agent.waiting = agent.waiting, []
        for payload, at, traceparent in waiting:
            steps += self.hook(payload, at, traceparent)
        return steps

    # -- the run and the rest ------------------------------------------------------------------------------------

    def _start(self, payload: Payload, at: int, traceparent: str) -> list[Step]:
        source = str(payload.get("source") or "")
        if source == "compact":
            return self._other(payload, at, traceparent)
        steps: list[Step] = [Learn(RUN, {semconv.START_SOURCE: source})] if source else []
        return [*steps, FollowSession("")] if source == "clear" else steps

    def _end(self, payload: Payload, at: int, _: str) -> list[Step]:
        self._ending_at = at
        reason = str(payload.get("reason") or "")
        return [Learn(RUN, {semconv.END_REASON: reason})] if reason else []

    def _interrupt(self, payload: Payload, at: int, traceparent: str) -> list[Step]:
        steps = self._calls.close(at, semconv.OUTCOME_INTERRUPTED)
        if self._turn is not None:
            steps.append(self._turn.end(at, otherwise=semconv.OUTCOME_INTERRUPTED))
            self._turn = None
        return [*steps, *self._other(payload, at, traceparent)]

    def _compact(self, payload: Payload, at: int, _: str) -> list[Step]:
        return [Point(RUN, at, semconv.COMPACTION_EVENT, _detail(payload))]

    def _other(self, payload: Payload, at: int, _: str) -> list[Step]:
        """Keep an event that says nothing of spans, one that nobody knows included."""
        name = str(payload.get("hook_event_name") or "")
        attributes = {semconv.HOOK_NAME: name, **_detail(payload)}
        return [Point(self._place_of(payload, at), at, f"{semconv.HOOK_EVENT}.{_snake(name)}", attributes)]

    def _place_of(self, payload: Payload, at: int) -> Ref:
        agent_id = str(payload.get("agent_id") or "")
        if agent_id:
            return self._agents.of(agent_id, "", at).ref
        return self._here() if payload.get("prompt_id") else RUN  # what names no prompt is the session's

    # -- facts ---------------------------------------------------------------------------------------------------

    def _model_call_fact(self, call: Fact) -> list[Step]:
        agent_id, prompt_id = str(call.get("agent_id") or ""), str(call.get("prompt_id") or "")
        if agent_id:
            agent = self._agents.at(agent_id, call["started_ns"])
            if agent is not None and agent.is_begun:
                return self._model_call(call, agent.ref, agent.attributes)
        elif prompt_id in self._turns:
            turns = self._turns[prompt_id]
            latest = next((ref for began, ref in reversed(turns) if began <= call["started_ns"]), turns[0][1])
            return self._model_call(call, latest)
        self.carried.held.append(call)
        return self._model_call(self.carried.held.pop(0), RUN) if len(self.carried.held) > _MAX_HELD else []

    def _model_call(self, call: Fact, parent: Ref, of_agent: Mapping[str, Any] | None = None) -> list[Step]:
        if not of_agent:
            self._last_said = model_calls.text_of(call)
            if self._turn is not None and parent == self._turn.ref:
                self._turn.last_call(call.get("error") or {})
        return [*model_calls.steps_of(call, parent, of_agent or {}, self._provider)]

    def _release(self, is_wanted: Callable[[Fact], bool]) -> list[Step]:
        wanted = [call for call in self.carried.held if is_wanted(call)]
        self.carried.held = [call for call in self.carried.held if not is_wanted(call)]
        return [step for call in wanted for step in self._model_call_fact(call)]

    def _call_fact(self, fact: Fact) -> list[Step]:
        self._calls.told(fact)
        return []

    def _cost_fact(self, fact: Fact) -> list[Step]:
        self.carried.cost = float(fact.get("usd", 0.0))
        self._cost_is_told = True
        return []

    def _agent_fact(self, fact: Fact) -> list[Step]:
        agent = self._agents.told(str(fact.get("agent_id")), str(fact.get("tool_use_id") or ""), self._calls)
        return self._begin(agent) if agent is not None else []

    def _origin_fact(self, fact: Fact) -> list[Step]:
        if "usd" in fact:
            self._cost_before = float(fact["usd"])
        session_id = str(fact.get("session_id") or "")
        return [FollowSession(session_id)] if session_id else []

    _EVENTS: ClassVar[Mapping[str, Callable[[ClaudeCode, Payload, int, str], list[Step]]]] = {
        "SessionStart": _start,
        "UserPromptSubmit": _prompt,
        "PreToolUse": _begin_call,
        "PostToolUse": _end_call,
        "PostToolUseFailure": _end_call,
        "PostToolBatch": _show_batch,
        "PermissionRequest": _ask,
        "SubagentStart": _start_agent,
        "SubagentStop": _stop_agent,
        "Stop": _stop,
        "StopFailure": _stop_failure,
        "Interrupt": _interrupt,
        "PreCompact": _compact,
        "PostCompact": _compact,
        "SessionEnd": _end,
    }
    """What each event means; one that is not here is kept as it is."""

    _FACTS: ClassVar[Mapping[str, Callable[[ClaudeCode, Fact], list[Step]]]] = {
        "call": _model_call_fact,
        "decision": _call_fact,
        "result": _call_fact,
        "cost": _cost_fact,
        "agent": _agent_fact,
        "origin": _origin_fact,
    }


def _detail(payload: Payload) -> dict[str, Any]:
    """Return the event's own members as one attribute."""
    own = {name: value for name, value in payload.items() if name not in _PLACE}
    return {semconv.DETAIL: content.to_json(own)} if own else {}


def _snake(name: str) -> str:
    return _WORD.sub("_", name).lower() or "unnamed"
