"""OpenAI's and Anthropic's clients, plain, streamed and with a tool, traced by one of several instrumentations.

The second argument names it: genai, openinference, openllmetry, or anthropic for what Anthropic's client does itself.
"""

import os
import sys
from contextlib import suppress

INSTRUMENTATION = sys.argv[2]
os.environ |= {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY", "TRACELOOP_TRACE_CONTENT": "true"}
os.environ |= {"OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"}
if INSTRUMENTATION == "anthropic":
    os.environ["ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE"] = "content"
else:
    os.environ["ANTHROPIC_OPEN_TELEMETRY"] = "false"

import anthropic
import openai
from model import CITY, CLAUDE, MODEL, WEATHER, model
from recording import Samples, provider

samples = Samples()
made = provider(samples)
match INSTRUMENTATION:
    case "genai":
        from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    case "openinference":
        from openinference.instrumentation.anthropic import AnthropicInstrumentor
        from openinference.instrumentation.openai import OpenAIInstrumentor
    case "openllmetry":
        from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor
if INSTRUMENTATION != "anthropic":
    OpenAIInstrumentor().instrument(tracer_provider=made)
    AnthropicInstrumentor().instrument(tracer_provider=made)

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
QUESTION = {"role": "user", "content": "How is the weather?"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": f'{{"city": "{CITY}"}}'}}


def of_openai(url: str) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0)
    asked = [{"role": "system", "content": "Be brief."}, QUESTION]
    answered = [*asked, {"role": "assistant", "tool_calls": [CALL]}]
    answered.append({"role": "tool", "tool_call_id": "call_1", "content": WEATHER})
    tools = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
    client.chat.completions.create(model=MODEL, messages=asked, tools=tools, temperature=0.5)
    for _ in client.chat.completions.create(
        model=MODEL, messages=answered, tools=tools, stream=True, stream_options={"include_usage": True}
    ):
        pass
    client.responses.create(model=MODEL, input="How is the weather?", instructions="Be brief.")
    with suppress(openai.NotFoundError):
        client.with_options(base_url=f"{url}/nowhere").embeddings.create(model="none", input="a")


def of_anthropic(url: str) -> None:
    client = anthropic.Anthropic(base_url=url, api_key="k", max_retries=0)
    tools = [{"name": "weather", "input_schema": SCHEMA}]
    settings = {"model": CLAUDE, "max_tokens": 100, "system": "Be brief.", "tools": tools}
    use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": CITY}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": WEATHER}
    answered = [QUESTION, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    client.messages.create(messages=[QUESTION], **settings)
    for _ in client.messages.create(messages=answered, stream=True, **settings):
        pass


with model() as server:
    if INSTRUMENTATION != "anthropic":
        of_openai(server.url)
    of_anthropic(server.url)
samples.write()
