"""Which process this is, and whether a process seen earlier still lives.

A pid alone is reused, so a process is known by four facts: pid, its start time, the boot it ran in, and its host. They
are written into session_start and read back by whoever asks if a session is still running.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process, for ever. ``pid_start`` is in the system's own unit (clock ticks since boot on Linux)."""

    pid: int
    pid_start: str
    boot_id: str
    host: str


def current() -> ProcessIdentity:
    """Return the identity of this process."""
    return of(os.getpid())


def of(pid: int) -> ProcessIdentity:
    """Return the identity of a process of this machine."""
    return ProcessIdentity(pid, start_of(pid) or "", boot_id(), socket.gethostname())


def is_running(identity: ProcessIdentity) -> bool | None:
    """Tell whether that process lives; None when this machine can't know (another host)."""
    if identity.host != socket.gethostname():
        return None
    if identity.boot_id != boot_id():
        return False
    return start_of(identity.pid) == identity.pid_start


def start_of(pid: int) -> str | None:
    """Return the start time of a living process, None when there is none with that pid."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return None
        # proc_pid_stat(5): the command in parentheses may hold anything; field 3 is the state, field 22 starttime
        fields = stat[stat.rindex(b")") + 2 :].split()
        return None if fields[0] in (b"Z", b"X") else fields[19].decode()
    if sys.platform == "win32":
        return None
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return shown.stdout.strip() or None


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return an id of the running boot, empty where the system tells none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
