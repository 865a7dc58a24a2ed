"""Copilot CLI's hook payloads -> Claude Code's shape.

Copilot CLI 1.0.102 names a payload's members as its event was registered: in snake case, with Claude Code's names of
tools and without a transcript, for PascalCase events; in camel case for camelCase ones; permissionRequest and
subagentStart are in camel case always (seen, as what follows). There is no id of a call and none of a prompt.
permissionRequest comes for every call that some rule may refuse, allowed ones too, so it tells nothing. A refused call
gets no event after its preToolUse. A shell command's exit code stands at the end of its text. A sub-agent has a prompt
and a stop of its own beside subagentStart and subagentStop, and its events name it as their session: the session is
what they name as its parent, unless that is a sub-agent itself.

Called through `dialects`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from agent_trace_otel.capture.hooks.dialects.shapes import (
    AGENT,
    EDIT,
    READ,
    SHELL,
    TRANSCRIPTS,
    WRITE,
    Payload,
    Shape,
    exited,
    failed,
    iso_time,
    object_of,
    renamed,
    text_of,
    without,
)

_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_EXIT_TAIL: Final = re.compile(r"\n?<shellId: \S+ completed with exit code (-?\d{1,10})>\s*\Z")
_NAMES: Final = {"tool_args": "tool_input", "response": "last_assistant_message"}
_LEFT_OUT: Final = TRANSCRIPTS | {"initial_prompt", "hook_name"}
_KINDS: Final = {"bash": SHELL, "powershell": SHELL, "view": READ, "create": WRITE, "edit": EDIT, "task": AGENT}
_REFUSED: Final = frozenset({"denied", "rejected"})
"""Values of a result's type (the package's api.schema.json, ToolResultType)."""


def claude_shape(event: str, payload: Payload) -> list[Shape]:
    """Return a payload in Claude Code's shape, nothing for what tells nothing.

    Args:
        event: the event that the hook is registered for, PascalCase or camelCase; some payloads don't name it.
        payload: what Copilot CLI wrote to the hook.
    """
    snake = {_WORD.sub("_", name).lower(): value for name, value in payload.items()}
    shape = renamed(without(snake, _LEFT_OUT), _NAMES)
    if "timestamp" in shape:
        shape["timestamp"] = iso_time(shape["timestamp"])
    name = str(snake.get("hook_event_name") or snake.get("hook_name") or event)
    name = _EVENTS.get(name[:1].lower() + name[1:], name)
    if name in _OF_AGENTS_TOO and shape.get("agent_id"):
        return []
    shape["hook_event_name"] = name
    if shape.get("parent_agent_id"):
        shape["session_id"] = shape["parent_agent_id"]
    read = _READ.get(name)
    return [shape] if read is None else read(shape)


def _call(shape: Shape) -> list[Shape]:
    tool, given = shape.get("tool_name"), object_of(shape.get("tool_input"))
    kind = _KINDS.get(tool) if isinstance(tool, str) else None
    if kind:
        shape["tool_kind"] = kind
    if isinstance(given.get("path"), str):
        shape["file_path"] = given["path"]
    return [shape]


def _result(shape: Shape) -> list[Shape]:
    shape = _call(shape)[0]
    result = {_WORD.sub("_", name).lower(): value for name, value in object_of(shape.pop("tool_result", None)).items()}
    if not result:
        return [shape]
    text, outcome = text_of(result.get("text_result_for_llm", "")), result.get("result_type", "success")
    if outcome in _REFUSED:
        return [{**shape, "hook_event_name": "PermissionDenied", "reason": text}]
    if outcome != "success":
        return [failed(shape, text or text_of(outcome))]
    tail = _EXIT_TAIL.search(text) if shape.get("tool_kind", shape.get("tool_name")) == SHELL else None
    if tail is not None:
        return [exited(shape, int(tail[1]), text[: tail.start()])]
    return [{**shape, "tool_response": text}]


def _start(shape: Shape) -> list[Shape]:
    return [{**shape, "source": "startup"} if shape.get("source") == "new" else shape]


def _error(shape: Shape) -> list[Shape]:
    """Tell of a model call that was given up, after which no stop comes; a retried one has no event (both seen)."""
    error = object_of(shape.get("error"))
    if shape.get("error_context") == "model_call":
        shape["hook_event_name"] = "StopFailure"
        shape["error_details"] = text_of(error.get("message", ""))
    return [{**shape, "error": text_of(error.get("name") or shape.get("error"))}]


def _nothing(_: Shape) -> list[Shape]:
    return []


_EVENTS: Final[Mapping[str, str]] = {
    "sessionStart": "SessionStart",
    "sessionEnd": "SessionEnd",
    "userPromptSubmitted": "UserPromptSubmit",
    "userPromptSubmit": "UserPromptSubmit",
    "preToolUse": "PreToolUse",
    "postToolUse": "PostToolUse",
    "postToolUseFailure": "PostToolUseFailure",
    "permissionRequest": "PermissionRequest",
    "agentStop": "Stop",
    "stop": "Stop",
    "subagentStart": "SubagentStart",
    "subagentStop": "SubagentStop",
    "preCompact": "PreCompact",
    "notification": "Notification",
    "errorOccurred": "ErrorOccurred",
}
_OF_AGENTS_TOO: Final = frozenset({"UserPromptSubmit", "Stop"})
_READ: Final[Mapping[str, Callable[[Shape], list[Shape]]]] = {
    "SessionStart": _start,
    "PreToolUse": _call,
    "PostToolUse": _result,
    "PostToolUseFailure": _call,
    "PermissionRequest": _nothing,
    "ErrorOccurred": _error,
}
