"""A stand-in for the model's API on 127.0.0.1: POST /v1/messages -> the scripted answer, streamed or whole.

Run by ``workspace`` as ``python -m claude_code.api_server --project P --log L --lo``; it prints its port and serves
until it is killed. It is also what holds the network namespace of a scenario: started under ``unshare -n`` it brings
the loopback device up, and the client is put beside it.

The answer is a function of the request: the last user text with ``SCENARIO:<name>`` picks the script, the number of
assistant messages after it the step. Only the count of failures to be repeated is kept.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import re
import socket
import struct
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from claude_code.model_script import SCRIPT_OVER, SCRIPTS, SIDE_ANSWER, Answer, ApiError, Block

_MARK = re.compile(r"SCENARIO:([A-Za-z0-9_-]+)")
_THINKING_SECONDS = 0.08
_SIOCSIFFLAGS, _UP_AND_RUNNING = 0x8914, 0x49  # netdevice(7): IFF_UP | IFF_LOOPBACK | IFF_RUNNING


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
        return
    for block in content or ():
        if block.get("type") == "text":
            yield block.get("text", "")


def place_in_script(request: Mapping[str, Any]) -> tuple[str, int]:
    """Return the script's name, empty if no text names one, and the step in it."""
    name, at = "", -1
    messages: list[Any] = request.get("messages") or []
    for number, message in enumerate(messages):
        if message.get("role") == "user":
            for text in _texts(message):
                if marks := _MARK.findall(text):
                    name, at = marks[-1], number
    return name, sum(message.get("role") == "assistant" for message in messages[at + 1 :])


class _Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    project: ClassVar[str]
    log: ClassVar[Path]
    failed: ClassVar[Counter[tuple[str, int]]] = Counter()
    lock: ClassVar[threading.Lock] = threading.Lock()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing on stderr."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        if self.path.startswith("/v1/models"):
            self._send(200, {"data": [], "has_more": False})
        else:
            self._send_error(ApiError(404, "not_found_error", "no such path"))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        request: dict[str, Any] = json.loads(raw)
        path = self.path.split("?")[0]
        if path.endswith("/count_tokens"):
            self._send(200, {"input_tokens": max(1, len(raw) // 4)})
        elif not path.endswith("/v1/messages"):
            self._send_error(ApiError(404, "not_found_error", "no such path"))
        else:
            self._answer(request)

    def _answer(self, request: Mapping[str, Any]) -> None:
        name, step = place_in_script(request)
        script = SCRIPTS.get(name, ())
        answer = (script[step] if step < len(script) else SCRIPT_OVER) if script else SIDE_ANSWER
        with self.lock, self.log.open("a") as log:
            log.write(json.dumps({"at": time.time(), "script": name, "step": step}) + "\n")
            fails = answer.error is not None and (answer.failures is None or self.failed[name, step] < answer.failures)
            self.failed[name, step] += fails
        if fails and answer.error is not None:
            self._send_error(answer.error)
            return
        time.sleep(_THINKING_SECONDS)
        self._send_message(request, answer, step)

    def _send_message(self, request: Mapping[str, Any], answer: Answer, step: int) -> None:
        blocks = [self._filled(block) for block in answer.blocks]
        called = any(block["type"] == "tool_use" for block in blocks)
        stop = {"stop_reason": answer.stop_reason or ("tool_use" if called else "end_turn"), "stop_sequence": None}
        usage = {
            "input_tokens": 12 + step,
            "cache_creation_input_tokens": 300 + 10 * step,
            "cache_read_input_tokens": 1500 + 100 * step,
            "output_tokens": 40 + step,
        }
        message = {
            "id": f"msg_fake_{uuid.uuid4().hex[:16]}",
            "type": "message",
            "role": "assistant",
            "model": request.get("model"),
        }
        if not request.get("stream"):
            self._send(200, {**message, **stop, "content": blocks, "usage": usage})
            return
        opening: dict[str, Any] = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("request-id", f"req_fake_{uuid.uuid4().hex[:12]}")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            self._send_event("message_start", message={**opening, "usage": {**usage, "output_tokens": 1}})
            for index, block in enumerate(blocks):
                self._stream(index, block)
            self._send_event("message_delta", delta=stop, usage=usage)
            self._send_event("message_stop")
        except (BrokenPipeError, ConnectionResetError):
            return  # the client was stopped

    def _stream(self, index: int, block: Mapping[str, Any]) -> None:
        opened: dict[str, Any]
        deltas: list[dict[str, Any]]
        if block["type"] == "tool_use":
            opened = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        elif block["type"] == "thinking":
            opened = {"type": "thinking", "thinking": "", "signature": ""}
            deltas = [
                {"type": "thinking_delta", "thinking": block["thinking"]},
                {"type": "signature_delta", "signature": block["signature"]},
            ]
        else:
            opened = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": part} for part in re.findall(r".{1,40}", block["text"], re.DOTALL)]
        self._send_event("content_block_start", index=index, content_block=opened)
        for delta in deltas:
            self._send_event("content_block_delta", index=index, delta=delta)
        self._send_event("content_block_stop", index=index)

    def _send_event(self, event: str, **data: Any) -> None:
        self.wfile.write(f"event: {event}\ndata: {json.dumps({'type': event, **data})}\n\n".encode())
        self.wfile.flush()

    def _send_error(self, error: ApiError) -> None:
        body = {"type": "error", "error": {"type": error.kind, "message": error.message}}
        self._send(error.status, body, {"x-should-retry": "true" if error.retry else "false"})

    def _send(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        own = {"content-type": "application/json", "request-id": f"req_fake_{uuid.uuid4().hex[:12]}"}
        for name, value in {**own, **(headers or {}), "content-length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def _filled(self, block: Block) -> dict[str, Any]:
        """Return a block for the wire: a tool call gets an id, and the project's folder in its paths."""
        if block["type"] != "tool_use":
            return dict(block)
        filled = json.loads(json.dumps(block["input"]).replace("@PROJECT@", self.project))
        return {**block, "id": f"toolu_fake_{uuid.uuid4().hex[:16]}", "input": filled}


def _raise_loopback() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _UP_AND_RUNNING))


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", required=True, help="what @PROJECT@ in a script stands for")
    parser.add_argument("--log", required=True, type=Path, help="gets one JSON line a model request")
    parser.add_argument("--lo", action="store_true", help="bring the loopback device of a new namespace up")
    arguments = parser.parse_args()
    if arguments.lo:
        _raise_loopback()
    _Api.project, _Api.log = arguments.project, arguments.log
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    print(server.server_address[1], flush=True)  # noqa: T201 - how the caller learns the port
    server.serve_forever()


if __name__ == "__main__":
    main()
