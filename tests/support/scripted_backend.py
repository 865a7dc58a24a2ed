"""A back end on the loopback interface that answers as a test tells it to, and spans to send to it."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags

if TYPE_CHECKING:
    from collections.abc import Callable

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C


@dataclass
class Reply:
    """One answer: ``reset`` closes the connection without any, ``wait`` holds it back until the back end stops."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/x-protobuf"})
    reset: bool = False
    wait: bool = False


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def request(self) -> ExportTraceServiceRequest:
        is_gzip = self.headers.get("content-encoding") == "gzip"
        return ExportTraceServiceRequest.FromString(gzip.decompress(self.body) if is_gzip else self.body)

    @property
    def span_count(self) -> int:
        return sum(len(scope.spans) for resource in self.request.resource_spans for scope in resource.scope_spans)


class Backend:
    """Gives the replies of ``script`` in turn, then ``always``, which may look at the request."""

    def __init__(self) -> None:
        self.script: list[Reply] = []
        self.always: Callable[[Received], Reply] = lambda _: Reply()
        self.received: list[Received] = []
        self.stopped = threading.Event()
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received = Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                backend.received.append(received)
                reply = backend.script.pop(0) if backend.script else backend.always(received)
                if reply.wait:
                    backend.stopped.wait(60)
                if reply.reset or reply.wait:
                    linger = struct.pack("ii", 1, 0)  # close with RST
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that left is the test's wish
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/traces"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    @property
    def span_ids(self) -> list[str]:
        return [
            span.span_id.hex()
            for received in self.received
            for resource in received.request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


def partial_success(rejected: int, message: str) -> Reply:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = rejected
    answer.partial_success.error_message = message
    return Reply(body=answer.SerializeToString())


def make_span(number: int, *, sampled: bool = True, attributes: dict[str, object] | None = None) -> ReadableSpan:
    return ReadableSpan(
        f"span {number}",
        context=SpanContext(TRACE_ID, number + 1, is_remote=False, trace_flags=TraceFlags(int(sampled))),
        resource=Resource({"service.name": f"service {number % 2}", "host": "h"}),
        attributes=attributes or {"n": number},  # type: ignore[arg-type]
        instrumentation_scope=InstrumentationScope("tests", "1"),
        start_time=1_700_000_000_000_000_000 + number,
        end_time=1_700_000_000_000_000_001 + number,
    )
