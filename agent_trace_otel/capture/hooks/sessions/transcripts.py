"""The transcripts of one session, the main one and its sub-agents': which are to be read, and how far they were.

Comes in: paths that hooks name, wishes to read. Goes out: slices of facts, ready for the journal. Called by
`hook_session`, off the hooks' path.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from agent_trace_otel.capture.hooks.transcript.files import find_origin, read_agent
from agent_trace_otel.capture.hooks.transcript.reader import TranscriptReader

_SUFFIX: Final = ".jsonl"
_SLICE: Final = 1 << 16
"""Bytes that are read at a time, in a few milliseconds."""
_NOTE_SECONDS: Final = 0.5
"""How long the note about a sub-agent may come after its first event."""


class Transcripts:
    """What is read of one session's transcripts."""

    def __init__(self) -> None:
        self.notes_by = 0.0
        """Until when a note may still be expected (monotonic seconds)."""
        self._main: Path | None = None
        self._agents: dict[str, Path] = {}
        self._readers: dict[Path, TranscriptReader] = {}
        self._offsets: dict[str, int] = {}
        """How far each file was read that has no reader yet, by path."""
        self._told_offsets: dict[Path, int] = {}
        self._wanted: dict[Path, str] = {}
        """Files to be read on, with the sub-agent's id."""
        self._since_ns = 0

    def begin(self, since_ns: int) -> None:
        """Begin with a run that began at ``since_ns``; what was read is not read again."""
        self._since_ns = since_ns
        self._offsets = self.offsets()
        self._readers.clear()

    def start_at(self, offsets: Mapping[str, Any]) -> None:
        """Go on where an earlier recorder was."""
        self._offsets = {path: offset for path, offset in offsets.items() if isinstance(offset, int)}

    def passed(self, read: Mapping[str, Any]) -> None:
        """Take note of a slice that the journal has."""
        path, offset = read.get("path"), read.get("offset")
        if isinstance(path, str) and isinstance(offset, int) and Path(path) not in self._readers:
            self._offsets[path] = offset

    def offsets(self) -> dict[str, int]:
        """Return how far each file was read, by path."""
        return self._offsets | {str(path): reader.offset for path, reader in self._readers.items()}

    def see(self, payload: Mapping[str, Any]) -> None:
        """Learn the paths that an event names."""
        main, agent_id = payload.get("transcript_path"), payload.get("agent_id")
        if isinstance(main, str) and main.endswith(_SUFFIX):
            self._move(Path(main))
        if isinstance(agent_id, str) and agent_id and agent_id not in self._agents:
            named = payload.get("agent_transcript_path")
            if isinstance(named, str) and named.endswith(_SUFFIX):
                self._agents[agent_id] = Path(named)
            elif self._main is not None and "/" not in agent_id:
                self._agents[agent_id] = self._main.with_suffix("") / "subagents" / f"agent-{agent_id}{_SUFFIX}"
            self.notes_by = time.monotonic() + (_NOTE_SECONDS if self._main is not None else 0.0)

    def _move(self, main: Path) -> None:
        """Follow the main transcript, which the client moves when it enters a worktree."""
        before, self._main = self._main, main
        if before is None or before == main or before.name != main.name:
            return
        reader = self._readers.pop(before, None)
        if reader is not None:
            reader.path = main
            self._readers[main] = reader
            self._told_offsets[main] = self._told_offsets.pop(before, 0)
        elif str(before) in self._offsets:
            self._offsets[str(main)] = self._offsets.pop(str(before))

    def skipped(self) -> dict[str, Any] | None:
        """Return a slice that passes over all there is: a session is resumed whose runs before nobody recorded."""
        if self._main is None or self._main in self._readers or str(self._main) in self._offsets:
            return None
        try:
            size = self._main.stat().st_size
        except OSError:
            return None
        cost = {"kind": "origin", "usd": _last_cost(self._main, self._since_ns)}
        return {"path": str(self._main), "offset": size, "facts": [cost]}

    def note_of(self, agent_id: str) -> dict[str, Any] | None:
        """Read the note that the client writes beside a sub-agent's transcript, None while there is none."""
        path = self._agents.get(agent_id)
        note = read_agent(path.with_name(f"{path.stem}.meta.json")) if path is not None else None
        return cast("dict[str, Any]", note) if note is not None and note.get("tool_use_id") else None

    def want_main(self) -> None:
        """Let the main transcript be read on."""
        if self._main is not None:
            self._wanted[self._main] = ""

    def want_agent(self, agent_id: str) -> None:
        """Let a sub-agent's transcript be read on."""
        if agent_id in self._agents:
            self._wanted[self._agents[agent_id]] = agent_id

    def want_all(self) -> None:
        """Let all be read on."""
        self.want_main()
        for agent_id in self._agents:
            self.want_agent(agent_id)

    def read(self) -> dict[str, Any] | None:
        """Return the next slice, None when all that was wanted is read."""
        while self._wanted:
            path, agent_id = next(iter(self._wanted.items()))
            reader = self._reader(path, agent_id)
            facts = [with_origin(cast("dict[str, Any]", fact), path, self._since_ns) for fact in reader.read(_SLICE)]
            if not facts:
                del self._wanted[path]
            if facts or reader.offset != self._told_offsets.get(path):
                return self._slice(path, reader, facts)
        return None

    def finish(self, *, closed: bool) -> list[dict[str, Any]]:
        """Return what is pending in the main transcript, in all of them if the run is ``closed``."""
        slices: list[dict[str, Any]] = []
        for path, reader in self._readers.items():
            if closed or path == self._main:
                pending = (cast("dict[str, Any]", fact) for fact in reader.finish(closed=closed))
                facts = [with_origin(fact, path, self._since_ns) for fact in pending]
                if facts:
                    slices.append(self._slice(path, reader, facts))
        return slices

    def _slice(self, path: Path, reader: TranscriptReader, facts: list[dict[str, Any]]) -> dict[str, Any]:
        self._told_offsets[path] = reader.offset
        return {"path": str(path), "offset": reader.offset, "facts": facts}

    def _reader(self, path: Path, agent_id: str) -> TranscriptReader:
        reader = self._readers.get(path)
        if reader is None:
            offset = self._offsets.get(str(path), 0)
            reader = TranscriptReader(path, offset=offset, since_ns=self._since_ns, agent_id=agent_id)
            self._readers[path] = reader
            self._told_offsets[path] = reader.offset
        return reader


def with_origin(fact: dict[str, Any], path: Path, until_ns: int) -> dict[str, Any]:
    """Say which session a fork was made of, and what that had cost by then: no line of the fork's own does.

    Args:
        fact: any fact; others than a fork's origin are returned as they are.
        path: the transcript that it stands in.
        until_ns: when the fork began, in unix nanoseconds.
    """
    if fact.get("kind") != "origin":
        return fact
    origin = path.with_name(f"{fact['session_id']}{_SUFFIX}") if fact.get("session_id") else None
    origin = origin or find_origin(path, str(fact.get("request_id") or ""))
    if origin is None:
        return fact
    return {**fact, "session_id": origin.stem, "usd": _last_cost(origin, until_ns)}


def _last_cost(path: Path, until_ns: int) -> float:
    """Return what a session had cost at some time."""
    reader, cost = TranscriptReader(path), 0.0
    while facts := reader.read():
        for fact in facts:
            if fact["kind"] == "cost" and fact["at_ns"] <= until_ns:
                cost = fact["usd"]
    return cost
