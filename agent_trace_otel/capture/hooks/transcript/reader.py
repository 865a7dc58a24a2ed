"""A transcript file of Claude Code in, facts out, read by offset while the client still writes it.

Called by the recorder's worker, off the hooks' path, at each turn's end and at the session's. Reading never fails: a
torn last line is left for the next read, a file that shrank or was replaced is read anew, a missing one tells nothing.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, cast

from agent_trace_otel.capture.hooks.transcript.calls import CallAssembler
from agent_trace_otel.capture.hooks.transcript.facts import Fact

MAX_LINE = 64 << 20
"""Bytes of one line that are kept; a longer one is skipped and counted."""

# NaN and infinity are no JSON: as strings they can be written again
_decoder = json.JSONDecoder(parse_constant=str)


class TranscriptReader:
    """Reads one transcript, the main one or a sub-agent's, from an offset on.

    A later reader that starts at `offset` tells no call again that this one told (but for old clients, which wrote
    sub-agents between the main conversation's lines: there a call may come again under the same key). Decisions,
    results and costs of the few lines that are still needed may come once more, and are the same.

    Args:
        path: the ``.jsonl`` file.
        offset: bytes to skip: the `offset` of an earlier reader.
        since_ns: unix ns of the session's start (SessionStart): older calls without an api-request in this file are
            a fork's copied history.
        agent_id: the sub-agent whose file it is, "" for the main one.
    """

    def __init__(self, path: Path, *, offset: int = 0, since_ns: int = 0, agent_id: str = "") -> None:
        self.unknown: Counter[str] = Counter()
        """Types of lines that were not understood; "(no JSON)", "(no object)" and "(too long)" for damaged ones."""
        self.path = path
        """May be set anew: the client moves the file when it enters or leaves a worktree."""
        self._since_ns = since_ns
        self._agent_id = agent_id
        self._told: dict[str, None] = {}
        self._file: tuple[int, int] | None = None
        self._start_at(offset)

    @property
    def offset(self) -> int:
        """Where a later reader goes on: the start of the first line whose facts are not all told yet, in bytes."""
        needed = self._calls.needed_from()
        return self._line_at if needed is None else min(needed, self._line_at)

    def read(self, max_bytes: int = 1 << 18) -> list[Fact]:
        """Return facts that became complete, none when all that is written was read.

        Args:
            max_bytes: how much is read at a time; more is read only as long as nothing is told.
        """
        facts: list[Fact] = []
        try:
            if not self.path.is_file():  # opening a FIFO would wait for its writer
                return []
            with self.path.open("rb", buffering=0) as file:
                self._notice_another_file(file.fileno())
                file.seek(self._position)
                while not facts:
                    chunk = file.read(max_bytes)
                    if not chunk:
                        break
                    facts += self._take(chunk)
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return facts
        return facts

    def finish(self, *, closed: bool = False) -> list[Fact]:
        """Return facts of what is pending.

        Args:
            closed: False at a turn's end: an answer that asks for tools or has nothing but thinking, and a request
                without an answer, stay pending, because the file lags behind. True at the session's end: they are told
                as they are.
        """
        return self._calls.finish(closed=closed)

    def _start_at(self, offset: int) -> None:
        self._position = self._line_at = max(offset, 0)
        self._torn = bytearray()
        self._skipping = False
        self._calls = CallAssembler(
            since_ns=self._since_ns,
            agent_id=self._agent_id,
            from_start=offset <= 0,
            told=self._told,
            unknown=self.unknown,
        )

    def _notice_another_file(self, descriptor: int) -> None:
        """Start anew if the file was replaced or cut; what is told already stays told."""
        found = os.fstat(descriptor)
        file = (found.st_dev, found.st_ino)
        if found.st_size < self._position or self._file not in (None, file):
            self._start_at(0)
        self._file = file

    def _take(self, chunk: bytes) -> list[Fact]:
        facts: list[Fact] = []
        begin = 0
        while (end := chunk.find(b"\n", begin)) >= 0:
            line = chunk[begin:end]
            if self._torn:
                line, self._torn = bytes(self._torn + line), bytearray()
            if self._skipping:
                self._skipping = False
            else:
                facts += self._line(line)
            begin = end + 1
            self._line_at = self._position + begin
        self._position += len(chunk)
        if not self._skipping:
            self._torn += chunk[begin:]
            if len(self._torn) > MAX_LINE:
                self._calls.count("(too long)")
                self._skipping, self._torn = True, bytearray()
        return facts

    def _line(self, line: bytes) -> list[Fact]:
        value = parsed(line)
        if isinstance(value, dict):
            return self._calls.take(value, self._line_at)
        if value:
            self._calls.count(value)
        return []


def parsed(line: bytes) -> dict[str, Any] | str:
    """Return the object that a line holds; what is wrong with it if it holds none, "" for a blank one."""
    text = line.decode("utf-8", "replace").strip()
    if not text:
        return ""
    try:
        value: object = _decoder.decode(text)
    except (ValueError, RecursionError):
        return "(no JSON)"
    return cast("dict[str, Any]", value) if isinstance(value, dict) else "(no object)"
