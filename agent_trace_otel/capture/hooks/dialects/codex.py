"""Codex's hook payloads -> Claude Code's shape.

Codex 0.169.0 sends nearly Claude Code's payloads (its binary holds their schemas); seen beside them with the real
client: the turn is ``turn_id``; a tool that fails gets no PostToolUse, a shell command always gets one, with its output
alone, so that its exit code is unknown here (`codex_rollout` looks it up); what a patch prints begins with "Exit code:
"; a sub-agent has turns of its own and a UserPromptSubmit, its id is in what spawn_agent returns.

Called through `codex_rollout`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from agent_trace_otel.capture.hooks.dialects.shapes import (
    AGENT,
    EDIT,
    SHELL,
    TRANSCRIPTS,
    Payload,
    Shape,
    exited,
    failed,
    mcp_error,
    object_of,
    parsed,
    text_of,
    without,
)

PATCH: Final = "apply_patch"
SPAWN: Final = "spawn_agent"
_KINDS: Final = {PATCH: EDIT, SPAWN: AGENT}
_EXIT_HEADER: Final = re.compile(
    r"Exit code: (-?\d{1,10})\nWall time: [^\n]*\n(?:Total output lines: \d+\n)?Output:\n?"
)
_PATCHED_FILE: Final = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.MULTILINE)


def claude_shape(event: str, payload: Payload) -> list[Shape]:
    """Return a payload in Claude Code's shape.

    Args:
        event: the event that the hook is registered for; the payload's own ``hook_event_name`` decides.
        payload: what Codex wrote to the hook.
    """
    shape = without(payload, TRANSCRIPTS)
    name = shape["hook_event_name"] = str(payload.get("hook_event_name") or event)
    if not payload.get("agent_id"):
        shape |= {"prompt_id": payload["turn_id"]} if payload.get("turn_id") else {}
    elif name == "UserPromptSubmit":  # its parent's doing, told by the arguments of spawn_agent
        return []
    read = _EVENTS.get(name)
    return [read(shape) if read else shape]


def _call(shape: Shape) -> Shape:
    tool = shape.get("tool_name")
    kind = _KINDS.get(tool) if isinstance(tool, str) else None
    if kind:
        shape["tool_kind"] = kind
    if tool == PATCH:
        files = set(_PATCHED_FILE.findall(text_of(object_of(shape.get("tool_input")).get("command"))))
        if len(files) == 1:
            shape["file_path"] = files.pop().strip()
    return shape


def _result(shape: Shape) -> Shape:
    shape = _call(shape)
    response = shape.get("tool_response")
    error = mcp_error(response)
    if error is not None:
        return failed(shape, error)
    if shape.get("tool_kind") == AGENT:
        started = object_of(parsed(response))
        if "agent_id" in started:
            given: dict[str, Any] = {**started, "status": "async_launched", "agentId": started["agent_id"]}
            return {**shape, "tool_response": given}
    header = _EXIT_HEADER.match(response) if isinstance(response, str) else None
    if header is None:
        return shape
    code, output = int(header[1]), header.string[header.end() :]
    if code or shape.get("tool_name") == SHELL:
        return exited(shape, code, output)
    return {**shape, "tool_response": output}


def _request(shape: Shape) -> Shape:
    """Take what the model gives as its reason out of the input, which else equals the call's (seen)."""
    given = object_of(shape.get("tool_input"))
    if shape.get("tool_name") != SHELL or "description" not in given:
        return _call(shape)
    return {**shape, "tool_input": without(given, {"description"}), "reason": given["description"]}


_EVENTS: Final[Mapping[str, Callable[[Shape], Shape]]] = {
    "PreToolUse": _call,
    "PostToolUse": _result,
    "PermissionRequest": _request,
}
