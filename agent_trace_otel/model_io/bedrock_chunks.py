"""Events of Bedrock's streams in; the answer so far out, in the shape of an unstreamed one.

ConverseStream has one shape, which Amazon Nova's own chunks share; InvokeModelWithResponseStream gives the JSON of each
maker, the text models' a piece of text a chunk.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel.model_io.assembly import MAX_PIECES, Room, Text
from agent_trace_otel.model_io.bedrock import completion
from agent_trace_otel.model_io.fields import count_field, field, members, text_field
from agent_trace_otel.model_io.parts import parsed

METRICS = "amazon-bedrock-invocationMetrics"
"""What Bedrock adds to the last chunk of any model."""

_EVENTS = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")
_PIECES = ("outputText", "generation", "completion", "text")


class _Block:
    """One content block of a ConverseStream."""

    __slots__ = ("_given", "_is_reasoning", "_room", "_start", "_text")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._text = Text(room)
        self._is_reasoning = False
        self._start: object = None
        self._given: list[object] = []

    def start(self, start: object) -> None:
        self._start = start

    def add(self, delta: object) -> None:
        piece = field(delta, "text")
        if piece is None:
            piece = field(field(delta, "toolUse"), "input")
        if piece is None:
            piece = field(field(delta, "reasoningContent"), "text")
            self._is_reasoning = self._is_reasoning or piece is not None
        if isinstance(piece, str):
            self._text.add(piece)
        for given in members(field(delta, "toolResult")):  # of a tool that the provider runs itself
            if len(self._given) < MAX_PIECES and self._room.keeps(given):
                self._given.append(given)

    def answer(self) -> dict[str, Any]:
        text = self._text.value()
        called = field(self._start, "toolUse")
        if isinstance(called, dict):
            return {"toolUse": {**called, "input": parsed(text) if text else {}}}
        result = field(self._start, "toolResult")
        if isinstance(result, dict):
            return {"toolResult": {**result, "content": self._given}}
        return {"reasoningContent": {"reasoningText": {"text": text}}} if self._is_reasoning else {"text": text}


class ConverseEvents:
    """Events of ConverseStream."""

    def __init__(self) -> None:
        self._room = Room()
        self._blocks: dict[int, _Block] = {}
        self._reason: str | None = None
        self._usage: object = None

    @staticmethod
    def knows(chunk: object) -> bool:
        """Tell whether a stream that begins with this is one of Converse."""
        return isinstance(chunk, dict) and any(name in chunk for name in _EVENTS)

    def add(self, chunk: object) -> None:
        """Take one event."""
        event = field(chunk, "contentBlockDelta")
        if event is not None:
            block = self._block(event)
            if block is not None:
                block.add(field(event, "delta"))
            return
        event = field(chunk, "contentBlockStart")
        if event is not None:
            block = self._block(event)
            if block is not None:
                block.start(field(event, "start"))
            return
        self._reason = text_field(field(chunk, "messageStop"), "stopReason") or self._reason
        usage = field(field(chunk, "metadata"), "usage")
        self._usage = self._usage if usage is None else usage

    def _block(self, event: object) -> _Block | None:
        index = count_field(event, "contentBlockIndex") or 0
        block = self._blocks.get(index)
        if block is None and len(self._blocks) < MAX_PIECES:
            block = self._blocks[index] = _Block(self._room)
        return block

    def answer(self) -> object:
        """Return what Converse would have returned so far."""
        content = [block.answer() for _, block in sorted(self._blocks.items())]
        return {"output": {"message": {"content": content}}, "stopReason": self._reason, "usage": self._usage}


class TextPieces:
    """Chunks of Titan, Llama, Mistral, Cohere and of Anthropic's legacy completions: a piece of text each."""

    def __init__(self) -> None:
        self._text = Text(Room())
        self._id: str | None = None
        self._reason: str | None = None
        self._given: int | None = None
        self._made: int | None = None
        self._called: object = None

    @staticmethod
    def knows(chunk: object) -> bool:
        """Tell whether a stream that begins with this is one of a text model."""
        kinds = ("outputs", "event_type", "inputTextTokenCount", "is_finished", METRICS, *_PIECES)
        return isinstance(chunk, dict) and any(name in chunk for name in kinds)

    def add(self, chunk: object) -> None:
        """Take one chunk."""
        source: object = next(iter(members(field(chunk, "outputs"))), chunk)
        piece = text_field(source, *_PIECES)
        if piece:
            self._text.add(piece)
        reason = text_field(source, "stop_reason", "completionReason", "finish_reason")
        self._reason = self._reason if reason is None else reason
        self._id = self._id or text_field(chunk, "generation_id")
        self._called = self._called or field(chunk, "tool_calls")
        counts = field(chunk, METRICS)
        given = count_field(chunk, "inputTextTokenCount", "prompt_token_count")
        made = count_field(chunk, "totalOutputTextTokenCount", "generation_token_count")
        given = count_field(counts, "inputTokenCount") if counts is not None else given
        made = count_field(counts, "outputTokenCount") if counts is not None else made
        self._given = self._given if given is None else given
        self._made = self._made if made is None else made

    def answer(self) -> object:
        """Return the answer so far: a completion, or Cohere's chat answer."""
        text, reason = self._text.value(), self._reason
        made = completion([(text, reason)], self._given, self._made, id=self._id)
        if self._called is None:
            return made
        answer = {"text": text, "finish_reason": reason, "generation_id": self._id or "", "tool_calls": self._called}
        return {**answer, "usage": made["usage"]}
