r"""Recorded values -> values fit to be looked at: nothing in them is alive, none is longer than a reader wants.

Comes in: any JSON value that a session holds. Goes out: the same with control, invisible and direction characters
shown as ``\x1b`` or ``\u202e``, and long texts cut with a mark. Pure; called by everything
around it.
"""

from __future__ import annotations

import json
import re

from agent_trace_otel.replay.terminal import escape
from agent_trace_otel.store.lines import is_list, is_object
from agent_trace_otel.store.span_events import cut_json_text, cut_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VALUE_LIMIT = 1 << 16  # characters of one value; the folder has all of it
HISTORY_LIMIT = 1 << 14  # characters of the messages that a model was sent: each call repeats those before it

_BETWEEN_LINES = re.compile(r"[^\n\t]+")
_EXACT = 2**53
_DEEPEST = 32  # levels of a value that are shown


def readable(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    """Return a JSON value whose texts, names included, hold no live character but line breaks and tabs."""
    if isinstance(value, str):
        return readable_text(value)
    if depth >= _DEEPEST and (is_object(value) or is_list(value)):
        return "…"
    if is_object(value):
        return {readable_text(key): readable(item, depth + 1) for key, item in value.items()}
    if is_list(value):
        return [readable(item, depth + 1) for item in value]
    # a browser's JSON knows no NaN, and its numbers no integer beyond 2**53
    return str(value) if isinstance(value, (int, float)) and not -_EXACT <= value <= _EXACT else value


def readable_text(text: str) -> str:
    """Return a text that holds no live character but line breaks and tabs, cut after `VALUE_LIMIT` characters."""
    text = cut_text(text, VALUE_LIMIT)
    if text.isprintable():
        return text
    return _BETWEEN_LINES.sub(lambda line: escape(line[0]), text.replace("\r\n", "\n"))


def parsed(text: str) -> Any:  # noqa: ANN401 - JSON
    """Return what a JSON object or array in a text holds, cut value by value if it is long; None for any other text."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(cut_json_text(text, VALUE_LIMIT) if len(text) > VALUE_LIMIT else text, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return value if is_object(value) or is_list(value) else None


def latest_messages(text: str) -> Any:  # noqa: ANN401 - JSON
    """Return the last of the messages that a model was sent, at least one, with a note of how many came before."""
    try:
        messages: Any = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    if not is_list(messages):
        return None
    if len(text) <= HISTORY_LIMIT:
        return messages
    kept = len(messages)
    room = HISTORY_LIMIT
    while kept and room > 0:
        kept -= 1
        room -= len(json.dumps(messages[kept]))
    if room < 0 and kept < len(messages) - 1:
        kept += 1
    earlier = [{"role": "…", "parts": [{"type": "text", "content": f"[{kept} earlier messages]"}]}] if kept else []
    return earlier + messages[kept:]
