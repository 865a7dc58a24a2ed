"""Whether a client's hooks are to be left alone, since the program that started it tells of it itself.

Comes in: the environment of a hook. Goes out: yes or no. Called by `hook_session`; the variable is set by the
instrumentor of claude-agent-sdk. A client that the client's own commands start inherits the variable, and is nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

TOLD_BY_VARIABLE: Final = "AGENT_TRACE_TOLD_BY"
"""The process id of the program."""
_MAX_GENERATIONS: Final = 2
"""The client is a child of the program, or of a script that starts it; what it starts itself is further away."""


def is_told_elsewhere(environ: Mapping[str, str]) -> bool:
    """Tell whether the program that started a hook's client tells of it."""
    program, client = environ.get(TOLD_BY_VARIABLE, ""), environ.get("CLAUDE_PID", "")
    if not program or not client.isdecimal():
        return False
    above = client
    for _ in range(_MAX_GENERATIONS):
        above = _parent_of(above)
        if above == program:
            return True
    return False


def _parent_of(pid: str) -> str:
    """Return the parent of a process, empty where that can't be known."""
    try:
        stat = Path("/proc", pid, "stat").read_bytes()
    except OSError:
        return ""
    # proc_pid_stat(5): the command in parentheses may hold anything; field 4 is the parent
    return stat[stat.rindex(b")") + 2 :].split()[1].decode()
