"""Which model calls are one and the same, told by several instrumentations: what is known while they happen.

Comes in: model calls as their spans end, with the open spans around them. Goes out: the spans that are the same call,
and which of them tells it in the timeline. Called by `processor`. What can't be known here (spans of several processes)
is folded by readers (`store.repeated`).

Two model calls of one trace are one call if they have the same response id, or if one is inside the other and both
have the same model and the same usage, which is not zero; an outer call has at most one such inner one. Inside a model
call that is open, no model call tells anything of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from agent_trace_otel import semconv
from agent_trace_otel.dialects import LEAST_EXACT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent_trace_otel.processor.open_span import OpenSpan
    from agent_trace_otel.store.writer import SessionWriter

K = TypeVar("K")
V = TypeVar("V")

_MAX_KNOWN = 10_000
_MAX_CALLS = 256
_USAGE = (
    semconv.USAGE_INPUT_TOKENS,
    semconv.USAGE_OUTPUT_TOKENS,
    semconv.USAGE_CACHE_READ_INPUT_TOKENS,
    semconv.USAGE_CACHE_WRITE_INPUT_TOKENS,
    semconv.USAGE_REASONING_OUTPUT_TOKENS,
)
_FILLED = (semconv.RESPONSE_ID, semconv.RESPONSE_MODEL, semconv.OUTPUT_MESSAGES, semconv.PROVIDER_NAME, semconv.COST)


@dataclass(slots=True, eq=False)
class ModelCall:
    """One model call that has ended.

    Attributes:
        span_id: its span, in hex.
        models: the names of its model, asked for and answered by.
        usage: input and output tokens, None where nothing is known or nothing was used.
        response_id: empty if not known.
        told: the span that tells it in the timeline; empty if none does.
        writer: whose timeline that is.
        values: what it says, read and clean.
        exactness: whose numbers to believe, the higher the better.
        same: the spans that are the same call.
    """

    span_id: str
    models: frozenset[str]
    usage: tuple[int, int] | None
    response_id: str
    told: str
    writer: SessionWriter | None
    values: Mapping[str, Any]
    exactness: int
    same: list[str] = field(default_factory=list[str])

    def is_inside(self, outer: ModelCall) -> bool:
        """Tell whether it is the same call as one that it happened in."""
        if self.response_id and outer.response_id:
            return self.response_id == outer.response_id
        return self.usage is not None and self.usage == outer.usage and bool(self.models & outer.models)


def model_call(state: OpenSpan, values: Mapping[str, Any], spoken: tuple[str, ...]) -> ModelCall:
    """Return what a span that ends says of its model call."""
    names = (values.get(semconv.REQUEST_MODEL), values.get(semconv.RESPONSE_MODEL))
    used = (values.get(semconv.USAGE_INPUT_TOKENS), values.get(semconv.USAGE_OUTPUT_TOKENS))
    usage = (_number(used[0]), _number(used[1]))
    identity = values.get(semconv.RESPONSE_ID)
    return ModelCall(
        span_id=state.span_id,
        models=frozenset(name for name in names if isinstance(name, str) and name),
        usage=usage if any(usage) else None,
        response_id=identity if isinstance(identity, str) else "",
        told=_teller(state),
        writer=state.writer,
        values=values,
        exactness=2 if not state.is_foreign else 0 if LEAST_EXACT in spoken else 1,
    )


def _teller(state: OpenSpan) -> str:
    """Return the span that tells a call as far as is known: itself, or the model call around it; empty for none."""
    teller: OpenSpan | None = state
    while teller is not None and (teller.muted or teller.kind != "model"):
        teller = teller.above
    return "" if teller is None else teller.span_id


class Folding:
    """What one processor knows of answers that were given already."""

    def __init__(self) -> None:
        self._answers: OrderedDict[tuple[str, str], list[ModelCall]] = OrderedDict()
        self._ended: OrderedDict[str, ModelCall] = OrderedDict()
        self._waiting: OrderedDict[str, list[ModelCall]] = OrderedDict()
        """Calls that ended in spans which nobody has seen begin: an exporter sees the inner span first."""

    def begin(self, state: OpenSpan) -> None:
        """Let a span that begins know of the calls that ended in it already; of a model call they have told all."""
        state.calls = self._waiting.pop(state.span_id, None) if self._waiting else None
        if state.calls and state.kind == "model":
            state.muted = state.muted or any(call.told and call.writer is state.writer for call in state.calls)

    def end(self, state: OpenSpan, call: ModelCall) -> None:
        """Note a model call that ends: what it is the same as, who tells it, and whose numbers are told.

        ``state.muted`` becomes true if another span tells it.
        """
        inner = _distinct(state.calls or [])
        same = {other.span_id: other for other in inner if call.response_id and other.response_id == call.response_id}
        if not same:
            same = {other.span_id: other for other in [one for one in inner if one.is_inside(call)][:1]}
        above = state.above
        while above is not None:  # those that ended before: a stream may outlive the call that made it
            if above.call is not None and call.is_inside(above.call):
                same[above.call.span_id] = above.call
            above = above.above
        outer = self._ended.get(state.parent_id) if state.above is None else None
        if outer is not None and call.is_inside(outer):
            same[outer.span_id] = outer
        known = self._of_answer(state, call)
        for other in known:
            same.setdefault(other.span_id, other)
        call.same = list(dict.fromkeys(span for other in same.values() for span in (other.span_id, *other.same)))
        if not state.muted:
            # what is inside was told before anybody could know that this is a model call
            told = [*same.values(), *(inner if not state.opened else ())]
            call.told = next((other.told for other in told if other.told and other.writer is call.writer), call.told)
            state.muted = call.told != call.span_id
        call.values = _merged(call, list(same.values()), inner)
        remembered = replace(call, values=_numbers(call.values))
        known.append(remembered)
        _remember(self._ended, call.span_id, remembered)
        state.call = call

    def pass_on(self, state: OpenSpan) -> None:
        """Let the span around one that ends know of the model calls in it."""
        above = state.above
        ended = [state.call] if state.call is not None else state.calls
        state.calls = None
        if not ended or (above is not None and above.kind in ("agent", "session") and not above.in_model):
            return  # an agent's doing will not turn out to be a model call, and may go on for days
        if above is not None:
            above.calls = known = above.calls or []
        elif state.parent_id:
            known = self._waiting.get(state.parent_id) or []
            _remember(self._waiting, state.parent_id, known)
        else:
            return
        known += ended[: _MAX_CALLS - len(known)]

    def _of_answer(self, state: OpenSpan, call: ModelCall) -> list[ModelCall]:
        if not call.response_id:
            return []
        key = (state.trace_id, call.response_id)
        known = self._answers.get(key) or []
        _remember(self._answers, key, known)
        return known


def _merged(call: ModelCall, same: list[ModelCall], inner: list[ModelCall]) -> dict[str, Any]:
    """Return what is told of a call: its own words, the most exact numbers, and what only another one knows."""
    values = dict(call.values)
    best = max((other for other in (call, *same) if other.usage), key=_exactness, default=None)
    if best is not None:
        values |= _numbers(best.values)
        call.exactness = best.exactness
    else:
        for name in _USAGE:
            total = sum(_number(other.values.get(name)) for other in inner)
            if total:
                values[name] = total
    for other in same:
        for name in _FILLED:
            if not values.get(name) and other.values.get(name):
                values[name] = other.values[name]
    return values


def _remember(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    if len(known) > _MAX_KNOWN:
        known.popitem(last=False)


def _distinct(calls: list[ModelCall]) -> list[ModelCall]:
    """Return calls without those that a later one names as the same."""
    named = {span for call in calls for span in call.same}
    return [call for call in calls if call.span_id not in named]


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in _USAGE if name in values}


def _exactness(call: ModelCall) -> int:
    return call.exactness


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
