"""Journal entries that a session writes itself, and waits for: what it does next follows from them.

Comes in: what was found out beside the hooks. Goes out: entries of the journal, which come back like those of hooks.
Called by `hook_session`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from agent_trace_otel import guard


class OwnEntries:
    """The entries of one session that are out: written and not come back yet, or, on a full disk, not written yet.

    Args:
        write: (kind, time in unix ns, data) -> a line of the journal; raises OSError.
    """

    def __init__(self, write: Callable[[str, int, Mapping[str, Any]], None]) -> None:
        self._write = write
        self._count = 0
        self._unwritten: deque[tuple[str, int, Mapping[str, Any]]] = deque()

    @property
    def are_out(self) -> bool:
        """Whether the session waits for entries of its own."""
        return self._count > 0

    def append(self, kind: str, data: Mapping[str, Any], at: int = 0) -> None:
        """Write an entry, at ``at`` unix nanoseconds, now by default."""
        self._count += 1
        self._unwritten.append((kind, at or time.time_ns(), data))
        self.write()

    def write(self) -> bool:
        """Write what the disk had no room for, in its order; False if it still has none. Nobody tells it twice."""
        while self._unwritten:
            try:
                self._write(*self._unwritten[0])
            except OSError as error:
                guard.report("write the journal", error)
                return False
            self._unwritten.popleft()
        return True

    def came_back(self) -> None:
        """Take note that the journal handed one out."""
        self._count = max(0, self._count - 1)

    def forget(self) -> None:
        """Wait for none of those that an earlier recorder has written."""
        self._count = 0
