"""A back end that counts: every span id that it was sent and took, and how often; ``python receiver.py RESULT``.

Prints its port. At SIGTERM it writes RESULT: spans received, different ones, and how many came twice though it had said
that it has them.
"""

from __future__ import annotations

import gzip
import json
import signal
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_lock = threading.Lock()
_seen: Counter[bytes] = Counter()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        ids = [span.span_id for found in request.resource_spans for scope in found.scope_spans for span in scope.spans]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()
        with _lock:
            _seen.update(ids)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)  # noqa: T201 - whoever started it reads that
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    told = {"received": sum(_seen.values()), "different": len(_seen)}
    Path(sys.argv[1]).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
