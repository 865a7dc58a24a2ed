"""An index -> the entries that a replay shows, in order of time.

Comes in: a SessionIndex and what the user asked to see. Goes out: Entry objects, each with its place in time, its depth
among the calls, and what is remarkable about it: a call still open, one made before, a long silence, a result that does
not follow its call. Pure; called by the replay command.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from agent_trace_otel.replay.nesting import OPENING, Nesting
from agent_trace_otel.store.index import NONE
from agent_trace_otel.store.lines import is_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from agent_trace_otel.replay.moments import Moment
    from agent_trace_otel.replay.nesting import SubAgent
    from agent_trace_otel.store.index import SessionIndex

SLOW = 10.0  # seconds without an event that are worth a mark


class Selection:
    """Which entries to show: those that pass every rule that is set.

    ``tool`` is a name or a glob pattern, and takes a call with what closed it. ``errors`` takes errors with the calls
    they closed. ``pattern`` is searched in an event's data as JSON text. ``between`` is the first and the last moment
    to show, None for the session's own.
    """

    __slots__ = ("between", "errors", "event_types", "pattern", "tool")

    def __init__(
        self,
        event_types: frozenset[str] = frozenset(),
        *,
        tool: str | None = None,
        errors: bool = False,
        pattern: re.Pattern[str] | None = None,
        between: tuple[Moment | None, Moment | None] = (None, None),
    ) -> None:
        self.event_types = event_types
        self.tool = tool
        self.errors = errors
        self.pattern = pattern
        self.between = between

    @property
    def takes_every_kind(self) -> bool:
        """Whether only the time, if anything, decides what is shown."""
        return not (self.event_types or self.tool or self.errors or self.pattern)

    def takes(self, index: SessionIndex, ordinal: int) -> bool:
        """Tell whether an event passes all rules but those of time."""
        event_type = index.event_types[ordinal]
        if self.event_types and event_type not in self.event_types:
            return False
        if self.errors and event_type != "error":
            partner = index.partners[ordinal]
            if partner < 0 or index.event_types[partner] != "error":
                return False
        if self.tool is not None and (
            event_type not in _TOOL_TYPES or not fnmatchcase(index.tool_name(ordinal), self.tool)
        ):
            return False
        return self.pattern is None or self.pattern.search(_searchable(index.data(ordinal))) is not None

    def span(self, index: SessionIndex) -> tuple[float, float]:
        """Return the first and the last moment to show, in unix seconds."""
        first, last = (index.timestamps[index.order[end]] for end in (0, -1)) if len(index) else (0.0, 0.0)
        since, until = self.between
        return (
            float("-inf") if since is None else since.at(first, last),
            float("inf") if until is None else until.at(first, last),
        )


class Entry:
    """One event to show.

    Attributes:
        offset: seconds since the session's first event.
        depth: the number of calls that this event stands in.
        agent: the sub-agent whose event it is, None for the main one.
        open_for: the seconds that a call without an end has been open, None for anything else.
        times: of a tool call, which one it is of those with the same tool and equal arguments; from 1.
        silence: seconds since the event before, if they are many and this event doesn't say what took so long; else 0.
        call: of a closing event that doesn't follow its call, the call's ordinal; else -1.
        is_plain: whether there is nothing to remark: no sub-agent, not open, made once, no silence, no such call.
    """

    __slots__ = (
        "_data",
        "_index",
        "agent",
        "call",
        "depth",
        "event_type",
        "is_plain",
        "offset",
        "open_for",
        "ordinal",
        "silence",
        "times",
    )

    def __init__(self, index: SessionIndex, ordinal: int, offset: float) -> None:
        self._index = index
        self._data: dict[str, Any] | None = None
        self.ordinal = ordinal
        self.event_type = index.event_types[ordinal]
        self.offset = offset
        self.depth = 0
        self.agent: SubAgent | None = None
        self.open_for: float | None = None
        self.times = 1
        self.silence = 0.0
        self.call = NONE
        self.is_plain = True

    @property
    def data(self) -> dict[str, Any]:
        """The event's own values, read from the file when first asked for."""
        if self._data is None:
            self._data = self._index.data(self.ordinal)
        return self._data

    @property
    def tool_name(self) -> str:
        """The tool of a call or of what closed it, "" when unknown."""
        return self._index.tool_names[self.ordinal] or self._index.tool_name(self.ordinal)

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds that the call took which this event closes."""
        duration = self._index.durations[self.ordinal]
        return duration if duration == duration else self._index.duration_ms(self.ordinal)  # noqa: PLR0124 - not NaN

    @property
    def call_offset(self) -> float:
        """When the call was made that this event closes, in seconds since the session's first event."""
        timestamps = self._index.timestamps
        return self.offset - timestamps[self.ordinal] + timestamps[self.call]

    @property
    def call_data(self) -> dict[str, Any]:
        """The values of the call that this event closes."""
        return self._index.data(self.call)


def timeline(
    index: SessionIndex,
    selection: Selection,
    now: float | None = None,
    *,
    span_parents: Callable[[], Mapping[str, str]] = dict,
    arriving: Iterable[int] | None = None,
) -> Iterator[Entry]:
    """Yield the entries of a session that ``selection`` takes, in order of time.

    A selection of some kinds of events is shown flat: depth is told only where every call is shown.

    Args:
        index: the session's events.
        selection: what to show.
        now: unix seconds until which open calls have been open, for a session that runs; else its last event's time.
        span_parents: gives the parent's span id by span id; asked if calls stand in spans without events.
        arriving: ordinals as they come, of a session that is followed; then no call is marked as open.
    """
    timestamps, partners, order = index.timestamps, index.partners, index.order
    if arriving is None and len(order):
        now = now or timestamps[order[-1]]
    is_flat = not selection.takes_every_kind
    place, count = Nesting(index, span_parents).place, CallCounts().count
    calls: list[tuple[int, int]] = []  # ordinal and depth of the calls after which came only what is inside them
    first: float | None = None
    before, since, until = float("inf"), 0.0, 0.0
    for ordinal in order if arriving is None else arriving:
        timestamp = timestamps[ordinal]
        if first is None:
            first = timestamp
            since, until = selection.span(index)
        entry = Entry(index, ordinal, timestamp - first)
        place(entry)
        if entry.event_type == "tool_call":
            count(entry)
        if timestamp < since or timestamp > until or (is_flat and not selection.takes(index, ordinal)):
            continue  # placed and counted nevertheless: what comes later builds on it
        partner, depth = partners[ordinal], 0 if is_flat else entry.depth
        entry.depth = depth
        while calls and calls[-1][0] != partner and calls[-1][1] >= depth:
            calls.pop()
        if entry.event_type in OPENING:
            calls.append((ordinal, depth))
            if partner == NONE and now is not None:
                entry.open_for, entry.is_plain = max(0.0, now - timestamp), False
        elif partner != NONE:
            if calls and calls[-1][0] == partner:
                calls.pop()
            else:
                entry.call, entry.is_plain = partner, False
        # of a flat selection, what lies between is not shown, so nothing is known of silence
        if timestamp - before >= SLOW and not is_flat and entry.event_type not in _SAYS_ITSELF:
            entry.silence, entry.is_plain = timestamp - before, False
        before = timestamp
        yield entry


class CallCounts:
    """Counts calls of one tool with equal arguments. Keeps a number for each, however long the arguments are."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def count(self, entry: Entry) -> None:
        """Say of a tool call how many like it there were so far, itself included."""
        arguments: Any = entry.data.get("arguments")
        if not is_object(arguments) or not arguments:
            return
        name = entry.tool_name
        try:
            # the order of an object's members means nothing
            key = hash((name, *arguments.items()) if len(arguments) == 1 else (name, frozenset(arguments.items())))
        except TypeError:  # an array or an object in it
            try:
                key = hash((name, repr(sorted(arguments.items()))))
            except RecursionError:
                return
        times = self._counts[key] = self._counts.get(key, 0) + 1
        if times > 1:
            entry.times, entry.is_plain = times, False


def _searchable(data: dict[str, Any]) -> str:
    import json

    return json.dumps(data, ensure_ascii=False)


_TOOL_TYPES = frozenset({"tool_call", "tool_result", "error"})
# before these, something was at work: a tool, or a model that answered
_SAYS_ITSELF = frozenset({"tool_result", "llm_response", "error", "assistant_response"})
