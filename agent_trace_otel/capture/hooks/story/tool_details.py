"""Tool calls of coding agents -> what the conventions want known of them: files, lines, programs, exit codes.

Comes in: a tool's name, input and result as the hooks give them. Goes out: span attributes. Pure; called by `calls`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from agent_trace_otel import semconv
from agent_trace_otel.model_io.fields import count_field, field, members, text_field

Attributes = dict[str, Any]

_EXIT_CODE = re.compile(r"Exit code (\d+)")
_ASSIGNMENT = re.compile(r"\w+=\S*\Z")
_MCP_PREFIX = "mcp__"
_WHOLE = "originalFile"


def of_call(tool: str, given: Mapping[str, Any]) -> Attributes:
    """Return what is known when the call begins."""
    if tool.startswith(_MCP_PREFIX):
        server, _, name = tool[len(_MCP_PREFIX) :].partition("__")
        return {semconv.MCP_SERVER: server, semconv.MCP_TOOL: name}
    if tool in _FILE_TOOLS:
        path = given.get("file_path") or given.get("notebook_path")
        return {semconv.FILE_PATH: path} if isinstance(path, str) else {}
    if tool in _SHELLS:
        program = program_of(given.get("command"))
        return {semconv.PROCESS_EXECUTABLE_NAME: program} if program else {}
    return {}


def of_result(tool: str, response: object) -> Attributes:
    """Return what the result of a call that went well adds."""
    read = _RESULTS.get(tool)
    return read(cast("Mapping[str, Any]", response)) if read is not None and isinstance(response, Mapping) else {}


def of_failure(tool: str, error: str) -> Attributes:
    """Return what the text of a failed call adds."""
    found = _EXIT_CODE.match(error) if tool in _SHELLS else None
    return {semconv.PROCESS_EXIT_CODE: int(found[1])} if found else {}


def shown(response: object) -> object:
    """Return a result without the member that holds the whole file as it was before, at each edit anew."""
    whole = text_field(response, _WHOLE)
    if not whole or not isinstance(response, Mapping):
        return response  # pyright: ignore[reportUnknownVariableType] - any JSON value
    return {**cast("Mapping[str, Any]", response), _WHOLE: f"[left out: {len(whole)} characters]"}


def program_of(command: object) -> str:
    """Return the name of the first program in a shell command, without its folder and the variables set for it."""
    words = command.split(maxsplit=16) if isinstance(command, str) else []
    first = next((word for word in words if not _ASSIGNMENT.match(word)), "")
    return first.rsplit("/", 1)[-1]


def _of_read(response: Mapping[str, Any]) -> Attributes:
    lines = count_field(field(response, "file"), "numLines")
    return {semconv.LINES_READ: lines} if lines is not None else {}


def _of_change(response: Mapping[str, Any]) -> Attributes:
    """Count the lines of the patch; a new file has none, so its content is counted."""
    if response.get("type") == "create" and isinstance(response.get("content"), str):
        return {semconv.LINES_ADDED: len(str(response["content"]).splitlines()), semconv.LINES_REMOVED: 0}
    if not isinstance(response.get("structuredPatch"), list):
        return {}
    hunks = members(response["structuredPatch"])
    signs = [str(line)[:1] for hunk in hunks for line in members(field(hunk, "lines"))]
    return {semconv.LINES_ADDED: signs.count("+"), semconv.LINES_REMOVED: signs.count("-")}


def _of_shell(response: Mapping[str, Any]) -> Attributes:
    is_done = not response.get("interrupted") and not response.get("backgroundTaskId")
    return {semconv.PROCESS_EXIT_CODE: 0} if is_done else {}


_SHELLS = frozenset({"Bash", "PowerShell"})
_RESULTS: Mapping[str, Callable[[Mapping[str, Any]], Attributes]] = {
    "Read": _of_read,
    "Write": _of_change,
    "Edit": _of_change,
    "MultiEdit": _of_change,
    **dict.fromkeys(_SHELLS, _of_shell),
}
_FILE_TOOLS = frozenset({"Read", "Write", "Edit", "MultiEdit", "NotebookEdit"})
