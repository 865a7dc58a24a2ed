"""Payloads without what was said, for users who want no content captured: what the journal keeps of them.

Comes in: a payload in any agent's shape. Goes out: the same payload with its ids, names, paths, counts and failures, so
that the story's spans and outcomes stay the same. Pure; called by `frames`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from agent_trace_otel.capture.hooks.story import tool_details
from agent_trace_otel.model_io.fields import field, members

_WORD: Final = re.compile(r"[^\s]{1,80}\Z")
"""What else a text is, it is taken for something that was said: names and ids have no blanks."""
_SHOWN: Final = 80
_TOOL: Final = re.compile(r"<tool-use-id>[^<\s]+</tool-use-id>")
_PATHS: Final = frozenset(
    {"cwd", "transcript_path", "agent_transcript_path", "file_path", "notebook_path", "filePath", "path"}
)
_NAMES: Final = frozenset({"toolname", "agenttype", "agentname"})
_FAILURES: Final = frozenset({"error", "error_details", "reason"})
"""Kept as they are, as everywhere: why something failed is no content."""
_SAID: Final = frozenset(
    {"prompt", "lastassistantmessage", "custominstructions", "compactsummary", "content", "text", "message", "stdout",
     "stderr", "description", "command", "delta", "originalfile", "oldstring", "newstring", "title",
     "commandargs", "taskdescription", "tasksubject", "sessiontitle",
     "initialprompt", "response", "textresultforllm",
     "llmcontent", "returndisplay", "promptresponse", "args", "rootcommand",
     "tooloutput", "output", "resultjson", "summary", "task"}
)  # fmt: skip
"""One spelling of each name, as `_spelled` gives it: Claude Code's, then Copilot's, Gemini's and Cursor's."""
_LINES: Final = "structuredpatch"


def without_content(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload without prompts, answers, arguments and results."""
    return {name: _value(name, value) for name, value in payload.items()}


def _value(name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    spelled = _spelled(name)
    special = _SPECIAL.get(spelled)
    if special is not None:
        return special(value)
    if name in _PATHS or name in _FAILURES or spelled in _NAMES:
        return value
    if isinstance(value, str):
        return value if spelled not in _SAID and _WORD.match(value) else ""
    if isinstance(value, dict):
        return without_content(cast("dict[str, Any]", value))
    if isinstance(value, list):
        return [_value(name, item) for item in members(value)]  # pyright: ignore[reportUnknownArgumentType] - JSON
    return value


def _spelled(name: str) -> str:
    """Return what tool_input, toolInput and the like have in common."""
    return name.replace("_", "").lower()


def _prompt(value: object) -> str:
    """Keep of a prompt that it is a notification, and which call it is about."""
    if not isinstance(value, str) or not value.lstrip().startswith("<task-notification>"):
        return ""
    found = _TOOL.search(value)
    return f"<task-notification>{found[0] if found else ''}</task-notification>"


def _arguments(value: object) -> object:
    """Keep of a call's arguments which file, program or kind of sub-agent they name."""
    if not isinstance(value, dict):
        return {}
    given = cast("dict[str, Any]", value)
    kept = {name: given[name] for name in given if name in _PATHS or name == "subagent_type"}
    command = given.get("command")
    return {**kept, "command": tool_details.program_of(command)} if isinstance(command, str) else kept


def _content(value: object) -> str:
    """Keep of a text how many lines it has."""
    return "\n" * len(value.splitlines()) if isinstance(value, str) else ""


def _patch(value: object) -> object:
    """Keep of a patch which lines were added and removed."""
    return [{"lines": [str(line)[:1] for line in members(field(hunk, "lines"))]} for hunk in members(value)]


def _shown(value: object) -> object:
    """Keep of what the model was shown in place of a result the beginning, which says why."""
    return value[:_SHOWN] if isinstance(value, str) and _REFUSAL.match(value) else ""


def _result(value: object) -> object:
    return without_content(cast("dict[str, Any]", value)) if isinstance(value, dict) else ""


def _batch(value: object) -> object:
    return [
        {
            **without_content(cast("dict[str, Any]", call)),
            "tool_response": _shown(field(cast("object", call), "tool_response")),
        }
        for call in members(value)
        if isinstance(call, dict)
    ]


_REFUSAL: Final = re.compile(r"Permission to use|<tool_use_error>|PreToolUse:|\[Request interrupted")
_SPECIAL: Final[Mapping[str, Callable[[object], object]]] = {
    "prompt": _prompt,
    "toolinput": _arguments,
    "toolargs": _arguments,
    "toolresponse": _result,
    "toolresult": _result,
    "toolcalls": _batch,
    "content": _content,
    _LINES: _patch,
}
