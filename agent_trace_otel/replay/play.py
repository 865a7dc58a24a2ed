"""Pacing: the entries of a replay as fast as they are wanted.

Comes in: entries and how to pace them. Goes out: the same entries, each at its time. Called by the replay command.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from agent_trace_otel.replay.timeline import Entry


def paced(
    entries: Iterable[Entry], *, speed: float, max_idle: float, sleep: Callable[[float], object] = time.sleep
) -> Iterator[Entry]:
    """Yield entries with the pauses that lay between them.

    Args:
        entries: in order of time.
        speed: how many times faster than it was; above 0.
        max_idle: the longest pause, in seconds of the viewer's time.
        sleep: waits a number of seconds.
    """
    before: float | None = None
    for entry in entries:
        if before is not None:
            pause = min((entry.offset - before) / speed, max_idle)
            if pause > 0:
                sleep(pause)
        before = entry.offset
        yield entry
