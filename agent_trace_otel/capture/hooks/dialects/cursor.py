"""Cursor's hook payloads -> Claude Code's shape.

Their members are those that Cursor's executor of hooks writes, as the npm package @cursor/sdk 1.0.32 ships it, and as
cursor.com/docs/hooks says. ``user_email`` is personal and never passed on.

One call, two stories: a shell command, an MCP call, a reading and a writing fire preToolUse and postToolUse, and events
of their own in between (the package's executor does both, one after the other). The former are told, because they have
the call's id. Clients from before the former existed are known by payloads without a session_id (documented for them:
conversation_id alone): of them the latter are told.

Called through `dialects`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from agent_trace_otel.capture.hooks.dialects.shapes import (
    AGENT,
    SHELL,
    TRANSCRIPTS,
    Payload,
    Shape,
    exited,
    failed,
    mcp_error,
    object_of,
    parsed,
    renamed,
    text_of,
    without,
)

_NAMES: Final = {
    "conversation_id": "session_id",  # of a newer client the session_id, which is there too, is the same
    "generation_id": "prompt_id",
    "duration": "duration_ms",
    "error_message": "error",
    "subagent_id": "agent_id",
    "subagent_type": "agent_type",
    "summary": "last_assistant_message",
}
_LEFT_OUT: Final = TRANSCRIPTS | {"user_email", "workspace_roots", "model_id", "model_params"}
_KINDS: Final = {"Shell": SHELL, "Task": AGENT}


def claude_shape(event: str, payload: Payload) -> list[Shape]:
    """Return a payload in Claude Code's shape, nothing for what tells nothing or is told by another event.

    Args:
        event: the event that the hook is registered for; the payload's own ``hook_event_name`` decides.
        payload: what Cursor wrote to the hook.
    """
    name = str(payload.get("hook_event_name") or event)
    if name in _TAB or (name in _TOLD_TWICE and payload.get("session_id")):
        return []
    shape = renamed(without(payload, _LEFT_OUT), _NAMES)
    if payload.get("model_id"):
        shape["model"] = payload["model_id"]
    roots = payload.get("workspace_roots")
    if not shape.get("cwd") and isinstance(roots, list) and roots:
        shape["cwd"] = roots[0]
    name, read = _EVENTS.get(name, (name, _as_it_is))
    shape["hook_event_name"] = name
    return [read(shape)]


def _as_it_is(shape: Shape) -> Shape:
    return shape


def _call(shape: Shape) -> Shape:
    tool = shape.get("tool_name")
    kind = _KINDS.get(tool) if isinstance(tool, str) else None
    if kind:
        shape["tool_kind"] = kind
    shape["tool_input"] = parsed(shape.get("tool_input"))
    return shape


def _result(shape: Shape) -> Shape:
    """Read a result, which is JSON in a string; a command's exit code and an MCP error are members of it."""
    shape = _call(shape)
    response = parsed(shape.pop("tool_output", shape.pop("result_json", None)))
    found = object_of(response)
    error = mcp_error(found)
    if error is not None:
        return failed(shape, error)
    if isinstance(code := found.get("exitCode"), int) and shape.get("tool_kind") == SHELL:
        output = found["output"] if "output" in found else found.get("stdout", "")
        return exited(shape, code, text_of(output))
    return {**shape, "tool_response": response}


def _failure(shape: Shape) -> Shape:
    shape = _call(shape)
    if shape.get("failure_type") != "permission_denied":
        return shape
    reason = shape.pop("error", "")
    return {**shape, "hook_event_name": "PermissionDenied", "reason": reason}


def _shell(shape: Shape) -> Shape:
    """Read an event of an older client: the command is the input, the output the result, its exit code unknown."""
    output = shape.pop("output", None)
    given: dict[str, Any] = {"command": shape.pop("command", "")}
    shape |= {"tool_name": "Shell", "tool_kind": SHELL, "tool_input": given}
    return shape if output is None else {**shape, "tool_response": output}


def _reading(shape: Shape) -> Shape:
    """Read an older client's event, which comes when a file was read and before the model gets it."""
    content = shape.pop("content", "")
    given: dict[str, Any] = {"file_path": shape.pop("file_path", "")}
    return {**shape, "tool_name": "Read", "tool_input": given, "tool_response": content}


def _edit(shape: Shape) -> Shape:
    given = {"file_path": shape.pop("file_path", ""), "edits": shape.pop("edits", [])}
    return {**shape, "tool_name": "Write", "tool_input": given}


def _agent_start(shape: Shape) -> Shape:
    return renamed(shape, {"tool_call_id": "tool_use_id"})


def _stop(shape: Shape) -> Shape:
    """Tell how the agent's turn ended: completed, error, or aborted by its user."""
    status = shape.get("status")
    if status == "error":
        return {**shape, "hook_event_name": "StopFailure", "error": "error"}
    return {**shape, "hook_event_name": "Interrupt"} if status == "aborted" else shape


def _answer(shape: Shape) -> Shape:
    return renamed(shape, {"text": "last_assistant_message"})


_TAB: Final = frozenset({"beforeTabFileRead", "afterTabFileEdit", "workspaceOpen"})
"""Completions while somebody types, and windows: nothing that an agent does."""
_TOLD_TWICE: Final = frozenset(
    {
        "beforeShellExecution",
        "afterShellExecution",
        "beforeMCPExecution",
        "afterMCPExecution",
        "beforeReadFile",
        "afterFileEdit",
    }
)
_EVENTS: Final[Mapping[str, tuple[str, Callable[[Shape], Shape]]]] = {
    "sessionStart": ("SessionStart", _as_it_is),
    "sessionEnd": ("SessionEnd", _as_it_is),
    "beforeSubmitPrompt": ("UserPromptSubmit", _as_it_is),
    "preToolUse": ("PreToolUse", _call),
    "postToolUse": ("PostToolUse", _result),
    "postToolUseFailure": ("PostToolUseFailure", _failure),
    "subagentStart": ("SubagentStart", _agent_start),
    "subagentStop": ("SubagentStop", _as_it_is),
    "preCompact": ("PreCompact", _as_it_is),
    "afterAgentResponse": ("AgentResponse", _answer),
    "afterAgentThought": ("AgentThought", _as_it_is),
    "stop": ("Stop", _stop),
    "beforeShellExecution": ("PreToolUse", _shell),
    "afterShellExecution": ("PostToolUse", _shell),
    "beforeMCPExecution": ("PreToolUse", _call),
    "afterMCPExecution": ("PostToolUse", _result),
    "beforeReadFile": ("PostToolUse", _reading),
    "afterFileEdit": ("PostToolUse", _edit),
}
