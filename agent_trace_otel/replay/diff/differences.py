"""Two sessions -> how they differ: where they first part, calls only in one, other arguments, results and figures.

Comes in: two Sessions and their indexes. Goes out: one dict, for JSON as it is and for `lines`. Called by the diff
command.

Calls are the same if tool, arguments and sub-agent's name are, paths taken from each session's own directory. What is
left then is paired by its target (the same file, the same command's line), then by tool and activity: those are calls
with other arguments. Calls of a sub-agent are compared with each other, after those of the main agent, since what runs
side by side comes in any order.
"""

from __future__ import annotations

from itertools import zip_longest

from agent_trace_otel.replay import stats
from agent_trace_otel.replay.diff.alignment import aligned, refined
from agent_trace_otel.replay.tool_calls import OPEN, ToolCalls
from agent_trace_otel.replay.working_directory import working_directory
from agent_trace_otel.store.lines import as_text, is_object, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent_trace_otel.replay.tool_calls import Call
    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import Session

SAME, ONLY_A, ONLY_B = "same", "only_a", "only_b"
ORDER, ARGUMENTS, OUTCOME, RESULT = "order", "arguments", "outcome", "result"
KINDS = (ONLY_A, ONLY_B, ARGUMENTS, OUTCOME, RESULT, ORDER)
_LINE_WIDTH = 300  # characters of a result's line
_SHOWN_BEFORE = 16  # characters before the first that differs
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "total_tokens")


class Side:
    """One of the two sessions."""

    def __init__(self, session: Session, index: SessionIndex) -> None:
        self.calls = ToolCalls(index, working_directory(session))
        self.figures = stats.figures(session, index)
        lanes: dict[str, int] = {"": -1}
        for call in self.calls.all:
            lanes.setdefault(call.lane, call.ordinal)
        self.row = sorted(self.calls.all, key=lambda call: lanes[call.lane])

    def said(self, event_type: str, key: str) -> Iterator[dict[str, Any]]:
        """Yield the prompts or answers, in order of time, without a client's own notifications."""
        index = self.calls.index
        for ordinal in index.order:
            if index.event_types[ordinal] == event_type:
                data = index.data(ordinal)
                if not data.get("source"):
                    yield {**self.calls.reference(ordinal), "text": self.calls.relative(text_of(data, key))}


def comparison(a: Side, b: Side) -> dict[str, Any]:
    """Return how two sessions differ.

    Members: ``a`` and ``b`` (what is known of each), ``figures`` side by side, ``prompts`` and ``answers`` (the first
    pair that differs, None when none does), ``calls`` (how many of each kind), ``first_apart`` (the first difference;
    ``same_before`` is how many calls were the same before it), ``differences`` in order. Kinds: `KINDS`.
    """
    same, found = _differences(a, b)
    counts = dict.fromkeys(KINDS, 0)
    for difference in found:
        counts[difference["kind"]] += 1
    return {
        "a": {**a.figures["session"], "last_offset_ms": a.calls.last_offset_ms},
        "b": {**b.figures["session"], "last_offset_ms": b.calls.last_offset_ms},
        "figures": list(_figures(a.figures, b.figures)),
        "prompts": _first_other(list(a.said("user_prompt", "prompt")), list(b.said("user_prompt", "prompt"))),
        "calls": {SAME: same, **counts},
        "first_apart": found[0] if found else None,
        "differences": found,
        "answers": _first_other(
            list(a.said("assistant_response", "text"))[-1:], list(b.said("assistant_response", "text"))[-1:]
        ),
    }


def _differences(a: Side, b: Side) -> tuple[int, list[dict[str, Any]]]:
    """Return how many calls are the same, and the differences, each with how many were the same before it."""
    same = 0
    found: list[dict[str, Any]] = []
    for one, other, is_in_order in _paired(a.row, b.row):
        if one is None or other is None:
            kind, results = (ONLY_B if one is None else ONLY_A), ("", "")
        else:
            kind, results = _kind(a, b, one, other)
            if kind == SAME and is_in_order:
                same += 1
                continue
        told = {"a": one and _told(a, one, results[0]), "b": other and _told(b, other, results[1])}
        names = _other_arguments(a, b, one, other) if one and other and kind == ARGUMENTS else []
        found.append(
            {
                "kind": ORDER if kind == SAME else kind,
                **told,
                "arguments": names,
                "is_in_order": is_in_order,
                "same_before": same,
            }
        )
    return same, found


def _paired(a: list[Call], b: list[Call]) -> Iterator[tuple[Call | None, Call | None, bool]]:
    """Yield calls of both that belong together, those of one alone with None, and whether they stand in order."""
    pairs = aligned([_key(call) for call in a], [_key(call) for call in b])
    moved = _moved(a, b, pairs)
    moved_to = set(moved.values())
    for key in (_target, _tool):
        # what was found elsewhere is like nothing here
        keys_of_a = [n if n in moved else key(call) for n, call in enumerate(a)]
        keys_of_b = [-n - 1 if n in moved_to else key(call) for n, call in enumerate(b)]
        pairs = sorted([*pairs, *refined(pairs, keys_of_a, keys_of_b)])
    x = y = 0
    for to_x, to_y in [*pairs, (len(a), len(b))]:
        for n in range(x, to_x):
            yield a[n], b[moved[n]] if n in moved else None, False
        for n in range(y, to_y):
            if n not in moved_to:
                yield None, b[n], False
        if to_x < len(a):
            yield a[to_x], b[to_y], True
        x, y = to_x + 1, to_y + 1


def _moved(a: list[Call], b: list[Call], pairs: list[tuple[int, int]]) -> dict[int, int]:
    """Return the places of equal calls that stand in another order, those in ``b`` by those in ``a``."""
    in_a, in_b = {x for x, _ in pairs}, {y for _, y in pairs}
    waiting: dict[object, list[int]] = {}
    for n in range(len(b) - 1, -1, -1):
        if n not in in_b:
            waiting.setdefault(_key(b[n]), []).append(n)
    return {n: waiting[key].pop() for n, call in enumerate(a) if n not in in_a and waiting.get(key := _key(call))}


def _kind(a: Side, b: Side, one: Call, other: Call) -> tuple[str, tuple[str, str]]:
    """Return what differs of two calls that belong together, and the lines at which their results do."""
    results = a.calls.result(one), b.calls.result(other)
    lines = _first_other_lines(*results) if results[0] != results[1] else ("", "")
    if one.key != other.key:
        return ARGUMENTS, lines
    if one.outcome != other.outcome:
        return OUTCOME, lines
    return (SAME if results[0] == results[1] else RESULT), lines


def _told(side: Side, call: Call, result: str) -> dict[str, Any]:
    end = side.calls.reference(call.end) if call.outcome != OPEN else None
    known = {"outcome": call.outcome, "duration_ms": call.duration_ms, "end": end, "result": result}
    return {**side.calls.told(call), **known}


def _other_arguments(a: Side, b: Side, one: Call, other: Call) -> list[str]:
    """Return the names of the arguments that differ."""
    of_a, of_b = _arguments(a, one), _arguments(b, other)
    return [name for name in dict.fromkeys([*of_a, *of_b]) if of_a.get(name) != of_b.get(name)]


def _arguments(side: Side, call: Call) -> dict[str, str]:
    given = side.calls.index.data(call.ordinal).get("arguments")
    return {key: side.calls.relative(as_text(value)) for key, value in given.items()} if is_object(given) else {}


def _first_other_lines(a: str, b: str) -> tuple[str, str]:
    """Return the first lines at which two texts differ, from shortly before that on; "" for one that ends before."""
    of_a, of_b = a.splitlines(), b.splitlines()
    at = next((n for n, (x, y) in enumerate(zip(of_a, of_b, strict=False)) if x != y), min(len(of_a), len(of_b)))
    one, other = (rows[at] if at < len(rows) else "" for rows in (of_a, of_b))
    apart = next((n for n, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), min(len(one), len(other)))
    start = apart - _SHOWN_BEFORE
    if start <= _SHOWN_BEFORE:
        return one[:_LINE_WIDTH], other[:_LINE_WIDTH]
    return f"…{one[start:][:_LINE_WIDTH]}", f"…{other[start:][:_LINE_WIDTH]}"


def _first_other(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the first of two rows of texts that differ, None for a row that has ended."""
    for one, other in zip_longest(a, b):
        if (one and one["text"]) != (other and other["text"]):
            return {"a": one, "b": other}
    return None


def _figures(a: dict[str, Any], b: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield name, a, b and the difference of each figure: milliseconds, counts, US dollars; None where unknown."""
    for (name, one), other in zip(_measured(a).items(), _measured(b).values(), strict=True):
        difference = None if one is None or other is None else round(other - one, 9)
        yield {"name": name, "a": one, "b": other, "difference": difference}


def _measured(figures: dict[str, Any]) -> dict[str, float | None]:
    session, cost = figures["session"], figures["cost"]
    known = [usd for usd in (cost["session_usd"], cost["calls_usd"]) if usd is not None]
    return {
        "duration_ms": session["duration_ms"],
        "tool_calls": session["tool_calls"],
        "tools_ms": sum(tool["total_ms"] for tool in figures["tools"]),
        "errors": session["errors"],
        "llm_requests": session["llm_requests"],
        "llm_ms": sum(model["total_ms"] for model in figures["models"]),
        **{name: sum(model[name] for model in figures["models"]) for name in _TOKENS},
        "cost_usd": cost["session_usd"] if cost["unexplained_usd"] is not None else max(known, default=None),
    }


def _key(call: Call) -> tuple[str, bytes]:
    return call.agent, call.key


def _target(call: Call) -> tuple[str, str]:
    return call.agent, call.title


def _tool(call: Call) -> tuple[str, str, str]:
    return call.agent, call.name, call.activity
