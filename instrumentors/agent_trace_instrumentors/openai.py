"""The openai package -> one span a request to a model: Chat Completions, Responses, completions, embeddings.

Comes in: requests of `openai.OpenAI`, `AsyncOpenAI`, the Azure clients and the module's own client, through whatever
helper: parse, stream, raw and streaming responses, beta. Goes out: CLIENT spans with messages, usage, finish reasons.
Batches, and what is asked about a response afterwards, are requests without usage. Switched on by
``agent_trace_otel.instrument()``.

Servers that speak OpenAI's protocol are told by their address; one that nobody knows is taken for what it speaks.
"""

from __future__ import annotations

import re
from typing import Final

from agent_trace_instrumentors._base import Instrumentor, Library
from agent_trace_instrumentors._stainless import BATCHES, Client
from agent_trace_otel import semconv

PROVIDERS: Final = {
    "openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "openai.azure.us": "azure.ai.openai",
    "openai.azure.cn": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "models.ai.azure.com": "azure.ai.inference",
    "services.ai.azure.com": "azure.ai.inference",
    "models.inference.ai.azure.com": "azure.ai.inference",
    "models.github.ai": "azure.ai.inference",
    "anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "-aiplatform.googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
    "groq.com": "groq",
    "deepseek.com": "deepseek",
    "mistral.ai": "mistral_ai",
    "x.ai": "x_ai",
    "perplexity.ai": "perplexity",
    "cohere.com": "cohere",
    "cohere.ai": "cohere",
    "moonshot.ai": "moonshot_ai",
    "moonshot.cn": "moonshot_ai",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
    # those that the convention has no value for
    "openrouter.ai": "openrouter",
    "together.xyz": "together",
    "together.ai": "together",
    "fireworks.ai": "fireworks",
    "cerebras.ai": "cerebras",
    "sambanova.ai": "sambanova",
    "deepinfra.com": "deepinfra",
    "huggingface.co": "huggingface",
    "nebius.com": "nebius",
    "novita.ai": "novita",
    "hyperbolic.xyz": "hyperbolic",
    "api.nvidia.com": "nvidia",
    "dashscope.aliyuncs.com": "dashscope",
    "dashscope-intl.aliyuncs.com": "dashscope",
    "volces.com": "volcengine",
    "bigmodel.cn": "zhipu_ai",
    "z.ai": "zhipu_ai",
    "siliconflow.cn": "siliconflow",
    "siliconflow.com": "siliconflow",
    "minimax.io": "minimax",
    "ai21.com": "ai21",
    "databricks.com": "databricks",
    "azuredatabricks.net": "databricks",
    "ollama.com": "ollama",
    ":11434": "ollama",
    ":1234": "lm_studio",
}
"""Who answers at an address: the end of the host's name, or a port that one server is known by."""

PATHS: Final = {
    "/chat/completions": semconv.CHAT,
    "/responses": semconv.CHAT,
    "/responses/compact": semconv.CHAT,
    "/completions": semconv.TEXT_COMPLETION,
    "/embeddings": semconv.EMBEDDINGS,
}

CLIENT: Final = Client(
    "openai",
    provider="openai",
    operations=PATHS,
    plain=(
        *BATCHES,
        (re.compile(r"^POST .*/responses/input_tokens$"), "responses.input_tokens.count"),
        (re.compile(r"^POST .*/responses/[^/]+/cancel$"), "responses.cancel"),
        (re.compile(r"^GET .*/responses/[^/]+$"), "responses.retrieve"),
    ),
    providers=PROVIDERS,
    classes={"BaseAzureClient": "azure.ai.openai"},
)


class OpenAIInstrumentor(Instrumentor):
    """One span a model call: messages, tools, usage, finish reasons, time to first chunk."""

    name = "openai"
    library = Library("openai", oldest=(1, 0))
    targets = CLIENT.targets()
