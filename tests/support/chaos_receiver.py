"""An OTLP/HTTP receiver as a process of its own that behaves as badly as it is told: run by `chaos`.

    python chaos_receiver.py PORT DIRECTORY [CERTIFICATE KEY]

It obeys the file ``mode`` in the directory, which is read for each request, and writes there what it got: ``taken``,
the ids that it acknowledged, one a line; ``again``, those that came after it had acknowledged them; ``requests``, one
line a request. The port is written to ``port`` once it listens.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PORT, DIRECTORY = int(sys.argv[1]), Path(sys.argv[2])
LARGE = 50  # spans of a request that is too large
lock = threading.Lock()
taken = set((DIRECTORY / "taken").read_text().split()) if (DIRECTORY / "taken").exists() else set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        mode, _, rest = (DIRECTORY / "mode").read_text().strip().partition(" ")
        if rest:  # so many requests, then well again
            left = int(rest) - 1
            (DIRECTORY / "mode").write_text(f"{mode} {left}" if left else "well")
        with lock, (DIRECTORY / "requests").open("a") as file:
            file.write(f"{mode}\n")
        length = int(self.headers["Content-Length"])
        if mode == "reset":
            self.rfile.read(length // 2)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if mode == "hole":
            while (DIRECTORY / "mode").read_text().startswith("hole"):
                time.sleep(0.02)
            self.close_connection = True
            return
        if mode == "slow":
            time.sleep(0.05)
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        ids = [
            span.span_id.hex()
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        if mode.isdecimal() or (mode == "large" and len(ids) > LARGE):
            status = 413 if mode == "large" else int(mode)
            self.answer(status)
            return
        with lock:
            with (DIRECTORY / "again").open("a") as file:
                file.writelines(f"{span_id}\n" for span_id in ids if span_id in taken)
            with (DIRECTORY / "taken").open("a") as file:
                file.writelines(f"{span_id}\n" for span_id in ids)
            taken.update(ids)
        self.answer(200)

    def answer(self, status: int) -> None:
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:  # who follows a redirect has lost: this looks like success
        with lock, (DIRECTORY / "requests").open("a") as file:
            file.write("followed\n")
        self.answer(200)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        pass


server = Server(("127.0.0.1", PORT), Handler)
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
(DIRECTORY / "port").write_text(str(server.server_port))
with contextlib.suppress(KeyboardInterrupt):
    server.serve_forever(poll_interval=0.05)
