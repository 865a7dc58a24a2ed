"""Functions and OpenAI's client, traced by LangSmith, which hands its runs on to OpenTelemetry."""

import os

os.environ |= {"LANGSMITH_TRACING": "true", "LANGSMITH_OTEL_ENABLED": "true", "LANGSMITH_OTEL_ONLY": "true"}
os.environ |= {"LANGSMITH_API_KEY": "k", "LANGSMITH_ENDPOINT": "http://127.0.0.1:9"}

from recording import Samples, provider

samples = Samples()
made = provider(samples)

import openai
from langsmith import Client, traceable
from langsmith.wrappers import wrap_openai
from model import MODEL, WEATHER, model

exporting = Client(otel_tracer_provider=made, otel_enabled=True) if os.environ.get("X") else Client(otel_enabled=True)


@traceable(run_type="tool", client=exporting)
def weather(city: str) -> str:
    return WEATHER


@traceable(run_type="chain", client=exporting, metadata={"session_id": "talk-1"})
def forecaster(client: openai.OpenAI, question: str) -> str:
    weather(city="Paris")
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
    client.chat.completions.create(model=MODEL, messages=asked)
    return "fine"


with model() as server:
    asked = wrap_openai(openai.OpenAI(base_url=f"{server.url}/v1", api_key="k"))
    forecaster(asked, "How is the weather?")
    exporting.flush()
samples.write()
os._exit(0)
