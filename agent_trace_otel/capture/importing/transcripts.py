"""Transcript files of Claude Code: which there are, whose each is, and its lines.

    ~/.claude/projects/<project>/<session>.jsonl            the main conversation
    ~/.claude/projects/<project>/<session>/subagents/       those of its sub-agents

Comes in: paths that a user named, or the client's own directory. Goes out: `Transcript`s, parsed lines. Called by
`command` and `session_import`.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from agent_trace_otel.capture.hooks.transcript.calls import SYNTHETIC
from agent_trace_otel.capture.hooks.transcript.facts import time_ns
from agent_trace_otel.capture.hooks.transcript.reader import MAX_LINE, parsed
from agent_trace_otel.errors import StoreError
from agent_trace_otel.model_io.fields import field, text_field

SUFFIX: Final = ".jsonl"
_AGENT: Final = "agent-"
_SUB_AGENT: Final = "a sub-agent's transcript: name that of its session"
_BLOCK: Final = 1 << 18
_TELLING: Final = 500
"""Lines within which a file of a client that writes api-requests has named one."""
_OF_THE_CLIENT: Final = frozenset({"assistant", "user", "system", "queue-operation", "api-request", "mode", "summary"})


class Line(NamedTuple):
    """One line of a transcript."""

    value: dict[str, Any]
    place: int
    """Where it begins in the file, in bytes."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """One session's main transcript, as its first lines show it."""

    path: Path
    session_id: str
    cwd: str = ""
    """Where the client was started, "" if no line tells."""
    first_ns: int = 0
    """The first time that a line names, in unix nanoseconds."""
    own_from: int = 0
    """Where the session's own lines begin; a fork repeats those of its origin before."""

    @property
    def is_copy(self) -> bool:
        """Whether lines of another session come first."""
        return self.own_from > 0

    def sub_agents(self) -> list[Path]:
        """Return the transcripts of the session's sub-agents."""
        return sorted((self.path.with_suffix("") / "subagents").glob(f"{_AGENT}*{SUFFIX}"))

    def changed(self) -> float:
        """Return when a file of the session was written last, in unix seconds."""
        return max((_modified(path) for path in (self.path, *self.sub_agents())), default=0.0)


def client_directory() -> Path:
    """Return where Claude Code keeps the transcripts of all projects (its documentation, CLAUDE_CONFIG_DIR)."""
    return Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude") / "projects"


def transcripts_in(path: Path) -> list[Path]:
    """Return the main transcripts that a path stands for: a file, a project's directory, or that of all projects.

    Raises:
        StoreError: there is nothing, or nothing that is named like a transcript.
    """
    if not path.is_dir():
        return [path]
    found = [file for pattern in (f"*{SUFFIX}", f"*/*{SUFFIX}") for file in path.glob(pattern)]
    found = sorted(file for file in found if not file.name.startswith(_AGENT))
    if not found:
        msg = f"{path}: no transcripts (*{SUFFIX}) in it"
        raise StoreError(msg)
    return found


def look_at(path: Path) -> Transcript:
    """Return what the first lines of a transcript tell of it.

    Raises:
        StoreError: it is none, or can't be read.
    """
    _check(path)
    found = _Head(path)
    try:
        for line in lines_of(path, Counter()):
            if found.take(line):
                break
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise StoreError(msg) from error
    return found.transcript()


def lines_of(path: Path, unknown: Counter[str]) -> Iterator[Line]:
    """Yield the lines of a file; those that are none are counted in ``unknown``, a torn last one included.

    Raises:
        OSError: the file can't be read.
    """
    place, is_cut = 0, False
    while True:
        # closed between blocks: a session may have had more sub-agents than a process may have open files
        with path.open("rb") as file:
            file.seek(place)
            block = file.read(_BLOCK)
            while block and b"\n" not in block and len(block) <= MAX_LINE and (more := file.read(_BLOCK)):
                block += more
        if not block:
            return
        end = block.rfind(b"\n") + 1
        if not end:
            unknown["(too long)" if len(block) > MAX_LINE else "(torn)"] += 1
            place, is_cut = place + len(block), True
            continue
        for raw in block[: end - 1].split(b"\n"):
            value = "" if is_cut else parsed(raw)
            is_cut = False
            if isinstance(value, dict):
                yield Line(value, place)
            elif value:
                unknown[value] += 1
            place += len(raw) + 1


class _Head:
    """What is known of a transcript while its first lines are read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._session_id = path.stem if _is_uuid(path.stem) else ""
        self._cwd = ""
        self._first_ns = 0
        self._count = 0
        self._is_the_clients = False
        self._is_copy = self._names_requests = self._is_sub_agents = False
        self._prompt_at = self._answer_at = self._request_at = -1

    def take(self, line: Line) -> bool:
        """Take the next line; True once no further one is needed."""
        value, kind = line.value, text_field(line.value, "type")
        self._count += 1
        self._is_the_clients |= kind in _OF_THE_CLIENT and bool(text_field(value, "sessionId"))
        self._session_id = self._session_id or text_field(value, "sessionId") or ""
        self._cwd = self._cwd or text_field(value, "cwd") or ""
        self._first_ns = self._first_ns or time_ns(value.get("timestamp"))
        # older clients wrote sub-agents between the main one's lines, and gave them no id
        self._is_sub_agents |= value.get("isSidechain") is True and bool(text_field(value, "agentId"))
        if kind == "api-request":
            self._request_at = line.place
        elif kind == "assistant" and text_field(field(value, "message"), "model") != SYNTHETIC:
            self._names_requests |= bool(text_field(value, "requestRef"))
            self._is_copy |= bool(text_field(value, "requestSessionId"))
            self._answer_at = line.place
        elif kind == "user" and text_field(value, "promptSource", "turnOrigin"):
            self._prompt_at = line.place
        return self._request_at >= 0 or (self._count >= _TELLING and not self._names_requests)

    def transcript(self) -> Transcript:
        """Return what was found.

        Raises:
            StoreError: no line is one of Claude Code's, or none is the session's own.
        """
        problem = ""
        if not self._is_the_clients:
            problem = "no transcript of Claude Code" if self._path.stat().st_size else "no transcript: it is empty"
        elif self._is_sub_agents:
            problem = _SUB_AGENT
        elif self._is_copy and self._request_at < 0:
            problem = "a fork that nothing was asked of"
        if problem:
            msg = f"{self._path}: {problem}"
            raise StoreError(msg)
        # an answer stands behind its request, so one before all requests was given to another session
        is_fork = self._names_requests and 0 <= self._answer_at < self._request_at
        own_from = max(self._prompt_at, self._answer_at + 1) if is_fork else 0
        return Transcript(self._path, self._session_id, self._cwd, self._first_ns, own_from)


def _check(path: Path) -> None:
    problem = ""
    if path.name.startswith(_AGENT):
        problem = _SUB_AGENT
    elif not path.exists():
        problem = "no such file"
    elif not path.is_file():
        problem = "no regular file"
    if problem:
        msg = f"{path}: {problem}"
        raise StoreError(msg)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
