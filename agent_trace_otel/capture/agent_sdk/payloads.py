"""Messages of Claude Code's stream-json, as an SDK reads them -> what the client's hooks would have said.

Comes in: one message after the other, as parsed JSON. Goes out: payloads in the shape of hooks, and facts in that of
the transcript, for `story.claude_code`. Pure; called by `conversation`. The messages say all that hooks say but the
prompts, which the program sent, and what the transcript has to add: the tokens that each model call gave back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from agent_trace_otel.model_io.fields import members

Message = Mapping[str, Any]
Payload = dict[str, Any]

_SUB_AGENTS: Final = frozenset({"local_agent", "remote_agent", ""})
"""Types of tasks that are agents; others are commands in the background. Old clients name none."""
_OVER: Final = frozenset({"completed", "failed", "stopped", "killed"})
_REFUSALS: Final = frozenset({"reject", "deny", "denied"})
_SHOWN_INSTEAD: Final = ("<tool_use_error>", "Permission to use")
"""How texts begin that a model is shown for a call which was not made."""
_INTERRUPTED: Final = re.compile(r"abort|interrupt", re.IGNORECASE)
_SPAWNING: Final = frozenset({"Agent", "Task"})


class Messages:
    """Reads the messages of one process of the client."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[str, Mapping[str, Any]]] = {}
        """Tool and input of the calls that are open, by tool_use_id."""
        self._agents: dict[str, str] = {}
        """Ids of sub-agents by the call that started them."""
        self._at_work: dict[str, str] = {}
        """Types of the sub-agents that are at work, by id."""
        self.facts: list[dict[str, Any]] = []
        """What was found beside the payloads of the last message."""

    def read(self, message: Message) -> list[Payload]:
        """Return what the hooks would have said."""
        self.facts = []
        kind = str(message.get("type") or "")
        if kind == "system":
            return self._system(message)
        if kind == "assistant":
            return [*self._place(message), *self._tool_uses(message)]
        if kind == "user":
            return [*self._place(message), *self._tool_results(message)]
        return [self._result(message)] if kind == "result" else []

    # -- tools ---------------------------------------------------------------------------------------------------

    def _tool_uses(self, message: Message) -> list[Payload]:
        payloads: list[Payload] = []
        for block in _blocks(message):
            if block.get("type") == "tool_use" and block.get("id"):
                name, given = str(block.get("name") or ""), _mapping(block.get("input"))
                self._calls[str(block["id"])] = name, given
                payloads.append(self._of_call("PreToolUse", str(block["id"]), name, given, message))
        return payloads

    def _tool_results(self, message: Message) -> list[Payload]:
        payloads: list[Payload] = []
        blocks = [block for block in _blocks(message) if block.get("type") == "tool_result"]
        whole = message.get("tool_use_result") if len(blocks) == 1 else None
        refused, stopped = _not_done(message)
        for block in blocks:
            call_id = str(block.get("tool_use_id") or "")
            name, given = self._calls.pop(call_id, ("", {}))
            text = text_of(block.get("content"))
            payload = self._of_call("PostToolUse", call_id, name, given, message)
            if not block.get("is_error"):
                payload["tool_response"] = whole if isinstance(whole, Mapping) else block.get("content")
            elif call_id in refused:
                payload |= {"hook_event_name": "PermissionDenied", "reason": text}
            elif call_id in stopped:
                payload |= {"hook_event_name": "PostToolUseFailure", "error": text, "is_interrupt": True}
            elif text.startswith(_SHOWN_INSTEAD):
                payload |= {"hook_event_name": "PostToolBatch", "tool_calls": [{**payload, "tool_response": text}]}
            else:
                payload |= {"hook_event_name": "PostToolUseFailure", "error": text}
            payloads.append(payload)
            if name in _SPAWNING and _mapping(cast("object", whole)).get("status") != "async_launched":
                payloads += self._agent_over(self._agents.get(call_id, ""), text)
        return payloads

    def _of_call(self, event: str, call_id: str, name: str, given: Mapping[str, Any], message: Message) -> Payload:
        agent_id = self._agent_of(message)
        found: Payload = {"hook_event_name": event, "tool_name": name, "tool_input": given, "tool_use_id": call_id}
        return {**found, "agent_id": agent_id, "agent_type": self._at_work.get(agent_id, "")} if agent_id else found

    # -- sub-agents ----------------------------------------------------------------------------------------------

    def _agent_of(self, message: Message) -> str:
        call = message.get("parent_tool_use_id")
        return self._agents.get(str(call), "") if call else ""

    def _place(self, message: Message) -> list[Payload]:
        """Let a sub-agent begin that nothing has announced: it is known by the call that started it."""
        call = str(message.get("parent_tool_use_id") or "")
        if not call or call in self._agents:
            return []
        kind = str(message.get("subagent_type") or self._calls.get(call, ("", {}))[1].get("subagent_type") or "")
        return self._agent_begun(str(message.get("agent_id") or call), kind, call)

    def _agent_begun(self, agent_id: str, kind: str, call: str) -> list[Payload]:
        if not agent_id or agent_id in self._at_work:
            return []
        self._at_work[agent_id] = kind
        if call:
            self._agents[call] = agent_id
            self.facts.append({"kind": "agent", "agent_id": agent_id, "tool_use_id": call})
        return [{"hook_event_name": "SubagentStart", "agent_id": agent_id, "agent_type": kind}]

    def _agent_over(self, agent_id: str, said: str = "") -> list[Payload]:
        kind = self._at_work.pop(agent_id, None)
        if kind is None:
            return []
        told: Payload = {"hook_event_name": "SubagentStop", "agent_id": agent_id, "agent_type": kind}
        return [{**told, "last_assistant_message": said} if said else told]

    # -- the rest ------------------------------------------------------------------------------------------------

    def _system(self, message: Message) -> list[Payload]:
        subtype, task = message.get("subtype"), str(message.get("task_id") or "")
        if subtype == "task_started" and str(message.get("task_type") or "") in _SUB_AGENTS:
            kind, call = str(message.get("subagent_type") or ""), str(message.get("tool_use_id") or "")
            kind = kind or str(self._calls.get(call, ("", {}))[1].get("subagent_type") or "")
            return self._agent_begun(task, kind, call)
        status = message.get("status") or _mapping(message.get("patch")).get("status")
        if subtype in ("task_notification", "task_updated") and status in _OVER:
            return self._agent_over(task)
        if subtype == "compact_boundary":
            return [{"hook_event_name": "PreCompact", **_mapping(message.get("compact_metadata"))}]
        return []

    def _result(self, message: Message) -> Payload:
        """Read the end of a turn: the agent's last word, or why there is none."""
        said = text_of(message.get("result"))
        if not message.get("is_error"):
            return {"hook_event_name": "Stop", "last_assistant_message": said}
        errors = "\n".join(text_of(error) for error in members(message.get("errors")))
        if _INTERRUPTED.search(str(message.get("terminal_reason") or "")):
            return {"hook_event_name": "Interrupt"}
        subtype = str(message.get("subtype") or "")
        kind = "api_error" if subtype == "success" else subtype
        return {"hook_event_name": "StopFailure", "error": kind, "last_assistant_message": said or errors or kind}


def text_of(content: object) -> str:
    """Return the text of a message's or a result's content."""
    if isinstance(content, str):
        return content
    texts = (_mapping(block).get("text") for block in members(content))
    return "\n".join(text for text in texts if isinstance(text, str))


def _not_done(message: Message) -> tuple[set[str], set[str]]:
    """Return the ids of the calls that were not permitted, and of those that somebody stopped."""
    refused: set[str] = set()
    stopped: set[str] = set()
    for one in (_mapping(told) for told in members(message.get("tool_result_meta"))):
        if _mapping(one.get("permission_decision")).get("decision") in _REFUSALS:
            refused.add(str(one.get("id")))
        elif one.get("non_execution_kind") == "user-rejected":
            stopped.add(str(one.get("id")))
    return refused, stopped


def _blocks(message: Message) -> list[Mapping[str, Any]]:
    return [_mapping(block) for block in members(_mapping(message.get("message")).get("content"))]


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
