"""Session folders on disk: made safely, appended to a line at a time by any number of processes and threads.

Called by `writer` alone. Every line is one write() on an O_APPEND descriptor, so lines of several processes never mix
on a local file system (POSIX write(2); NFS gives no such promise). Folders are 0700, files 0600; symlinks and other
users' folders are refused.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Generator
from pathlib import Path

from agent_trace_otel import open_flags
from agent_trace_otel.errors import StoreError

try:
    import fcntl
except ImportError:  # Windows: meta.json is still replaced atomically, only not under a lock
    fcntl = None  # type: ignore[assignment]

EVENTS = "events.ndjson"
SPANS = "spans.jsonl"
META = "meta.json"

_MAX_OPEN_FILES = 128
_RETRY_SECONDS = 1.0
_LOCK_POLL_SECONDS = 0.005


class _AppendFile:
    """An open file that is closed when nobody holds it any more.

    The descriptor is closed by reference count, not by the pool that evicts it: a thread that is just writing holds a
    reference, so no lock is needed around write().
    """

    __slots__ = ("_fd", "_torn")

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, open_flags.APPEND, 0o600)
        self._torn = _is_torn(self._fd)

    def append(self, line: bytes) -> None:
        if self._torn:
            line = b"\n" + line
        try:
            written = os.write(self._fd, line)
        except OSError:
            self._torn = True
            raise
        self._torn = written != len(line)
        if self._torn:
            msg = f"only {written} of {len(line)} bytes were written"
            raise OSError(msg)

    def is_gone(self) -> bool:
        return os.fstat(self._fd).st_nlink == 0

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self._fd)


def _is_torn(descriptor: int) -> bool:
    """Tell whether a file ends in a part of a line whose writer is gone, and not in one that is being written."""
    while True:
        size = os.fstat(descriptor).st_size
        if size == 0:
            return False
        os.lseek(descriptor, size - 1, os.SEEK_SET)  # whoever appends does so at the end all the same
        if os.read(descriptor, 1) == b"\n":
            return False
        # the system changes a mode between writes, never in the midst of one: a writer has now ended its line
        if sys.platform != "win32":  # there an empty line may come between, which readers pass over
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, 0o600)
        if os.fstat(descriptor).st_size == size:
            return True


class _OpenFiles:
    """The process's open files, oldest first, so that thousands of sessions need few descriptors."""

    def __init__(self) -> None:
        self._slots: OrderedDict[_Slot, None] = OrderedDict()
        self._lock = threading.RLock()

    def open(self, slot: _Slot) -> _AppendFile:
        with self._lock:
            if slot.file is None:
                slot.file = _AppendFile(slot.path)
                self._slots[slot] = None
                while len(self._slots) > _MAX_OPEN_FILES:
                    self._slots.popitem(last=False)[0].file = None
            return slot.file

    def close(self, slot: _Slot) -> None:
        with self._lock:
            slot.file = None
            self._slots.pop(slot, None)

    def renew_lock(self) -> None:
        self._lock = threading.RLock()


class _Slot:
    """A place for one open file; hashed by identity."""

    __slots__ = ("file", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.file: _AppendFile | None = None


_open_files = _OpenFiles()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_files.renew_lock)


class SessionFolder:
    """One session's folder, made on the first write.

    Every method raises OSError or StoreError when it can't do its work; the caller decides that capture goes on.
    """

    __slots__ = ("_events", "_is_checked", "_not_before", "_reason", "_spans", "path")

    def __init__(self, trace_dir: Path, session_id: str) -> None:
        self.path = trace_dir / session_id
        self._events = _Slot(str(self.path / EVENTS))
        self._spans = _Slot(str(self.path / SPANS))
        self._is_checked = False
        self._not_before = 0.0
        self._reason: Exception | None = None

    def append_event(self, line: bytes) -> None:
        """Append one line, newline included, to events.ndjson."""
        (self._events.file or self._open(self._events)).append(line)

    def append_span(self, line: bytes) -> None:
        """Append one line, newline included, to spans.jsonl."""
        (self._spans.file or self._open(self._spans)).append(line)

    def _open(self, slot: _Slot) -> _AppendFile:
        if self._is_checked:
            with contextlib.suppress(OSError):
                return _open_files.open(slot)
        now = time.monotonic()
        if now < self._not_before and self._reason is not None:
            raise self._reason
        try:
            try:
                return self._make_and_open(slot)
            except FileNotFoundError:  # `agent-trace prune` took the old folder away just then
                return self._make_and_open(slot)
        except (OSError, StoreError) as error:
            # a folder that can't be made would cost several system calls an event: try again after a while
            self._reason, self._not_before = error, now + _RETRY_SECONDS
            raise

    def _make_and_open(self, slot: _Slot) -> _AppendFile:
        self.make()
        self._is_checked = True
        return _open_files.open(slot)

    def make(self) -> bool:
        """Make the trace directory and the folder; return True if the folder is new."""
        make_trace_dir(self.path.parent)
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            _check_ours(self.path)
            return False
        return True

    def has_events(self) -> bool:
        """Tell whether the timeline has begun, in this process or another."""
        try:
            return os.stat(self._events.path).st_size > 0
        except OSError:
            return False

    def reopen_if_gone(self) -> bool:
        """Notice that somebody removed the files while we hold them; the next write makes them anew."""
        gone = False
        for slot in (self._events, self._spans):
            file = slot.file
            if file is not None and file.is_gone():
                _open_files.close(slot)
                self._is_checked = False
                gone = True
        return gone

    def close(self) -> None:
        """Give the descriptors back; a later write opens the files again."""
        _open_files.close(self._events)
        _open_files.close(self._spans)

    @contextlib.contextmanager
    def locked(self, wait: float = 0.0) -> Generator[bool, None, None]:
        """Hold the folder's lock against other processes and threads (flock on the directory), and say if it is held.

        It is not if somebody else holds it for longer than ``wait`` seconds, such as a process that was stopped.
        """
        self.make()
        if fcntl is None:
            yield True
            return
        descriptor = os.open(self.path, open_flags.DIRECTORY)
        try:
            is_held = _lock(descriptor, wait)
            try:
                yield is_held
            finally:
                if is_held:
                    # closing is not enough: a child forked meanwhile has a copy of the descriptor
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def read_meta(self) -> bytes | None:
        """Return meta.json as it is, None if there is none."""
        try:
            return (self.path / META).read_bytes()
        except OSError:
            return None

    def replace_meta(self, text: str) -> None:
        """Write meta.json atomically; call it under `locked`."""
        new = self.path / f".{META}.{os.getpid()}"
        try:
            _write_whole(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | open_flags.GUARDS, 0o600), text.encode())
            new.replace(self.path / META)
        except OSError:
            new.unlink(missing_ok=True)
            raise


def _write_whole(descriptor: int, data: bytes) -> None:
    """Write and close; by the system's calls alone, since a generator may be ended when `open` is gone already."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def _lock(descriptor: int, wait: float) -> bool:
    deadline = time.monotonic() + wait
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_LOCK_POLL_SECONDS)
    return True


def _try_lock(descriptor: int) -> bool:
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def make_trace_dir(path: Path) -> None:
    """Make a trace directory, with the .gitignore that keeps it out of repositories.

    Raises:
        OSError, StoreError: it can't be made, or is somebody else's.
    """
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        _check_ours(path)
    ignore = path / ".gitignore"
    if not ignore.exists():
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(ignore, open_flags.CREATE, 0o600)
            _write_whole(descriptor, b"*\n")


def _check_ours(path: Path) -> None:
    """Refuse what somebody else could have put in our way."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        msg = f"{path} is a symbolic link"
        raise StoreError(msg)
    if not stat.S_ISDIR(found.st_mode):
        msg = f"{path} is not a directory"
        raise StoreError(msg)
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        msg = f"{path} belongs to another user"
        raise StoreError(msg)
