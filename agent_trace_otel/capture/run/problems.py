"""What recent runs could not do, kept in one small file of this user's for `agent-trace doctor`.

Comes in: `keep(...)`, from the command and from the processes that it traces. Goes out: `problems()`, one `Problem` for
each kind, the newest last. Neither raises. What is kept is redacted, and the file is never longer than about 64 KiB.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent_trace_otel import open_flags
from agent_trace_otel.capture.hooks import state

FILE: Final = "run-problems.ndjson"
_MOST_BYTES: Final = 64 * 1024
_LONGEST: Final = 500  # characters of one text
_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that runs could not do."""

    what: str
    """In words that fit after "could not", such as ``trace openai.resources.chat.completions.Completions.create``."""
    why: str
    program: str
    """The interpreter, or the program's command line, that it happened in last."""
    session: str
    """The last run's session id; empty if it is not known."""
    at: float
    """Unix seconds of the last time."""
    count: int = 1
    """How often in the days that are looked back upon."""


def keep(what: str, why: str, *, program: str = "", session: str = "") -> None:
    """Add a problem to the file; nothing happens if that fails."""
    with contextlib.suppress(Exception):  # there is nobody left to tell
        from agent_trace_otel.redact import Redactor

        texts = {"what": what, "why": why, "program": program, "session": session}
        clean = {name: Redactor().text(text)[:_LONGEST] for name, text in texts.items() if text}
        line = json.dumps({"at": round(time.time(), 3), **clean}).encode() + b"\n"
        _append(_path(os.environ), line)


def problems(environ: Mapping[str, str] | None = None) -> list[Problem]:
    """Return what runs of the last seven days could not do, each kind once, the newest last.

    Args:
        environ: tells where the file is; by default the process's own.
    """
    found: dict[tuple[str, str], Problem] = {}
    oldest = time.time() - _DAYS * 86_400
    try:
        with open(_path(os.environ if environ is None else environ), "rb") as file:  # noqa: PTH123 - as `state` does
            lines = file.read(2 * _MOST_BYTES).splitlines()
    except OSError:
        return []
    for line in lines:
        problem = _read(line)
        if problem is not None and problem.at >= oldest:
            before = found.pop((problem.what, problem.why), None)
            count = 1 if before is None else before.count + 1
            found[problem.what, problem.why] = Problem(
                problem.what, problem.why, problem.program, problem.session, problem.at, count
            )
    return list(found.values())


def _path(environ: Mapping[str, str]) -> str:
    return os.path.join(state.directory(environ), FILE)  # noqa: PTH118 - as above


def _append(path: str, line: bytes) -> None:
    """Append one line with one write(); a file that has grown too long keeps its younger half.

    Raises:
        OSError: the directory or the file can't be made, or is a symbolic link or another user's.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120 - as above
    descriptor = os.open(path, open_flags.APPEND, 0o600)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
            raise PermissionError(path)
        if found.st_size > _MOST_BYTES:
            with open(descriptor, "rb", closefd=False) as file:
                file.seek(found.st_size - _MOST_BYTES // 2)
                younger = file.read().partition(b"\n")[2]
            os.ftruncate(descriptor, 0)
            line = younger + line
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def _read(line: bytes) -> Problem | None:
    try:
        told: dict[str, Any] = json.loads(line)
        what, why, program, session = (str(told.get(name, "")) for name in ("what", "why", "program", "session"))
        return Problem(what, why, program, session, float(told["at"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
