"""One peer's work, run by the interpreter of the peer's own environment: ``python peers.py PEER WHAT``.

PEER is a name of `PEERS`; WHAT is ``calls`` (CPU nanoseconds a decorated tool call, in this thread), ``killed`` (the
process kills itself in the middle of a call) or ``secret`` (a call with a secret in its arguments; what would be sent
goes to stdout). Everybody's exporter takes spans and does nothing with them, but in ``secret``. Imports nothing of
this project but where the peer is this project.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

Tool = Callable[[str, int], str]
Decorator = Callable[[Tool], Tool]
CALLS, ROUNDS = 200, 30
MARK = "the-argument-of-the-killed-call"


def _exporter(sink: Callable[[str], object] | None) -> Any:
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Exporter(SpanExporter):
        def export(self, spans: Any) -> Any:
            for span in spans if sink is not None else ():
                sink(span.to_json())
            return SpanExportResult.SUCCESS

    return Exporter()


def _bare(sink: Callable[[str], object] | None) -> tuple[Decorator, Callable[[], object]]:
    """Five attributes on a span of the SDK and a batch processor: what everybody else adds to."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_exporter(sink)))
    tracer = provider.get_tracer("bare")

    def decorate(tool: Tool) -> Tool:
        def traced(query: str, limit: int) -> str:
            attributes: dict[str, Any] = {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "search",
                "gen_ai.tool.call.arguments": query,
                "limit": limit,
                "gen_ai.tool.type": "function",
            }
            with tracer.start_as_current_span("execute_tool search", attributes=attributes):
                return tool(query, limit)

        return traced

    return decorate, provider.force_flush


def _agent_trace_otel(sink: Callable[[str], object] | None) -> tuple[Decorator, Callable[[], object]]:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    import agent_trace_otel as at

    provider = at.configure()
    (processor,) = provider._active_span_processor._span_processors
    processor.delivery = BatchSpanProcessor(_exporter(sink))
    at.start_session("bench")
    return at.trace_tool, provider.force_flush


def _agent_strace(_: Callable[[str], object] | None) -> tuple[Decorator, Callable[[], object]]:
    from agent_trace import decorator

    decorator.start_session("bench")
    return decorator.trace_tool, lambda: None


def _traceloop(sink: Callable[[str], object] | None) -> tuple[Decorator, Callable[[], object]]:
    from traceloop.sdk import Traceloop
    from traceloop.sdk.decorators import tool
    from traceloop.sdk.tracing.tracing import TracerWrapper

    Traceloop.init(app_name="bench", exporter=_exporter(sink), telemetry_enabled=False)
    return tool(name="search"), TracerWrapper().flush


def _logfire(sink: Callable[[str], object] | None) -> tuple[Decorator, Callable[[], object]]:
    import logfire
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    processor = BatchSpanProcessor(_exporter(sink))
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[processor], metrics=False)
    return logfire.instrument("search", record_return=True), processor.force_flush


def _openinference(sink: Callable[[str], object] | None) -> tuple[Decorator, Callable[[], object]]:
    from openinference.instrumentation import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_exporter(sink)))
    return provider.get_tracer("bench").tool, provider.force_flush


def _mlflow(sink: Callable[[str], object] | None) -> tuple[Decorator, Callable[[], object]]:
    """It takes no exporter, so it sends to a server of this process."""
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if sink is not None:
                sink(body.decode("utf-8", "replace"))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}/v1/traces"
    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "200"
    os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
    import mlflow

    mlflow.set_tracking_uri(f"http://127.0.0.1:{server.server_port}")

    def flush() -> None:
        mlflow.flush_trace_async_logging()
        if sink is not None:  # it offers no way to wait for what goes out by OTLP
            time.sleep(2)

    return mlflow.trace, flush


PEERS: dict[str, Callable[[Callable[[str], object] | None], tuple[Decorator, Callable[[], object]]]] = {
    "bare SDK span": _bare,
    "agent-trace-otel": _agent_trace_otel,
    "agent-strace": _agent_strace,
    "traceloop-sdk": _traceloop,
    "logfire": _logfire,
    "openinference-instrumentation": _openinference,
    "mlflow-tracing": _mlflow,
}
IMPORTS = {
    "bare SDK span": "opentelemetry.sdk.trace",
    "agent-trace-otel": "agent_trace_otel",
    "agent-strace": "agent_trace",
    "traceloop-sdk": "traceloop.sdk",
    "logfire": "logfire",
    "openinference-instrumentation": "openinference.instrumentation",
    "mlflow-tracing": "mlflow",
}


def _calls(decorate: Decorator, flush: Callable[[], object]) -> None:
    numbers = itertools.count()

    @decorate
    def search(query: str, limit: int) -> str:
        return f"src/pages.py:{limit}: {query}"

    figures: list[float] = []
    for _ in range(ROUNDS + 5):
        queries = [f"def handler_{next(numbers)}" for _ in range(CALLS)]
        began = time.thread_time_ns()
        for query in queries:
            search(query, 10)
        figures.append((time.thread_time_ns() - began) / CALLS)
        flush()
    sys.stdout.write(" ".join(map(str, figures[5:])) + "\n")


def _killed(decorate: Decorator) -> None:
    @decorate
    def search(query: str, limit: int) -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return query * limit

    search(MARK, 1)


def main() -> None:
    """Do the peer's work."""
    peer, what = sys.argv[1:]
    kept: list[str] = []
    decorate, flush = PEERS[peer](kept.append if what == "secret" else None)
    if what == "calls":
        _calls(decorate, flush)
    elif what == "killed":
        _killed(decorate)
    else:
        decorate(lambda query, limit: query * limit)(sys.stdin.read(), 1)
        flush()
        sys.stdout.write("".join(kept) + "\n")


if __name__ == "__main__":
    main()
