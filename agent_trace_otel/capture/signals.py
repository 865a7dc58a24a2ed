"""The signals that a command passes on to the program it stands before: which, and whether the program had one already.

Called by `mcp.stdio` and `run.command`, on the main thread, with `AWAITED` blocked.
"""

from __future__ import annotations

import os
import signal
import sys

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
AWAITED = (*FORWARDED, signal.SIGCHLD)

NOT_EXECUTABLE, NOT_FOUND, KILLED = 126, 127, 128  # exit codes as shells say it; KILLED and the signal's number


def next_signal() -> tuple[int, bool]:
    """Wait for a signal; tell whether a terminal sent it, to the whole group and so to the program too.

    Only Linux says who sent a signal: elsewhere the program gets a terminal's signals twice. A program that signals the
    group can't be told from one that means this process alone, and twice is better than never.
    """
    if sys.platform != "linux":
        return signal.sigwait(AWAITED), False
    told = signal.sigwaitinfo(AWAITED)
    is_kernels = told.si_code > 0  # sigaction(2)
    # of a terminal that is gone the session's leader alone is told
    is_leaders = told.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid()
    return told.si_signo, is_kernels and not is_leaders


def take_no_notice(_number: int, _frame: object) -> None:
    """Be a handler: a SIGCHLD that is ignored can't be waited for everywhere."""
