"""The ledger of one session and one back end: which spans it has acknowledged, which it has refused and why.

Comes in: a session folder and a target's name (`otlp.target_name`). Goes out: whether a span still has to be sent, the
lock under which it may be, and notes of what became of it. Called by everything that sends, and by `standing`; loads no
part of OpenTelemetry.

    delivered-<target>.log    a span id a line, in hex; one write a batch
    failed-<target>.log       span id, tab, kind, tab, reason; what is not sent again by itself

Both are only ever appended to. A line that was torn by a kill or a full disk says nothing, so its span is sent again.
Whoever sends holds the lock (flock on the delivered log) for one request: it looks what others have noted since, sends
the rest and notes the answer. So processes that share a session take turns, request by request.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from agent_trace_otel import open_flags
from agent_trace_otel.delivery.span_ids import SpanIds

try:
    import fcntl
except ImportError:  # Windows: two shippers of one session may send a span twice, with the same ids
    fcntl = None  # type: ignore[assignment]

DELIVERED: Final = "delivered-"
FAILED: Final = "failed-"
SUFFIX: Final = ".log"
_BLOCK: Final = 1 << 20
_POLL_SECONDS: Final = 0.01
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""A file system that knows no locks: as on Windows."""
_ids_in = re.compile(rb"^([0-9a-f]{16})$", re.MULTILINE).findall
_failures_in = re.compile(rb"^([0-9a-f]{16})\t([a-z]+)\t(.*)$", re.MULTILINE).findall

REFUSED: Final = "refused"
"""The back end said no to this very span."""
PARTIAL: Final = "partial"
"""It took the batch but for some spans that it did not name: OTLP forbids a retry."""


class Failure(NamedTuple):
    """One span that was set aside."""

    span_id: int
    kind: str
    reason: str


class Ledger:
    """What one back end said about the spans of one session; grows with the files, `refresh` reads on.

    Args:
        folder: the session folder.
        target: the back end's name, see `otlp.target_name`.
    """

    __slots__ = ("_delivered", "_failed", "delivered", "folder", "set_aside", "target")

    def __init__(self, folder: str | os.PathLike[str], target: str) -> None:
        self.folder = Path(folder)
        self.target = target
        self.delivered = SpanIds()
        self.set_aside = SpanIds()
        """Those that were ever set aside; what was taken later is in ``delivered`` as well."""
        self._delivered = _Log(self.folder / f"{DELIVERED}{target}{SUFFIX}")
        self._failed = _Log(self.folder / f"{FAILED}{target}{SUFFIX}")

    def refresh(self) -> None:
        """Read what was noted since, by this process or another.

        Raises:
            OSError: a log can't be read.
        """
        for log, ids in ((self._delivered, self.delivered), (self._failed, self.set_aside)):
            for block in log.read_on():
                found = _ids_in(block) if log is self._delivered else (one[0] for one in _failures_in(block))
                ids.update(int(span_id, 16) for span_id in found)

    def is_waiting(self, span_id: int) -> bool:
        """Tell whether a span was neither acknowledged nor set aside, as far as was read."""
        return span_id not in self.delivered and span_id not in self.set_aside

    @contextlib.contextmanager
    def held(self, wait: float = 0.0) -> Generator[bool, None, None]:
        """Hold the lock against other processes and threads, read on, and say if it is held.

        It is not if somebody else has it for longer than ``wait`` seconds.

        Raises:
            OSError: the folder is gone or can't be written.
        """
        descriptor = os.open(self._delivered.path, open_flags.APPEND, 0o600)
        try:
            is_held = _flock(descriptor, wait)
            try:
                if is_held:
                    self.refresh()
                yield is_held
            finally:
                if is_held and fcntl is not None:
                    # closing is not enough: a child forked meanwhile has a copy of the descriptor
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def note_delivered(self, span_ids: Iterable[int]) -> None:
        """Note that spans were acknowledged, in one write; call it under `held`.

        Raises:
            OSError: it can't be written; another process will send the spans again, with the same ids.
        """
        noted = tuple(span_ids)
        self.delivered.update(noted)
        self._delivered.append("".join(f"{span_id:016x}\n" for span_id in noted).encode("ascii"))

    def note_failed(self, span_ids: Iterable[int], kind: str, reason: str) -> None:
        """Note that spans were refused, in one write; ``reason`` is cut to one line.

        Raises:
            OSError: it can't be written.
        """
        said = " ".join("".join(char if char.isprintable() else " " for char in reason).split())
        lines = "".join(f"{span_id:016x}\t{kind}\t{said}\n" for span_id in span_ids)
        self._failed.append(lines.encode("utf-8", "replace"))

    def failures(self) -> list[Failure]:
        """Return what is set aside and was not taken later, with the last reason of each, in order of first refusal.

        Raises:
            OSError: a log can't be read.
        """
        self.refresh()
        found: dict[int, Failure] = {}
        for block in _Log(self._failed.path).read_on():
            for text, kind, reason in _failures_in(block):
                span_id = int(text, 16)
                if span_id not in self.delivered:
                    found[span_id] = Failure(span_id, kind.decode(), reason.decode("utf-8", "replace"))
        return list(found.values())


class _Log:
    """A file that is appended to by several processes, read block by block from where the last reading ended."""

    __slots__ = ("_file", "_offset", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._file = (0, 0)

    def read_on(self) -> Iterator[bytes]:
        """Yield the whole lines that were appended, in blocks; a missing file has none."""
        try:
            descriptor = os.open(self.path, open_flags.READ)
        except FileNotFoundError:
            return
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(0, "not a regular file", str(self.path))
            if self._file != (found.st_dev, found.st_ino) or found.st_size < self._offset:
                self._file, self._offset = (found.st_dev, found.st_ino), 0  # somebody has put another one there
            os.lseek(descriptor, self._offset, os.SEEK_SET)
            rest = b""
            while self._offset + len(rest) < found.st_size and (block := os.read(descriptor, _BLOCK)):
                block = rest + block
                end = block.rfind(b"\n") + 1
                rest = block[end:]
                self._offset += end
                yield block[:end]
        finally:
            os.close(descriptor)

    def append(self, lines: bytes) -> None:
        """Append whole lines in one write; what a torn write left behind is ended first."""
        if not lines:
            return
        descriptor = os.open(self.path, open_flags.APPEND, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size:
                os.lseek(descriptor, size - 1, os.SEEK_SET)  # what is written goes to the end all the same
                lines = lines if os.read(descriptor, 1) == b"\n" else b"\n" + lines
            written = os.write(descriptor, lines)
            if written != len(lines):
                raise OSError(0, f"only {written} of {len(lines)} bytes were written", str(self.path))
        finally:
            os.close(descriptor)


def _flock(descriptor: int, wait: float) -> bool:
    deadline = time.monotonic() + wait
    while not _try_flock(descriptor):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _try_flock(descriptor: int) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
    return True
