"""Chunks of Chat Completions or events of Responses in; the answer so far out, in the shape of an unstreamed one."""

from __future__ import annotations

from typing import Any

from agent_trace_otel.model_io.assembly import MAX_PIECES, Room, Text
from agent_trace_otel.model_io.fields import count_field, field, members, text_field

# -- Chat Completions and legacy completions ---------------------------------------------------------------------


class _Call:
    """A tool call of a stream."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self, room: Room) -> None:
        self.id: str | None = None
        self.name: str | None = None
        self.arguments = Text(room)

    def add(self, delta: object) -> None:
        function = field(delta, "function", "custom")
        if self.name is None:
            self.id = text_field(delta, "id")
            self.name = text_field(function, "name")
        piece = field(function, "arguments", "input")
        if isinstance(piece, str):
            self.arguments.add(piece)

    def answer(self) -> object:
        return {"id": self.id, "function": {"name": self.name, "arguments": self.arguments.value()}}


class _Choice:
    """One choice of a stream."""

    __slots__ = (
        *("_audio", "_calls", "content", "_legacy", "_reason", "_reasoning", "_refusal", "_room", "_text"),
        "_transcript",
    )

    def __init__(self, room: Room) -> None:
        self._room = room
        self.content = Text(room)
        self._reasoning = Text(room)
        self._refusal = Text(room)
        self._text = Text(room)
        self._transcript = Text(room)
        self._audio = Text(room)
        self._calls: dict[int, _Call] = {}
        self._legacy: _Call | None = None
        self._reason: str | None = None

    def add(self, choice: object) -> bool:
        """Take a piece of the choice; tell whether it is the last."""
        delta = field(choice, "delta")
        piece = field(delta, "content")
        if isinstance(piece, str) and piece:
            self.content.add(piece)
            self._add_calls(delta)
        elif delta is None:
            piece = field(choice, "text")
            if isinstance(piece, str):
                self._text.add(piece)
        else:
            self._add_other(delta)
        reason = field(choice, "finish_reason")
        if not isinstance(reason, str):
            return False
        self._reason = reason
        return True

    def _add_calls(self, delta: object) -> bool:
        calls = members(field(delta, "tool_calls"))
        for call in calls:
            self._call(call).add(call)
        return bool(calls)

    def _add_other(self, delta: object) -> None:
        if self._add_calls(delta):  # the fields below are seldom there, and an attribute that is missing is a slow one
            return
        for text, names in ((self._reasoning, ("reasoning_content", "reasoning")), (self._refusal, ("refusal",))):
            piece = field(delta, *names)
            if isinstance(piece, str):
                text.add(piece)
        legacy = field(delta, "function_call")
        if legacy is not None:
            self._legacy = self._legacy or _Call(self._room)
            self._legacy.add({"function": legacy})
        spoken = field(delta, "audio")
        for text, name in ((self._transcript, "transcript"), (self._audio, "data")):
            piece = field(spoken, name)
            if isinstance(piece, str):
                text.add(piece)

    def _call(self, delta: object) -> _Call:
        index = count_field(delta, "index")
        if index is None:  # servers that send no index send calls one after the other, an id at each start
            index = len(self._calls) if text_field(delta, "id") or not self._calls else len(self._calls) - 1
        call = self._calls.get(index)
        if call is None:
            call = _Call(self._room)
            if len(self._calls) < MAX_PIECES:
                self._calls[index] = call
        return call

    def answer(self) -> object:
        if self._text.used:
            return {"text": self._text.value(), "finish_reason": self._reason}
        message: dict[str, object] = {
            "role": "assistant",
            "content": self.content.value(),
            "reasoning_content": self._reasoning.value(),
            "refusal": self._refusal.value(),
            "tool_calls": [call.answer() for _, call in sorted(self._calls.items())],
        }
        if self._transcript.used or self._audio.used:
            message["audio"] = {"transcript": self._transcript.value(), "data": self._audio.value()}
        if self._legacy is not None:
            message["function_call"] = {"name": self._legacy.name, "arguments": self._legacy.arguments.value()}
        return {"message": message, "finish_reason": self._reason}


class ChatChunks:
    """Chunks of Chat Completions and of legacy completions."""

    def __init__(self) -> None:
        self._room = Room()
        self._choices: dict[int, _Choice] = {}
        self._id: str | None = None
        self._model: str | None = None
        self._usage: object = None

    def add(self, chunk: object) -> None:
        """Take one chunk or event."""
        if self._add_text(chunk):
            return
        choices = field(chunk, "choices")
        if choices is None:  # the client's own stream helper wraps each chunk
            chunk = field(chunk, "chunk")
            choices = field(chunk, "choices")
        if not self._model or not self._id:  # the first chunk of Azure has neither
            self._id = text_field(chunk, "id") or self._id
            self._model = text_field(chunk, "model") or self._model
        usage = field(chunk, "usage")
        if usage is not None:
            self._usage = usage
        for choice in members(choices):
            index = count_field(choice, "index") or 0
            known = self._choices.get(index)
            if known is None:
                if len(self._choices) >= MAX_PIECES:
                    continue
                known = self._choices[index] = _Choice(self._room)
            if known.add(choice) and usage is None:  # Groq and Moonshot count in places of their own
                self._usage = field(field(chunk, "x_groq"), "usage") or field(choice, "usage") or self._usage

    def _add_text(self, chunk: Any) -> bool:  # noqa: ANN401 - a chunk of the client's
        """Take a chunk that is one more piece of text and no more, as almost all are, in as few steps as there can be.

        A stream's reader waits for it, with the caches full of what made the chunk.
        """
        if type(chunk) is dict:
            return False
        try:
            (choice,) = chunk.choices
            delta = choice.delta
            piece = delta.content
            is_plain = type(piece) is str and choice.finish_reason is None and chunk.usage is None
            if not is_plain or delta.tool_calls or not piece or not self._model or not self._id:
                return False
            self._choices[choice.index].content.add(piece)
        except Exception:  # noqa: BLE001 - of another shape, or the first of its choice
            return False
        return True

    def answer(self) -> object:
        """Return the completion so far."""
        return {
            "object": "chat.completion",
            "id": self._id,
            "model": self._model,
            "choices": [choice.answer() for _, choice in sorted(self._choices.items())],
            "usage": self._usage,
        }


# -- Responses ---------------------------------------------------------------------------------------------------


# Which of an item's texts a piece belongs to; the events that are not here have one.
_PLACES = {
    "response.output_text.delta": "content_index",
    "response.refusal.delta": "content_index",
    "response.reasoning_text.delta": "content_index",
    "response.reasoning_summary_text.delta": "summary_index",
}


class _Item:
    """One output item of a Responses stream."""

    __slots__ = ("_room", "_start", "_texts")

    def __init__(self, start: object, room: Room) -> None:
        self._start = start
        self._room = room
        self._texts: dict[tuple[str, int], Text] = {}

    def add(self, kind: str, place: int, piece: str) -> None:
        text = self._texts.get((kind, place))
        if text is None:
            if len(self._texts) >= MAX_PIECES:
                return
            text = self._texts[kind, place] = Text(self._room)
        text.add(piece)

    def finish(self, item: object) -> None:
        """Take a finished item whose content came in no pieces, such as a search that the provider ran."""
        if not self._texts and self._room.keeps(item):
            self._start = item

    def _said(self, kind: str) -> list[str]:
        return [text.value() for (name, _), text in sorted(self._texts.items()) if name == f"response.{kind}.delta"]

    def answer(self) -> object:
        if not self._texts:
            return self._start
        kind = text_field(self._start, "type")
        if kind == "reasoning":
            texts = self._said("reasoning_text") or self._said("reasoning_summary_text")
            return {"type": kind, "content": [{"text": text} for text in texts]}
        if kind in ("function_call", "custom_tool_call"):
            pieces = self._said("function_call_arguments") or self._said("custom_tool_call_input")
            names = {name: field(self._start, name) for name in ("id", "call_id", "name")}
            return {**names, "type": kind, "arguments": "".join(pieces)}
        if kind == "message":
            content = [{"type": "output_text", "text": text} for text in self._said("output_text")]
            refusals = [{"type": "refusal", "refusal": text} for text in self._said("refusal")]
            return {"type": kind, "role": "assistant", "content": content + refusals}
        return self._start


class ResponseEvents:
    """Events of the Responses API; the last one repeats the whole response."""

    def __init__(self) -> None:
        self._room = Room()
        self._items: dict[int, _Item] = {}
        self._response: object = None
        self._error: object = None

    def add(self, chunk: object) -> None:
        """Take one chunk or event."""
        if self._add_text(chunk):
            return
        kind = text_field(chunk, "type") or ""
        index = count_field(chunk, "output_index")
        if index is None:
            response = field(chunk, "response")
            if response is not None:
                self._response = response
            elif kind == "error":
                self._error = chunk
        elif kind.endswith(".delta"):
            item = self._items.get(index)
            piece = field(chunk, "delta")
            if item is not None and isinstance(piece, str):
                place = _PLACES.get(kind)
                item.add(kind, 0 if place is None else count_field(chunk, place) or 0, piece)
        elif kind == "response.output_item.added" and len(self._items) < MAX_PIECES:
            self._items[index] = _Item(field(chunk, "item"), self._room)
        elif kind == "response.output_item.done" and index in self._items:
            self._items[index].finish(field(chunk, "item"))

    def _add_text(self, event: Any) -> bool:  # noqa: ANN401 - an event of the client's
        """Take an event that is one more piece of text, as `ChatChunks` does."""
        if type(event) is dict:
            return False
        try:
            if event.type != "response.output_text.delta":
                return False
            piece = event.delta
            if type(piece) is not str:
                return False
            self._items[event.output_index].add("response.output_text.delta", event.content_index, piece)
        except Exception:  # noqa: BLE001 - of another shape
            return False
        return True

    def answer(self) -> object:
        """Return the response so far."""
        items = [item.answer() for _, item in sorted(self._items.items())]
        names = ("id", "model", "status", "incomplete_details", "usage")
        return {
            **{name: field(self._response, name) for name in names},
            "error": field(self._response, "error") or self._error,
            "object": "response",
            "output": members(field(self._response, "output")) or items,
        }
