"""Tool calls that no message tells -> what hooks would have said of them.

The client hands on what its sub-agents do, but not what those agents' own sub-agents do. Comes in: facts of
transcripts. Goes out: payloads with their times. Pure; called by `conversation`. A call begins when the model has
asked for it, and is over when the model is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent_trace_otel.capture.agent_sdk.payloads import Payload


class UntoldTools:
    """The calls of sub-agents, and which of them the messages told."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._open: dict[str, Payload] = {}
        """Payloads that begin calls, by tool_use_id."""
        self._results: dict[str, Mapping[str, Any]] = {}

    def told(self, payload: Payload) -> None:
        """Take note of a payload that a message gave."""
        self._told.add(str(payload.get("tool_use_id") or ""))

    def learn(self, fact: Mapping[str, Any]) -> list[tuple[Payload, int]]:
        """Return what a fact says of calls that no message told."""
        if fact.get("kind") == "result":
            self._results[str(fact.get("tool_use_id"))] = fact
            return []
        agent_id = str(fact.get("agent_id") or "")
        if fact.get("kind") != "call" or not agent_id:
            return []
        found = [(payload, int(fact["started_ns"])) for payload in self.stopped(agent_id)]
        for message in fact.get("output") or ():
            for part in message.get("parts", ()):
                call_id = str(part.get("id") or "")
                if part.get("type") == "tool_call" and call_id and call_id not in self._told:
                    self._told.add(call_id)
                    begun: Payload = {
                        "hook_event_name": "PreToolUse",
                        "tool_name": str(part.get("name") or ""),
                        "tool_input": part.get("arguments") or {},
                        "tool_use_id": call_id,
                        "agent_id": agent_id,
                    }
                    self._open[call_id] = begun
                    found.append((begun, int(fact["ended_ns"])))
        return found

    def stopped(self, agent_id: str) -> list[Payload]:
        """Return the ends of an agent's calls whose results are known: it is over, or asks its model again."""
        over = [call_id for call_id, call in self._open.items() if call["agent_id"] == agent_id]
        return [self._end(call_id) for call_id in over if call_id in self._results]

    def _end(self, call_id: str) -> Payload:
        begun, result = self._open.pop(call_id), self._results.pop(call_id)
        text = str(result.get("text") or "")
        if result.get("is_error"):
            return {**begun, "hook_event_name": "PostToolUseFailure", "error": text}
        return {**begun, "hook_event_name": "PostToolUse", "tool_response": text}
