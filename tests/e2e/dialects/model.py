"""A model that every recorded program asks: it calls the tool once, then answers; OpenAI's and Anthropic's interface.

100 tokens in, of which 40 from a cache (and of Anthropic 10 into it), 20 out, of which OpenAI says that 5 were for
reasoning.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from model_server import Asked, ModelServer, answer_events, answer_json, serving

CITY, WEATHER = "Paris", "sunny in Paris"
ANSWER = "It is sunny."
MODEL, CLAUDE = "gpt-4o-mini", "claude-3-5-haiku-20241022"

_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 40},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
_RESPONSES_USAGE = {
    "input_tokens": 100,
    "output_tokens": 20,
    "total_tokens": 120,
    "input_tokens_details": {"cached_tokens": 40},
    "output_tokens_details": {"reasoning_tokens": 5},
}
_ANTHROPIC_USAGE = {
    "input_tokens": 50,
    "cache_read_input_tokens": 40,
    "cache_creation_input_tokens": 10,
    "output_tokens": 20,
}


@contextmanager
def model() -> Iterator[ModelServer]:
    """Serve the model until the block is left."""
    answers: dict[str, Any] = {}
    for has_result in (False, True):
        for api, make in _APIS.items():
            answers[f"{api} {has_result} False"] = answer_json(make(has_result=has_result))
        answers[f"chat {has_result} True"] = answer_events(_chat_chunks(has_result=has_result), done=True)
        answers[f"messages {has_result} True"] = answer_events(_message_events(has_result=has_result), named=True)
    with serving(answers, _choose) as server:
        yield server


def _choose(asked: Asked) -> str:
    api = next((name for name in _APIS if name in asked.path), "")
    body = asked.json
    said = str(body.get("messages") or body.get("input"))
    has_tools = bool(body.get("tools"))
    return f"{api} {WEATHER in said or not has_tools} {bool(body.get('stream'))}"


def _chat(*, has_result: bool) -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": f'{{"city": "{CITY}"}}'}}
    said = {"role": "assistant", "content": ANSWER} if has_result else {"role": "assistant", "tool_calls": [call]}
    return {
        "id": f"chatcmpl-{1 + has_result}",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "finish_reason": "stop" if has_result else "tool_calls", "message": said}],
        "usage": _USAGE,
    }


def _chat_chunks(*, has_result: bool) -> list[dict[str, Any]]:
    whole = _chat(has_result=has_result)
    about = {**whole, "object": "chat.completion.chunk", "usage": None}
    choice = whole["choices"][0]
    said = dict(choice["message"])
    if not has_result:
        said["tool_calls"] = [{"index": 0, **said["tool_calls"][0]}]
    return [
        {**about, "choices": [{"index": 0, "delta": said, "finish_reason": None}]},
        {**about, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]},
        {**about, "choices": [], "usage": _USAGE},
    ]


def _response(*, has_result: bool) -> dict[str, Any]:
    text = {"type": "output_text", "text": ANSWER, "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    call = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "weather",
        "arguments": f'{{"city": "{CITY}"}}',
        "status": "completed",
    }
    return {
        "id": f"resp_{1 + has_result}",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-4o-mini-2024-07-18",
        "output": [message if has_result else call],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": _RESPONSES_USAGE,
    }


def _message(*, has_result: bool) -> dict[str, Any]:
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": CITY}}
    return {
        "id": f"msg_{1 + has_result}",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": [{"type": "text", "text": ANSWER} if has_result else call],
        "stop_reason": "end_turn" if has_result else "tool_use",
        "stop_sequence": None,
        "usage": _ANTHROPIC_USAGE,
    }


def _message_events(*, has_result: bool) -> list[dict[str, Any]]:
    whole = _message(has_result=has_result)
    block = whole["content"][0]
    first = {**whole, "content": [], "stop_reason": None, "usage": {**_ANTHROPIC_USAGE, "output_tokens": 1}}
    if has_result:
        start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": ANSWER}
    else:
        start, delta = {**block, "input": {}}, {"type": "input_json_delta", "partial_json": f'{{"city": "{CITY}"}}'}
    ending = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    return [
        {"type": "message_start", "message": first},
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 20}},
        {"type": "message_stop"},
    ]


_APIS = {"chat": _chat, "responses": _response, "messages": _message}
