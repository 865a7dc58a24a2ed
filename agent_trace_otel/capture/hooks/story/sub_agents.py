"""The sub-agents of one coding agent's session: which call started which, from when to when.

Comes in: what hooks and notes beside the transcript tell of agent ids. Goes out: the place of each sub-agent's span.
Pure; part of `claude_code`. Hooks name a sub-agent by its id alone; the call that started it is named by that call's
result, which may come at its end only, and by a note that the client writes beside the transcript.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from agent_trace_otel import semconv
from agent_trace_otel.capture.hooks.story.calls import Calls
from agent_trace_otel.capture.hooks.story.steps import Begin, End, Ref

_MAX_AGENTS: Final = 2048
_UNNAMED: Final = "agent"


@dataclass(slots=True)
class SubAgent:
    """One sub-agent at work; one that is continued later is another."""

    id: str
    key: str
    kind: str
    began: int
    call: str = ""
    """The tool_use_id of the call that started it."""
    given: str = ""
    """What it was asked."""
    ended_at: int = 0
    is_placed: bool = False
    """Whether it is known where its span belongs."""
    is_begun: bool = False
    """Whether its span is begun."""
    waiting: list[tuple[Mapping[str, Any], int, str]] = field(
        default_factory=list[tuple[Mapping[str, Any], int, str]],
    )
    """Its events that came before that was known."""

    @property
    def ref(self) -> Ref:
        """Its span."""
        return Ref("agent", self.key)

    @property
    def attributes(self) -> dict[str, Any]:
        """What names it on the spans of its model calls."""
        return {semconv.AGENT_NAME: self.kind or _UNNAMED, semconv.AGENT_ID: self.id}

    def begin(self, otherwise: Ref) -> Begin:
        """Begin its span, under the call that started it, or ``otherwise`` if none is known."""
        parent = Ref("tool", self.call) if self.call else otherwise
        about = {semconv.AGENT_ID: self.id}
        return Begin(self.ref, self.began, self.kind or _UNNAMED, parent, self.given, attributes=about)


class SubAgents:
    """What is known of a session's sub-agents."""

    def __init__(self) -> None:
        self._agents: OrderedDict[str, list[SubAgent]] = OrderedDict()
        self._notes: OrderedDict[str, tuple[str, str]] = OrderedDict()
        """The call that started an agent, and what it was asked, by agent id."""
        self._earlier: dict[str, int] = {}
        """How often an agent was at work in runs that an earlier recorder told."""

    def __iter__(self) -> Iterator[SubAgent]:
        """Iterate over all, continued ones more than once."""
        return (agent for agents in tuple(self._agents.values()) for agent in agents)

    def known(self, agent_id: str) -> SubAgent | None:
        """Return a sub-agent as it is or was last at work."""
        return self._agents[agent_id][-1] if agent_id in self._agents else None

    def of(self, agent_id: str, kind: str, at: int) -> SubAgent:
        """Return a sub-agent, one that nobody announced included."""
        agent = self.known(agent_id)
        if agent is None:
            return self._add(agent_id, kind, at)
        agent.kind = agent.kind or kind
        return agent

    def start(self, agent_id: str, kind: str, at: int) -> SubAgent:
        """Return a sub-agent that starts; one that has ended starts anew."""
        agent = self.of(agent_id, kind, at)
        return self.again(agent, at) if agent.ended_at and at > agent.ended_at else agent

    def again(self, agent: SubAgent, at: int) -> SubAgent:
        """Let a sub-agent that has ended go on where it was."""
        continued = self._add(agent.id, agent.kind, at)
        continued.call, continued.is_placed = agent.call, agent.is_placed
        return continued

    def at(self, agent_id: str, at: int) -> SubAgent | None:
        """Return a sub-agent as it was at work at some time."""
        agents = self._agents.get(agent_id, [])
        return next((agent for agent in reversed(agents) if agent.began <= at), agents[0] if agents else None)

    def started_by(self, payload: Mapping[str, Any]) -> SubAgent | None:
        """Note the agent id that a call's result names; return that sub-agent if it waited for this."""
        response = payload.get("tool_response")
        agent_id = cast("Mapping[str, Any]", response).get("agentId") if isinstance(response, Mapping) else None
        if not isinstance(agent_id, str) or not agent_id:
            return None
        given = payload.get("tool_input")
        asked = cast("Mapping[str, Any]", given).get("prompt") if isinstance(given, Mapping) else ""
        return self._note(agent_id, str(payload.get("tool_use_id") or ""), str(asked or ""))

    def told(self, agent_id: str, call: str, calls: Calls) -> SubAgent | None:
        """Take the note beside the transcript; return the sub-agent if it waited for this.

        Without a note (``call`` is empty) the one call it can be is taken, or none.
        """
        agent = self.known(agent_id)
        if not call and agent is not None:
            taken = {one.call for one in self}
            possible = [one for one in calls.spawning(agent.kind) if one.id not in taken]
            call = possible[0].id if len(possible) == 1 else ""
        found = calls.known(call)
        return self._note(agent_id, call, str(found.given.get("prompt") or "") if found is not None else "")

    def unplaced(self) -> list[SubAgent]:
        """Return those of which it is not known where they belong."""
        return [agent for agent in self if not agent.is_placed]

    def stopped(self) -> dict[str, int]:
        """Return when those that have stopped did, by agent id."""
        return {agent_id: agents[-1].ended_at for agent_id, agents in self._agents.items() if agents[-1].ended_at}

    def close(self, at: int, outcome: str) -> list[End]:
        """End all that are at work, the last first."""
        steps: list[End] = []
        for agent in reversed(tuple(self)):
            if agent.is_begun and not agent.ended_at:
                agent.ended_at = max(at, agent.began)
                steps.append(End(agent.ref, agent.ended_at, outcome))
        return steps

    def to_data(self, count: int) -> list[list[Any]]:
        """Return how often the last ``count`` agents were at work, JSON-able."""
        known = {agent_id: len(agents) for agent_id, agents in self._agents.items()}
        return [[agent, self._earlier.get(agent, 0) + known.get(agent, 0)] for agent in {**self._earlier, **known}][
            -count:
        ]

    @classmethod
    def from_data(cls, data: Any) -> SubAgents:  # noqa: ANN401 - JSON
        """Read it back."""
        agents = cls()
        agents._earlier = {str(agent): int(number) for agent, number in data}
        return agents

    def _add(self, agent_id: str, kind: str, at: int) -> SubAgent:
        agents = self._agents.setdefault(agent_id, [])
        number = self._earlier.get(agent_id, 0) + len(agents) + 1
        key = agent_id if number == 1 else f"{agent_id}#{number}"
        agent = SubAgent(agent_id, key, kind, at)
        if agent_id in self._notes:
            agent.call, agent.given = self._notes[agent_id]
            agent.is_placed = True
        agents.append(agent)
        if len(self._agents) > _MAX_AGENTS:
            self._agents.popitem(last=False)
        return agent

    def _note(self, agent_id: str, call: str, given: str) -> SubAgent | None:
        if call:
            self._notes[agent_id] = (call, given)
            if len(self._notes) > _MAX_AGENTS:
                self._notes.popitem(last=False)
        agent = self.known(agent_id)
        if agent is None or agent.is_placed:
            return None
        agent.call, agent.given, agent.is_placed = call, given, True
        return agent
