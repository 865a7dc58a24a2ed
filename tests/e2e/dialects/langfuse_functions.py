"""Functions and OpenAI's client, traced by Langfuse."""

import os

os.environ |= {"LANGFUSE_PUBLIC_KEY": "pk", "LANGFUSE_SECRET_KEY": "sk", "LANGFUSE_HOST": "http://127.0.0.1:9"}

from langfuse import Langfuse, observe, propagate_attributes
from langfuse.openai import openai
from model import MODEL, WEATHER, model
from opentelemetry.sdk.trace import TracerProvider
from recording import Samples

samples = Samples()
provider = TracerProvider()
provider.add_span_processor(samples)
Langfuse(tracer_provider=provider)


@observe(as_type="tool")
def weather(city: str) -> str:
    return WEATHER


@observe(as_type="agent")
def forecaster(client: openai.OpenAI, question: str) -> str:
    with propagate_attributes(session_id="talk-1"):
        weather(city="Paris")
        asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
        client.chat.completions.create(model=MODEL, messages=asked)
        return "fine"


with model() as server:
    forecaster(openai.OpenAI(base_url=f"{server.url}/v1", api_key="k"), "How is the weather?")
samples.write()
os._exit(0)
