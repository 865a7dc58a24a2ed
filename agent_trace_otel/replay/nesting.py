"""Where each event stands: how deep among the calls, and in which sub-agent.

Comes in: entries in order of time, and which span started which agent, where spans.jsonl says so. Goes out: each
entry's depth and sub-agent. Called by `timeline` and `tree`.

A call names its parent span, so calls inside calls need no guessing. A sub-agent, a child process and what another
instrumentation makes have no events of their own: what is inside them names a span that no event opened. spans.jsonl
says what that span stands under, once it has ended. Until then, and in a folder without spans, a sub-agent was
started by a call that starts agents of its type, if only one could have been meant; otherwise it is shown as one of
nobody in particular, which is what is known.
"""

from __future__ import annotations

from agent_trace_otel.store.lines import is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from agent_trace_otel.replay.timeline import Entry
    from agent_trace_otel.store.index import SessionIndex

OPENING = frozenset({"tool_call", "llm_request"})
DEEPEST = 8  # levels that are shown as depth; deeper calls are shown at this one
_STARTING = frozenset({"Agent", "Task", "spawn_agent"})  # of Claude Code, its older versions, and Codex
_TOPS = frozenset({"session_start", "user_prompt"})
_FARTHEST = 64  # spans without events between a call and what it stands under
_TYPES = frozenset({"subagent_type", "agent_type"})


class SubAgent:
    """One run of a sub-agent.

    ``name`` is its type, numbered from the second of a type on. ``depth`` is that of its calls. ``parent`` is the span
    of the call that started it or of the agent it belongs to, "" when unknown.
    """

    __slots__ = ("depth", "name", "parent", "span_id")

    def __init__(self, span_id: str, name: str, depth: int, parent: str) -> None:
        self.span_id = span_id
        self.name = name
        self.depth = depth
        self.parent = parent


class _Start:
    """A call that starts a sub-agent: of which type, "" for any; ``is_known`` once it is told which one it started."""

    __slots__ = ("depth", "is_known", "kind")

    def __init__(self, kind: str, depth: int) -> None:
        self.kind = kind
        self.depth = depth
        self.is_known = False


class Nesting:
    """Places events in the calls that are open at their time. Holds only those, however long the session.

    Args:
        index: the session's events.
        span_parents: gives the parent's span id by the span id of each span that has ended. Asked only in a session
            with calls in spans that have no events.
    """

    def __init__(self, index: SessionIndex, span_parents: Callable[[], Mapping[str, str]]) -> None:
        self._partners, self._names = index.partners, index.tool_names
        self._depths: dict[str, int] = {}  # of open calls, by span id
        self._spans: dict[int, str] = {}  # of open calls, by ordinal
        self._owners: dict[str, SubAgent] = {}  # of open calls of sub-agents, by span id
        self._starts: dict[str, _Start] = {}  # by span id
        self._agents: dict[str, SubAgent] = {}  # by span id
        self._numbers: dict[str, int] = {}
        self._tops: set[str] = set()  # spans of sessions and turns, by their events; and what stands under no call
        self._span_parents = span_parents

    def place(self, entry: Entry) -> str:
        """Set the depth and the sub-agent of the next entry; entries must come in order of time.

        Returns:
            The span that the entry stands under, if the one it names has no event; else "".
        """
        partner = self._partners[entry.ordinal]
        is_opening = entry.event_type in OPENING
        if partner >= 0 and not is_opening:
            span = self._spans.pop(partner, "")
            stood = self._depths.pop(span, 0)
            if stood:
                entry.depth = min(stood, DEEPEST)
            owner = self._owners.pop(span, None) if self._owners else None
            if owner is not None:
                entry.agent, entry.is_plain = owner, False
            return ""
        data, near = entry.data, ""
        above = data.get("parent_span_id" if is_opening else "span_id")
        depth = self._depths.get(above) if isinstance(above, str) else None
        if depth is not None:
            depth += 1
            owner = self._owners.get(str(above)) if self._owners else None
            if owner is not None:
                entry.agent, entry.is_plain = owner, False
        elif "agent" in data:
            entry.is_plain = False
            entry.agent = agent = self._agent(data, text_in(data, "parent_span_id" if is_opening else "span_id"))
            depth = agent.depth
        elif not is_opening:
            if isinstance(above, str) and entry.event_type in _TOPS:
                self._tops.add(above)
            depth = 0
        else:
            near = self._nearest(above) if isinstance(above, str) and above not in self._tops else ""
            depth = self._under(near, entry)
        if depth:
            entry.depth = min(depth, DEEPEST)
        if is_opening:
            self._open(entry, depth, data)
        return near

    def _nearest(self, span: str) -> str:
        """Return the nearest open call or known sub-agent above a span, "" if there is none."""
        parents, above = self._span_parents(), span
        for _ in range(_FARTHEST):
            above = parents.get(above, "")
            if not above:
                break
            if above in self._depths or above in self._agents:
                return above
        self._tops.add(span)
        return ""

    def _under(self, near: str, entry: Entry) -> int:
        """Let an entry stand under a call or a sub-agent; return its depth."""
        agent = self._agents.get(near) or self._owners.get(near)
        if agent is not None:
            entry.agent, entry.is_plain = agent, False
        if near in self._depths:
            return self._depths[near] + 1
        return agent.depth if agent is not None else 0

    def _open(self, entry: Entry, depth: int, data: dict[str, Any]) -> None:
        """Remember a call until it ends."""
        span = data.get("span_id")
        if not span or type(span) is not str:
            return
        self._spans[entry.ordinal] = span
        self._depths[span] = depth
        if entry.agent is not None:
            self._owners[span] = entry.agent
        arguments = data.get("arguments")
        if is_object(arguments) and (self._names[entry.ordinal] in _STARTING or not _TYPES.isdisjoint(arguments)):
            kind = next((text_in(arguments, name) for name in _TYPES if name in arguments), "")
            self._starts[span] = _Start(kind, depth)

    def _agent(self, data: dict[str, Any], span: str) -> SubAgent:
        """Return the sub-agent that has a span, a new one when it is heard for the first time."""
        known = self._agents.get(span)
        if known is not None:
            return known
        kind = text_in(data, "agent")
        number = self._numbers[kind] = self._numbers.get(kind, 0) + 1
        depth, parent = self._started_by(span, kind)
        agent = SubAgent(span, kind if number == 1 else f"{kind} #{number}", depth, parent)
        self._agents[span] = agent
        return agent

    def _started_by(self, span: str, kind: str) -> tuple[int, str]:
        """Return the depth of a sub-agent's calls, and the span that started it."""
        parent = self._span_parents().get(span)
        if (
            parent is not None
            and parent not in self._depths
            and parent not in self._agents
            and parent not in self._starts
        ):
            parent = self._nearest(parent) or parent
        if parent is None:
            possible = [call for call, start in self._starts.items() if not start.is_known and start.kind in ("", kind)]
            parent = possible[0] if len(possible) == 1 else ""
        if parent in self._agents:
            return self._agents[parent].depth + 1, parent
        start = self._starts.get(parent)
        if start is not None:
            start.is_known = True
        depth = self._depths.get(parent, start.depth if start is not None else None)
        return (1, "") if depth is None else (depth + 1, parent)


def text_in(data: dict[str, Any], name: str) -> str:
    """Return a value that is text, "" for anything else."""
    value = data.get(name)
    return value if isinstance(value, str) else ""
