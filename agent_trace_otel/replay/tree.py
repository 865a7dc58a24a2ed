"""An index -> the tree of a session: turns, their calls, the sub-agents that calls started.

Comes in: a SessionIndex and what the user asked to see. Goes out: nodes in the order in which they are shown, each with
its place in the tree, its times, its tokens and what became of it. Pure; called by the replay command, drawn by
`tree_text`.

All is read from the events: a turn is what follows a prompt, a call names its parent span, and where sub-agents stand
is said by `nesting`.
"""

from __future__ import annotations

from agent_trace_otel.replay.nesting import OPENING, Nesting, text_in
from agent_trace_otel.replay.timeline import CallCounts, Entry
from agent_trace_otel.store.lines import tokens_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agent_trace_otel.replay.nesting import SubAgent
    from agent_trace_otel.replay.timeline import Selection
    from agent_trace_otel.store.index import SessionIndex

TURN, AGENT, CALL, POINT = "turn", "agent", "call", "point"
_NONE = -1


class Node:
    """One turn, sub-agent, call, or point in time.

    Attributes:
        kind: TURN, AGENT, CALL or POINT.
        ordinal: the event it begins with; of a sub-agent, the first that was heard of it.
        end: of a call, the event that closed it; else -1.
        agent: of a sub-agent, which one it is.
        parent: the node it stands in, None at the top.
        children: in order of time.
        first: unix seconds of its beginning.
        last: unix seconds of the last event in it.
        tokens: of all model calls in it.
        errors: how many calls in it failed, itself left out.
        times: of a tool call, which one it is of those with the same tool and equal arguments; from 1.
    """

    __slots__ = (
        "agent",
        "children",
        "end",
        "errors",
        "first",
        "kind",
        "last",
        "ordinal",
        "parent",
        "times",
        "tokens",
    )

    def __init__(self, kind: str, ordinal: int, first: float, parent: Node | None) -> None:
        self.kind = kind
        self.ordinal = ordinal
        self.end = _NONE
        self.agent: SubAgent | None = None
        self.parent = parent
        self.children: list[Node] = []
        self.first = self.last = first
        self.tokens = self.errors = 0
        self.times = 1


class Tree:
    """The nodes of a session.

    Args:
        index: the session's events.
        selection: what to show; what a node stands in is shown with it.
        span_parents: gives the parent's span id by span id; asked if calls stand in spans without events.
    """

    def __init__(
        self, index: SessionIndex, selection: Selection, span_parents: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        self._index = index
        self._nodes: list[Node] = []
        self._calls: dict[str, Node] = {}  # by span id
        self._open: dict[int, Node] = {}  # by ordinal
        self._agents: dict[str, Node] = {}  # by span id
        self._turns: dict[str, Node] = {}  # by span id, the latest of each
        self._turn: Node | None = None
        self._counts = CallCounts()
        nesting = Nesting(index, span_parents)
        for ordinal in index.order:
            entry = Entry(index, ordinal, 0.0)
            self._add(entry, nesting.place(entry))
        self._sum_up()
        self.top = [node for node in self._select(selection) if node.parent is None]

    def walk(self) -> Iterator[tuple[Node, tuple[bool, ...]]]:
        """Yield each node with, for itself and all it stands in, from the top, whether it is the last one there."""
        # no recursion: agents may have started agents more often than the interpreter nests calls
        waiting: list[tuple[Node, tuple[bool, ...]]] = [(node, ()) for node in reversed(self.top)]
        while waiting:
            node, lasts = waiting.pop()
            yield node, lasts
            waiting.extend((child, (*lasts, at == 0)) for at, child in enumerate(reversed(node.children)))

    def _add(self, entry: Entry, near: str) -> None:
        index, ordinal = self._index, entry.ordinal
        partner = index.partners[ordinal]
        if entry.event_type not in OPENING and partner != _NONE:
            node = self._open.pop(partner, None)
            if node is not None:
                self._close(node, entry)
                return
            if index.timestamps[ordinal] <= index.timestamps[partner]:  # its call comes later, by a clock that is off
                return
        if entry.event_type == "session_end" or (entry.event_type == "session_start" and not self._nodes):
            return
        data = entry.data
        is_call = entry.event_type in OPENING
        span = near or text_in(data, "parent_span_id" if is_call else "span_id")
        parent = None if entry.event_type == "session_start" else self._home(span, entry)
        at = index.timestamps[ordinal]
        if entry.event_type == "user_prompt" and entry.agent is None and not (span and span in self._calls):
            self._turn = self._turns[span] = self._node(TURN, ordinal, at, None)
            return
        node = self._node(CALL if is_call else POINT, ordinal, at, parent)
        if entry.event_type == "session_start":
            self._turn = None
        if entry.event_type == "llm_response":
            node.tokens = tokens_of(data)
        if is_call:
            self._calls[text_in(data, "span_id")] = node
            if entry.event_type == "tool_call":
                self._counts.count(entry)
                node.times = entry.times
            if partner != _NONE and index.timestamps[partner] <= at:
                self._close(node, Entry(index, partner, 0.0))
            else:
                self._open[ordinal] = node

    def _close(self, node: Node, entry: Entry) -> None:
        node.end = entry.ordinal
        node.last = max(node.last, self._index.timestamps[entry.ordinal])
        if entry.event_type == "llm_response":
            node.tokens = tokens_of(entry.data)

    def _home(self, span: str, entry: Entry) -> Node | None:
        """Return the node that an event stands in which names a span."""
        call, agent = self._calls.get(span), entry.agent
        if span and call is not None:  # other writers name no spans
            return call
        if agent is None:
            return self._turns.get(span, self._turn)
        node = self._agents.get(agent.span_id)
        if node is None:
            above = self._calls.get(agent.parent) or self._agents.get(agent.parent) or self._turn
            node = self._agents[agent.span_id] = self._node(
                AGENT, entry.ordinal, self._index.timestamps[entry.ordinal], above
            )
            node.agent = agent
        return node

    def _node(self, kind: str, ordinal: int, at: float, parent: Node | None) -> Node:
        node = Node(kind, ordinal, at, parent)
        self._nodes.append(node)
        return node

    def _sum_up(self) -> None:
        """Give each node what is in it; what stands in another comes after it."""
        types = self._index.event_types
        for node in reversed(self._nodes):
            above = node.parent
            if above is not None:
                above.last = max(above.last, node.last)
                above.tokens += node.tokens
                is_error = "error" in (types[node.end] if node.end != _NONE else "", types[node.ordinal])
                above.errors += node.errors + is_error

    def _select(self, selection: Selection) -> list[Node]:
        """Return the nodes to show, and make them the children of those they stand in."""
        index = self._index
        since, until = selection.span(index)
        is_flat = not selection.takes_every_kind
        shown: list[Node] = []
        for node in reversed(self._nodes):
            is_wanted = since <= node.last and node.first <= until
            if is_wanted and is_flat:
                events = [ordinal for ordinal in (node.ordinal, node.end) if ordinal != _NONE]
                is_wanted = node.kind != AGENT and any(selection.takes(index, ordinal) for ordinal in events)
            if is_wanted or node.children:
                shown.append(node)
                if node.parent is not None:
                    node.parent.children.append(node)
        for node in shown:
            node.children.reverse()
        shown.reverse()
        return shown
