"""A session -> its story in facts: course, failures, repeated calls, open calls, and what the answer rests on.

Comes in: a Session and its index. Goes out: one dict, for JSON as it is and for `lines`. Called by the explain
command. Nothing is guessed and no model is asked: each fact names the event that it was read from.
"""

from __future__ import annotations

from agent_trace_otel.replay.costs import SessionCost, recorded, rounded
from agent_trace_otel.replay.explain.answer import answer
from agent_trace_otel.replay.explain.course import course
from agent_trace_otel.replay.explain.failures import failures
from agent_trace_otel.replay.explain.repeated import repeated_calls
from agent_trace_otel.replay.listing import summary
from agent_trace_otel.replay.stats import skipped
from agent_trace_otel.replay.tool_calls import OPEN, ToolCalls
from agent_trace_otel.replay.working_directory import working_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import Session


def explanation(session: Session, index: SessionIndex) -> dict[str, Any]:
    """Return the facts of a session.

    Members: ``session``, ``cost_usd`` (as recorded), ``last_offset_ms``, ``course``, ``failures``, ``repeated``,
    ``open``, ``answer``, ``skipped``. Times are milliseconds, offsets those since the session's first event.
    """
    calls = ToolCalls(index, working_directory(session))
    return {
        "session": summary(session),
        "cost_usd": _recorded_cost(index),
        "last_offset_ms": calls.last_offset_ms,
        "course": course(calls),
        "failures": failures(calls),
        "repeated": repeated_calls(calls),
        "open": [calls.told(call) for call in calls.all if call.outcome == OPEN],
        "answer": answer(calls),
        "skipped": skipped(index),
    }


def _recorded_cost(index: SessionIndex) -> float | None:
    """Return what the session cost in US dollars, None where its events don't say: no price is looked up."""
    cost = SessionCost()
    for ordinal in index.of_type("session_start", "llm_response", "session_end"):
        if index.event_types[ordinal] == "session_start":
            cost.add_start()
        elif index.event_types[ordinal] == "session_end":
            cost.add_end(index.data(ordinal))
        else:
            cost.add_call(recorded(index.data(ordinal)))
    return rounded(cost.total)
