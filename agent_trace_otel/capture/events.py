"""Things an agent does between calls: decisions, prompts, responses, files. Each is written the moment it is logged.

Comes in: calls of the user's. Goes out: events on the current span through `point_events`. Nothing raises.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from agent_trace_otel import guard, semconv
from agent_trace_otel.spans import point_events


@guard.guarded("log a decision")
def log_decision(choice: str, reason: str = "", alternatives: Sequence[str] = ()) -> None:
    """Log that the agent chose something.

    Args:
        choice: what it chose.
        reason: why.
        alternatives: what else it could have chosen.

    Example:
        log_decision("run the tests first", reason="the bug is not reproduced yet", alternatives=["edit at once"])
    """
    point_events.log_decision(choice, reason, alternatives)


@guard.guarded("log a user prompt")
def log_user_prompt(text: str) -> None:
    """Log what the user said."""
    point_events.log_user_prompt(text)


@guard.guarded("log an assistant response")
def log_assistant_response(text: str) -> None:
    """Log what the agent answered."""
    point_events.log_assistant_response(text)


@guard.guarded("log a file read")
def log_file_read(path: str | os.PathLike[str]) -> None:
    """Log that the agent read a file (a path) or resource (a URI)."""
    point_events.log_file(semconv.FILE_READ_EVENT, path)


@guard.guarded("log a file write")
def log_file_write(path: str | os.PathLike[str]) -> None:
    """Log that the agent wrote a file (a path) or resource (a URI)."""
    point_events.log_file(semconv.FILE_WRITE_EVENT, path)
