"""Functions and OpenAI's client, traced by MLflow."""

import os

os.environ |= {"MLFLOW_USE_DEFAULT_TRACER_PROVIDER": "false", "MLFLOW_ENABLE_OTLP_EXPORTER": "true"}
os.environ |= {
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}

from recording import Samples, provider

samples = Samples()
provider(samples)

import mlflow
import openai
from mlflow.entities import SpanType
from model import MODEL, WEATHER, model


@mlflow.trace(span_type=SpanType.TOOL)
def weather(city: str) -> str:
    return WEATHER


@mlflow.trace(span_type=SpanType.AGENT)
def forecaster(client: openai.OpenAI, question: str) -> str:
    weather(city="Paris")
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": question}]
    client.chat.completions.create(model=MODEL, messages=asked)
    return "fine"


mlflow.openai.autolog()
with model() as server:
    forecaster(openai.OpenAI(base_url=f"{server.url}/v1", api_key="k"), "How is the weather?")
samples.write()
os._exit(0)
