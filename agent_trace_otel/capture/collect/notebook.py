"""What the collector must still know after a kill and no session folder says: one file beside the folders.

Comes in: spans that wait for their trace's session, and which session a trace belongs to. Goes out: the same, read back
by the next collector of the trace directory. Called by `sessions`. Lines are appended with one write() each, before
the client that sent them has its answer; the file is written anew when most of it is over.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from agent_trace_otel import open_flags
from agent_trace_otel.errors import StoreError
from agent_trace_otel.store.folder import make_trace_dir

try:
    import fcntl
except ImportError:  # Windows: two collectors of one directory would share the file
    fcntl = None  # type: ignore[assignment]

_NAME: Final = ".collect{}.ndjson"
"""No session's name: those begin with a letter or a digit."""
_MOST: Final = 64
"""Collectors of one trace directory at a time."""
_TRACE: Final = b'{"trace":'
_WORTH_IT: Final = 8 << 20  # bytes; a smaller file is left as it is


class Bound(NamedTuple):
    """A trace (hex) and the session it belongs to.

    ``store`` is the directory of the session's folder, empty for the trace directory that the notebook lies in.
    """

    trace_id: str
    session: str
    store: str

    def line(self) -> bytes:
        """Return it as a line of the file."""
        return json.dumps({"trace": self.trace_id, "session": self.session, "store": self.store}).encode() + b"\n"


class Notebook:
    """One collector's file; the first of a few names that no other collector holds."""

    def __init__(self, trace_dir: Path) -> None:
        """Take a trace directory, which is made when it is missing.

        Raises:
            OSError, StoreError: the file can't be opened.
        """
        make_trace_dir(trace_dir)
        self._trace_dir = trace_dir
        self._path, self._fd = self._take()
        self._size = os.fstat(self._fd).st_size

    def _take(self) -> tuple[Path, int]:
        for number in range(1, _MOST + 1):
            path = self._trace_dir / _NAME.format("" if number == 1 else f"-{number}")
            descriptor = os.open(path, open_flags.APPEND, 0o600)
            if _is_taken(descriptor):
                return path, descriptor
            os.close(descriptor)
        msg = f"{_MOST} collectors write to {self._trace_dir} already"
        raise StoreError(msg)

    def read(self) -> Iterator[Bound | bytes]:
        """Yield what an earlier collector has left, in its order: bound traces, and lines of OTLP JSON."""
        with self._path.open("rb") as lines:
            for line in lines:
                if not line.startswith(_TRACE):
                    yield line
                    continue
                with contextlib.suppress(ValueError, KeyError, TypeError):  # a torn line
                    found = json.loads(line)
                    yield Bound(str(found["trace"]), str(found["session"]), str(found["store"]))

    def add(self, line: bytes) -> None:
        """Append a line.

        Raises:
            OSError: it could not be written whole.
        """
        written = os.write(self._fd, line)
        self._size += written
        if written != len(line):
            os.write(self._fd, b"\n")
            msg = f"only {written} of {len(line)} bytes were written"
            raise OSError(msg)

    def is_worth_rewriting(self, live: int) -> bool:
        """Tell whether most of the file is over, if so many bytes of it are not."""
        return self._size > _WORTH_IT and self._size > 2 * live

    def rewrite(self, lines: Iterable[bytes]) -> None:
        """Write the file anew, atomically.

        Raises:
            OSError: it could not be written; the old one is still there.
        """
        new = self._path.with_name(f"{self._path.name}.new")
        descriptor = os.open(new, open_flags.APPEND | os.O_TRUNC, 0o600)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.writelines(lines)
            _is_taken(descriptor)
            new.replace(self._path)
        except OSError:
            os.close(descriptor)
            new.unlink(missing_ok=True)
            raise
        os.close(self._fd)
        self._fd, self._size = descriptor, os.fstat(descriptor).st_size

    def close(self) -> None:
        """Give the file back."""
        os.close(self._fd)


def _is_taken(descriptor: int) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
