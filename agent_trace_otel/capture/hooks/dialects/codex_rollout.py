"""What Codex's hooks leave out, from the rollout file that it writes beside them: exit codes, and calls without an end.

Comes in: a hook payload, and the end of the JSON lines that its ``transcript_path`` names. Goes out: `codex`'s shapes,
completed. Called through `dialects`, in the recorder's worker, off the hook's path.

Seen with Codex 0.169.0: when a PostToolUse hook runs, the line that tells the command's exit code is written; at Stop,
what the model was shown of every call of the turn. A rollout that can't be read completes nothing.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from agent_trace_otel.capture.hooks.dialects import codex
from agent_trace_otel.capture.hooks.dialects.shapes import SHELL, Payload, Shape, exited, object_of, parsed

_LAST_BYTES: Final = 4 << 20
"""How much of a rollout's end is read."""
_NO_SUCH_CALL: Final = ("unsupported call: ", "failed to parse function arguments")
"""How the text begins of a call that was none, for which no hook ran."""
_REFUSED: Final = ("approval policy is ", "rejected by user", "exec command rejected by user", "patch rejected by user")
_RUNS: Final = "Process running with session ID "
_SHELLS: Final = frozenset({"exec_command", "shell", "shell_command"})
_HOOKED: Final = _SHELLS | {codex.PATCH, codex.SPAWN, "view_image"}
_MCP: Final = "mcp__"
_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
_OUTPUTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})
_ABOUT: Final = ("session_id", "cwd", "prompt_id", "agent_id", "agent_type")


def claude_shape(event: str, payload: Payload) -> list[Shape]:
    """Return a payload in Claude Code's shape, completed by the rollout; arguments as of `codex.claude_shape`."""
    shapes = codex.claude_shape(event, payload)
    if len(shapes) != 1:
        return shapes
    (shape,) = shapes
    name, turn = shape["hook_event_name"], payload.get("turn_id")
    if name == "PostToolUse" and shape.get("tool_name") == SHELL and isinstance(shape.get("tool_response"), str):
        code = _exit_code(payload.get("transcript_path"), shape.get("tool_use_id"))
        return [shape if code is None else exited(shape, code, shape["tool_response"])]
    if name == "Stop" and isinstance(turn, str) and turn:
        return [*_unended(payload.get("transcript_path"), turn, shape), shape]
    if name == "SubagentStop" and isinstance(turn, str) and turn:
        return [*_unended(payload.get("agent_transcript_path"), turn, shape), shape]
    return shapes


def _exit_code(path: object, call_id: object) -> int | None:
    """Return how a command ended, None if the rollout does not tell."""
    if not isinstance(call_id, str) or not call_id:
        return None
    for line in _lines(path, json.dumps(call_id).encode()):
        item = object_of(line.get("item"))
        code = item.get("exit_code")
        if item.get("id") == call_id and isinstance(code, int) and not isinstance(code, bool):
            return code
    return None


def _unended(path: object, turn: str, stop: Shape) -> Iterator[Shape]:
    """Yield the ends of a turn's calls that got no PostToolUse; those of calls that did change nothing."""
    calls: dict[str, Mapping[str, Any]] = {}
    shown: dict[str, str] = {}
    completed: set[object] = set()
    for line in _lines(path, json.dumps(turn).encode()):
        kind, item, call_id = line.get("type"), object_of(line.get("item")), line.get("call_id")
        if item.get("status") == "completed":
            completed.add(item.get("id"))
        elif isinstance(call_id, str) and kind in _CALLS:
            calls[call_id] = line
        elif isinstance(call_id, str) and kind in _OUTPUTS:
            shown[call_id] = _text_of(line.get("output"))
    about: Shape = {name: stop[name] for name in _ABOUT if name in stop}
    for call_id, text in shown.items():
        call = calls.get(call_id, {})
        told = {**about, **_named(call), "tool_use_id": call_id}
        if call_id in completed:
            yield {**told, "hook_event_name": "PostToolUse", "tool_response": text}
        elif text.startswith(_NO_SUCH_CALL) or (_is_hooked(call) and _RUNS not in text):
            if text.startswith(_REFUSED):
                yield {**told, "hook_event_name": "PermissionDenied", "reason": text}
            yield {**told, "hook_event_name": "PostToolUseFailure", "error": text}


def _named(call: Mapping[str, Any]) -> Shape:
    """Return a call's tool and input, named as the hooks name them."""
    name = str(call.get("name") or "")
    tool = f"{call['namespace']}__{name}" if call.get("namespace") else SHELL if name in _SHELLS else name
    return {"tool_name": tool, "tool_input": parsed(call.get("arguments", call.get("input")))}


def _is_hooked(call: Mapping[str, Any]) -> bool:
    return call.get("name") in _HOOKED or str(call.get("namespace") or "").startswith(_MCP)


def _text_of(output: object) -> str:
    """Return what the model was shown: a text, or the texts of content items."""
    if isinstance(output, str):
        return output
    items = cast("list[object]", output) if isinstance(output, list) else []
    return "\n".join(str(object_of(item).get("text", "")) for item in items)


def _lines(path: object, needle: bytes) -> Iterator[Mapping[str, Any]]:
    """Yield the payloads of the lines at a rollout's end that hold some bytes."""
    for line in _end_of(path).splitlines():
        if needle in line:
            payload = object_of(parsed(line.decode("utf-8", "replace"))).get("payload")
            if isinstance(payload, Mapping):
                yield cast("Mapping[str, Any]", payload)


def _end_of(path: object) -> bytes:
    if not isinstance(path, str) or not path.endswith(".jsonl"):
        return b""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return b""
            file.seek(max(0, found.st_size - _LAST_BYTES))
            return file.read()
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return b""
