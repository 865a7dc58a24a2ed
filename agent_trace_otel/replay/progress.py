"""How far long work has come -> one line on the terminal that is drawn again and again, and gone at the end.

Comes in: what is done, of how much. Goes out: a bar on stderr, if that is a terminal; nothing else ever. Called by
commands that import, export or send.
"""

from __future__ import annotations

import os
import sys
import time

from agent_trace_otel.replay.terminal import columns_of, cut, escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import TextIO, TypeVar

    from typing_extensions import Self

    Item = TypeVar("Item")

_EVERY = 0.1  # seconds
_BAR = 20  # columns
_ERASE = "\r\033[K"


class Progress:
    """A progress bar; a context manager.

    Example:
        >>> with Progress("importing", total=len(paths), unit="sessions") as progress:
        ...     for path in progress.each(paths):
        ...         import_session(path)

    Args:
        what: what is being done.
        total: of how much; None when nobody knows, then only the count is shown.
        unit: what is counted.
        stream: where to draw; nothing is drawn unless it is a terminal.
        clock: seconds, ever more.
    """

    def __init__(
        self,
        what: str,
        *,
        total: int | None = None,
        unit: str = "",
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._total = total
        self._unit = unit
        self._stream = stream or sys.stderr
        self._clock = clock
        self._is_shown = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._done = 0
        self._drawn_at = float("-inf")

    def __enter__(self) -> Self:
        self.advance(0)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._is_shown:
            self._stream.write(_ERASE)
            self._stream.flush()

    def advance(self, number: int = 1) -> None:
        """Count what has been done; drawn at most ten times a second."""
        self._done += number
        if not self._is_shown or self._clock() - self._drawn_at < _EVERY:
            return
        self._drawn_at = self._clock()
        # one column less than there are: a full line would wrap, and could not be erased
        self._stream.write(_ERASE + cut(self._line(), columns_of(self._stream) - 1))
        self._stream.flush()

    def each(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield items, counting each when it is done with."""
        for item in items:
            yield item
            self.advance()

    def _line(self) -> str:
        unit = f" {self._unit}" if self._unit else ""
        if not self._total:
            return escape(f"{self._what} {self._done:,}{unit}")
        share = min(1.0, self._done / self._total)
        bar = "█" * int(_BAR * share)
        return escape(f"{self._what} {bar:░<{_BAR}} {share:4.0%} {self._done:,} of {self._total:,}{unit}")
