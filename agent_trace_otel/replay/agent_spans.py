"""spans.jsonl -> who started which agent.

Comes in: the path of a spans.jsonl. Goes out: the parent's span id by the span id of each agent in it. Called by
`nesting`, in sessions that have sub-agents.
"""

from __future__ import annotations

from agent_trace_otel.semconv import INVOKE_AGENT
from agent_trace_otel.store.index import open_regular
from agent_trace_otel.store.lines import is_list, is_object, read_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_MARK = INVOKE_AGENT.encode("ascii")


def agent_parents(path: str) -> dict[str, str]:
    """Return the parents of a file's agents; empty when it can't be read, since a replay can do without.

    Only lines that name the operation are parsed: a file is mostly what tools and models said.
    """
    found: dict[str, str] = {}
    try:
        with open_regular(path) as file:
            for line in file:
                if _MARK in line:
                    for span in _spans(read_event(line)):
                        span_id, parent = span.get("spanId"), span.get("parentSpanId")
                        if isinstance(span_id, str) and isinstance(parent, str):
                            found[span_id] = parent
    except OSError:
        pass
    return found


def _spans(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the spans of an ExportTraceServiceRequest in OTLP's JSON."""
    for resource in _objects(request, "resourceSpans"):
        for scope in _objects(resource, "scopeSpans"):
            yield from _objects(scope, "spans")


def _objects(values: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    members = values.get(name)
    return filter(is_object, members if is_list(members) else ())
