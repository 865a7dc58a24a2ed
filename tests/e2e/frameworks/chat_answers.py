"""Chat Completions and Responses of a model that has a script, for the tests of frameworks around model clients.

Comes in: the turns of a conversation, each a text or the tools that the model calls. Goes out: the answer to a request,
streamed or whole, with ids and numbers of its own; which turn it is follows from the request alone.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from model_server import Answer, Asked, ModelServer, answer_events, answer_json, serving

MODEL = "gpt-4o-2024-08-06"
TOKENS_IN, TOKENS_OUT, CACHED, REASONING = 90, 40, 20, 10
_numbers = itertools.count(1)

Call = tuple[str, Mapping[str, Any]]
Turn = str | Sequence[Call] | Answer
Script = Callable[[dict[str, Any]], Turn]
"""From a request's body to what the model says."""


@contextmanager
def model(script: Script) -> Iterator[ModelServer]:
    """Serve a model; each request is answered as the script says."""
    answers: dict[str, Answer | list[Answer]] = {}

    def choose(asked: Asked) -> str:
        body = asked.json
        turn = script(body)
        name = f"answer {next(_numbers)}"
        answers_of = server.answers
        is_responses = asked.path.endswith("/responses")
        answers_of[name] = (
            turn if isinstance(turn, Answer) else (response if is_responses else completion)(turn, body.get("stream"))
        )
        return name

    with serving(answers, choose) as server:
        yield server


def completion(turn: str | Sequence[Call], streams: object = False) -> Answer:
    """Return a chat completion, or its chunks."""
    number = next(_numbers)
    about = {"id": f"chatcmpl-{number}", "created": 1, "model": MODEL}
    usage = {
        "prompt_tokens": TOKENS_IN,
        "completion_tokens": TOKENS_OUT,
        "total_tokens": TOKENS_IN + TOKENS_OUT,
        "prompt_tokens_details": {"cached_tokens": CACHED},
        "completion_tokens_details": {"reasoning_tokens": REASONING},
    }
    text = turn if isinstance(turn, str) else None
    calls = [] if isinstance(turn, str) else [
        {"id": f"call_{number}_{at}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
        for at, (name, given) in enumerate(turn)
    ]  # fmt: skip
    reason = "tool_calls" if calls else "stop"
    if not streams:
        message = {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}
        choice = {"index": 0, "finish_reason": reason, "message": message}
        return answer_json({**about, "object": "chat.completion", "choices": [choice], "usage": usage})
    pieces = [text[: len(text) // 2], text[len(text) // 2 :]] if text else []
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "" if text else None}]
    deltas += [{"content": piece} for piece in pieces]
    deltas += [{"tool_calls": [{"index": at, **call}]} for at, call in enumerate(calls)]
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    chunks.append({"choices": [], "usage": usage})
    return answer_events([{**about, "object": "chat.completion.chunk", **chunk} for chunk in chunks], done=True)


def response(turn: str | Sequence[Call], streams: object = False) -> Answer:
    """Return a response of the Responses API, or its events."""
    number = next(_numbers)
    output: list[dict[str, Any]] = []
    if isinstance(turn, str):
        content = {"type": "output_text", "text": turn, "annotations": [], "logprobs": []}
        message = {"type": "message", "role": "assistant", "status": "completed", "content": [content]}
        output.append({**message, "id": f"msg_{number}"})
    else:
        for at, (name, given) in enumerate(turn):
            call = {"type": "function_call", "name": name, "arguments": json.dumps(given), "status": "completed"}
            output.append({**call, "id": f"fc_{number}_{at}", "call_id": f"call_{number}_{at}"})
    usage = {
        "input_tokens": TOKENS_IN,
        "output_tokens": TOKENS_OUT,
        "total_tokens": TOKENS_IN + TOKENS_OUT,
        "input_tokens_details": {"cached_tokens": CACHED},
        "output_tokens_details": {"reasoning_tokens": REASONING},
    }
    whole = {
        "id": f"resp_{number}", "object": "response", "created_at": 1, "status": "completed", "model": MODEL,
        "output": output, "usage": usage, "error": None, "incomplete_details": None, "instructions": None,
        "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [],
        "top_p": 1.0,
    }  # fmt: skip
    if not streams:
        return answer_json(whole)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for at, item in enumerate(output):
        events.append({"type": "response.output_item.added", "output_index": at, "item": item})
        if item["type"] == "message":
            place = {"item_id": item["id"], "output_index": at, "content_index": 0}
            part = item["content"][0]
            events.append({"type": "response.content_part.added", **place, "part": {**part, "text": ""}})
            delta = {"type": "response.output_text.delta", **place, "delta": part["text"], "logprobs": []}
            events += [delta, {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}]
            events.append({"type": "response.content_part.done", **place, "part": part})
        events.append({"type": "response.output_item.done", "output_index": at, "item": item})
    events.append({"type": "response.completed", "response": whole})
    return answer_events([{**event, "sequence_number": at} for at, event in enumerate(events)], named=True)


def failure(status: int = 400) -> Answer:
    """Return an error of the API."""
    return answer_json({"error": {"message": "scripted failure", "type": "invalid_request_error"}}, status)
