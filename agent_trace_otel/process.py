"""Which process this is, and whether a process seen earlier still lives.

A pid alone is reused, so a process is known by four facts: pid, its start time, the boot it ran in, and its host. They
are written into session_start and read back by whoever asks if a session is still running.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

_PS: Final = "/bin/ps"
_QUERY_LIMITED_INFORMATION, _STILL_ACTIVE = 0x1000, 259  # winnt.h


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
        fields = _linux_stat(pid)
        return None if not fields or fields[0] in (b"Z", b"X") else fields[19].decode()
    if sys.platform == "win32":
        return _windows_start_of(pid)
    told = _ps(pid, "stat=,lstart=").split()
    return " ".join(told[1:]) or None if told and not told[0].startswith("Z") else None


def parent_of(pid: int) -> int | None:
    """Return the parent of a process, None where that can't be known."""
    if sys.platform == "linux":
        fields = _linux_stat(pid)
        return int(fields[1]) if fields else None
    if sys.platform == "win32":
        return None
    parent = _ps(pid, "ppid=")
    return int(parent) if parent.isdecimal() else None


@lru_cache(maxsize=1)
def boot_id() -> str:
    """Return an id of the running boot, empty where the system tells none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _linux_stat(pid: int) -> list[bytes]:
    """Return /proc/PID/stat from the third field on: the state, the parent, ... and as the twentieth the start."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return []
    return stat[stat.rindex(b")") + 2 :].split()  # proc_pid_stat(5): the command in parentheses may hold anything


if sys.platform == "win32":

    def _windows_start_of(pid: int) -> str | None:
        import ctypes
        from ctypes.wintypes import BOOL, DWORD, FILETIME, HANDLE

        kernel = ctypes.WinDLL("kernel32")
        kernel.OpenProcess.argtypes, kernel.OpenProcess.restype = (DWORD, BOOL, DWORD), HANDLE
        found = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)  # noqa: FBT003 - inherited by nobody
        if not found:
            return None
        handle = HANDLE(found)
        code, times = DWORD(), [FILETIME() for _ in range(4)]  # creation, exit, kernel, user
        try:
            is_told = kernel.GetExitCodeProcess(handle, ctypes.byref(code)) and kernel.GetProcessTimes(
                handle, *map(ctypes.byref, times)
            )
        finally:
            kernel.CloseHandle(handle)
        # somebody may hold on to a process that is over
        if not is_told or code.value != _STILL_ACTIVE:
            return None
        return str(times[0].dwHighDateTime << 32 | times[0].dwLowDateTime)

else:

    def _ps(pid: int, columns: str) -> str:
        """Return what ps(1) tells of a process: the same text whatever the language and time zone of who asks.

        Not by way of `subprocess`, which may be traced: this is asked while a session begins.
        """
        reading, writing = os.pipe()
        with open(reading, encoding="ascii", errors="replace") as told:  # noqa: PTH123 - a descriptor
            try:
                asked = os.posix_spawn(
                    _PS,
                    [_PS, "-o", columns, "-p", str(pid)],
                    {"LC_ALL": "C", "TZ": "UTC0"},
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, writing, 1),
                        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                    ],
                )
            except OSError:  # a sandbox that has none
                return ""
            finally:
                os.close(writing)
            text = told.read().strip()
        with contextlib.suppress(ChildProcessError):  # the program ignores SIGCHLD
            os.waitpid(asked, 0)
        return text
