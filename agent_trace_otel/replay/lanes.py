"""Slices of time -> lanes in which they nest as they belong to each other.

Comes in: what a session did, as slices that name their parents. Goes out: for each slice its agent and its lane there.
Called by `perfetto`; pure. A viewer draws a slice inside the one that is open in its lane, so two calls at once need
two lanes, even where one lies within the other.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OPEN = 1 << 63
"""The end of a slice that has none, in nanoseconds."""
_MOST_LANES = 256  # of one agent; what is beyond goes to the last one, drawn wrongly rather than not at all
_DEEPEST = 256


class Slice:
    """Something that took time.

    ``start`` and ``end`` are unix nanoseconds, ``end`` is `OPEN` for what has not ended. ``kind`` is session, turn,
    agent, tool, model or other. ``agent`` is the key of the agent that did it, "" for the session's own; ``name`` what
    it is called. ``tid`` is the number of its lane in the whole session, from 1; 0 until it has one.
    """

    __slots__ = ("above", "agent", "depth", "end", "kind", "name", "parent", "span", "start", "tid")

    def __init__(self, span: str, parent: str, start: int, end: int, kind: str, name: str) -> None:  # noqa: PLR0913
        self.span = span
        self.parent = parent
        self.start = start
        self.end = max(start, end)
        self.kind = kind
        self.name = name
        self.agent = ""
        self.above: Slice | None = None
        self.depth = 0
        self.tid = 0

    def is_frame(self) -> bool:
        """Tell whether it is what calls are made in: a session, a turn, an agent."""
        return self.kind in _FRAMES

    def holds(self, other: Slice) -> bool:
        """Tell whether another slice is part of it, and lies within it."""
        return self.start <= other.start and other.end <= self.end and any(one is self for one in other.ancestors())

    def ancestors(self) -> Iterator[Slice]:
        """Yield what it is part of, the nearest first."""
        above = self.above
        for _ in range(_DEEPEST):
            if above is None:
                return
            yield above
            above = above.above


class Lane:
    """One lane: what it is called, and whose it is."""

    __slots__ = ("agent", "name")

    def __init__(self, agent: str, name: str) -> None:
        self.agent = agent
        self.name = name


def arrange(slices: list[Slice], agents: dict[str, tuple[str, str]], name: str) -> list[Lane]:
    """Give each slice its agent and its lane; return the lanes, the first one has number 1.

    Args:
        slices: in any order; parents that are not among them are the session's.
        agents: key and name of an agent, by the id of its span.
        name: the name of the session's own agent.
    """
    _connect(slices)
    groups: dict[str, list[Slice]] = {"": []}
    names = {"": name}
    for one in sorted(slices, key=_order):
        nearest = next((above for above in (one, *one.ancestors()) if above.span in agents), None)
        if nearest is not None:
            one.agent, names[one.agent] = agents[nearest.span]
        groups.setdefault(one.agent, []).append(one)
    lanes: list[Lane] = []
    for agent, members in groups.items():
        count = _fill(members, len(lanes) + 1)
        lanes += [Lane(agent, names[agent] + (f" ({number})" if number > 1 else "")) for number in range(1, count + 1)]
    return lanes


def _connect(slices: list[Slice]) -> None:
    known = {one.span: one for one in slices}
    sessions = sorted((one for one in slices if one.kind == "session"), key=_order)
    for one in slices:
        one.above = known.get(one.parent)
        if one.above is None and one.kind != "session":
            # of several runs the one that it began in
            began = [session for session in sessions if session.start <= one.start]
            one.above = began[-1] if began else sessions[0] if sessions else None
    for one in slices:
        seen = {id(one)}
        for above in one.ancestors():
            if id(above) in seen:
                one.above = None  # spans that are each other's parents
                break
            seen.add(id(above))
    for one in slices:
        one.depth = sum(1 for _ in one.ancestors())


def _order(one: Slice) -> tuple[int, int, int]:
    return one.start, -one.end, one.depth


def _fill(members: Iterable[Slice], first: int) -> int:
    """Number the lanes of one agent's slices from ``first`` on, and return how many there are."""
    frames, calls = _Lanes(), _Lanes()
    ordered = list(members)
    for one in ordered:
        if one.is_frame():
            one.tid = first + frames.place(one)
    for one in ordered:
        if not one.is_frame():
            frame = next((above for above in one.ancestors() if above.is_frame() and above.agent == one.agent), None)
            own = frame.tid - first if frame is not None and frame.holds(one) else None
            one.tid = first + calls.place(one, own, others=frames.count)
    return max(frames.count, calls.count, 1)


class _Lanes:
    """The lanes of one agent while they are filled in order of time: what is open in each."""

    def __init__(self) -> None:
        self._open: list[list[Slice]] = []

    @property
    def count(self) -> int:
        return len(self._open)

    def place(self, one: Slice, own: int | None = None, *, others: int = 0) -> int:
        """Return the first lane that a slice fits in: its ``own``, or one from ``others`` on."""
        for lane in range(_MOST_LANES):
            if lane != own and lane < others:
                continue
            while len(self._open) <= lane:
                self._open.append([])
            stack = self._open[lane]
            while stack and stack[-1].end <= one.start:
                stack.pop()
            if not stack or stack[-1].holds(one):
                stack.append(one)
                return lane
        return _MOST_LANES - 1


_FRAMES = frozenset({"session", "turn", "agent"})
