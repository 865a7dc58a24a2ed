"""What the message schemas of the GenAI convention demand, in a few lines; used by the tests beside it."""

from __future__ import annotations

from typing import Any

PARTS: dict[str, dict[str, type]] = {
    "text": {"content": str},
    "reasoning": {"content": str},
    "tool_call": {"name": str},
    "tool_call_response": {"response": object},
    "server_tool_call": {"name": str, "server_tool_call": dict},
    "server_tool_call_response": {"server_tool_call_response": dict},
    "blob": {"modality": str, "content": str},
    "file": {"modality": str, "file_id": str},
    "uri": {"modality": str, "uri": str},
}


def check_part(part: Any) -> None:
    """Raise AssertionError unless this is a part of the convention, or a generic one."""
    assert isinstance(part, dict), part
    assert isinstance(part["type"], str), part
    for name, kind in PARTS.get(part["type"], {}).items():
        assert isinstance(part[name], kind), part
    if part["type"] in PARTS:
        assert isinstance(part.get("id", ""), str), part
        assert isinstance(part.get("mime_type", ""), str), part
    if part["type"] in ("server_tool_call", "server_tool_call_response"):
        assert isinstance(part[part["type"]]["type"], str), part


def check_messages(messages: Any, *, output: bool = False) -> None:
    """Raise AssertionError unless these are gen_ai.input.messages, or gen_ai.output.messages."""
    assert isinstance(messages, list), messages
    for message in messages:
        assert isinstance(message["role"], str), message
        assert isinstance(message["parts"], list), message
        assert isinstance(message.get("name", ""), str), message
        if output:
            assert isinstance(message["finish_reason"], str), message
        for part in message["parts"]:
            check_part(part)
