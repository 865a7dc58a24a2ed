"""Calls that came again: retries after an error, and loops.

Comes in: the lines of tool calls. Goes out: rows of retries and of loops. Called by `stats`.

Two calls are the same if tool, arguments (as written) and agent are. A retry is a call whose latest ended like before
it failed. A loop is a call, or up to four calls in turn, that one agent made three times or more without any other call
between; what a person says in between ends it.
"""

from __future__ import annotations

import json
from itertools import compress, count
from operator import eq

from agent_trace_otel.replay.arguments import telling_argument
from agent_trace_otel.store.lines import is_object, read_data, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent_trace_otel.store.index import SessionIndex

LEAST_ROUNDS = 3
LONGEST_CYCLE = 4
_NAME = b'"tool_name":"'
_IDS = b',"trace_id":"'
_IDS_WIDTH = 120  # bytes that our ids take at the end of a line
_PARENT = slice(-19, -3)  # where a line without its newline has the parent's span id
_BRACE = ord("}")
_SHOWN = 200  # characters of an argument that is told


class Repeats:
    """Finds the calls that came again."""

    def __init__(self, index: SessionIndex) -> None:
        self._index = index
        self._keys: dict[int, int] = {}  # by ordinal, equal for calls that are the same
        self._lanes: dict[int, int] = {}  # of sub-agents' calls, by ordinal: whose they are

    def add_call(self, ordinal: int, line: bytes) -> None:
        """Take a tool call by its line, as `SessionIndex.line` gives it."""
        start, end = line.find(_NAME), line.rfind(_IDS, -_IDS_WIDTH)
        if 0 < start < end:
            self._keys[ordinal] = hash(line[start:end]) or 1
            if line[end - 1] != _BRACE:  # what follows the arguments is a sub-agent's name
                # several of one name may run side by side; each has a span of its own, its calls' parent
                self._lanes[ordinal] = hash(line[_PARENT])
        else:  # another writer's, with other members and ids of its own
            data = read_data(line)
            agent = text_of(data, "agent")
            same = [data.get("tool_name"), data.get("arguments"), agent]
            self._keys[ordinal] = hash(json.dumps(same, sort_keys=True)) or 1
            if agent:
                self._lanes[ordinal] = hash(agent)

    def retries(self) -> list[dict[str, Any]]:
        """Return a row for each call that was made again after it had failed, in order of time.

        ``calls`` and ``errors`` are how often it was made and failed, ``last`` is how the last of them ended: ok, error
        or open. ``event_id`` is the first one's.
        """
        index, keys = self._index, self._keys
        failed = {keys.get(index.partners[ordinal], 0) for ordinal in index.of_type("error")}
        groups: dict[int, list[int]] = {}
        for ordinal in self._in_order([ordinal for ordinal, key in keys.items() if key in failed]):
            groups.setdefault(keys[ordinal], []).append(ordinal)
        found = [(group, retries) for group in groups.values() if len(group) > 1 and (retries := self._retries(group))]
        found.sort(key=lambda item: index.timestamps[item[0][0]])
        return [
            {
                **self._told(group[0]),
                "calls": len(group),
                "errors": sum(self._outcome(ordinal) == "error" for ordinal in group),
                "retries": retries,
                "last": self._outcome(group[-1]),
                "event_id": text_of(index.event(group[0]), "event_id"),
            }
            for group, retries in found
        ]

    def loops(self) -> list[dict[str, Any]]:
        """Return a row for each loop, in order of time.

        ``calls`` are what is done in each round, ``rounds`` is how often, ``event_id`` the first call's.
        """
        index, keys = self._index, self._keys
        # a prompt has no key and is like nothing: what is done again because somebody asked again is no loop
        steps = self._in_order([*keys, *index.of_type("user_prompt")])
        lanes: dict[int, list[int]] = {}
        if self._lanes:
            for ordinal in steps:
                lanes.setdefault(self._lanes.get(ordinal, 0), []).append(ordinal)
        else:
            lanes[0] = steps
        found = [
            (lane[start : start + period], length // period)
            for lane in lanes.values()
            for start, period, length in cycles([keys.get(ordinal, 0) for ordinal in lane])
        ]
        found.sort(key=lambda loop: index.timestamps[loop[0][0]])
        return [
            {
                "calls": [self._told(ordinal) for ordinal in calls],
                "rounds": rounds,
                "event_id": text_of(index.event(calls[0]), "event_id"),
            }
            for calls, rounds in found
        ]

    def _in_order(self, ordinals: list[int]) -> list[int]:
        """Return ordinals in order of time, which most files are in already."""
        return sorted(
            ordinals, key=None if isinstance(self._index.order, range) else self._index.timestamps.__getitem__
        )

    def _retries(self, group: list[int]) -> int:
        """Return how many calls began when the latest of the same that had ended had failed."""
        partners, types, timestamps = self._index.partners, self._index.event_types, self._index.timestamps
        ends = [partners[ordinal] for ordinal in group if partners[ordinal] >= 0]
        # what is of one moment comes in file order, or a call that took no time would end before it began
        steps = sorted((timestamps[ordinal], ordinal) for ordinal in (*group, *ends))
        retries, has_failed = 0, False
        for _, ordinal in steps:
            if types[ordinal] == "tool_call":
                retries += has_failed
            else:
                has_failed = types[ordinal] == "error"
        return retries

    def _told(self, ordinal: int) -> dict[str, Any]:
        data = self._index.data(ordinal)
        name, arguments = self._index.tool_name(ordinal) or "?", data.get("arguments")
        telling = telling_argument(name, arguments) if is_object(arguments) else ""
        return {"tool": name, "argument": telling[:_SHOWN], "agent": text_of(data, "agent") or None}

    def _outcome(self, ordinal: int) -> str:
        end = self._index.partners[ordinal]
        return "open" if end < 0 else "error" if self._index.event_types[end] == "error" else "ok"


def cycles(keys: list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield (start, period, length) of what comes at least `LEAST_ROUNDS` times in a row, in order.

    None lies inside another one, and no period is made of shorter ones.

    Args:
        keys: equal numbers for what is the same; 0 is never the same.

    Example:
        >>> list(cycles([7, 8, 7, 8, 7, 8, 9]))
        [(0, 2, 6)]
    """
    found: list[tuple[int, int, int]] = []
    for period in range(1, LONGEST_CYCLE + 1):
        alike = [at for at in compress(count(), map(eq, keys, keys[period:])) if keys[at]]
        for start, same in _runs(alike):
            unit = keys[start : start + period]
            if same >= period * (LEAST_ROUNDS - 1) and not _is_made_of_shorter(unit):
                found.append((start, period, same + period))
    found.sort(key=lambda cycle: (cycle[0], -cycle[2]))
    reached = 0
    for start, period, length in found:
        if start + length > reached:
            reached = start + length
            yield start, period, length


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, count) of what follows one another among ascending numbers."""
    begin = 0
    for at in range(1, len(numbers) + 1):
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
            yield numbers[begin], at - begin
            begin = at


def _is_made_of_shorter(unit: list[int]) -> bool:
    periods = range(1, len(unit) // 2 + 1)
    return any(not len(unit) % period and unit[:period] * (len(unit) // period) == unit for period in periods)
