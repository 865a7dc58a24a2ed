"""What was said, in the forms that instrumentations write it, as messages of the GenAI convention.

Called by the tables of this package. Messages of clients, as objects or as JSON text, are read by `model_io`.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

from agent_trace_otel.content import to_json
from agent_trace_otel.dialects.given import Branch, Values, first, leaf, member, members, parsed, rows, table, text
from agent_trace_otel.model_io.messages import Message, answer, fitted, message_parts, read_messages
from agent_trace_otel.model_io.parts import Part, read_parts, text_part, tool_call, tool_response

Messages: TypeAlias = list[Message]


def json_text(messages: object) -> str | None:
    """Return messages or parts as an attribute holds them, None for none."""
    return to_json(messages) if messages else None


def read(value: object) -> str | None:
    """Return what a model was asked as gen_ai.input.messages, from a client's messages or their JSON text."""
    messages = read_messages(parsed(value))
    return json_text(fitted(messages)) if messages else None


def answered(value: object, reason: str | None = "stop") -> str | None:
    """Return what a model answered as gen_ai.output.messages, from a text, a message, or a list of them."""
    found = parsed(value)
    if isinstance(found, str):
        return json_text([answer([text_part(found)], reason)])
    several = members(found) or [found]
    messages = [
        answer(parts, text(member(each, "finish_reason", "finishReason")) or reason)
        for each in several
        if (parts := message_parts(member(each, "message") or each))
    ]
    return json_text(fitted(messages))


def instructions(value: object) -> str | None:
    """Return system instructions as gen_ai.system_instructions, from a text, a block or a list of blocks."""
    return json_text(read_parts(parsed(value)))


def flat_messages(node: object) -> Messages:
    """Return the messages of ``prefix.N.role``, ``.content``, ``.tool_calls.M.name`` (OpenLLMetry until 0.50)."""
    return [found for row in rows(node) if (found := _flat_message(row)) is not None]


def flat_answers(node: object) -> Messages:
    """Return the same as a model's answers."""
    return [answer(_flat_parts(row), text(leaf(row, "finish_reason")) or "stop") for row in rows(node)]


def _flat_message(row: Branch) -> Message | None:
    role = text(leaf(row, "role")) or "user"
    if role == "tool":
        return {"role": role, "parts": [tool_response(text(leaf(row, "tool_call_id")), leaf(row, "content"))]}
    parts = _flat_parts(row)
    return {"role": role, "parts": parts} if parts else None


def _flat_parts(row: Branch) -> list[Part]:
    parts: list[Part] = []
    reasoning = text(leaf(row, "reasoning"))
    if reasoning:
        parts.append({"type": "reasoning", "content": reasoning})
    parts += read_parts(parsed(leaf(row, "content")))
    refusal = text(leaf(row, "refusal"))
    if refusal:
        parts.append({"type": "refusal", "content": refusal})
    for call in rows(row.get("tool_calls")):
        name = text(leaf(call, "name"))
        if name:
            parts.append(tool_call(text(leaf(call, "id")), name, leaf(call, "arguments")))
    return parts


_ROLE_OF_EVENT = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
CHOICE_EVENT = "gen_ai.choice"
MESSAGE_EVENTS = frozenset({*_ROLE_OF_EVENT, CHOICE_EVENT})


def event_message(name: str, values: Values) -> Message | None:
    """Return the message of one event of the conventions v1.27 to v1.36; ``gen_ai.choice`` gives an answer.

    The body of what was meant to be a log record stands in attributes, in one as JSON, or under ``message``.
    """
    body = table(first(values, "gen_ai.event.content", "event_body", "body")) or values
    said: Any = parsed(body.get("message")) if name == CHOICE_EVENT else body
    told = table(body if said is None else said)
    content: Any = said if told is None else parsed(told.get("content"))
    if isinstance(content, list):
        content = [_block(each) for each in members(cast("object", content))]
    role = _ROLE_OF_EVENT.get(name, "assistant")
    plain: dict[str, Any] = {"role": text(member(told, "role")) or role, "content": content}
    plain["tool_calls"] = members(parsed(member(told, "tool_calls")))
    if plain["role"] == "tool":
        if any(member(block, "tool_use_id") for block in members(content)):
            return {"role": "tool", "parts": read_parts(content)}
        identity = text(member(told, "id", "tool_call_id"))
        return {"role": "tool", "parts": [tool_response(identity, content)]}
    parts = message_parts(plain)
    if name == CHOICE_EVENT:
        return answer(parts, text(member(body, "finish_reason")) or "stop")
    return {"role": plain["role"], "parts": parts} if parts else None


def _block(block: object) -> object:
    """Return a content block as Anthropic has it, from one of Bedrock's Converse; others as they are."""
    called, got = member(block, "toolUse"), member(block, "toolResult")
    if called is not None:
        about = {name: member(called, theirs) for name, theirs in _OF_CALL.items()}
        return {"type": "tool_use", **about}
    if got is not None:
        content = [_block(each) for each in members(member(got, "content"))]
        return {"type": "tool_result", "tool_use_id": member(got, "toolUseId"), "content": content}
    return block


_OF_CALL = {"id": "toolUseId", "name": "name", "input": "input"}
