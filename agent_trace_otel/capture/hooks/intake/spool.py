"""The spool: what hooks left when nobody answered -> the same frames, oldest first, each removed once it is recorded.

Called by `recorder`'s service: when it starts, before each live frame, and once a second.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent_trace_otel import guard, open_flags
from agent_trace_otel.capture.hooks.intake.receiver import MAX_FRAME

SUFFIX: Final = ".hook"
_ABANDONED_SECONDS: Final = 86_400.0


class Spool:
    """One spool directory. Files whose names begin with a dot are still being written."""

    def __init__(self, directory: Path) -> None:
        """Take a directory, which is made when it is missing.

        Raises:
            OSError: it can't be made.
        """
        directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = str(directory.absolute())
        self._done: set[str] = set()

    def waiting(self) -> list[str]:
        """Return the names of the files to drain; names begin with the time in ns, so they sort by age."""
        with contextlib.suppress(OSError), os.scandir(self._directory) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(SUFFIX) and entry.name[0] != "."]
            return sorted(name for name in names if name not in self._done)
        return []

    def drain(self, record: Callable[[bytes], None]) -> int:
        """Hand every frame on and remove its file; return how many there were.

        Args:
            record: writes a frame to the journal. If it raises OSError, this file and the later ones stay for the next
                time. A file that can't be read or recorded for another reason stays where it is, and holds up no other.
        """
        count = 0
        for name in self.waiting():
            path = os.path.join(self._directory, name)  # noqa: PTH118 - asked before every live frame
            try:
                data = _read(path)
            except OSError as error:
                guard.report("read what a hook has spooled", error)
                continue
            try:
                record(data)
            except OSError as error:
                guard.report("record what a hook has spooled", error)
                break
            except Exception as error:  # noqa: BLE001 - each recorder would end by it, and never come to the later ones
                self._done.add(name)
                guard.report("record what a hook has spooled", error)
                continue
            count += 1
            try:
                os.unlink(path)  # noqa: PTH108 - as above
            except OSError as error:
                self._done.add(name)  # recorded once is enough
                guard.report("remove a spooled hook", error)
        return count

    def sweep(self) -> None:
        """Remove what hooks that were killed while they wrote have left behind, after a day."""
        before = time.time() - _ABANDONED_SECONDS
        with contextlib.suppress(OSError), os.scandir(self._directory) as entries:
            for entry in entries:
                if entry.name[0] == "." and entry.stat(follow_symlinks=False).st_mtime < before:
                    os.unlink(entry.path)  # noqa: PTH108 - as above


def _read(path: str) -> bytes:
    """Return a file's bytes, nothing of what is no regular file or of another user.

    Raises:
        OSError: it can't be read.
    """
    with open(os.open(path, open_flags.READ), "rb") as file:  # noqa: PTH123 - a descriptor
        found = os.fstat(file.fileno())
        is_ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
        return file.read(MAX_FRAME) if stat.S_ISREG(found.st_mode) and is_ours else b""
