"""The final answer -> what it rests on: where its words stand in what the agent had seen, and what was tested.

Comes in: the tool calls of a session. Goes out: a dict. Pure; called by `facts`.

Of an answer, the words that can be checked are looked for: what it sets in backquotes, numbers of two digits or more,
paths and names with "_", "." or "/" in them. Each is looked for backwards from the answer, so the latest event that has
it is named. A word that no event has is said to be in none: that is what the record shows, not that it is wrong.
"""

from __future__ import annotations

import re

from agent_trace_otel.replay.activities import EDITING, TESTING
from agent_trace_otel.replay.tool_calls import OK
from agent_trace_otel.store.lines import as_text, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent_trace_otel.replay.tool_calls import Call, ToolCalls
    from agent_trace_otel.store.index import SessionIndex

_MOST_WORDS = 20
_LONGEST_ANSWER = 20_000  # characters that are read
_LOOKED_AT = 5000  # events
_CUT = "… [cut: "  # how the recorder marks a value that is not whole
_CHECKABLE = re.compile(
    r"`([^`\n]{2,80})`"
    r"|(?<![\w./-])(\d[\d,]*\.?\d+[a-zA-Z%]{0,3}|[\w-]*[A-Za-z_][\w-]*(?:[./_][\w-]+)+(?:\.\w+)*)(?![\w/])"
)


def answer(calls: ToolCalls) -> dict[str, Any] | None:
    """Return the last response of the main agent with what it ``rests_on``; None when there is none."""
    index = calls.index
    found = _last_response(index)
    if found is None:
        return None
    place, text = found
    offset = calls.offset(index.order[place])
    before = [call for call in calls.all if call.offset <= offset]
    return {
        **calls.reference(index.order[place]),
        "text": text,
        **_sources(calls, before, place, _words(text)),
        **_tested(calls, before),
    }


def _last_response(index: SessionIndex) -> tuple[int, str] | None:
    """Return its place in the order of time and its text; of model calls alone, the last thing a model said."""
    for event_type, key in (("assistant_response", "text"), ("llm_response", "content_preview")):
        for place in range(len(index) - 1, -1, -1):
            if index.event_types[index.order[place]] == event_type:
                data = index.data(index.order[place])
                if text_of(data, key) and not data.get("agent"):
                    return place, text_of(data, key)
    return None


def _words(text: str) -> list[str]:
    found = (match[1] or match[2] for match in _CHECKABLE.finditer(text[:_LONGEST_ANSWER]))
    return list(dict.fromkeys(word.strip().removesuffix("()") for word in found if word.strip()))[:_MOST_WORDS]


def _sources(calls: ToolCalls, before: list[Call], place: int, words: list[str]) -> dict[str, Any]:
    index = calls.index
    titles = {ordinal: call.title for call in before for ordinal in (call.ordinal, call.end)}
    patterns = {word: re.compile(rf"(?<!\w){re.escape(word)}(?!\w)") for word in words}
    rests_on: list[dict[str, Any]] = []
    is_cut = False
    for at in range(place - 1, max(-1, place - 1 - _LOOKED_AT), -1):
        if not patterns:
            break
        ordinal = index.order[at]
        text = _seen(index, ordinal)
        is_cut = is_cut or _CUT in text
        here = [word for word, pattern in patterns.items() if word in text and pattern.search(text)]
        if here:
            title = titles.get(ordinal, "prompt")
            rests_on.append({**calls.reference(ordinal), "words": here, "title": title, "in": _WHERE[_type(index, at)]})
            for word in here:
                del patterns[word]
    return {
        "rests_on": rests_on,
        "in_no_event": list(patterns),
        "looked_at": min(place, _LOOKED_AT),
        "values_are_cut": is_cut,
    }


def _type(index: SessionIndex, place: int) -> str:
    return index.event_types[index.order[place]]


def _seen(index: SessionIndex, ordinal: int) -> str:
    """Return what an event told the model, or what the model asked for: results, errors, arguments, prompts."""
    if index.event_types[ordinal] not in _WHERE:
        return ""
    data = index.data(ordinal)
    return "\n".join(as_text(data[key]) for key in ("result", "message", "arguments", "prompt") if data.get(key))


def _tested(calls: ToolCalls, before: list[Call]) -> dict[str, Any]:
    """Return the last edit and the last run of tests, and whether the tests came after it."""
    edited = next((call for call in reversed(before) if call.activity == EDITING and call.outcome == OK), None)
    tested = next((call for call in reversed(before) if call.activity == TESTING), None)
    is_after = tested is not None and (edited is None or tested.offset >= edited.end_offset)
    return {
        "last_edit": edited and calls.told(edited),
        "last_test": tested
        and {
            **calls.told(tested),
            **calls.reference(tested.ordinal if tested.end < 0 else tested.end),
            "outcome": tested.outcome,
            "is_after_last_edit": is_after,
        },
    }


_WHERE = {"tool_result": "result", "error": "error", "tool_call": "arguments", "user_prompt": "prompt"}
