"""Output for a terminal -> the terminal, or a pager when it is longer than the screen.

Comes in: text, as writes to what stands in for sys.stdout. Goes out: the same text, at once if it is short. Called by
the replay command; what goes to a pipe or a file never comes here.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import Popen
    from types import TracebackType
    from typing import TextIO

    from typing_extensions import Self

_DEFAULT = "less"
# as git does: quit if it fits on a screen, let colours through, leave what was shown on the screen
_LESS = "FRX"


class Paged:
    """Stands in for sys.stdout while a command writes; a context manager.

    The screen's height in lines decides: up to that, nothing but the terminal is written to. Escape sequences are
    counted as columns, which errs on the side of the pager. PAGER names another pager with its options; empty, or
    ``cat``, means none.
    """

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout
        self._command = _pager() if stdout.isatty() and os.environ.get("TERM") != "dumb" else []
        try:
            self._columns, self._lines = os.get_terminal_size(stdout.fileno())
        except (OSError, ValueError):
            self._columns = self._lines = 0
        if not self._columns or not self._lines:
            self._command = []  # a terminal of no size shows nothing to page through
        self._waiting: list[str] = []
        self._used = 0
        self._pager: Popen[str] | None = None

    def __enter__(self) -> Self:
        if self._command:
            sys.stdout = self  # pyright: ignore[reportAttributeAccessIssue] - all that _write asks of it
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        """Wait until the reader has read; True if nothing went wrong but that they had seen enough."""
        if not self._command:
            return False
        sys.stdout = self._stdout
        if self._pager is None:
            self._stdout.write("".join(self._waiting))
            self._stdout.flush()
            return False
        had_enough = isinstance(error, BrokenPipeError)
        while True:
            try:
                self._close(self._pager)
                break
            except KeyboardInterrupt:  # meant for the pager, which has its own idea of it
                had_enough = True
        return had_enough or isinstance(error, KeyboardInterrupt)

    def write(self, text: str) -> int:
        """Keep text until it is more than a screen, then hand all to the pager.

        Raises:
            BrokenPipeError: the reader has left the pager.
        """
        if self._pager is not None and self._pager.stdin is not None:
            self._pager.stdin.write(text)
            return len(text)
        self._waiting.append(text)
        self._used += sum(1 + max(0, len(line) - 1) // self._columns for line in text.split("\n")) - 1
        if self._used >= self._lines:
            self._start()
        return len(text)

    def flush(self) -> None:
        """Do nothing: what is kept back may still fit on the screen."""

    def isatty(self) -> bool:
        """Tell that a person reads this."""
        return True

    def fileno(self) -> int:
        """Return the terminal's descriptor, which knows how wide it is."""
        return self._stdout.fileno()

    def _start(self) -> None:
        from subprocess import PIPE, Popen

        try:
            self._pager = Popen(  # noqa: S603 - the user's own pager
                self._command,
                stdin=PIPE,
                env={"LESS": _LESS, **os.environ},
                encoding=self._stdout.encoding,
                errors="replace",
            )
        except OSError:  # no such program
            sys.stdout = self._stdout
            self._command = []
            self._stdout.write("".join(self._waiting))
            return
        waiting = "".join(self._waiting)
        self._waiting.clear()
        self.write(waiting)

    @staticmethod
    def _close(pager: Popen[str]) -> None:
        try:
            if pager.stdin is not None:
                pager.stdin.close()
        except BrokenPipeError:
            pass
        pager.wait()


def _pager() -> list[str]:
    import shlex

    try:
        command = shlex.split(os.environ.get("PAGER", _DEFAULT))
    except ValueError:  # a quotation without its end
        command = [_DEFAULT]
    return [] if command == ["cat"] else command
