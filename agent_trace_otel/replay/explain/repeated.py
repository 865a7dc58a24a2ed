"""Calls -> those that were made again with the same arguments, and what had changed meanwhile.

Comes in: the tool calls of a session. Goes out: dicts, the most repeated first. Pure; called by `facts`.
"""

from __future__ import annotations

from bisect import bisect_left
from hashlib import sha256

from agent_trace_otel.replay.activities import EDITING
from agent_trace_otel.replay.tool_calls import OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent_trace_otel.replay.tool_calls import Call, ToolCalls


def repeated_calls(calls: ToolCalls) -> list[dict[str, Any]]:
    """Return the calls made more than once: how often, how each ended, how many results there were.

    ``edits_between`` counts the edits that went well between the first and the last of them.
    """
    by_key: dict[bytes, list[int]] = {}
    for at, call in enumerate(calls.all):
        by_key.setdefault(call.key, []).append(at)
    edits = [at for at, call in enumerate(calls.all) if call.activity == EDITING and call.outcome == OK]
    found: list[dict[str, Any]] = []
    for places in by_key.values():
        if len(places) > 1:
            between = bisect_left(edits, places[-1]) - bisect_left(edits, places[0] + 1)
            found.append(_repeated(calls, [calls.all[at] for at in places], between))
    return sorted(found, key=lambda repeated: -repeated["calls"])


def _repeated(calls: ToolCalls, same: list[Call], edits_between: int) -> dict[str, Any]:
    return {
        **calls.told(same[0]),
        "calls": len(same),
        "outcomes": [call.outcome for call in same],
        "results": len({sha256(calls.result(call).encode("utf-8", "replace")).digest() for call in same}),
        "edits_between": edits_between,
        "last": calls.reference(same[-1].ordinal),
    }
