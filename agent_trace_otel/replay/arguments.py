"""The arguments of a tool call -> the one line that tells it apart from others.

Comes in: a tool's name and its recorded arguments. Goes out: text as recorded, not yet fit for a terminal. Pure; called
by `text`.
"""

from __future__ import annotations

from agent_trace_otel.store.lines import as_text, is_list

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# what says most of tools whose arguments have other names, or names that others use for something else
_TELLING = {
    "agent": "prompt",
    "glob": "pattern",
    "grep": "pattern",
    "task": "prompt",
    "webfetch": "url",
    "websearch": "query",
}
_TELLING_KEYS = ("command", "file_path", "path", "notebook_path", "pattern", "url", "uri", "query")
_SHORT = 200  # characters of a value that tells a call apart without being long
_MOST = 3


def telling_argument(name: str, arguments: dict[str, Any]) -> str:
    """Return the command, path, pattern, URL or query of a call, else its first short arguments."""
    telling = arguments.get(_TELLING.get(name.lower(), ""))
    if isinstance(telling, str):
        return telling
    for key in _TELLING_KEYS:
        value = arguments.get(key)
        if isinstance(value, str) and value:
            return value
        if key == "command" and is_list(value):
            return " ".join(map(as_text, value))
    return first_short(arguments)


def first_short(values: dict[str, Any]) -> str:
    """Return the first short values as ``key: value``, the names alone when none is short."""
    short = [f"{key}: {value}" for key, value in values.items() if isinstance(value, str) and 0 < len(value) <= _SHORT]
    if not short:
        short = [f"{key}: {value}" for key, value in values.items() if isinstance(value, (int, float))]
    return ", ".join(short[:_MOST] or values)
