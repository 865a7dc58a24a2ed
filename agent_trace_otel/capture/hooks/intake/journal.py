"""Journals: one append-only file a session that holds every input of its state machine, in order.

Comes in: entries of the receiver, of the spool and of the worker. Goes out: lines on disk, and the same entries on one
queue to the worker, in the order of the lines. Called by `receiver`, `spool` and the worker.

What was appended survives the process; a worker that starts again replays the file up to the entry that it takes next.
Secrets of the forwarded environment are in the entry that the worker gets, and in no line. The queue holds a bounded
number of bytes: what does not fit is read back from the file.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, Protocol, cast

from agent_trace_otel import open_flags
from agent_trace_otel.capture.hooks.intake.frames import SessionKey, public_environment
from agent_trace_otel.identity import folder_name

_MAX_OPEN_FILES: Final = 64
_MAX_QUEUED_BYTES: Final = 32 << 20
_SUFFIX: Final = ".ndjson"
_HEADER: Final = "journal"
_CHECKPOINT: Final = "checkpoint"
_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder(parse_constant=str).decode


@dataclass(frozen=True, slots=True)
class Entry:
    """One input: its kind, its time in unix ns, and the whole JSON object, these two included."""

    kind: str
    at: int
    data: Mapping[str, Any]


class Acknowledgement(Protocol):
    """A hook that waits for its entry to be seen."""

    def send(self) -> None:
        """Let the hook go; a second call does nothing."""
        ...


class Delivery(NamedTuple):
    """One entry on its way to the worker."""

    key: SessionKey
    offset: int
    """Where its line begins in the journal: `Journals.replay` up to here gives what came before."""
    entry: Entry
    waiting: Acknowledgement | None
    """The hook to let go once the entry was taken."""


class _Queued(NamedTuple):
    key: SessionKey
    offset: int
    size: int
    entry: Entry | None
    """None if it is to be read back."""
    env: Mapping[str, str] | None
    waiting: Acknowledgement | None


class Journals:
    """The journals of one directory, which nobody else writes. Safe to share between threads."""

    def __init__(self, directory: Path) -> None:
        """Take a directory, which is made when it is missing.

        Raises:
            OSError: it can't be made.
        """
        directory.mkdir(mode=0o700, exist_ok=True)
        self._directory = directory.absolute()
        self._changed = threading.Condition(threading.Lock())
        self._open: OrderedDict[SessionKey, int] = OrderedDict()
        self._queue: deque[_Queued] = deque()
        self._queued: Counter[SessionKey] = Counter()
        self._queued_bytes = 0
        self._last: dict[SessionKey, int] = {}
        self._is_taken = False  # the worker is still being loaded
        self._is_closing = False
        self.skipped = 0
        """Lines that could not be read."""

    @property
    def is_idle(self) -> bool:
        """Whether the worker has taken everything that there is, and so can take the next entry at once."""
        return self._is_taken and not self._queue

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closing

    @property
    def waiting(self) -> int:
        """How many entries the worker has not been handed yet."""
        return len(self._queue)

    def append(self, key: SessionKey, entry: Entry, waiting: Acknowledgement | None = None) -> None:
        """Write one line, and hand the entry to the worker.

        Args:
            key: whose entry it is.
            entry: the input. Secret values of its ``env`` are not written, but reach the worker.
            waiting: the hook to be let go by whoever takes the entry.

        Raises:
            OSError: the line could not be written; nothing of it stays.
        """
        env = cast("Mapping[str, str] | None", entry.data.get("env"))
        line = _line(entry)
        with self._changed:
            offset = self._write(key, line)
            self._last[key] = offset
            fits = self._queued_bytes + len(line) <= _MAX_QUEUED_BYTES or not self._queue
            self._queued_bytes += len(line) if fits else 0
            self._queue.append(_Queued(key, offset, len(line), entry if fits else None, env, waiting))
            self._queued[key] += 1
            self._changed.notify()

    def next(self, timeout: float) -> Delivery | None:
        """Return the next entry for the worker, None when there is none for ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            self._is_taken = True
            while True:
                while self._queue:
                    delivery = self._next_queued()
                    if delivery is not None:
                        self._is_taken = False
                        return delivery
                left = deadline - time.monotonic()
                if left <= 0 or self._is_closing:
                    return None
                self._changed.wait(left)

    def taken(self) -> None:
        """Say that the entry handed out last was taken; asking for the next one says so as well."""
        self._is_taken = True

    def close(self) -> None:
        """Let nobody wait any more: `next` returns what is left, then None at once."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()

    def replay(self, key: SessionKey, until: int) -> Iterator[Entry]:
        """Yield a session's entries of which the lines begin in bytes [0, ``until``) of its journal.

        Lines that are torn or otherwise unreadable are passed over and counted in ``skipped``.
        """
        with contextlib.suppress(FileNotFoundError), _reader(self._path(key)) as file:
            at = 0
            for line in file:
                if at >= until:
                    return
                at += len(line)
                entry = _entry(line)
                if entry is None:
                    self.skipped += line != b"\n"
                elif entry.kind != _HEADER:
                    yield entry

    def first(self, key: SessionKey) -> Entry | None:
        """Return a session's first entry, None when there is none."""
        return next(self.replay(key, self.size(key)), None)

    def size(self, key: SessionKey) -> int:
        """Return a journal's length in bytes; it includes entries that are still on the queue."""
        with self._changed, contextlib.suppress(OSError):  # no line is half written while the lock is held
            return self._path(key).stat().st_size
        return 0

    def keys(self) -> list[SessionKey]:
        """Return the sessions that have a journal, oldest change first."""
        paths = [path for path in self._directory.glob(f"*{_SUFFIX}") if not path.name.startswith(".")]
        found = [(path.lstat().st_mtime_ns, key) for path in paths if (key := _key_of(path)) is not None]
        return [key for _, key in sorted(found, key=lambda pair: pair[0])]

    def replace(self, key: SessionKey, entries: Iterable[Entry], *, processed: int) -> bool:
        """Write a session's journal anew, atomically, unless it has entries that the worker has not taken.

        Args:
            key: whose journal.
            entries: what takes the place of all that is there; none of it goes on the queue.
            processed: the offset of the last entry that was taken, or a later one.

        Returns:
            False, and nothing is changed, when an entry was appended after ``processed``.

        Raises:
            OSError: the new file can't be written; the old one stays.
        """
        lines = [_header(key), *map(_line, entries)]
        path = self._path(key)
        new = path.with_name(f".{path.name}.new")
        with self._changed:
            if self._queued[key] or self._last.get(key, 0) > processed:
                return False
            new.unlink(missing_ok=True)
            with open(os.open(new, open_flags.CREATE, 0o600), "wb") as file:  # noqa: PTH123 - a descriptor
                file.writelines(lines)
            self._close(key)
            new.replace(path)
            self._last.pop(key, None)
        return True

    def remove(self, key: SessionKey) -> bool:
        """Delete a session's journal; False, and nothing is changed, while entries of it are on the queue."""
        with self._changed:
            if self._queued[key]:
                return False
            self._close(key)
            self._last.pop(key, None)
            self._path(key).unlink(missing_ok=True)
        return True

    def _write(self, key: SessionKey, line: bytes) -> int:
        """Append a line in one write() and return where it begins."""
        descriptor = self._descriptor(key)
        size = os.fstat(descriptor).st_size
        if size == 0:
            before = _header(key)
        else:
            os.lseek(descriptor, size - 1, os.SEEK_SET)
            before = b"" if os.read(descriptor, 1) == b"\n" else b"\n"  # a kill tore the last line
        try:
            written = os.write(descriptor, before + line)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        if written != len(before) + len(line):
            os.ftruncate(descriptor, size)
            msg = f"only {written} of {len(before) + len(line)} bytes were written"
            raise OSError(msg)
        return size + len(before)

    def _descriptor(self, key: SessionKey) -> int:
        descriptor = self._open.get(key)
        if descriptor is not None and os.fstat(descriptor).st_nlink == 0:
            self._close(key)  # somebody removed the file
            descriptor = None
        if descriptor is None:
            self._directory.mkdir(mode=0o700, exist_ok=True)  # somebody may have cleaned up
            descriptor = self._open[key] = os.open(self._path(key), open_flags.APPEND, 0o600)
            while len(self._open) > _MAX_OPEN_FILES:
                os.close(self._open.popitem(last=False)[1])
        self._open.move_to_end(key)
        return descriptor

    def _close(self, key: SessionKey) -> None:
        descriptor = self._open.pop(key, None)
        if descriptor is not None:
            os.close(descriptor)

    def _next_queued(self) -> Delivery | None:
        """Take the oldest entry off the queue; None when it has to be read back and is gone."""
        item = self._queue.popleft()
        self._queued[item.key] -= 1
        if not self._queued[item.key]:
            del self._queued[item.key]
        entry = item.entry
        if entry is not None:
            self._queued_bytes -= item.size
        else:
            with contextlib.suppress(OSError), _reader(self._path(item.key)) as file:
                file.seek(item.offset)
                entry = _entry(file.read(item.size))
            if entry is None:
                self.skipped += 1
                return None
            if item.env is not None:
                entry = Entry(entry.kind, entry.at, {**entry.data, "env": item.env})
        return Delivery(item.key, item.offset, entry, item.waiting)

    def _path(self, key: SessionKey) -> Path:
        return self._directory / f"{folder_name(key.agent)}-{folder_name(key.session_id)}{_SUFFIX}"


def untold_sessions(directory: Path) -> set[str]:
    """Return the ids of the sessions that a recorder has journals of and has not told to their end."""
    found: set[str] = set()
    for path in directory.glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError), _reader(path) as file:
            header, *entries = [_entry(line) for line in itertools.islice(file, 3)] or [None]
            is_over = len(entries) == 1 and entries[0] is not None and entries[0].kind == _CHECKPOINT
            if header is not None and header.kind == _HEADER and not is_over:
                found.add(folder_name(str(header.data.get("session_id"))))
    return found


def _line(entry: Entry) -> bytes:
    data: dict[str, Any] = {**entry.data, "kind": entry.kind, "at": entry.at}
    env = data.get("env")
    if isinstance(env, Mapping):
        data["env"] = public_environment(cast("Mapping[str, str]", env))
    return _encode(data).encode("ascii") + b"\n"


def _header(key: SessionKey) -> bytes:
    """Return a journal's first line: its name alone does not tell whose it is."""
    return _line(Entry(_HEADER, time.time_ns(), {"agent": key.agent, "session_id": key.session_id}))


def _key_of(path: Path) -> SessionKey | None:
    with contextlib.suppress(OSError), _reader(path) as file:
        entry = _entry(file.readline())
        if entry is not None and entry.kind == _HEADER:
            return SessionKey(str(entry.data.get("agent")), str(entry.data.get("session_id")))
    return None


def _entry(line: bytes) -> Entry | None:
    try:
        data: object = _decode(line.decode("ascii"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    values = cast("dict[str, Any]", data)
    kind, at = values.get("kind"), values.get("at")
    return Entry(kind, at, values) if isinstance(kind, str) and isinstance(at, int) else None


@contextlib.contextmanager
def _reader(path: Path) -> Generator[BinaryIO, None, None]:
    with open(os.open(path, open_flags.READ), "rb") as file:  # noqa: PTH123 - a descriptor
        yield file
