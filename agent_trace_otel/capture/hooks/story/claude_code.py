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
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from agent_trace_otel import content, semconv
from agent_trace_otel.capture.hooks.story.calls import Calls
from agent_trace_otel.capture.hooks.story.carried import Carried
from agent_trace_otel.capture.hooks.story.model_calls import Place
from agent_trace_otel.capture.hooks.story.steps import RUN, End, FollowSession, Learn, Point, Ref, Step
from agent_trace_otel.capture.hooks.story.sub_agents import SubAgent
from agent_trace_otel.capture.hooks.story.turns import Turns
from agent_trace_otel.spans import messages_json

Payload = Mapping[str, Any]
Fact = Mapping[str, Any]

_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ABOUT_AGENTS: Final = frozenset({"SubagentStart", "SubagentStop"})
_PLACE: Final = frozenset(
    {"session_id", "transcript_path", "agent_transcript_path", "cwd", "hook_event_name", "prompt_id", "permission_mode",
     "effort", "agent_id", "agent_type", "tool_use_id"}
)  # fmt: skip
"""Members of a payload that say where it belongs; the others are the event's own."""


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
        self.is_over = False
        self.carried = carried or Carried()
        """What this run leaves to the next."""
        self._provider = provider
        self._cost_before = self.carried.cost
        self._cost_is_told = self._cost_is_final = False
        self._turns = Turns(agent, traceparent, self.carried.places)
        self._agents = self.carried.agents
        self._model_calls = self.carried.model_calls
        self._calls = Calls(unanswered, self.carried.closed_calls)
        self._ending_at = 0
        self._next_run_at = 0

    # -- what comes in -------------------------------------------------------------------------------------------

    def hook(self, payload: Payload, at: int, traceparent: str = "") -> list[Step]:
        """Take one event, ``at`` unix nanoseconds; ``traceparent`` is that of the hook's environment."""
        name = str(payload.get("hook_event_name") or "")
        agent_id = str(payload.get("agent_id") or "")
        steps: list[Step] = []
        if agent_id and name not in _ABOUT_AGENTS:
            agent = self._agents.of(agent_id, str(payload.get("agent_type") or ""), at)
            if not agent.is_placed:
                agent.waiting.append((payload, at, traceparent))
                return []
            steps += self._begin(agent)
        take = self._EVENTS.get(name, ClaudeCode._other)
        steps += take(self, payload, at, traceparent)
        return [*steps, *self._model_calls.place(self._place_of_call, self._provider)]

    def learn(self, facts: Sequence[Fact]) -> list[Step]:
        """Take what a transcript tells."""
        steps: list[Step] = []
        for fact in facts:
            if self._is_of_next_run(fact):
                self.carried.facts.append(fact)
                continue
            take = self._FACTS.get(str(fact.get("kind")))
            steps += take(self, fact) if take is not None else []
        return [*steps, *self._model_calls.place(self._place_of_call, self._provider)]

    def _is_of_next_run(self, fact: Fact) -> bool:
        """Tell whether a fact was written by a process that goes on with the session: the file is the same."""
        at = fact.get("started_ns") or fact.get("at_ns") or 0
        if 0 < self._next_run_at <= at:
            return True
        # the client writes what the session has cost once more after its last event
        is_late = 0 < self._ending_at < at
        return is_late and (fact.get("kind") == "call" or self._cost_is_final)

    def needs(self, fact: Fact) -> bool:
        """Tell whether a fact could change anything: most results are known from the hooks."""
        return fact.get("kind") != "result" or not self._calls.is_closed(str(fact.get("tool_use_id")))

    def make_room(self, at: int) -> None:
        """Take note that another run of the session waits for the end of this one; it began at ``at``."""
        self._next_run_at = self._next_run_at or at

    @property
    def awaits_settling(self) -> bool:
        """Whether something follows from the transcript that is read now."""
        return self._turns.are_stopped or self._ending_at > 0 or self._calls.are_unsettled

    @property
    def is_ending(self) -> bool:
        """Whether the session's end was told."""
        return self._ending_at > 0

    @property
    def is_informed(self) -> bool:
        """Whether the transcript was read as far as that: it lags behind the events."""
        is_said = self._model_calls.last_said.endswith(self._turns.said)
        return is_said and self._calls.are_decided and (self._cost_is_told or not self._ending_at)

    @property
    def unplaced_agents(self) -> list[str]:
        """Ids of sub-agents of which it is not known who started them; their note beside the transcript tells."""
        return [agent.id for agent in self._agents.unplaced()]

    def settle(self) -> list[Step]:
        """Tell what follows, now that the transcript was read."""
        steps = self._place_all()
        stopped = self._agents.stopped()
        if self._turns.are_stopped:
            stopped[""] = self._turns.stopped_at
        steps += self._calls.settle(stopped)
        steps += self._turns.end_stopped()
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
        steps = [*self._place_all(), *self._turns.end_stopped()]
        steps += [*self._calls.close(at, lost), *self._agents.close(at, lost)]
        return [*steps, *self._finish(at, lost, lost)]

    def _finish(self, at: int, of_turn: str, of_run: str) -> list[Step]:
        steps = self._turns.end(at, of_turn)
        for call in self._model_calls.release():
            # the transcript may have been read ahead of the hooks of the next run
            if of_run == semconv.OUTCOME_LOST or self._is_of_next_run(call):
                self.carried.facts.append(call)
            else:
                steps += self._model_calls.take(call, lambda _: (RUN, {}), self._provider)
        self.is_over = True
        # a client that was killed may begin to count anew
        spent = self.carried.cost - (self._cost_before if self.carried.cost >= self._cost_before else 0.0)
        attributes = {semconv.SESSION_COST: round(spent, 9)} if self._cost_is_told else {}
        return [*steps, End(RUN, at, of_run, attributes=attributes)]

    # -- turns ---------------------------------------------------------------------------------------------------

    def _prompt(self, payload: Payload, at: int, traceparent: str) -> list[Step]:
        return self._turns.prompt(payload, at, traceparent)

    def _stop(self, payload: Payload, at: int, _: str) -> list[Step]:
        return self._turns.stop(payload, at)

    def _stop_failure(self, payload: Payload, at: int, _: str) -> list[Step]:
        return self._turns.fail(payload, at)

    def _where(self, payload: Payload, at: int) -> tuple[list[Step], Ref]:
        """Return where a call of the payload belongs, with the steps that make that place."""
        agent_id = str(payload.get("agent_id") or "")
        if agent_id:
            agent = self._agents.start(agent_id, "", at)
            return self._begin(agent), agent.ref
        steps = self._turns.place(payload, at)
        return steps, self._turns.here

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

    def _deny(self, payload: Payload, at: int, _: str) -> list[Step]:
        return self._calls.deny(payload, at)

    def _ask(self, payload: Payload, at: int, _: str) -> list[Step]:
        ref = self._calls.ask(payload)
        if ref is None and self._calls.was_asked(payload):
            return []  # the hook is registered twice
        ref = ref or self._place_of(payload, at)
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
        steps: list[Step] = [agent.begin(self._turns.here)]
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
        steps += self._turns.end(at, semconv.OUTCOME_INTERRUPTED)
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
        return self._turns.here if payload.get("prompt_id") else RUN  # what names no prompt is the session's

    # -- facts ---------------------------------------------------------------------------------------------------

    def _model_call_fact(self, call: Fact) -> list[Step]:
        return self._model_calls.take(call, self._place_of_call, self._provider)

    def _place_of_call(self, call: Fact) -> Place | None:
        agent_id = str(call.get("agent_id") or "")
        if agent_id:
            agent = self._agents.at(agent_id, call["started_ns"])
            return (agent.ref, agent.attributes) if agent is not None and agent.is_begun else None
        turn = self.carried.places.of(str(call.get("prompt_id") or ""), call["started_ns"])
        if turn is None:
            return None
        self._turns.last_call(turn, call.get("error") or {})
        return turn, {}

    def _failure_fact(self, fact: Fact) -> list[Step]:
        turn = self.carried.places.of(str(fact.get("prompt_id") or ""), fact["at_ns"])
        self._turns.failed(turn or self._turns.here, fact["error"])
        return []

    def _call_fact(self, fact: Fact) -> list[Step]:
        self._calls.told(fact)
        return []

    def _cost_fact(self, fact: Fact) -> list[Step]:
        cost = float(fact.get("usd", 0.0))
        # what an earlier run had cost may be told once more
        self._cost_is_final |= self._ending_at > 0 and cost != self.carried.cost
        self._cost_is_told, self.carried.cost = True, cost
        return []

    def _agent_fact(self, fact: Fact) -> list[Step]:
        agent = self._agents.told(str(fact.get("agent_id")), str(fact.get("tool_use_id") or ""), self._calls)
        return self._begin(agent) if agent is not None else []

    def _origin_fact(self, fact: Fact) -> list[Step]:
        if "usd" in fact:
            self._cost_before = float(fact["usd"])
        session_id = str(fact.get("session_id") or "")
        return [FollowSession(session_id)] if session_id else []

    _EVENTS: ClassVar[Mapping[str, Callable[..., list[Step]]]] = {
        "SessionStart": _start,
        "UserPromptSubmit": _prompt,
        "PreToolUse": _begin_call,
        "PostToolUse": _end_call,
        "PostToolUseFailure": _end_call,
        "PostToolBatch": _show_batch,
        "PermissionRequest": _ask,
        "PermissionDenied": _deny,
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

    _FACTS: ClassVar[Mapping[str, Callable[..., list[Step]]]] = {
        "call": _model_call_fact,
        "decision": _call_fact,
        "result": _call_fact,
        "cost": _cost_fact,
        "agent": _agent_fact,
        "origin": _origin_fact,
        "failure": _failure_fact,
    }


def _detail(payload: Payload) -> dict[str, Any]:
    """Return the event's own members as one attribute."""
    own = {name: value for name, value in payload.items() if name not in _PLACE}
    return {semconv.DETAIL: content.to_json(own)} if own else {}


def _snake(name: str) -> str:
    return _WORD.sub("_", name).lower() or "unnamed"
