"""One session's figures: per tool, per model, in all; what it cost, which files it touched, which calls came again.

Comes in: a Session and its index. Goes out: a dict, as `agent-trace stats --json` and inspect write it. Called by the
stats command and `tables`; `stats_table` shows it.

Percentiles are nearest-rank: the value that so many per cent of the calls don't exceed, always one that was measured.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from math import ceil

from agent_trace_otel.replay import costs
from agent_trace_otel.replay.file_touches import FileTouches
from agent_trace_otel.replay.listing import summary
from agent_trace_otel.replay.repeats import Repeats
from agent_trace_otel.replay.text import SYMBOLS
from agent_trace_otel.store.lines import read_data, text_of, tokens_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeVar

    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import Session

    _C = TypeVar("_C", bound="Calls")

_UNKNOWN = "?"
_ASKED = re.compile(rb'\{"event_type":"llm_request",.{,300}"data":\{"method":"[^"\\]*","model":"([^"\\]*)"').match
_COUNTED = frozenset({"tool_call", "llm_request", "llm_response", "session_start", "session_end"})
_TOKENS = (
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_tokens",
)


class Calls:
    """The calls of one tool."""

    __slots__ = ("calls", "durations", "errors", "open")

    def __init__(self) -> None:
        self.calls = self.errors = self.open = 0
        self.durations = array("d")

    def add(self, index: SessionIndex, ordinal: int) -> None:
        """Count a call by its opening event."""
        self.calls += 1
        end = index.partners[ordinal]
        if end < 0:
            self.open += 1
            return
        self.errors += index.event_types[end] == "error"
        self.durations.append(index.duration_ms(end) or 0.0)

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


class ModelCalls(Calls):
    """The calls of one model; input tokens include those from and to a cache, output tokens those of reasoning."""

    __slots__ = ("cost", "tokens", "unpriced")

    def __init__(self) -> None:
        super().__init__()
        self.tokens = dict.fromkeys(_TOKENS, 0)
        self.cost: float | None = None
        self.unpriced = 0

    def add_response(self, data: dict[str, Any], at: float, cost: costs.SessionCost) -> None:
        """Count what a response used and cost, here and for the session."""
        if not tokens_of(data) and not tokens_of(data, "input_tokens"):
            return
        for name in _TOKENS:
            self.tokens[name] += tokens_of(data, name)
        usd = costs.of_call(data, at)
        cost.add_call(usd)
        if usd is None:
            self.unpriced += 1
        else:
            self.cost = (self.cost or 0.0) + usd

    def figures(self) -> dict[str, Any]:
        """Return counts, times, tokens and US dollars; None dollars where no call's price is known."""
        dollars = {"cost_usd": costs.rounded(self.cost), "unpriced_calls": self.unpriced}
        return {**super().figures(), **self.tokens, **dollars}


def figures(session: Session, index: SessionIndex) -> dict[str, Any]:
    """Return the figures of a session.

    Members: ``session``, ``events`` by type, ``tools`` and ``models`` (busiest first), ``cost``
    (`SessionCost.figures`), ``files`` (`FileTouches.rows`), ``retries`` and ``loops`` (`Repeats`), ``skipped``.
    """
    tools: dict[str, Calls] = {}
    models: dict[str, ModelCalls] = {}
    files, repeats, cost = FileTouches(index), Repeats(index), costs.SessionCost()
    types, partners = index.event_types, index.partners
    asked: dict[int, str] = {}  # by ordinal of a request, the model's name
    ordinals = [ordinal for ordinal, event_type in enumerate(types) if event_type in _COUNTED]
    for ordinal, line in zip(ordinals, index.lines(ordinals), strict=True):
        event_type, partner = types[ordinal], partners[ordinal]
        if event_type == "tool_call":
            name = index.tool_names[ordinal] or index.tool_name(ordinal) or _UNKNOWN
            (tools.get(name) or tools.setdefault(name, Calls())).add(index, ordinal)
            files.add_call(ordinal, name, line)
            repeats.add_call(ordinal, line)
        elif event_type == "llm_request":
            asked[ordinal] = name = _model_asked(line)
            if name or partner < 0 or types[partner] != "llm_response":  # else its response may know better
                _calls_of(models, name).add(index, ordinal)
        elif event_type == "llm_response":
            data = read_data(line)
            # of several writers, the one that responds may be the faster; some log no request at all
            name = asked.get(partner) or (_model_asked(index.line(partner)) if partner > ordinal else "")
            called = _calls_of(models, name or text_of(data, "model"))
            if partner >= 0 and not name:
                called.add(index, partner)
            called.add_response(data, index.timestamps[ordinal], cost)
        elif event_type == "session_start":
            cost.add_start()
        else:
            cost.add_end(read_data(line))
    counts = Counter(types)
    return {
        "session": summary(session),
        "events": {name: counts[name] for name in [*SYMBOLS, *sorted(counts.keys() - SYMBOLS.keys())]},
        "tools": [{"name": name, **called.figures()} for name, called in _busiest(tools)],
        "models": [{"name": name, **called.figures()} for name, called in _busiest(models)],
        "cost": cost.figures(),
        "files": files.rows(),
        "retries": repeats.retries(),
        "loops": repeats.loops(),
        "skipped": skipped(index),
    }


def skipped(index: SessionIndex) -> dict[str, int]:
    """Return how many lines were left out, and why: the keys ``torn``, ``unreadable``, ``repeated``."""
    return {"torn": index.torn, "unreadable": index.unreadable, "repeated": index.repeated}


def percentile(ordered: list[float], per_cent: int) -> float | None:
    """Return the nearest-rank percentile of ascending values, None of none."""
    return ordered[max(0, ceil(per_cent / 100 * len(ordered)) - 1)] if ordered else None


def _model_asked(line: bytes) -> str:
    asked = _ASKED(line)  # our own lines need no parsing
    return text_of(read_data(line), "model") if asked is None else asked[1].decode("utf-8", "replace")


def _calls_of(models: dict[str, ModelCalls], name: str) -> ModelCalls:
    name = name or _UNKNOWN
    return models.get(name) or models.setdefault(name, ModelCalls())


def _busiest(calls: dict[str, _C]) -> Iterable[tuple[str, _C]]:
    return sorted(calls.items(), key=lambda item: (-item[1].calls, item[0]))
