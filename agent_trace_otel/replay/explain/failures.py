"""Calls -> what failed, and what followed until it worked.

Comes in: the tool calls of a session. Goes out: dicts in order of time. Pure; called by `facts`.

Tries belong together when one agent made them with one tool for one target (`Call.like`): the same file, the same
command, the same program of tests. The first of them that goes well, begun after the last failure was known, is what
worked; it may be the same call again or one like it, and which of the two is said.
"""

from __future__ import annotations

from bisect import bisect_right

from agent_trace_otel.replay.activities import EDITING
from agent_trace_otel.replay.explain.course import counted_tools
from agent_trace_otel.replay.tool_calls import OK
from agent_trace_otel.store.lines import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent_trace_otel.replay.tool_calls import Call, ToolCalls

_EDITS = 3  # named of those between a failure and what worked
_FOLLOWED = 200  # calls after a failure whose tools are told


def failures(calls: ToolCalls) -> list[dict[str, Any]]:
    """Return what failed: ``tries`` and their errors, then ``worked`` or ``next``, and what came ``between``."""
    found = [*_of_calls(calls), *_of_models(calls), *_of_nothing(calls)]
    return sorted(found, key=lambda failure: failure["offset_ms"])


def _of_calls(calls: ToolCalls) -> Iterator[dict[str, Any]]:
    by_lane: dict[str, list[Call]] = {}
    for call in calls.all:
        by_lane.setdefault(call.lane, []).append(call)
    for own in by_lane.values():
        waiting: dict[str, list[int]] = {}  # places in `own` of the tries that failed, by target
        for at, call in enumerate(own):
            tries = waiting.get(call.like)
            if call.has_failed:
                waiting.setdefault(call.like, []).append(at)
            elif call.outcome == OK and tries and call.offset >= own[tries[-1]].end_offset:
                yield _failure(calls, own, waiting.pop(call.like), at)
        for tries in waiting.values():
            yield _failure(calls, own, tries, None)


def _failure(calls: ToolCalls, own: list[Call], tries: list[int], worked: int | None) -> dict[str, Any]:
    first, last = own[tries[0]], own[tries[-1]]
    end = tries[-1] + 1 if worked is None else worked
    between = [own[at] for at in range(tries[0] + 1, min(end, tries[0] + _FOLLOWED)) if at not in tries]
    edits = [call for call in between if call.activity == EDITING]
    found: dict[str, Any] = {
        "kind": "tool",
        **calls.told(first),
        "tries": [_error(calls, own[at].end) for at in tries],
        "between": {
            **(calls.reference((edits or between)[0].ordinal) if between else {}),
            "calls": end - tries[0] - len(tries),
            "tools": counted_tools(between),
            "edits": list(dict.fromkeys(call.title for call in edits))[:_EDITS],
        },
        "worked": None,
        "next": None,
    }
    if worked is not None:
        success = own[worked]
        found["worked"] = {
            **calls.reference(success.end),
            "title": success.title,
            "same_arguments": success.key == last.key,
            "after_ms": round((success.end_offset - first.end_offset) * 1000, 3),
        }
    elif tries[-1] + 1 < len(own):
        found["next"] = calls.told(own[tries[-1] + 1])
    return found


def _of_models(calls: ToolCalls) -> Iterator[dict[str, Any]]:
    """Yield failed model calls; one that goes well after them is what worked."""
    index = calls.index
    tries: dict[str, list[int]] = {}
    for ordinal in index.order:
        event_type = index.event_types[ordinal]
        if event_type not in ("error", "llm_response") or (event_type == "llm_response" and not tries):
            continue
        partner = index.partners[ordinal]
        if event_type == "error" and (partner < 0 or index.event_types[partner] != "llm_request"):
            continue
        agent = text_of(index.data(ordinal), "agent")
        if event_type == "error":
            tries.setdefault(agent, []).append(ordinal)
        elif agent in tries:
            yield _model_failure(calls, agent, tries.pop(agent), ordinal)
    for agent, failed in tries.items():
        yield _model_failure(calls, agent, failed, None)


def _model_failure(calls: ToolCalls, agent: str, tries: list[int], worked: int | None) -> dict[str, Any]:
    index = calls.index
    model = text_of(index.data(tries[0]), "model")
    title = f"model {model}" if model else "model call"
    found = _bare("model", calls.reference(index.partners[tries[0]]), title, agent)
    found["tries"] = [_error(calls, ordinal) for ordinal in tries]
    if worked is not None:
        after = (index.timestamps[worked] - index.timestamps[tries[0]]) * 1000
        answered = {"title": title, "same_arguments": None, "after_ms": round(after, 3)}
        found["worked"] = {**calls.reference(worked), **answered}
    return found


def _of_nothing(calls: ToolCalls) -> Iterator[dict[str, Any]]:
    """Yield errors that close no call, as some writers log them, and the call that came next."""
    index = calls.index
    offsets = [call.offset for call in calls.all]
    for ordinal in index.of_type("error"):
        if index.partners[ordinal] >= 0:
            continue
        data = index.data(ordinal)
        title = text_of(data, "tool_name") or text_of(data, "model") or "error"
        found = _bare("error", calls.reference(ordinal), title, text_of(data, "agent"))
        found["tries"] = [_error(calls, ordinal)]
        after = bisect_right(offsets, calls.offset(ordinal))
        found["next"] = calls.told(calls.all[after]) if after < len(calls.all) else None
        yield found


def _bare(kind: str, place: dict[str, Any], title: str, agent: str) -> dict[str, Any]:
    """Return a failure of which only the beginning is known."""
    known: dict[str, Any] = {"kind": kind, **place, "title": title, "agent": agent or None, "tries": []}
    return {**known, "between": {"calls": 0, "tools": [], "edits": []}, "worked": None, "next": None}


def _error(calls: ToolCalls, ordinal: int) -> dict[str, Any]:
    data = calls.index.data(ordinal)
    message = text_of(data, "message") or text_of(data, "error") or text_of(data, "result")
    return {
        **calls.reference(ordinal),
        "outcome": text_of(data, "outcome") or "error",
        "message": calls.relative(message),
    }
