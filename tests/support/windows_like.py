"""This interpreter, with what Windows lacks taken away: ``python windows_like.py -m MODULE ...`` or ``SCRIPT ...``.

What is left is Linux, so it proves that nothing leans on the calls that are missing, not that Windows works. Files that
are opened without O_BINARY get two bytes for a line's end, as they would there.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import posix
import runpy
import select
import signal
import socket
import sys
import types
from pathlib import Path
from typing import Any

MODULES = ("fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty")
OS = (
    *(
        "O_CLOEXEC",
        "O_DIRECTORY",
        "O_NOFOLLOW",
        "O_NONBLOCK",
        "chown",
        "fchdir",
        "fchmod",
        "fork",
        "forkpty",
        "getegid",
    ),
    *("geteuid", "getgid", "getpgid", "getsid", "getuid", "killpg", "mkfifo", "posix_spawn", "pread", "pwrite"),
    *("register_at_fork", "sendfile", "setsid", "uname"),
)
SIGNAL = (
    *(
        "SIGALRM",
        "SIGCHLD",
        "SIGHUP",
        "SIGKILL",
        "SIGPIPE",
        "SIGQUIT",
        "SIGUSR1",
        "SIGUSR2",
        "SIG_BLOCK",
        "SIG_SETMASK",
    ),
    *("SIG_UNBLOCK", "ITIMER_REAL", "alarm", "pthread_sigmask", "setitimer", "sigpending", "sigwait", "sigwaitinfo"),
)
SOCKET = ("AF_UNIX", "MSG_DONTWAIT", "SO_PEERCRED", "socketpair")
SELECT = ("POLLIN", "epoll", "poll")
BINARY = 1 << 25


def begin() -> None:
    """Take it all away, but not from the standard library, which is loaded already."""
    import asyncio  # noqa: F401
    import email.message  # noqa: F401
    import http.server  # noqa: F401
    import logging.handlers  # noqa: F401
    import multiprocessing  # noqa: F401
    import platform  # noqa: F401
    import shutil
    import subprocess  # noqa: F401
    import tempfile  # noqa: F401
    import uuid  # noqa: F401
    import zoneinfo  # noqa: F401
    from ctypes import wintypes  # noqa: F401

    import requests  # noqa: F401 - with what it loads

    flock, alone = fcntl.flock, fcntl.LOCK_EX | fcntl.LOCK_NB
    for names, module in ((OS, os), (SIGNAL, signal), (SOCKET, socket), (SELECT, select)):
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    _socket = sys.modules["_socket"]
    for name in ("AF_UNIX", "MSG_DONTWAIT", "SO_PEERCRED"):
        delattr(_socket, name)
    _signal = sys.modules["_signal"]
    for name in ("setitimer", "SIGALRM"):
        delattr(_signal, name)
    nt = types.ModuleType("nt")
    nt.__dict__.update({name: value for name, value in vars(posix).items() if name[0] != "_" and name not in OS})
    nt._exit = os._exit  # type: ignore[attr-defined]
    nt.open = lambda path, *more: posix.open("/dev/null" if path == "NUL" else path, *more)  # type: ignore[attr-defined]
    nt.environ = dict(os.environ)  # type: ignore[attr-defined]
    sys.modules["nt"] = nt
    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    os.supports_dir_fd = set()
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    shutil._rmtree_impl = getattr(shutil, "_rmtree_unsafe", None)  # type: ignore[attr-defined] # since Python 3.14
    sys.modules["msvcrt"] = msvcrt = types.ModuleType("msvcrt")
    msvcrt.LK_NBLCK = 2  # type: ignore[attr-defined]
    msvcrt.locking = lambda descriptor, mode, size: flock(descriptor, alone)  # type: ignore[attr-defined]
    ctypes.WinDLL = lambda name: _Kernel()  # type: ignore[attr-defined,assignment,misc]
    _translate()
    sys.platform = "win32"


def _translate() -> None:
    """Let what is written to a file without O_BINARY have a carriage return before each line feed."""
    open_, write, close = os.open, os.write, os.close
    texts: set[int] = set()

    def opening(path: Any, flags: int, *more: Any, **named: Any) -> int:
        descriptor = open_(path, flags & ~BINARY, *more, **named)
        (texts.discard if flags & BINARY else texts.add)(descriptor)
        return descriptor

    def writing(descriptor: int, data: Any) -> int:
        if descriptor not in texts:
            return write(descriptor, data)
        write(descriptor, bytes(data).replace(b"\n", b"\r\n"))
        return len(data)

    def closing(descriptor: int) -> None:
        texts.discard(descriptor)
        close(descriptor)

    os.O_BINARY = BINARY  # type: ignore[attr-defined]
    os.open, os.write, os.close = opening, writing, closing


class _Kernel:
    """What is asked of kernel32, answered from /proc."""

    class _Function:
        argtypes: Any = None
        restype: Any = None

        def __init__(self, answer: Any) -> None:
            self.answer = answer

        def __call__(self, *given: Any) -> Any:
            return self.answer(*given)

    def __init__(self) -> None:
        self.OpenProcess = self._Function(lambda access, inherits, pid: pid if Path(f"/proc/{pid}").exists() else None)
        self.GetExitCodeProcess = self._Function(self._exit_code)
        self.GetProcessTimes = self._Function(self._times)
        self.CloseHandle = self._Function(lambda handle: 1)

    @staticmethod
    def _exit_code(handle: Any, code: Any) -> int:
        state = Path(f"/proc/{handle.value}/stat").read_bytes().rpartition(b") ")[2][:1]
        code._obj.value = 0 if state == b"Z" else 259
        return 1

    @staticmethod
    def _times(handle: Any, *times: Any) -> int:
        started = Path(f"/proc/{handle.value}/stat").read_bytes().rpartition(b") ")[2].split()[19]
        times[0]._obj.dwHighDateTime, times[0]._obj.dwLowDateTime = 7, int(started)
        return 1


if __name__ == "__main__":
    begin()
    if sys.argv[1] == "-m":
        sys.path[0] = str(Path(__file__).parents[2])
        del sys.argv[:2]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        del sys.argv[0]
        runpy.run_path(sys.argv[0], run_name="__main__")
