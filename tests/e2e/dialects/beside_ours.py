"""OpenAI's and Anthropic's clients, traced by us and by others at once, or by others alone.

Arguments: the trace directory; whose instrumentations, in the order in which they are switched on: ours, genai,
openinference, openllmetry. Each call is made in a session ``NAME-KIND``; OpenAI's answers and Anthropic's are those of
`model`.
"""

import asyncio
import sys
import warnings
from importlib import import_module

warnings.simplefilter("ignore")

import anthropic
import openai
from model import CLAUDE, MODEL, model
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import agent_trace_otel

TRACE_DIR, WHO = sys.argv[1], sys.argv[2:]
PACKAGES = {
    "genai": "opentelemetry.instrumentation.genai",
    "openinference": "openinference.instrumentation",
    "openllmetry": "opentelemetry.instrumentation",
}
provider = TracerProvider()
provider.add_span_processor(agent_trace_otel.AgentTraceSpanProcessor(TRACE_DIR))
trace.set_tracer_provider(provider)
for name in WHO:
    if name == "ours":
        agent_trace_otel.instrument("openai", "anthropic")
    else:
        import_module(f"{PACKAGES[name]}.openai").OpenAIInstrumentor().instrument(tracer_provider=provider)
        import_module(f"{PACKAGES[name]}.anthropic").AnthropicInstrumentor().instrument(tracer_provider=provider)

QUESTION = [{"role": "user", "content": "How is the weather?"}]
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


def calls(url: str) -> None:
    of_openai = openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)
    of_anthropic = anthropic.Anthropic(base_url=url, api_key="k", max_retries=0)
    about = {"model": CLAUDE, "max_tokens": 100, "messages": QUESTION}
    with agent_trace_otel.session("openai-plain", trace_dir=TRACE_DIR):
        of_openai.chat.completions.create(model=MODEL, messages=QUESTION)
    with agent_trace_otel.session("openai-stream", trace_dir=TRACE_DIR):
        for _ in of_openai.chat.completions.create(model=MODEL, messages=QUESTION, **STREAMED):
            pass
    with agent_trace_otel.session("responses-plain", trace_dir=TRACE_DIR):
        of_openai.responses.create(model=MODEL, input="How is the weather?")
    with agent_trace_otel.session("anthropic-plain", trace_dir=TRACE_DIR):
        of_anthropic.messages.create(**about)
    with agent_trace_otel.session("anthropic-stream", trace_dir=TRACE_DIR):
        for _ in of_anthropic.messages.create(stream=True, **about):
            pass
    with agent_trace_otel.session("anthropic-helper", trace_dir=TRACE_DIR), of_anthropic.messages.stream(**about) as s:
        s.get_final_message()


async def async_calls(url: str) -> None:
    of_openai = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)
    of_anthropic = anthropic.AsyncAnthropic(base_url=url, api_key="k", max_retries=0)
    about = {"model": CLAUDE, "max_tokens": 100, "messages": QUESTION}
    with agent_trace_otel.session("openai-async", trace_dir=TRACE_DIR):
        async for _ in await of_openai.chat.completions.create(model=MODEL, messages=QUESTION, **STREAMED):
            pass
    with agent_trace_otel.session("anthropic-async", trace_dir=TRACE_DIR):
        async for _ in await of_anthropic.messages.create(stream=True, **about):
            pass


with model() as server:
    calls(server.url)
    asyncio.run(async_calls(server.url))
