"""A program that has OpenTelemetry set up already: our processor beside its own exporter.

Its spans go where they went before; the agent's calls are also written to .agent-traces/. No session is opened: the
trace is the session.

    python examples/own_provider.py
    agent-trace replay
"""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

import agent_trace_otel as at


@at.trace_tool
def look_up(word: str) -> str:
    """Return what a word means."""
    return {"span": "one operation, with a start and an end"}.get(word, "unknown")


@at.trace_agent
def answer(question: str) -> str:
    """An agent that knows one word."""
    return look_up(question.rstrip("?").split()[-1])


def main() -> None:
    """Answer one question inside a request's span."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: f"{span.name}\n")))
    provider.add_span_processor(at.AgentTraceSpanProcessor())
    trace.set_tracer_provider(provider)
    with trace.get_tracer("my-service").start_as_current_span("GET /answer"):
        print(answer("what is a span?"))


if __name__ == "__main__":
    main()
