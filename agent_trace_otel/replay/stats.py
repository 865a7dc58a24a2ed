"""One session's figures: per tool, per model, in all.

Comes in: a Session and its index. Goes out: a dict, as JSON or as a table. Called by the stats command.

Percentiles are nearest-rank: the value that so many per cent of the calls don't exceed, always one that was measured.
"""

from __future__ import annotations

from array import array
from math import ceil

from agent_trace_otel.replay.durations import milliseconds
from agent_trace_otel.replay.listing import summary
from agent_trace_otel.replay.terminal import one_line
from agent_trace_otel.replay.text import SYMBOLS, state_line
from agent_trace_otel.store.lines import tokens_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import Session

_NAME_WIDTH = 30
_TOOL_COLUMNS = (
    ("CALLS", "calls", 6),
    ("ERRORS", "errors", 6),
    ("OPEN", "open", 4),
    ("P50", "p50_ms", 8),
    ("P95", "p95_ms", 8),
    ("MAX", "max_ms", 8),
    ("TOTAL", "total_ms", 9),
)
_MODEL_COLUMNS = (
    ("CALLS", "calls", 6),
    ("ERRORS", "errors", 6),
    ("P50", "p50_ms", 8),
    ("P95", "p95_ms", 8),
    ("INPUT", "input_tokens", 10),
    ("OUTPUT", "output_tokens", 10),
    ("TOKENS", "total_tokens", 10),
)


class Calls:
    """The calls of one tool or model."""

    __slots__ = ("calls", "durations", "errors", "input_tokens", "open", "output_tokens", "total_tokens")

    def __init__(self) -> None:
        self.calls = self.errors = self.open = 0
        self.input_tokens = self.output_tokens = self.total_tokens = 0
        self.durations = array("d")

    def figures(self) -> dict[str, Any]:
        """Return counts and times; the times in milliseconds, None where no call has ended."""
        ordered = sorted(self.durations)
        return {
            "calls": self.calls,
            "errors": self.errors,
            "open": self.open,
            "p50_ms": percentile(ordered, 50),
            "p95_ms": percentile(ordered, 95),
            "max_ms": ordered[-1] if ordered else None,
            "total_ms": sum(ordered),
        }


def figures(session: Session, index: SessionIndex) -> dict[str, Any]:
    """Return the figures of a session: ``session``, ``events``, ``tools``, ``models``, ``skipped``; busiest first."""
    tools: dict[str, Calls] = {}
    models: dict[str, Calls] = {}
    types, partners = index.event_types, index.partners
    for ordinal, event_type in enumerate(types):
        if event_type == "tool_call":
            name = index.tool_names[ordinal] or index.tool_name(ordinal) or "?"
            called = tools.get(name) or tools.setdefault(name, Calls())
        elif event_type == "llm_request":
            model = index.data(ordinal).get("model")
            name = model if isinstance(model, str) and model else "?"
            called = models.get(name) or models.setdefault(name, Calls())
        elif event_type == "llm_response" and partners[ordinal] < 0:
            # without its request, as some writers log it, only the tokens are known
            _add_tokens(models.setdefault("?", Calls()), index.data(ordinal))
            continue
        else:
            continue
        called.calls += 1
        end = partners[ordinal]
        if end < 0:
            called.open += 1
            continue
        called.errors += types[end] == "error"
        called.durations.append(index.duration_ms(end) or 0.0)
        if types[end] == "llm_response":
            _add_tokens(called, index.data(end))
    return {
        "session": summary(session),
        "events": {name: types.count(name) for name in [*SYMBOLS, *sorted(set(types) - set(SYMBOLS))]},
        "tools": [{"name": name, **called.figures()} for name, called in _busiest(tools)],
        "models": [
            {
                "name": name,
                **called.figures(),
                "input_tokens": called.input_tokens,
                "output_tokens": called.output_tokens,
                "total_tokens": called.total_tokens,
            }
            for name, called in _busiest(models)
        ],
        "skipped": skipped(index),
    }


def table(session: Session, found: dict[str, Any], *, width: int, colour: bool) -> Iterator[str]:
    """Yield the lines that show figures."""
    bold, dim, reset = ("\033[1m", "\033[2m", "\033[0m") if colour else ("", "", "")
    state = "" if session.state == "ended" else f", {state_line(session)}"
    agent = f" {session.agent_name}" if session.agent_name else ""
    yield f"{bold}{one_line(f'{session.session_id}{agent}', width)}{reset}\n"
    yield (
        f"{session.duration_ms / 1000:.2f}s, {_counted(session.tool_calls, 'tool call')}, "
        f"{_counted(session.llm_requests, 'LLM call')}, {_counted(session.errors, 'error')}, "
        f"{session.total_tokens:,} tokens{state}\n"
    )
    for heading, rows, columns in (("TOOL", found["tools"], _TOOL_COLUMNS), ("MODEL", found["models"], _MODEL_COLUMNS)):
        if not rows:
            continue
        names = [one_line(row["name"], _NAME_WIDTH) for row in rows]
        room = max(len(heading), *map(len, names))
        titles = "".join(f" {title:>{size}}" for title, _, size in columns)
        yield f"\n{dim}{heading:<{room}}{titles}{reset}\n"
        for name, row in zip(names, rows, strict=True):
            cells = "".join(f" {_shown(key, row[key]):>{size}}" for _, key, size in columns)
            yield f"{name:<{room}}{cells}\n"


def skipped(index: SessionIndex) -> dict[str, int]:
    """Return how many lines were left out, and why: the keys ``torn``, ``unreadable``, ``repeated``."""
    return {"torn": index.torn, "unreadable": index.unreadable, "repeated": index.repeated}


def percentile(ordered: list[float], per_cent: int) -> float | None:
    """Return the nearest-rank percentile of ascending values, None of none."""
    return ordered[max(0, ceil(per_cent / 100 * len(ordered)) - 1)] if ordered else None


def _add_tokens(calls: Calls, data: dict[str, Any]) -> None:
    calls.input_tokens += tokens_of(data, "input_tokens")
    calls.output_tokens += tokens_of(data, "output_tokens")
    calls.total_tokens += tokens_of(data)


def _busiest(calls: dict[str, Calls]) -> Iterable[tuple[str, Calls]]:
    return sorted(calls.items(), key=lambda item: (-item[1].calls, item[0]))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _shown(key: str, value: float | None) -> str:
    if value is None or (key == "open" and not value):
        return ""
    return milliseconds(value) if key.endswith("_ms") else f"{value:,}"
