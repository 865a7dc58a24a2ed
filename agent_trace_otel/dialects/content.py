"""Which attributes, of spans and of span events, hold what was said: left out where content is not to be captured.

Called by `span_copy` for each attribute. Names are those of the dialects' tables; what is said in an event of messages
is content whatever it is called there.
"""

from __future__ import annotations

from functools import lru_cache

from agent_trace_otel import semconv
from agent_trace_otel.dialects.reading import DIALECTS
from agent_trace_otel.dialects.said import MESSAGE_EVENTS

_OURS = frozenset({semconv.MCP_PARAMS, semconv.MCP_RESULT, semconv.TEXT})
_SAID = frozenset(name for dialect in DIALECTS for name in dialect.content if not name.endswith("."))
_BEGINNINGS = tuple(name for dialect in DIALECTS for name in dialect.content if name.endswith("."))
_KEPT = frozenset({"gen_ai.prompt.id", semconv.PROMPT_NAME, "gen_ai.prompt.version", "gen_ai.prompt.label"})
_KEPT_ENDINGS = (".role", ".finish_reason", ".type", ".tool_call_id", ".id", ".mime_type")
_OF_MESSAGES = frozenset(
    {"content", "tool.result", "message", "tool_calls", "body", "gen_ai.event.content", "event_body", "parts"}
)


@lru_cache(maxsize=4096)
def is_content(name: str, event: str = "") -> bool:
    """Tell whether an attribute holds what was said.

    Args:
        name: the attribute's.
        event: the name of the span event that has it, if it is not the span's own.
    """
    if event and name in _OF_MESSAGES and event in MESSAGE_EVENTS:
        return True
    if name in _SAID or name in _OURS:
        return True
    if name.startswith(_BEGINNINGS):
        return name not in _KEPT and not name.endswith(_KEPT_ENDINGS)
    return False
