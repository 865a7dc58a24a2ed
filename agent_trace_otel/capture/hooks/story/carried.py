"""What one run of a coding agent's session leaves to the next: what it cost, and ids that mean the same in all runs.

Comes in and goes out: values of the story's parts, and as JSON what a checkpoint keeps of them. Pure; held by
`claude_code`, handed on and kept by `hook_session`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent_trace_otel.capture.hooks.story.model_calls import ModelCalls
from agent_trace_otel.capture.hooks.story.sub_agents import SubAgents
from agent_trace_otel.capture.hooks.story.turns import PlacesOfPrompts

_MAX_KEPT: Final = 64
"""Of each kind, the last ones: what a later run still tells of is not long ago."""


@dataclass(slots=True)
class Carried:
    """What one run of a session leaves to the next."""

    cost: float = 0.0
    """What the session has cost so far in US dollars, as the client counts."""
    places: PlacesOfPrompts = field(default_factory=PlacesOfPrompts)
    agents: SubAgents = field(default_factory=SubAgents)
    closed_calls: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None])
    """Ids of tool calls that have ended."""
    model_calls: ModelCalls = field(default_factory=ModelCalls)
    facts: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    """Facts of the next run, which were read with those of this one."""

    def to_data(self) -> dict[str, Any]:
        """Return what a later recorder needs of it, JSON-able."""
        return {
            "cost": self.cost,
            "places": self.places.to_data(_MAX_KEPT),
            "agents": self.agents.to_data(_MAX_KEPT),
            "calls": [*self.closed_calls][-_MAX_KEPT:],
            "facts": self.facts[-_MAX_KEPT:],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Carried:
        """Read it back."""
        return cls(
            float(data.get("cost", 0.0)),
            PlacesOfPrompts.from_data(data.get("places", ())),
            SubAgents.from_data(data.get("agents", ())),
            OrderedDict.fromkeys(map(str, data.get("calls", ()))),
            facts=[*data.get("facts", ())],
        )
