"""Answers of model providers in the shapes of their APIs, in our own words; and the two clients under one interface."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from model_server import Answer, answer_events, answer_json

PROMPT = "Name a colour."
ANSWER = "Sea green."

CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "colour-1-0101",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 11,
        "completion_tokens": 3,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
}


def chat_chunk(text: str | None, *, reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": reason}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "colour-1-0101"}
    return {**head, "choices": [choice], **more}


CHAT_CHUNKS = [
    chat_chunk("Sea"),
    chat_chunk(" green."),
    chat_chunk(None, reason="stop"),
    {**chat_chunk(None), "choices": [], "usage": CHAT["usage"]},
]

RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "colour-1-0101",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": ANSWER, "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 11,
        "output_tokens": 3,
        "total_tokens": 14,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens_details": {"reasoning_tokens": 1},
    },
}
_BEGUN = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
_ITEM: dict[str, Any] = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
_AT = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
RESPONSE_EVENTS = [
    {"type": "response.created", "sequence_number": 0, "response": _BEGUN},
    {"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": _ITEM},
    {"type": "response.content_part.added", "sequence_number": 2, **_AT,
     "part": {"type": "output_text", "text": "", "annotations": []}},
    {"type": "response.output_text.delta", "sequence_number": 3, **_AT, "delta": "Sea", "logprobs": []},
    {"type": "response.output_text.delta", "sequence_number": 4, **_AT, "delta": " green.", "logprobs": []},
    {"type": "response.completed", "sequence_number": 5, "response": RESPONSE},
]  # fmt: skip

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "colour-1-0101",
    "content": [{"type": "text", "text": ANSWER}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2, "output_tokens": 3},
}
MESSAGE_EVENTS = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Sea"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " green."}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 3},
    },
    {"type": "message_stop"},
]
TOOL_MESSAGE = {
    **MESSAGE,
    "id": "msg_0",
    "content": [{"type": "tool_use", "id": "toolu_1", "name": "mix", "input": {"colour": "green"}}],
    "stop_reason": "tool_use",
}


CLIENTS: list[Any] = []
"""Those that were made and not closed yet."""


@dataclass(frozen=True, slots=True)
class Library:
    """A client library: how it is made, what it answers with, where its methods are."""

    name: str
    prefix: str
    whole: Answer
    stream: Answer
    refusal: Answer
    arguments: dict[str, Any]
    id: str
    resource: Callable[[Any], Any]
    first_chunks: int
    """How many chunks come before the first word is complete, that one included."""

    def client(self, url: str, *, is_async: bool = False, **settings: Any) -> Any:
        module = importlib.import_module(self.name)
        kind = ("Async" if is_async else "") + {"openai": "OpenAI", "anthropic": "Anthropic"}[self.name]
        made = getattr(module, kind)(api_key="key", base_url=url + self.prefix, **{"max_retries": 0, **settings})
        CLIENTS.append(made)
        return made

    def create(self, client: Any, **more: Any) -> Any:
        return self.resource(client).create(**self.arguments, **more)


OPENAI = Library(
    "openai",
    prefix="/v1",
    whole=answer_json(CHAT, headers={"x-request-id": "req_1"}),
    stream=answer_events(CHAT_CHUNKS, done=True),
    refusal=answer_json(
        {"error": {"message": "Too many colours.", "type": "requests", "code": "rate_limit_exceeded"}},
        429,
        headers={"x-request-id": "req_2"},
    ),
    arguments={"model": "colour-1", "messages": [{"role": "user", "content": PROMPT}], "temperature": 0.5},
    id="chatcmpl-1",
    resource=lambda client: client.chat.completions,
    first_chunks=1,
)
ANTHROPIC = Library(
    "anthropic",
    prefix="",
    whole=answer_json(MESSAGE, headers={"request-id": "req_1"}),
    stream=answer_events(MESSAGE_EVENTS, named=True),
    refusal=answer_json(
        {"type": "error", "error": {"type": "rate_limit_error", "message": "Too many colours."}},
        429,
        headers={"request-id": "req_2"},
    ),
    arguments={"model": "colour-1", "max_tokens": 9, "messages": [{"role": "user", "content": PROMPT}]},
    id="msg_1",
    resource=lambda client: client.messages,
    first_chunks=3,
)
