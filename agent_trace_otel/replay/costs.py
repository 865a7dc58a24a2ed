"""What model calls cost, in US dollars: as the recorder told, else by the prices of the extra ``cost``.

Comes in: the ``data`` of llm_response and session_end events. Goes out: amounts, and how they are written. Called by
`stats`, `stats_table` and `listing`.

A client's own count of a session may hold more than its calls explain: calls that no transcript shows cost as well.
"""

from __future__ import annotations

from agent_trace_otel.store.lines import is_number, text_of, tokens_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DIGITS = 9  # of a dollar; prices are given per million tokens
_SMALLEST = 0.00005  # as rounded to four digits
_NS = 1_000_000_000


class SessionCost:
    """What is known of a session's cost.

    ``calls`` and ``own`` are US dollars, None if no call, or no run of the session, has said anything. ``unpriced`` is
    the number of calls that used tokens and have no price. ``untold`` is the number of runs that have not said what
    they cost.
    """

    __slots__ = ("calls", "own", "unpriced", "untold")

    def __init__(self) -> None:
        self.calls: float | None = None
        self.own: float | None = None
        self.unpriced = 0
        self.untold = 0

    def add_call(self, usd: float | None) -> None:
        """Count a call that used tokens."""
        if usd is None:
            self.unpriced += 1
        else:
            self.calls = (self.calls or 0.0) + usd

    def add_start(self) -> None:
        """Count a run that begins."""
        self.untold += 1

    def add_end(self, data: dict[str, Any]) -> None:
        """Count the end of a run: its session_end's data."""
        usd = recorded(data)
        if usd is not None:
            self.own = (self.own or 0.0) + usd
            self.untold -= 1

    @property
    def total(self) -> float | None:
        """The session's cost as far as it is known: its own count where every run told it, else at least its calls'."""
        if self.own is None or self.calls is None:
            return self.calls if self.own is None else self.own
        return max(self.own, self.calls) if self.untold > 0 else self.own

    def figures(self) -> dict[str, Any]:
        """Return the amounts in US dollars; what is unexplained only where every run told its cost."""
        unexplained = None
        if self.own is not None and self.untold <= 0:
            unexplained = round(max(0.0, self.own - (self.calls or 0.0)), _DIGITS)
        return {
            "session_usd": rounded(self.own),
            "calls_usd": rounded(self.calls),
            "unexplained_usd": unexplained,
            "unpriced_calls": self.unpriced,
        }


def recorded(data: dict[str, Any]) -> float | None:
    """Return the cost that an event tells itself."""
    usd = data.get("cost_usd")
    return float(usd) if is_number(usd) and usd >= 0 else None


def of_call(data: dict[str, Any], at: float) -> float | None:
    """Return what a model call cost, None if it has no known price.

    Args:
        data: an llm_response's.
        at: its time in unix seconds: prices change.
    """
    usd = recorded(data)
    model = text_of(data, "model")
    if usd is not None or not model:
        return usd
    given, output = tokens_of(data, "input_tokens"), tokens_of(data, "output_tokens")
    if not given and not output:
        return None
    from agent_trace_otel import prices

    read, written = tokens_of(data, "cached_tokens"), tokens_of(data, "cache_write_tokens")
    # gen_ai.usage.input_tokens holds the cached ones too (GenAI conventions); some instrumentations leave them out
    fresh = given - read - written if given >= read + written else given
    usage = {"input": fresh, "cache_read": read, "cache_creation": written, "output": output}
    return prices.cost_usd(text_of(data, "provider"), model, usage, at_ns=int(at * _NS))


def hint(cost: dict[str, Any]) -> str | None:
    """Return one line that says how to get the prices that `SessionCost.figures` lacks, None where that is no help."""
    if not cost["unpriced_calls"]:
        return None
    from agent_trace_otel import prices

    return prices.missing_hint()


def rounded(usd: float | None) -> float | None:
    """Return an amount without what adding up made of it."""
    return None if usd is None else round(usd, _DIGITS)


def dollars(usd: float) -> str:
    """Return an amount as people read it: ``$12.34``, below a dollar ``$0.0254``."""
    if 0 < usd < _SMALLEST:
        return "<$0.0001"
    return f"${usd:,.2f}" if usd >= 1 - _SMALLEST else f"${usd:.4f}"
