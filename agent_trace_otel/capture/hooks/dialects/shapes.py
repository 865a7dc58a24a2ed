"""What the adapters of other coding agents have in common: small moves from a payload to Claude Code's shape.

Comes in: values of foreign payloads, of any type. Goes out: the members that `claude_code` reads. Pure; called by
`codex`, `copilot`, `gemini` and `cursor`.

A shape has Claude Code's members, and two of our own where the agent's names differ: ``tool_kind`` is what Claude Code
calls a tool of the same kind (the call keeps the name that its agent gave it), ``file_path`` the file that it works on.
A transcript of another agent has another form, so its path is not passed on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final, cast

Payload = Mapping[str, Any]
Shape = dict[str, Any]
Adapter = Callable[[str, Payload], list[Shape]]
"""(event as it was registered, payload) -> payloads in Claude Code's shape; none for what tells nothing."""

SHELL: Final = "Bash"
READ: Final = "Read"
WRITE: Final = "Write"
EDIT: Final = "Edit"
AGENT: Final = "Agent"

TRANSCRIPTS: Final = frozenset({"transcript_path", "agent_transcript_path"})

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


def without(payload: Payload, names: Container[str]) -> Shape:
    """Return a payload's members but for some, and but for those without a value."""
    return {name: value for name, value in payload.items() if name not in names and value is not None}


def renamed(shape: Shape, names: Mapping[str, str]) -> Shape:
    """Return members under other names: old name -> new one. A member that is there already stays."""
    return {**{names.get(name, name): value for name, value in shape.items()}, **without(shape, names)}


def text_of(value: object) -> str:
    """Return a text as it is, any other JSON value as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def object_of(value: object) -> Mapping[str, Any]:
    """Return an object as it is, an empty one for anything else."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def parsed(text: object) -> object:
    """Return what a string holds as JSON; any other value, and a text that is no JSON, as it is."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


def failed(shape: Shape, error: str) -> Shape:
    """Turn a PostToolUse into the PostToolUseFailure that Claude Code would have sent."""
    return {**without(shape, {"tool_response"}), "hook_event_name": "PostToolUseFailure", "error": error}


def exited(shape: Shape, code: int, output: str) -> Shape:
    """Tell how a shell command ended, as Claude Code does: its output, or a failure that names the exit code."""
    if code:
        return failed(shape, f"Exit code {code}\n{output}")
    return {**shape, "tool_response": {"stdout": output}}


def mcp_error(result: object) -> str | None:
    """Return the text of an MCP tool result (MCP, CallToolResult) that is an error; None for any other."""
    found = object_of(result)
    if found.get("isError") is not True:
        return None
    blocks = found.get("content")
    texts = [object_of(block).get("text") for block in cast("list[object]", blocks)] if isinstance(blocks, list) else []
    return "\n".join(text for text in texts if isinstance(text, str)) or text_of(found)


def iso_time(milliseconds: object) -> object:
    """Return unix milliseconds as ISO 8601 in UTC; any other value as it is."""
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, (int, float)):
        return milliseconds
    try:
        return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        return milliseconds
