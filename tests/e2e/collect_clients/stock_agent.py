"""An agent in Python with the stock SDK, and nothing of ours in its environment's names or its imports."""

from __future__ import annotations

import json

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("stock-agent", "1.0")

with tracer.start_as_current_span("invoke_agent stock") as root:
    root.set_attributes({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "stock"})
    root.set_attribute("session.id", "stock-talk")
    with tracer.start_as_current_span("chat gpt-x", kind=SpanKind.CLIENT) as chat:
        chat.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-x"})
        chat.set_attributes({"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20})
    provider.force_flush()  # a child arrives in a request before its parent's
    with tracer.start_as_current_span("execute_tool ls") as tool:
        tool.set_attributes({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "ls"})
        tool.set_attribute("gen_ai.tool.call.arguments", json.dumps({"path": "."}))
provider.shutdown()
