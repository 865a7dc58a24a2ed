"""A Chrome trace as text: each lane with its slices inside each other, as a viewer draws them; for people and tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple


class Drawn(NamedTuple):
    """One slice or instant of a lane, times in microseconds."""

    lane: str
    begin: float
    end: float
    """Infinity for what has not ended."""
    name: str
    depth: int


def events_of(text: str) -> list[dict[str, Any]]:
    """Return the events of a document, which must be valid JSON in ASCII."""
    assert text.isascii()
    document = json.loads(text)
    assert next(iter(document)) == "traceEvents"
    return list(document["traceEvents"])


def drawn(events: Iterable[dict[str, Any]]) -> list[Drawn]:
    """Return what a viewer draws: in each lane, a slice lies in the one that is open when it begins.

    Slices of one lane that overlap without one being in the other can't be drawn; there must be none.
    """
    found = list(events)
    names = {event["tid"]: event["args"]["name"] for event in found if event["name"] == "thread_name"}
    told: list[Drawn] = []
    for tid, lane in names.items():
        here = [event for event in found if event.get("tid") == tid and event["ph"] in "XBi"]
        open_until: list[float] = []
        for event in sorted(here, key=lambda one: (one["ts"], -_end(one), one["ph"] == "i")):
            is_instant = event["ph"] == "i"
            while open_until and (open_until[-1] < event["ts"] or (open_until[-1] == event["ts"] and not is_instant)):
                open_until.pop()
            if not is_instant:
                assert all(_end(event) <= end for end in open_until), f"{event['name']} does not lie within its lane"
            told.append(Drawn(lane, event["ts"], _end(event), event["name"], len(open_until)))
            if not is_instant:
                open_until.append(_end(event))
    return told


def text_of(told: Iterable[Drawn]) -> str:
    """Return a drawing as lines, times in milliseconds."""
    lines: list[str] = []
    lane = ""
    for one in told:
        if one.lane != lane:
            lane = one.lane
            lines.append(f"{lane}")
        end = "" if one.begin == one.end else "..open" if one.end == float("inf") else f"..{one.end / 1000:.1f}"
        lines.append(f"{'  ' * (one.depth + 1)}{one.name} [{one.begin / 1000:.1f}{end}]")
    return "".join(f"{line}\n" for line in lines)


def _end(event: dict[str, Any]) -> float:
    return float("inf") if event["ph"] == "B" else event["ts"] + event.get("dur", 0)
