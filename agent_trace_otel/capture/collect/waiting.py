"""Spans that wait for a session: HTTP, database and other calls whose trace has no agent's span yet.

Comes in: their lines, redacted, as spans.jsonl would have them. Goes out: the lines of a trace that has a session now,
and those that have waited long enough. Called by `sessions`, which keeps them on disk as well.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

MAX_BYTES: Final = 32 << 20
"""Of all lines that wait; beyond it the traces that have waited longest are let go."""
MAX_SECONDS: Final = 15 * 60.0
"""An agent's own span comes last, and an agent may be at it for a while. What comes between makes the session."""


@dataclass(slots=True)
class _Trace:
    since: float
    lines: list[bytes] = field(default_factory=list[bytes])


class Waiting:
    """The spans of all traces without a session."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes of all lines."""
        self._traces: OrderedDict[int, _Trace] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._traces)

    def add(self, trace_id: int, line: bytes) -> None:
        """Let a span wait."""
        waiting = self._traces.get(trace_id)
        if waiting is None:
            waiting = self._traces[trace_id] = _Trace(time.monotonic())
        waiting.lines.append(line)
        self.size += len(line)

    def take(self, trace_id: int) -> list[bytes]:
        """Hand back the spans of a trace."""
        waiting = self._traces.pop(trace_id, None)
        if waiting is None:
            return []
        self.size -= sum(map(len, waiting.lines))
        return waiting.lines

    def take_old(self, now: float) -> list[bytes]:
        """Hand back the spans that have waited long enough, and those that there is no room for."""
        found: list[bytes] = []
        while self._traces:
            trace_id, waiting = next(iter(self._traces.items()))
            if self.size <= MAX_BYTES and now - waiting.since <= MAX_SECONDS:
                break
            found += self.take(trace_id)
        return found

    def lines(self) -> Iterator[bytes]:
        """Yield all lines."""
        for waiting in self._traces.values():
            yield from waiting.lines
