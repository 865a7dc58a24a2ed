"""What Ollama gives, in; the same in the shape of Chat Completions, which is read already, out.

Called by `response`, and by `chunks` for a stream put together. Messages and options of requests are near enough to
OpenAI's to be read where those are.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel.model_io.assembly import MAX_PIECES, Room, Text
from agent_trace_otel.model_io.fields import count_field, field, members, text_field


def answer(result: object) -> dict[str, Any] | None:
    """Return an answer of chat, generate or embed in a known shape, None if it is none of Ollama's."""
    usage = {
        "prompt_tokens": count_field(result, "prompt_eval_count"),
        "completion_tokens": count_field(result, "eval_count"),
    }
    model = text_field(result, "model")
    vectors = members(field(result, "embeddings")) if model is not None else []
    if not issubclass(type(result), dict):  # the older embeddings(), whose parsed JSON might as well be Titan's
        vectors = vectors or [field(result, "embedding")]
    if vectors and members(vectors[0]):
        return {"object": "list", "model": model, "data": [{"embedding": vectors[0]}], "usage": usage}
    if not isinstance(field(result, "done"), bool):
        return None
    message: object = field(result, "message")
    if message is None:
        said = {"content": text_field(result, "response"), "thinking": text_field(result, "thinking")}
        message = {"role": "assistant", **said}
    return {
        "object": "chat.completion",
        "model": model,
        "choices": [{"message": message, "finish_reason": text_field(result, "done_reason")}],
        "usage": usage,
    }


class OllamaChunks:
    """Chunks of chat and generate; the last one has the counts."""

    def __init__(self) -> None:
        room = Room()
        self._room = room
        self._text, self._thinking = Text(room), Text(room)
        self._calls: list[object] = []
        self._last: object = None

    def add(self, chunk: object) -> None:
        """Take one chunk."""
        self._last = chunk
        message = field(chunk, "message")
        said = text_field(message, "content") if message is not None else text_field(chunk, "response")
        thought = text_field(chunk if message is None else message, "thinking")
        if said:
            self._text.add(said)
        if thought:
            self._thinking.add(thought)
        for call in members(field(message, "tool_calls")):
            if len(self._calls) < MAX_PIECES and self._room.keeps(call):
                self._calls.append(call)

    def answer(self) -> object:
        """Return the answer so far."""
        last = self._last
        counts = {name: count_field(last, name) for name in ("prompt_eval_count", "eval_count")}
        thinking = self._thinking.value() if self._thinking.used else None
        message = {"role": "assistant", "content": self._text.value(), "thinking": thinking}
        return {
            "done": field(last, "done") is True,
            "done_reason": text_field(last, "done_reason"),
            "model": text_field(last, "model"),
            "message": {**message, "tool_calls": self._calls},
            **counts,
        }
