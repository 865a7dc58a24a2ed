"""OTLP/HTTP on a listening socket: requests of any number of clients -> `intake`, and its word back to them.

Called by `collector`. The standard library's HTTP server with a thread a connection: reading HTTP is a small part of
what a request of some hundred spans costs, and the base install needs nothing more.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, cast

from agent_trace_otel import guard
from agent_trace_otel.capture.collect import answers, bodies, decoding
from agent_trace_otel.capture.collect.answers import Answer, RefusedError
from agent_trace_otel.capture.collect.intake import Intake
from agent_trace_otel.capture.collect.logs.records import records_of
from agent_trace_otel.capture.mcp.http.access import Access

TRACES: Final = "/v1/traces"
LOGS: Final = "/v1/logs"
METRICS: Final = "/v1/metrics"

MAX_CONNECTIONS: Final = 512
IDLE_SECONDS: Final = 60.0
"""After which a silent connection is closed; exporters open another one."""
_LOOK_SECONDS: Final = 10.0
_GRACE_SECONDS: Final = 5.0
_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Serving:
    """What the handlers of one server share."""

    intake: Intake
    access: Access
    greeting: Callable[[], str]
    """What a person is told who asks for ``/``."""
    memory: bodies.Memory


class Server(ThreadingHTTPServer):
    """Serves a listening socket until `stop`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: socket.socket, serving: Serving) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.serving = serving
        self._open = 0
        self._busy = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._look_at = time.monotonic() + _LOOK_SECONDS

    def stop(self) -> None:
        """Take no more requests, and give those under way a while to be answered; call it from another thread."""
        with self._changed:
            self._stopping = True
        self.shutdown()
        self.server_close()
        with self._changed:
            self._changed.wait_for(lambda: not self._busy, _GRACE_SECONDS)

    @contextlib.contextmanager
    def request(self) -> Generator[bool, None, None]:
        """Count a request that is under way; False if none is taken any more."""
        with self._changed:
            is_taken = not self._stopping
            self._busy += is_taken
        try:
            yield is_taken
        finally:
            with self._changed:
                self._busy -= is_taken
                self._changed.notify_all()

    # -- socketserver --------------------------------------------------------------------------------------------

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Hand a connection to a thread of its own, if there are not too many."""
        with self._changed:
            is_taken = self._open < MAX_CONNECTIONS
            self._open += is_taken
        if is_taken:
            super().process_request(request, client_address)
            return
        with contextlib.suppress(OSError):
            cast("socket.socket", request).sendall(_BUSY)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                self._open -= 1

    def service_actions(self) -> None:
        """Do what is due from time to time."""
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            guard.guarded("look after waiting spans")(self.serving.intake.look_after)()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Say nothing of clients that go away; the guard counts what is ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = io.DEFAULT_BUFFER_SIZE  # head and body leave in one packet

    def do_GET(self) -> None:
        """Say what this is."""
        self._serve(self._told)

    def do_HEAD(self) -> None:
        """Say how long that is."""
        self._serve(self._told)

    def do_POST(self) -> None:
        """Take what a client sends."""
        self._serve(self._taken)

    def _serve(self, answer: Callable[[], Answer]) -> None:
        server = cast("Server", self.server)
        with server.request() as is_taken:
            if not is_taken:
                self._send(answers.text(HTTPStatus.SERVICE_UNAVAILABLE, "the collector is stopping", closes=True))
                return
            try:
                self._send(self._refusal(server.serving.access) or self._guarded(answer))
            except OSError:  # the client is gone
                self.close_connection = True

    @staticmethod
    def _guarded(answer: Callable[[], Answer]) -> Answer:
        """Return an answer whatever happens: a client that gets none would send the same again and again."""
        try:
            return answer()
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - ours, and no reason for the next request to fail
            guard.report("answer a request", error)
            message = f"the collector failed: {type(error).__name__}"
            return answers.text(HTTPStatus.INTERNAL_SERVER_ERROR, message, closes=True)

    def _refusal(self, access: Access) -> Answer | None:
        """Return the answer to a page that was led here by a name of its own (DNS rebinding), None to all others."""
        which, _ = access.refusal(self.headers.get_all("host") or [], self.headers.get_all("origin") or [])
        if not which:
            return None
        said = ", ".join(self.headers.get_all(which) or []) or "(none)"
        shown = "".join(char if char.isprintable() else "?" for char in said)[:200]
        why = f"{which.capitalize()} {shown} is not served here; agent-trace collect --allow-{which} lets it in"
        return answers.text(HTTPStatus.FORBIDDEN, why, closes=True)

    def _told(self) -> Answer:
        path = self.path.partition("?")[0]
        if path == "/":
            return answers.text(HTTPStatus.OK, cast("Server", self.server).serving.greeting())
        if path in (TRACES, LOGS, METRICS):
            return answers.text(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} takes POST", headers={"Allow": "POST"})
        return _nothing_there(path)

    def _taken(self) -> Answer:
        path = self.path.partition("?")[0].rstrip("/")
        if path not in (TRACES, LOGS, METRICS):
            return _nothing_there(path)
        serving = cast("Server", self.server).serving
        encoding, is_read = "", False
        try:
            encoding = decoding.encoding_of(self.headers.get("content-type", ""))
            with serving.memory.held() as held:
                body = bodies.read(self.rfile, self.headers, held)
                is_read = True
                return self._answer(serving.intake, path, body, encoding)
        except RefusedError as error:
            return answers.refused(error, encoding, closes=not is_read)

    @staticmethod
    def _answer(intake: Intake, path: str, body: bytes, encoding: str) -> Answer:
        if path == METRICS:  # numbers about calls, not calls
            return answers.accepted(encoding)
        if path == LOGS:
            intake.take_log(records_of(body, encoding))
            return answers.accepted(encoding)
        decoded = decoding.spans_of(body, encoding)
        untold, reason = intake.take(decoded.spans)
        return answers.accepted(encoding, decoded.rejected + untold, decoded.reason or reason)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.closes:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def version_string(self) -> str:
        """Return what the Server header says: no versions."""
        return "agent-trace"

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request, in plain text."""
        status = HTTPStatus(code)
        self.close_connection = True
        with contextlib.suppress(OSError):
            self._send(answers.text(status, message or explain or status.phrase, closes=True))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in http.server
        """Say nothing: a collector that talks is in the way."""


def _nothing_there(path: str) -> Answer:
    shown = "".join(char if char.isprintable() else "?" for char in path)[:200]
    why = f"nothing is served at {shown or '/'}; spans go to {TRACES}"
    return answers.text(HTTPStatus.NOT_FOUND, why, closes=True)
