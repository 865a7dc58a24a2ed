"""Chunks of Google's generate_content stream in; the answer so far out, in the shape of an unstreamed one."""

from __future__ import annotations

from typing import Any

from agent_trace_otel.model_io.assembly import MAX_PIECES, Room, Text
from agent_trace_otel.model_io.fields import count_field, field, google_count, google_field, google_text, members
from agent_trace_otel.model_io.messages import google_finish_reason


class _Candidate:
    """One candidate of a stream: parts in order, neighbouring pieces of text joined."""

    __slots__ = ("_open", "_parts", "_room", "_thought", "reason")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._parts: list[object] = []
        self._open: Text | None = None
        self._thought = False
        self.reason: str | None = None

    def add(self, part: object) -> None:
        piece = field(part, "text")
        if isinstance(piece, str):
            thought = field(part, "thought") is True
            if self._open is None or thought != self._thought:
                self._close()
                self._open, self._thought = Text(self._room), thought
            self._open.add(piece)
        elif len(self._parts) < MAX_PIECES and self._room.keeps(part):
            self._close()
            self._parts.append(part)

    def _close(self) -> None:
        if self._open is not None and len(self._parts) < MAX_PIECES:
            self._parts.append(self._text_part())
        self._open = None

    def _text_part(self) -> dict[str, Any]:
        return {"text": "" if self._open is None else self._open.value(), "thought": self._thought}

    def answer(self) -> object:
        parts = [*self._parts, self._text_part()] if self._open is not None and self._open.used else self._parts
        return {"content": {"role": "model", "parts": parts}, "finish_reason": self.reason}


class GoogleChunks:
    """Chunks of generate_content, in wire or Python spelling."""

    def __init__(self) -> None:
        self._room = Room()
        self._candidates: dict[int, _Candidate] = {}
        self._id: str | None = None
        self._model: str | None = None
        self._usage: object = None
        self._counted = False

    def add(self, chunk: object) -> None:
        """Take one chunk."""
        self._id = self._id or google_text(chunk, "response_id")
        self._model = self._model or google_text(chunk, "model_version")
        usage = google_field(chunk, "usage_metadata")
        counted = google_count(usage, "prompt_token_count") is not None
        if counted or not self._counted:  # totals so far; some chunks of Vertex AI have a usage without counts
            self._usage, self._counted = self._usage if usage is None else usage, counted
        for candidate in members(field(chunk, "candidates")):
            index = count_field(candidate, "index") or 0
            known = self._candidates.get(index)
            if known is None:
                if len(self._candidates) >= MAX_PIECES:
                    continue
                known = self._candidates[index] = _Candidate(self._room)
            for part in members(field(field(candidate, "content"), "parts")):
                known.add(part)
            known.reason = google_finish_reason(candidate) or known.reason

    def answer(self) -> object:
        """Return the answer so far."""
        return {
            "response_id": self._id,
            "model_version": self._model,
            "candidates": [candidate.answer() for _, candidate in sorted(self._candidates.items())],
            "usage_metadata": self._usage,
        }
