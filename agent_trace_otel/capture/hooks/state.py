"""The recorder's directory, one a user and host: what stands in it, and the lock that makes a recorder the only one.

Called by `recorder` first of all, by `control` and by doctor. Loads next to nothing: of two recorders that start at
once, the one that comes too late is gone again within milliseconds.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from typing import TYPE_CHECKING

from agent_trace_otel import open_flags
from agent_trace_otel.capture.hooks import client

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET = client.SOCKET
PORT = client.PORT
LOCK = "recorder.lock"
STARTING = "recorder.starting"
"""The mark of a client that has started a recorder; others then start none for a while."""
LOG = "recorder.log"
SPOOL = "spool"
JOURNALS = "journals"

_WAIT_SECONDS = 30.0  # longer than a recorder that finishes takes
_POLL_SECONDS = 0.02
_FLAGS = os.O_RDWR | os.O_CREAT | open_flags.GUARDS


def directory(environ: Mapping[str, str] | None = None) -> str:
    """Return where the recorder of this user and host lives, by the rule of the hook process itself."""
    given = os.environ if environ is None else environ
    return os.fsdecode(client.state_directory({os.fsencode(name): os.fsencode(given[name]) for name in given}))


def enter(path: str) -> None:
    """Make the directory, 0700, and go there: the address of a unix socket holds about 107 bytes, unix(7).

    Raises:
        PermissionError: it belongs to another user.
        OSError: it can't be made, or is a symbolic link.
    """
    os.makedirs(path, mode=0o700, exist_ok=True)  # noqa: PTH103 - pathlib would double what starting up takes
    if sys.platform == "win32":
        os.chdir(path)
        return
    descriptor = os.open(path, open_flags.DIRECTORY)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.getuid():
            raise PermissionError(path)
        if stat.S_IMODE(found.st_mode) != 0o700:  # noqa: PLR2004 - a mode
            os.fchmod(descriptor, 0o700)
        os.fchdir(descriptor)
    finally:
        os.close(descriptor)


def take_lock() -> int | None:
    """Take the lock in the working directory and return its descriptor; None if a recorder is there already.

    One that is just leaving has put its address away first, and is waited for: clients that find nobody start a
    recorder once and then none for ten seconds, so this one must not give up.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        descriptor = os.open(LOCK, _FLAGS, 0o600)
        if _try_lock(descriptor) and holds_lock(descriptor):
            return descriptor
        os.close(descriptor)
        if os.path.exists(SOCKET) or os.path.exists(PORT) or time.monotonic() > deadline:  # noqa: PTH110 - as above
            return None
        time.sleep(_POLL_SECONDS)


def holds_lock(descriptor: int) -> bool:
    """Tell whether a lock is still the one that others meet: the directory may be removed and made anew."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(LOCK))  # noqa: PTH116 - as above
    except OSError:
        return False


def is_locked(path: str) -> bool:
    """Tell whether a recorder holds the lock of a state directory."""
    try:
        descriptor = os.open(os.path.join(path, LOCK), os.O_RDWR | open_flags.GUARDS)  # noqa: PTH118 - as above
    except OSError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
