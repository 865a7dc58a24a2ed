"""Calls -> the course of a session: prompts, decisions, and phases of calls that do the same.

Comes in: the tool calls of a session. Goes out: dicts in order of time. Pure; called by `facts`.

A phase is a run of calls of one agent with one activity (`activities`). A few calls that neither change nor prove
anything, between two runs of one activity, belong to it: looking something up between two edits is editing. A person's
prompt begins a new phase of the main agent. Sub-agents work side by side, so each name has phases of its own.
"""

from __future__ import annotations

from itertools import groupby

from agent_trace_otel.replay.activities import PASSING
from agent_trace_otel.replay.tool_calls import OPEN
from agent_trace_otel.store.lines import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from agent_trace_otel.replay.tool_calls import Call, ToolCalls
    from agent_trace_otel.store.index import SessionIndex

_PASSED_OVER = 4  # calls at most that belong to the phase around them
TITLES = 6  # told of a phase; one more says that there are more


def course(calls: ToolCalls) -> list[dict[str, Any]]:
    """Return prompts, decisions, resumptions and phases; ``kind`` is "prompt", "decision", "resumed" or an activity."""
    points: list[dict[str, Any]] = [
        {"kind": kind, "text": calls.relative(text), **calls.reference(ordinal)}
        for ordinal, kind, text in _points(calls.index)
    ]
    prompts = [point["offset_ms"] / 1000 for point in points if point["kind"] == "prompt"]
    found: list[dict[str, Any]] = []
    for agent in dict.fromkeys(call.agent for call in calls.all):
        own = [call for call in calls.all if call.agent == agent]
        found += [_phase(calls, phase) for phase in _phases(own, prompts if not agent else [])]
    return sorted([*points, *found], key=lambda item: item["offset_ms"])


def counted_tools(calls: Iterable[Call]) -> list[dict[str, Any]]:
    """Return ``name`` and ``calls`` of each tool, the most called first."""
    counts: dict[str, int] = {}
    for call in calls:
        counts[call.name] = counts.get(call.name, 0) + 1
    return [{"name": name, "calls": count} for name, count in sorted(counts.items(), key=lambda one: -one[1])]


def _points(index: SessionIndex) -> Iterator[tuple[int, str, str]]:
    """Yield ordinal, kind and text of what lies between the calls."""
    runs = 0
    for ordinal in index.order:
        event_type = index.event_types[ordinal]
        if event_type == "user_prompt":
            data = index.data(ordinal)
            if not data.get("source"):  # a notification of the client's own is no person's wish
                yield ordinal, "prompt", text_of(data, "prompt")
        elif event_type == "decision":
            yield ordinal, "decision", text_of(index.data(ordinal), "choice")
        elif event_type == "session_start":
            runs += 1
            if runs > 1:
                yield ordinal, "resumed", text_of(index.data(ordinal), "agent_name")


def _phases(calls: list[Call], prompts: list[float]) -> Iterator[list[Call]]:
    """Yield the calls of each phase; ``prompts`` are the offsets at which a new one begins whatever it does."""
    turn = 0
    stretch: list[Call] = []
    for call in calls:
        if turn < len(prompts) and call.offset >= prompts[turn]:
            yield from _runs(stretch)
            stretch = []
        while turn < len(prompts) and call.offset >= prompts[turn]:
            turn += 1
        stretch.append(call)
    yield from _runs(stretch)


def _runs(calls: list[Call]) -> list[list[Call]]:
    """Return runs of one activity each, which the first call of a run has."""
    runs: list[list[Call]] = []
    for activity, group in groupby(calls, lambda call: call.activity):
        run, passed = list(group), 0
        for at in range(len(runs) - 1, -1, -1):
            if runs[at][0].activity == activity:
                run = [*sum(runs[at + 1 :], runs[at]), *run]
                del runs[at:]
                break
            passed += len(runs[at])
            if runs[at][0].activity not in PASSING or passed > _PASSED_OVER:
                break
        runs.append(run)
    return runs


def _phase(calls: ToolCalls, phase: list[Call]) -> dict[str, Any]:
    ends = max(call.end_offset for call in phase)
    return {
        "kind": phase[0].activity,
        **calls.reference(phase[0].ordinal),
        "agent": phase[0].agent or None,
        "calls": len(phase),
        "failed": sum(call.has_failed for call in phase),
        "open": sum(call.outcome == OPEN for call in phase),
        "duration_ms": round((ends - phase[0].offset) * 1000, 3),
        "tools": counted_tools(phase),
        "titles": _titles(phase),
    }


def _titles(calls: list[Call]) -> list[str]:
    """Return what was called, each once; of a tool called again with another target the target alone."""
    told: list[str] = []
    before = ""
    for call in {call.title: call for call in calls}.values():
        told.append(call.title.removeprefix(f"{before} ") if before == call.name else call.title)
        before = call.name
        if len(told) > TITLES:
            break
    return told
