"""An index -> the entries that a replay shows, in order of time.

Comes in: a SessionIndex and what the user asked to see. Goes out: Entry objects, each with its place in time, its depth
among the calls and whether its call is still open. Pure; called by the replay command.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator
    from typing import Any

    from agent_trace_otel.store.index import SessionIndex

DEEPEST = 8  # levels that are shown as depth; deeper calls are shown at this one


class Selection:
    """Which entries to show: those that pass every rule that is set.

    ``tool`` is a name or a glob pattern, and takes a call with what closed it. ``errors`` takes errors with the calls
    they closed. ``pattern`` is searched in an event's data as JSON text.
    """

    __slots__ = ("errors", "event_types", "pattern", "tool")

    def __init__(
        self,
        event_types: frozenset[str] = frozenset(),
        *,
        tool: str | None = None,
        errors: bool = False,
        pattern: re.Pattern[str] | None = None,
    ) -> None:
        self.event_types = event_types
        self.tool = tool
        self.errors = errors
        self.pattern = pattern

    @property
    def is_everything(self) -> bool:
        """Whether no rule is set."""
        return not (self.event_types or self.tool or self.errors or self.pattern)

    def takes(self, index: SessionIndex, ordinal: int) -> bool:
        """Tell whether an event passes."""
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


class Entry:
    """One event to show.

    ``offset`` is seconds since the session's first event. ``depth`` is the number of calls that this event stands in.
    ``open_for`` is the seconds that a call without an end has been open, None for anything else.
    """

    __slots__ = ("_data", "_index", "depth", "event_type", "offset", "open_for", "ordinal")

    def __init__(self, index: SessionIndex, ordinal: int, offset: float) -> None:
        self._index = index
        self._data: dict[str, Any] | None = None
        self.ordinal = ordinal
        self.event_type = index.event_types[ordinal]
        self.offset = offset
        self.depth = 0
        self.open_for: float | None = None

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
        return self._index.duration_ms(self.ordinal)


def timeline(index: SessionIndex, selection: Selection, now: float | None = None) -> Iterator[Entry]:
    """Yield the entries of a session that ``selection`` takes, in order of time.

    A selection is shown flat: depth is told only where every call is shown.

    Args:
        index: the session's events.
        selection: what to show.
        now: unix seconds until which open calls have been open, for a session that runs; else its last event's time.
    """
    if not len(index):
        return
    timestamps, order = index.timestamps, index.order
    first = timestamps[order[0]]
    now = now or timestamps[order[-1]]
    nesting = Nesting(index) if selection.is_everything else None
    for ordinal in order:
        if nesting is None and not selection.takes(index, ordinal):
            continue
        timestamp = timestamps[ordinal]
        entry = Entry(index, ordinal, timestamp - first)
        if nesting is not None:
            entry.depth = nesting.depth(entry)
        if index.is_open(ordinal):
            entry.open_for = max(0.0, now - timestamp)
        yield entry


class Nesting:
    """How deep each event stands in the calls that are open at its time. Holds only those, however long the session."""

    def __init__(self, index: SessionIndex) -> None:
        self._partners = index.partners
        self._depths: dict[str, int] = {}  # by span id
        self._spans: dict[int, str] = {}  # of an open call, by ordinal

    def depth(self, entry: Entry) -> int:
        """Return the depth of the next entry; entries must come in order of time."""
        if entry.event_type in _OPENING:
            data = entry.data
            depth = self._depths.get(_string(data, "parent_span_id"), -1) + 1
            span = _string(data, "span_id")
            if span:
                self._spans[entry.ordinal] = span
                self._depths[span] = depth
            return min(depth, DEEPEST)
        partner = self._partners[entry.ordinal]
        if partner >= 0:
            return min(self._depths.pop(self._spans.pop(partner, ""), 0), DEEPEST)
        if not self._depths:
            return 0
        return min(self._depths.get(_string(entry.data, "span_id"), -1) + 1, DEEPEST)


def _string(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _searchable(data: dict[str, Any]) -> str:
    import json

    return json.dumps(data, ensure_ascii=False)


_OPENING = frozenset({"tool_call", "llm_request"})
_TOOL_TYPES = frozenset({"tool_call", "tool_result", "error"})
