"""Further clients of the shape that Stainless generates: one row each.

Comes in: requests of the packages in the table. Goes out: one span a request to a model, as for openai. Switched on by
``agent_trace_otel.instrument()``. To add one: a class with its package, provider, paths and oldest version, its row in
`agent_trace_instrumentors.INSTRUMENTORS`, and its entry point.
"""

from __future__ import annotations

import re
from typing import Final

from agent_trace_instrumentors._base import Instrumentor, Library
from agent_trace_instrumentors._stainless import BATCHES, Client
from agent_trace_otel import semconv

_COMPATIBLE: Final = {
    "/chat/completions": semconv.CHAT,
    "/responses": semconv.CHAT,
    "/messages": semconv.CHAT,
    "/completions": semconv.TEXT_COMPLETION,
    "/embeddings": semconv.EMBEDDINGS,
}
_PLAIN: Final = (
    *BATCHES,
    (re.compile(r"^POST .*/messages/count_tokens$"), "messages.count_tokens"),
)


def _client(package: str, provider: str) -> Client:
    return Client(package, provider, _COMPATIBLE, _PLAIN)


class GroqInstrumentor(Instrumentor):
    """One span a model call of the groq package."""

    name = "groq"
    library = Library("groq", oldest=(0, 9))
    targets = _client("groq", "groq").targets()


class TogetherInstrumentor(Instrumentor):
    """One span a model call of the together package; 1.x is of another shape."""

    name = "together"
    library = Library("together", oldest=(2, 10))
    targets = _client("together", "together").targets()


class CerebrasInstrumentor(Instrumentor):
    """One span a model call of the cerebras_cloud_sdk package."""

    name = "cerebras"
    library = Library("cerebras_cloud_sdk", oldest=(1, 0))
    targets = _client("cerebras.cloud.sdk", "cerebras").targets()


class SambaNovaInstrumentor(Instrumentor):
    """One span a model call of the sambanova package."""

    name = "sambanova"
    library = Library("sambanova", oldest=(1, 1))
    targets = _client("sambanova", "sambanova").targets()


class PerplexityInstrumentor(Instrumentor):
    """One span a model call of the perplexityai package."""

    name = "perplexity"
    library = Library("perplexityai", oldest=(0, 16))
    targets = _client("perplexity", "perplexity").targets()


class FireworksInstrumentor(Instrumentor):
    """One span a model call of the fireworks-ai package; 0.x is of another shape."""

    name = "fireworks"
    library = Library("fireworks-ai", oldest=(1, 2))
    targets = _client("fireworks", "fireworks").targets()


class WriterInstrumentor(Instrumentor):
    """One span a model call of the writer-sdk package."""

    name = "writer"
    library = Library("writer-sdk", oldest=(2, 0))
    targets = Client("writerai", "writer", {"/chat": semconv.CHAT, "/completions": semconv.TEXT_COMPLETION}).targets()
