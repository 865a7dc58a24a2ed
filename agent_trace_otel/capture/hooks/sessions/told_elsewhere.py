"""Whether a client's hooks are to be left alone, since the program that started it tells of it itself.

Comes in: the environment of a hook. Goes out: yes or no. Called by `hook_session`; the variable is set by the
instrumentor of claude-agent-sdk. A client that the client's own commands start inherits the variable, and is nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agent_trace_otel import process

TOLD_BY_VARIABLE: Final = "AGENT_TRACE_TOLD_BY"
"""The process id of the program."""
_MAX_GENERATIONS: Final = 2
"""The client is a child of the program, or of a script that starts it; what it starts itself is further away."""


def is_told_elsewhere(environ: Mapping[str, str]) -> bool:
    """Tell whether the program that started a hook's client tells of it."""
    program, client = environ.get(TOLD_BY_VARIABLE, ""), environ.get("CLAUDE_PID", "")
    if not program or not client.isdecimal():
        return False
    above: int | None = int(client)
    for _ in range(_MAX_GENERATIONS):
        above = None if above is None else process.parent_of(above)
        if str(above) == program:
            return True
    return False
