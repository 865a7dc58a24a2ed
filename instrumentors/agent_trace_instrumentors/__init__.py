"""Instrumentors: they trace libraries without a change to the program.

Comes in: names. Goes out: instrumentor classes, loaded when they are asked for. Called by
`agent_trace_otel.instrument`. Importing the package costs the table below; wrapt and the tracing API come with the
first `load`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from agent_trace_instrumentors._base import Instrumentor

__all__ = ["INSTRUMENTORS", "Entry", "load"]


class Entry(NamedTuple):
    """Where an instrumentor stands, and whether it has to be asked for by name."""

    module: str
    class_name: str
    opt_in: bool = False
    """True for what tells of more than the agent's own calls: `agent_trace_otel.instrument()` leaves it out."""
    watches: tuple[str, ...] | None = None
    """Modules whose import is the first that it has to do with, each with what lies below it; by default the one that
    is called like the instrumentor's own. None at all: what it patches is there from the start."""

    @property
    def modules(self) -> tuple[str, ...]:
        """The same, told in full."""
        return (self.module,) if self.watches is None else self.watches


INSTRUMENTORS: Mapping[str, Entry] = {
    "anthropic": Entry("anthropic", "AnthropicInstrumentor"),
    "bedrock": Entry("bedrock", "BedrockInstrumentor", watches=("botocore", "aiobotocore")),
    "cerebras": Entry("stainless", "CerebrasInstrumentor", watches=("cerebras.cloud.sdk",)),
    "claude_agent_sdk": Entry("claude_agent_sdk", "ClaudeAgentSdkInstrumentor"),
    "files": Entry("files", "FilesInstrumentor", opt_in=True, watches=()),
    "fireworks": Entry("stainless", "FireworksInstrumentor", watches=("fireworks",)),
    "google_genai": Entry("google_genai", "GoogleGenaiInstrumentor", watches=("google.genai",)),
    "groq": Entry("stainless", "GroqInstrumentor", watches=("groq",)),
    "langchain": Entry("langchain", "LangChainInstrumentor", watches=("langchain_core", "langgraph")),
    "litellm": Entry("litellm", "LitellmInstrumentor"),
    "mcp": Entry("mcp", "McpInstrumentor", watches=("mcp", "fastmcp")),
    "ollama": Entry("ollama", "OllamaInstrumentor"),
    "openai": Entry("openai", "OpenAIInstrumentor"),
    "openai_agents": Entry("openai_agents", "OpenAIAgentsInstrumentor", watches=("agents",)),
    "perplexity": Entry("stainless", "PerplexityInstrumentor", watches=("perplexity",)),
    "sambanova": Entry("stainless", "SambaNovaInstrumentor", watches=("sambanova",)),
    "subprocesses": Entry("subprocesses", "SubprocessInstrumentor", opt_in=True, watches=()),
    "together": Entry("stainless", "TogetherInstrumentor", watches=("together",)),
    "writer": Entry("stainless", "WriterInstrumentor", watches=("writerai",)),
}
"""Every instrumentor there is, by the name that `agent_trace_otel.instrument` takes.

One that is no opt-in is also an entry point of the group ``opentelemetry_instrumentor``, called ``agent_trace_{name}``.
Opt-ins are not: `opentelemetry-instrument` switches on whatever it finds there.
"""


def load(name: str) -> type[Instrumentor]:
    """Return the class of an instrumentor, importing its module.

    Raises:
        KeyError: no instrumentor has that name.
    """
    entry = INSTRUMENTORS[name]
    found: type[Instrumentor] = getattr(import_module(f"{__name__}.{entry.module}"), entry.class_name)
    return found
