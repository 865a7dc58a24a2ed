"""Chunks of a streamed answer in, one by one; the same span attributes as of a whole answer out, at any moment.

Called by stream wrappers. The chunks are put together to the shape of the provider's unstreamed answer, which
`response` reads: one reading of each provider, streamed or not. What is kept is bounded; a chunk costs microseconds.
"""

from __future__ import annotations

from typing import Any, cast

from agent_trace_otel.model_io.anthropic_chunks import AnthropicEvents
from agent_trace_otel.model_io.assembly import Assembly, Room, Text
from agent_trace_otel.model_io.bedrock import parsed
from agent_trace_otel.model_io.bedrock_chunks import METRICS, ConverseEvents, TextPieces
from agent_trace_otel.model_io.fields import field, google_count, google_field, text_field
from agent_trace_otel.model_io.google_chunks import GoogleChunks
from agent_trace_otel.model_io.ollama import OllamaChunks
from agent_trace_otel.model_io.openai_chunks import ChatChunks, ResponseEvents
from agent_trace_otel.model_io.response import read_failure, read_response


class StreamReading:
    """A streamed answer as far as it has come.

    Takes chunks of OpenAI Chat Completions and legacy completions, events of OpenAI Responses and Anthropic Messages,
    chunks of Google generate_content and of Ollama, events of Bedrock's streams, and strings; as parsed JSON or as
    client objects.

        reading = StreamReading()
        for chunk in stream:
            reading.add(chunk)
        span.set_attributes(reading.attributes())
    """

    __slots__ = ("_assembly", "chunks")

    def __init__(self) -> None:
        self._assembly: Assembly | None = None
        self.chunks = 0
        """Chunks seen, recognised or not."""

    def add(self, chunk: object) -> None:
        """Take one chunk; never raises."""
        self.chunks += 1
        try:
            if self._assembly is None:
                self._assembly = _assembly_for(chunk)
            if self._assembly is not None:
                self._assembly.add(chunk)
        except Exception:  # noqa: BLE001 - between the user and the user's chunk
            return

    def attributes(self) -> dict[str, Any]:
        """Return what `read_response` would of the answer so far, ``{}`` if no chunk was recognised; never raises."""
        try:
            return {} if self._assembly is None else read_response(self._assembly.answer())
        except Exception:  # noqa: BLE001 - as in add()
            return {}

    def failure(self) -> tuple[str, str] | None:
        """Return what `read_failure` would of the answer so far; never raises."""
        try:
            return None if self._assembly is None else read_failure(self._assembly.answer())
        except Exception:  # noqa: BLE001 - as in add()
            return None


def _assembly_for(chunk: object) -> Assembly | None:
    if isinstance(chunk, str):
        return _Strings()
    kind = text_field(chunk, "type") or ""
    if kind.startswith("response."):
        return ResponseEvents()
    if kind.startswith(("message_", "content_block_")):
        return AnthropicEvents()
    if isinstance(field(chunk, "choices"), (list, tuple)) or kind == "chunk":
        return ChatChunks()
    counted = google_count(google_field(chunk, "usage_metadata"), "prompt_token_count") is not None
    if counted or isinstance(field(chunk, "candidates"), (list, tuple)):
        return GoogleChunks()
    if isinstance(field(chunk, "done"), bool):
        return OllamaChunks()
    if isinstance(chunk, dict):
        return _bedrock_assembly(cast("dict[str, Any]", chunk))
    return None


def _bedrock_assembly(chunk: dict[str, Any]) -> Assembly | None:
    if isinstance(field(field(chunk, "chunk"), "bytes"), (bytes, bytearray, str)):
        return _InvokeChunks()
    for assembly in (ConverseEvents, TextPieces):
        if assembly.knows(chunk):
            return assembly()
    return None


class _Strings:
    """Strings: an answer's text in pieces."""

    def __init__(self) -> None:
        self._text = Text(Room())

    def add(self, chunk: object) -> None:
        if isinstance(chunk, str):
            self._text.add(chunk)

    def answer(self) -> object:
        return self._text.value()


class _InvokeChunks:
    """Events of Bedrock's InvokeModelWithResponseStream: each holds the JSON text of a chunk of the model's own."""

    def __init__(self) -> None:
        self._inner: Assembly | None = None
        self._metrics: object = None

    def add(self, chunk: object) -> None:
        inner = parsed(field(field(chunk, "chunk"), "bytes"))
        if self._inner is None:
            self._inner = _assembly_for(inner)
        if self._inner is not None:
            self._inner.add(inner)
        metrics = field(inner, METRICS)
        self._metrics = self._metrics if metrics is None else metrics

    def answer(self) -> object:
        answer = None if self._inner is None else self._inner.answer()
        if field(answer, "usage") is not None or not isinstance(answer, dict):
            return answer  # pyright: ignore[reportUnknownVariableType] # any of the shapes above
        counts = {
            "prompt_tokens": field(self._metrics, "inputTokenCount"),
            "completion_tokens": field(self._metrics, "outputTokenCount"),
        }
        return {**cast("dict[str, Any]", answer), "usage": counts}
