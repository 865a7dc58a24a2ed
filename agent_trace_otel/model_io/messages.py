"""Messages of OpenAI, Anthropic and Google in; messages of the GenAI convention out.

Called by `request` for gen_ai.input.messages and by `response` for gen_ai.output.messages.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from agent_trace_otel.content import MAX_TEXT, cut, jsonable, to_json
from agent_trace_otel.model_io.fields import SCALARS, field, google_field, members, text_field
from agent_trace_otel.model_io.parts import (
    Part,
    image_part,
    read_parts,
    spoken_parts,
    text_part,
    tool_call,
    tool_response,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

Message: TypeAlias = dict[str, Any]

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "complete": "stop",
    "finish": "stop",
    "stop_criteria_met": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "error_toxic": "content_filter",
    "image_safety": "content_filter",
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "malformed_function_call": "error",
    "unexpected_tool_call": "error",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
    "failed": "error",
}
# The numbers on which the protocols of Vertex AI and of the Gemini API agree.
_GOOGLE_FINISH_REASONS = {1: "stop", 2: "max_tokens", 3: "safety", 4: "recitation", 5: "other"}
# DeepSeek, vLLM, OpenRouter and Ollama put it beside the content.
_REASONING = ("reasoning_content", "reasoning", "thinking")
_ROLES = {"model": "assistant", "function": "tool"}


def read_messages(given: object) -> list[Message] | None:
    """Return what a model was asked, None if there is nothing to read.

    Args:
        given: a prompt, a list of prompts, one message, or a list of messages, items of the Responses API or Google
            contents.
    """
    if isinstance(given, str):
        return [_message("user", [text_part(given)])]
    if not isinstance(given, (list, tuple)):
        return None if isinstance(given, SCALARS) else _known([_read_message(given)])
    return _known([_read_message(item) for item in members(cast("object", given))])


def _known(messages: Iterable[Message | None]) -> list[Message] | None:
    return [message for message in messages if message is not None] or None


def _read_message(item: object) -> Message | None:
    if isinstance(item, str):
        return _message("user", [text_part(item)])
    if isinstance(item, SCALARS):
        return None
    role = text_field(item, "role")
    if role is None:
        parts = _item_parts(item)
        if not parts:
            return None
        return _message(_role_of_item(item, parts), parts)
    parts = message_parts(item)
    if parts and all(part["type"] == "tool_call_response" for part in parts):
        role = "tool"  # Anthropic and Google send tool results in the user's name
    message = _message(_ROLES.get(role, role), parts)
    name = text_field(item, "name")
    if name is not None and role not in ("tool", "function"):
        message["name"] = name
    return message


def _message(role: str, parts: list[Part]) -> Message:
    return {"role": role, "parts": parts}


def _item_parts(item: object) -> list[Part]:
    """Return the parts of what stands in a list of messages without being one."""
    if text_field(item, "type") is None and field(item, "parts", "content") is not None:
        return message_parts(item)
    return read_parts([item])


def _role_of_item(item: object, parts: list[Part]) -> str:
    if parts[0]["type"] == "tool_call_response":
        return "tool"
    kind = text_field(item, "type") or ""
    return "assistant" if kind == "reasoning" or kind.endswith("_call") else "user"


def output_message(message: object, finish_reason: str | None) -> Message:
    """Return one answer of a model; ``finish_reason`` is the provider's word, None where there was none."""
    return answer(message_parts(message), finish_reason)


def answer(parts: list[Part], finish_reason: str | None) -> Message:
    """Return an assistant's message; a reason that is missing is ``error``, as the convention has it."""
    reason = "error" if finish_reason is None else _FINISH_REASONS.get(finish_reason, finish_reason)
    return {"role": "assistant", "parts": parts, "finish_reason": reason}


def fitted(messages: list[Message]) -> list[Message]:
    """Return messages that fit into one attribute: the longest values cut until they do, the structure kept.

    `content.to_json` would cut what comes last whole, down to members that a message must have.
    """
    if (
        sum(_size(value) for message in messages for part in message["parts"] for value in part.values())
        < MAX_TEXT // 2
    ):
        return messages  # whatever JSON's escapes add
    shorter = messages
    for share in (0.9, 0.7, 0.5, 0.25, 0.1, 0.05, 0.01, 0.001):
        limit = int(MAX_TEXT * share)
        shorter = [{**message, "parts": [_cut_part(part, limit) for part in message["parts"]]} for message in messages]
        if sum(len(to_json(message)) + 1 for message in shorter) < MAX_TEXT:
            break
    return shorter


def _size(value: object) -> int:
    return len(value) if isinstance(value, str) else len(to_json(value))


def _cut_part(part: Part, limit: int) -> Part:
    return {
        name: cut(value, limit) if isinstance(value, str) else jsonable(value, limit=limit)
        for name, value in part.items()
    }


def google_finish_reason(candidate: object) -> str | None:
    """Return why a candidate stopped, in lower case; Vertex AI's clients and some of its answers give a number."""
    reason = google_field(candidate, "finish_reason")
    if isinstance(reason, str):
        return str.__str__(reason).lower()
    if isinstance(reason, Enum):
        return reason.name.lower()
    return _GOOGLE_FINISH_REASONS.get(reason) if isinstance(reason, int) else None


def message_parts(message: object) -> list[Part]:
    """Return the parts of one message of OpenAI Chat Completions, Responses, Anthropic or Google."""
    parts: list[Part] = []
    reasoning = next((found for name in _REASONING if (found := text_field(message, name))), None)
    if reasoning:
        parts.append({"type": "reasoning", "content": reasoning})
    content = field(message, "content", "parts")
    role = text_field(message, "role")
    if role in ("tool", "function") and not isinstance(field(message, "parts"), (list, tuple)):
        identity = text_field(message, "tool_call_id") or text_field(message, "name", "tool_name")
        parts.append(tool_response(identity, content))
        return parts
    parts += read_parts(content)
    parts += [image_part(image) for image in members(field(message, "images"))]
    refusal = text_field(message, "refusal")
    if refusal:
        parts.append({"type": "refusal", "content": refusal})
    parts += spoken_parts(field(message, "audio"))
    for call in members(field(message, "tool_calls")):
        called = field(call, "function", "custom")
        name = text_field(called, "name")
        if name is not None:
            parts.append(tool_call(text_field(call, "id"), name, field(called, "arguments", "input")))
    legacy = field(message, "function_call")
    name = text_field(legacy, "name")
    if name is not None:
        parts.append(tool_call(None, name, field(legacy, "arguments")))
    return parts
