"""A collector in the test's own process, and clients of it: raw HTTP, and the stock exporter."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from agent_trace_otel import config
from agent_trace_otel.capture.collect.bodies import Memory
from agent_trace_otel.capture.collect.intake import Intake
from agent_trace_otel.capture.collect.serving import Server, Serving
from agent_trace_otel.capture.mcp.http.access import access
from agent_trace_otel.delivery.protobuf import items_of_request, request_of
from agent_trace_otel.testing import Recorded

JSON, PROTOBUF = "application/json", "application/x-protobuf"
TRACE = "0207614609d55a4e699316e586fb830a"
START = 1_800_000_000_000_000_000
Span = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def rejected(self) -> int:
        if self.headers["content-type"] == JSON:
            return int(json.loads(self.body).get("partialSuccess", {}).get("rejectedSpans", 0))
        return ExportTraceServiceResponse.FromString(self.body).partial_success.rejected_spans


@dataclass
class Collector:
    """A running collector."""

    port: int
    intake: Intake
    recorded: Recorded

    def post(self, body: bytes, content_type: str = JSON, path: str = "/v1/traces", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", path, body, {"Content-Type": content_type, **named})

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        found = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        return found

    def send(self, *spans: Span) -> Answer:
        return self.post(json.dumps(request(*spans)).encode())

    def send_protobuf(self, *spans: Span) -> Answer:
        return self.post(protobuf(*spans), PROTOBUF)


@contextmanager
def collecting(trace_dir: Path, **settings: Any) -> Iterator[Collector]:
    """Run a collector that writes to a directory."""
    in_force = config.load({"XDG_CONFIG_HOME": str(trace_dir)}, trace_dir=trace_dir, **settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        intake = Intake(in_force)
        server = Server(listener, Serving(intake, access("127.0.0.1", port, (), ()), lambda: "hello", Memory()))
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield Collector(port, intake, Recorded(trace_dir))
        finally:
            server.stop()
            serving.join()
            intake.close()


def span(number: int, name: str = "span", *, parent: int = 0, trace: str = TRACE, **attributes: Any) -> Span:
    """Return a span as OTLP JSON; double underscores in names of attributes stand for dots."""
    found: Span = {
        "traceId": trace,
        "spanId": f"{number:016x}",
        "name": name,
        "kind": 1,
        "flags": 0x101,
        "startTimeUnixNano": str(START + number * 1_000_000),
        "endTimeUnixNano": str(START + number * 1_000_000 + 500_000),
        "attributes": [attribute(key.replace("__", "."), value) for key, value in attributes.items()],
        "status": {},
    }
    if parent:
        found["parentSpanId"] = f"{parent:016x}"
    return found


def tool(number: int, **attributes: Any) -> Span:
    """Return a tool call."""
    return span(
        number, "execute_tool ls", gen_ai__operation__name="execute_tool", gen_ai__tool__name="ls", **attributes
    )


def agent(number: int, **attributes: Any) -> Span:
    """Return an agent's own span."""
    return span(number, "invoke_agent a", gen_ai__operation__name="invoke_agent", gen_ai__agent__name="a", **attributes)


def http_call(number: int, **attributes: Any) -> Span:
    """Return a span that is no agent's doing."""
    return span(number, "GET", http__request__method="GET", **attributes)


def attribute(key: str, value: Any) -> dict[str, Any]:
    form = "intValue" if isinstance(value, int) and not isinstance(value, bool) else "stringValue"
    return {"key": key, "value": {form: str(value)}}


def request(*spans: Span) -> dict[str, Any]:
    """Return an ExportTraceServiceRequest."""
    resource = {"attributes": [attribute("service.name", "other-agent")]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "theirs"}, "spans": spans}]}]}


def protobuf(*spans: Span) -> bytes:
    return request_of(items_of_request(request(*spans))).SerializeToString()


def names(recorded: Recorded, session: str | None = None) -> list[str]:
    """Return the ids of a session's spans, in the order of their lines."""
    return [f"{found.context.span_id:x}" for found in recorded.spans(session) if found.context is not None]


def kinds(recorded: Recorded, session: str | None = None) -> list[str]:
    """Return a timeline's event types."""
    return [event.event_type for event in recorded.events(session)]


def folders(recorded: Recorded) -> Sequence[str]:
    return recorded.sessions()
