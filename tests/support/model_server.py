"""A model provider on this machine: answers that are named by a request header, over real HTTP.

Comes in: answers by name. Goes out: the address to give a client as its base URL, and what it asked. Used by the tests
of every instrumentor of a model client; ``tests/corpus_run.py`` serves recordings with it.

    with serving({"hello": answer_json({...})}) as server:
        client = OpenAI(base_url=server.url + "/v1", default_headers={RECORDING: "hello"})
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RECORDING = "x-recording"
"""The request header that names the answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back.

    Args:
        pieces: the body, as it goes over the wire; more than one are sent one by one.
        status: the HTTP status.
        content_type: the header of that name.
        headers: further headers.
        is_reset: the connection is reset after the last piece, before the body has ended.
        waits: what to wait for before the second piece; it lets a test hold a stream open.
    """

    pieces: tuple[bytes, ...]
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    is_reset: bool = False
    waits: threading.Event | None = None


def answer_json(body: object, status: int = 200, **details: Any) -> Answer:
    """Return an answer in one piece."""
    return Answer((json.dumps(body).encode(),), status, **details)


def answer_events(events: Sequence[object], *, done: bool = False, named: bool = False, **details: Any) -> Answer:
    """Return a stream of server-sent events.

    Args:
        events: their data.
        done: whether OpenAI's ``[DONE]`` comes last.
        named: whether each event is called as its data's type, as Anthropic and Responses have it.
        details: of `Answer`.
    """
    names = [f"event: {event['type']}\n" if named and isinstance(event, dict) else "" for event in events]
    pieces = [f"{name}data: {json.dumps(event)}\n\n".encode() for name, event in zip(names, events, strict=True)]
    return Answer((*pieces, *([b"data: [DONE]\n\n"] if done else [])), content_type="text/event-stream", **details)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class ModelServer:
    """A running server.

    Attributes:
        answers: by name; a list is answered one after the other, its last member for good.
        choose: gives the name for a request that has no header, such as one of a client that sends none of the user's.
        asked: the requests so far.
    """

    answers: dict[str, Answer | list[Answer]]
    choose: Callable[[Asked], str] = lambda asked: asked.path.partition("?")[0]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def answer(self, asked: Asked) -> Answer:
        """Return what a request gets."""
        self.asked.append(asked)
        name = asked.headers.get(RECORDING) or self.choose(asked)
        found = self.answers.get(name)
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found or answer_json({"error": {"message": f"no answer named {name!r}", "type": "not_found"}}, 404)


@contextmanager
def serving(
    answers: Mapping[str, Answer | list[Answer]], choose: Callable[[Asked], str] | None = None
) -> Iterator[ModelServer]:
    """Serve answers until the block is left."""
    model_server = ModelServer(dict(answers), **({"choose": choose} if choose else {}))

    class Handler(_Handler):
        server_of_models = model_server

    server = _Server(("127.0.0.1", 0), Handler)
    model_server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield model_server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that keeps its connection would keep us
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that has gone away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_of_models: ModelServer

    def log_message(self, *_: object) -> None:
        """Write nothing."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server_of_models.answer(Asked(self.command, self.path, headers, body))
        self.send_response(answer.status)
        self.send_header("content-type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        in_pieces = len(answer.pieces) > 1 or answer.is_reset
        length = (
            ("transfer-encoding", "chunked") if in_pieces else ("content-length", str(len(b"".join(answer.pieces))))
        )
        self.send_header(*length)
        self.end_headers()
        for number, piece in enumerate(answer.pieces):
            if number == 1 and answer.waits is not None:
                answer.waits.wait(30)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if in_pieces else piece)
        if answer.is_reset:
            # close() with nothing lingering is a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            for end in (self.wfile, self.rfile, self.connection):
                end.close()
        elif in_pieces:
            self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _serve  # noqa: N815 - the base class's names
