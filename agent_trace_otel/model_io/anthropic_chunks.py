"""Events of an Anthropic Messages stream in; the message so far out, in the shape of an unstreamed one."""

from __future__ import annotations

from typing import Any

from agent_trace_otel.model_io.assembly import MAX_PIECES, Room, Text
from agent_trace_otel.model_io.fields import count_field, field, text_field
from agent_trace_otel.model_io.parts import parsed

_PIECES = {"text_delta": "text", "input_json_delta": "partial_json", "thinking_delta": "thinking"}
_GROWING = frozenset({"text", "thinking", "tool_use", "server_tool_use", "mcp_tool_use"})


class _Block:
    """One content block of an Anthropic stream."""

    __slots__ = ("_start", "text")

    def __init__(self, start: object, room: Room) -> None:
        self._start = start
        self.text = Text(room)

    def add(self, delta: object) -> None:
        name = _PIECES.get(field(delta, "type"))
        piece = None if name is None else field(delta, name)
        if isinstance(piece, str):
            self.text.add(piece)

    def answer(self) -> object:
        kind = text_field(self._start, "type")
        if not self.text.used:
            return self._start
        text = self.text.value()
        block: dict[str, Any] = {"type": kind, "id": field(self._start, "id"), "name": field(self._start, "name")}
        if kind == "text":
            return {**block, "text": text}
        if kind == "thinking":
            return {**block, "thinking": text}
        return {**block, "input": parsed(text) if text else field(self._start, "input")}


class AnthropicEvents:
    """Events of Anthropic Messages; those that the client's stream helper adds repeat what these say."""

    def __init__(self) -> None:
        self._room = Room()
        self._blocks: dict[int, _Block] = {}
        self._message: object = None
        self._reason: str | None = None
        self._usage: dict[str, Any] = {}

    def add(self, chunk: object) -> None:
        """Take one event."""
        if self._add_text(chunk):
            return
        kind = field(chunk, "type")
        if kind == "content_block_delta":
            block = self._blocks.get(field(chunk, "index"))
            if block is not None:
                block.add(field(chunk, "delta"))
        elif kind == "content_block_start":
            index = count_field(chunk, "index")
            if index is not None and len(self._blocks) < MAX_PIECES:
                self._start_block(index, field(chunk, "content_block"))
        elif kind == "message_start":
            self._message = field(chunk, "message")
            self._count(field(self._message, "usage"))
        elif kind == "message_delta":
            self._reason = text_field(field(chunk, "delta"), "stop_reason") or self._reason
            self._count(field(chunk, "usage"))

    def _add_text(self, event: Any) -> bool:  # noqa: ANN401 - an event of the client's
        """Take an event that is one more piece of text, as almost all are, in as few steps as there can be."""
        if type(event) is dict:
            return False
        try:
            if event.type != "content_block_delta":
                return False
            delta = event.delta
            if delta.type != "text_delta" or type(delta.text) is not str:
                return False
            self._blocks[event.index].text.add(delta.text)
        except Exception:  # noqa: BLE001 - of another shape
            return False
        return True

    def _start_block(self, index: int, start: object) -> None:
        if text_field(start, "type") in _GROWING or self._room.keeps(start):
            self._blocks[index] = _Block(start, self._room)

    def _count(self, usage: object) -> None:
        """Take what is said now: the counts are totals so far, and the last event repeats only some of them."""
        for name in ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
            count = count_field(usage, name)
            if count is not None:
                self._usage[name] = count
        details = field(usage, "output_tokens_details")
        if details is not None:
            self._usage["output_tokens_details"] = details

    def answer(self) -> object:
        """Return the message so far."""
        return {
            "type": "message",
            "role": "assistant",
            "id": field(self._message, "id"),
            "model": field(self._message, "model"),
            "content": [block.answer() for _, block in sorted(self._blocks.items())],
            "stop_reason": self._reason,
            "usage": self._usage,
        }
