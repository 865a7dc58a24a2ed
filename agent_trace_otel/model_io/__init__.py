"""What model clients take and give, in; span attributes of the GenAI convention, out.

Called by the decorators and the instrumentors. Pure and duck-typed: parsed JSON and client objects alike (OpenAI Chat
Completions, Responses, legacy completions and embeddings; Anthropic Messages; Google generate_content and
embed_content; Amazon Bedrock's Converse and InvokeModel; Ollama; plain strings); no client library and no part of
OpenTelemetry is imported. Nothing here raises, whatever is handed in.
"""

from __future__ import annotations

from agent_trace_otel.model_io.chunks import StreamReading
from agent_trace_otel.model_io.request import ModelRequest, read_request
from agent_trace_otel.model_io.response import read_failure, read_response

__all__ = ["ModelRequest", "StreamReading", "read_failure", "read_request", "read_response"]
