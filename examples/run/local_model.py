"""A model on this machine, so that the examples run offline: it asks for the weather, and once it knows it, it answers.

It speaks as much of three APIs as the examples need: OpenAI's chat completions, Anthropic's messages and Google's
generateContent. Nothing in here is about tracing.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ARGUMENTS = {"city": "Oslo"}
ANSWER = "It is snowing in Oslo."


def openai(asked: dict[str, Any]) -> dict[str, Any]:
    """Answer as POST /v1/chat/completions does."""
    message: dict[str, Any] = {"role": "assistant", "content": ANSWER}
    if asked["messages"][-1]["role"] != "tool":
        function = {"name": "weather", "arguments": json.dumps(ARGUMENTS)}
        calls = [{"id": "call_1", "type": "function", "function": function}]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
    reason = "tool_calls" if "tool_calls" in message else "stop"
    return {
        "id": f"chatcmpl-{len(asked['messages'])}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": asked["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 7, "total_tokens": 27},
    }


def openai_pieces(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """Cut an answer of `openai` into the chunks of a stream."""
    about = {**whole, "object": "chat.completion.chunk", "usage": None}
    words = [{"content": f"{word} "} for word in ANSWER.split()]
    choices: list[dict[str, Any]] = [
        {"index": 0, "delta": delta, "finish_reason": None} for delta in ({"role": "assistant"}, *words)
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    return [*({**about, "choices": [choice]} for choice in choices), {**about, "choices": [], "usage": whole["usage"]}]


def anthropic(asked: dict[str, Any]) -> dict[str, Any]:
    """Answer as POST /v1/messages does."""
    knows = not isinstance(asked["messages"][-1]["content"], str)
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": ARGUMENTS}
    return {
        "id": f"msg_{len(asked['messages'])}",
        "type": "message",
        "role": "assistant",
        "model": asked["model"],
        "content": [{"type": "text", "text": ANSWER} if knows else call],
        "stop_reason": "end_turn" if knows else "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 20, "output_tokens": 7},
    }


def google(asked: dict[str, Any]) -> dict[str, Any]:
    """Answer as POST /v1beta/models/MODEL:generateContent does."""
    knows = "functionResponse" in asked["contents"][-1]["parts"][0]
    part = {"text": ANSWER} if knows else {"functionCall": {"name": "weather", "args": ARGUMENTS}}
    return {
        "responseId": f"response-{len(asked['contents'])}",
        "modelVersion": "gemini-2.5-flash",
        "candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 7, "totalTokenCount": 27},
    }


class _Model(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        api = openai if "/chat/completions" in self.path else anthropic if "/messages" in self.path else google
        answer = api(asked)
        if asked.get("stream"):
            events = [*map(json.dumps, openai_pieces(answer)), "[DONE]"]
            self._send("text/event-stream", "".join(f"data: {event}\n\n" for event in events))
        else:
            self._send("application/json", json.dumps(answer))

    def _send(self, kind: str, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing."""


@contextmanager
def local_model() -> Generator[str]:
    """Yield the URL of a model that answers until the block is left."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Model)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
