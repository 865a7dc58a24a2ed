"""A stand-in for three models' APIs on 127.0.0.1: OpenAI's Responses and Chat Completions, Google's generateContent.

Run by ``workspace`` as ``python -m other_agents.model_api --project P --lo``; it prints its port and serves until it is
killed. Started under ``unshare -n`` it brings the loopback device up, and the client is put beside it.

The answer is a function of the request: the last text with ``SCENARIO:<agent>_<name>`` that the model has not said
picks the script, the number of the model's turns after it the step. What asks for neither gets "Title".
"""

from __future__ import annotations

import argparse
import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby
from typing import Any, ClassVar

from claude_code import api_server
from other_agents.scripts import SCRIPTS, Answer

_MARK = re.compile(r"SCENARIO:([a-z]+)_([a-z]+)")
_THINKING_SECONDS = 0.05
_IN, _OUT = 100, 20
_SIDE_ANSWER, _SCRIPT_OVER = Answer("Title"), Answer("Nothing more.")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for name in ("text", "content", "parts"):
            yield from _texts(value.get(name))


def _is_models(message: Mapping[str, Any]) -> bool:
    kind = message.get("type", "")
    return message.get("role") in ("assistant", "model") or kind == "reasoning" or kind.endswith("_call")


def answer_to(messages: list[Any]) -> Answer:
    """Return what the script says next."""
    script: tuple[Answer, ...] = ()
    after = 0
    for number, message in enumerate(messages):
        for agent, name in [] if _is_models(message) else _MARK.findall(" ".join(_texts(message))):
            script, after = SCRIPTS[agent][name], number + 1
    step = sum(is_models for is_models, _ in groupby(messages[after:], _is_models))
    return (script[step] if step < len(script) else _SCRIPT_OVER) if script else _SIDE_ANSWER


class _Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    project: ClassVar[str]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing on stderr."""

    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": []})

    def do_POST(self) -> None:
        request: dict[str, Any] = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
        path = self.path.split("?")[0]
        time.sleep(_THINKING_SECONDS)
        try:
            if path.endswith("/responses"):
                self._respond(answer_to(request["input"]))
            elif path.endswith("/chat/completions"):
                self._complete(request, answer_to(request["messages"]))
            elif path.endswith(("GenerateContent", "generateContent")):
                self._generate(request, answer_to(request["contents"]))
            else:
                self._send(404, {"error": {"message": "no such path"}})
        except (BrokenPipeError, ConnectionResetError):
            return  # the client was stopped

    def _respond(self, answer: Answer) -> None:
        """Stream an answer as the Responses API does."""
        response = {"id": f"resp_{uuid.uuid4().hex}"}
        said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": answer.text}]}
        items: list[dict[str, Any]] = [said] if answer.text else []
        for call in answer.calls:
            named = {"call_id": f"call_{uuid.uuid4().hex[:16]}", "name": call.tool}
            if isinstance(call.given, str):
                items.append({"type": "custom_tool_call", **named, "input": call.given})
            else:
                space = {"namespace": call.namespace} if call.namespace else {}
                items.append({"type": "function_call", **named, **space, "arguments": self._filled(call.given)})
        usage = {"input_tokens": _IN, "output_tokens": _OUT, "total_tokens": _IN + _OUT}
        self._begin_stream()
        self._send_event({"type": "response.created", "response": response})
        for index, item in enumerate(items):
            self._send_event({"type": "response.output_item.done", "output_index": index, "item": item})
        self._send_event({"type": "response.completed", "response": {**response, "usage": usage}})

    def _complete(self, request: Mapping[str, Any], answer: Answer) -> None:
        """Answer as the Chat Completions API does, streamed or whole."""
        calls = [
            {
                "index": index,
                "id": f"call_{uuid.uuid4().hex[:16]}",
                "type": "function",
                "function": {"name": call.tool, "arguments": self._filled(call.given)},
            }
            for index, call in enumerate(answer.calls)
        ]
        message = {"role": "assistant", "content": answer.text or None, **({"tool_calls": calls} if calls else {})}
        reason = "tool_calls" if calls else "stop"
        usage = {"prompt_tokens": _IN, "completion_tokens": _OUT, "total_tokens": _IN + _OUT}
        made = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": request.get("model")}
        if not request.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            self._send(200, {**made, "object": "chat.completion", "choices": [choice], "usage": usage})
            return
        self._begin_stream()
        for delta, finished in ((message, None), ({}, reason)):
            choice = {"index": 0, "delta": delta, "finish_reason": finished}
            self._send_event({**made, "object": "chat.completion.chunk", "choices": [choice]})
        self._send_event({**made, "object": "chat.completion.chunk", "choices": [], "usage": usage})
        self._send_event("[DONE]")

    def _generate(self, request: Mapping[str, Any], answer: Answer) -> None:
        """Answer as generateContent does, streamed part by part or whole."""
        if request.get("generationConfig", {}).get("responseMimeType") == "application/json":
            answer = Answer("{}")  # the client's own questions
        parts: list[dict[str, Any]] = [{"text": answer.text}] if answer.text else []
        parts += [{"functionCall": {"name": c.tool, "args": json.loads(self._filled(c.given))}} for c in answer.calls]
        if "stream" not in self.path:
            self._send(200, self._generated(parts, finished=True))
            return
        self._begin_stream()
        for number, part in enumerate(parts, 1):
            self._send_event(self._generated([part], finished=number == len(parts)))

    def _generated(self, parts: list[dict[str, Any]], *, finished: bool) -> dict[str, Any]:
        reason = {"finishReason": "STOP"} if finished else {}
        counts = {"promptTokenCount": _IN, "candidatesTokenCount": _OUT, "totalTokenCount": _IN + _OUT}
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **reason}
        return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": "gemini-2.5-pro"}

    def _filled(self, given: Mapping[str, Any] | str) -> str:
        return json.dumps(given).replace("@PROJECT@", self.project)

    def _begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True

    def _send_event(self, data: Mapping[str, Any] | str) -> None:
        self.wfile.write(f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode())
        self.wfile.flush()

    def _send(self, status: int, body: Mapping[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", required=True, help="what @PROJECT@ in a script stands for")
    parser.add_argument("--lo", action="store_true", help="bring the loopback device of a new namespace up")
    arguments = parser.parse_args()
    if arguments.lo:
        api_server._raise_loopback()
    _Api.project = arguments.project
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    print(server.server_address[1], flush=True)  # noqa: T201 - how the caller learns the port
    server.serve_forever()


if __name__ == "__main__":
    main()
