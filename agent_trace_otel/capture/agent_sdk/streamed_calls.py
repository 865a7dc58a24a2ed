"""Model calls as the client's messages tell them -> facts like those of its transcript.

For calls that no transcript tells, since a client may be told to keep none. Comes in: messages with the time at which
they came. Goes out: call facts. Pure; called by `conversation`. A message
names the tokens that its call was given; how many came back is known only where the program asks for partial messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from agent_trace_otel.capture.agent_sdk.payloads import Message, text_of
from agent_trace_otel.model_io.fields import members
from agent_trace_otel.model_io.messages import message_parts

_USAGE: Final = {
    "input": "input_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_creation": "cache_creation_input_tokens",
}


class StreamedCalls:
    """The calls that no transcript has told yet.

    Args:
        began: when the client was started, in unix nanoseconds.
    """

    def __init__(self, began: int) -> None:
        self._began = began
        self._calls: dict[str, dict[str, Any]] = {}
        self._last: dict[str, Any] | None = None
        self._heard: dict[str, int] = {}
        """When each agent was heard of last, by id; the main one's is empty."""

    def asked(self, at: int) -> None:
        """Take note of a prompt."""
        self._heard[""] = at

    def see(self, message: Message, at: int) -> None:
        """Take a message."""
        agent_id = str(message.get("agent_id") or message.get("parent_tool_use_id") or "")
        if message.get("type") == "assistant":
            self._answer(_mapping(message.get("message")), message, agent_id, at)
        elif message.get("type") == "user":
            self._heard[agent_id] = at
        elif message.get("type") == "stream_event" and self._last is not None:
            event = _mapping(message.get("event"))
            made = _mapping(event.get("usage")).get("output_tokens")
            if event.get("type") == "message_delta" and isinstance(made, int):
                self._last["usage"]["output"] = made

    def _answer(self, said: Mapping[str, Any], message: Message, agent_id: str, at: int) -> None:
        key = str(said.get("id") or "")
        call = self._calls.get(key)
        if call is None:
            usage = {name: _mapping(said.get("usage")).get(theirs) for name, theirs in _USAGE.items()}
            new: dict[str, Any] = {
                "kind": "call",
                "key": key,
                "message_id": key,
                "model": str(said.get("model") or ""),
                "started_ns": self._heard.get(agent_id, self._began),
                "attempts": 1,
                "input": [],
                "output": [{"role": "assistant", "parts": [], "finish_reason": "stop"}],
                "usage": {name: count for name, count in usage.items() if isinstance(count, int)},
                "agent_id": agent_id,
            }
            if message.get("error"):
                failure = {"type": str(message["error"]), "message": text_of(said.get("content"))}
                new |= {"error": failure, "usage": {}, "output": []}
            self._calls[key] = self._last = call = new
        call["ended_ns"] = self._heard[agent_id] = at
        parts = message_parts({"role": "assistant", "content": members(said.get("content"))})
        for output in call["output"]:
            output["parts"] += parts

    def told(self, key: object) -> None:
        """Forget a call that the transcript has told."""
        self._calls.pop(str(key), None)

    def take(self, prompt_id: str, *, has_transcript: bool) -> list[dict[str, Any]]:
        """Return what is left, as what a prompt set off; a transcript tells failures under ids of its own."""
        calls, self._calls, self._last = self._calls, {}, None
        left = (call for call in calls.values() if not (has_transcript and "error" in call))
        return [{**call, "prompt_id": prompt_id} for call in left]


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
