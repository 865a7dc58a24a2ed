"""spans.jsonl -> which span stands under which.

Comes in: the path of a spans.jsonl. Goes out: the parent's span id by span id. Called by `nesting`, in sessions in
which an event names a span that has no event of its own: a sub-agent, a child process, what another instrumentation
made.
"""

from __future__ import annotations

import re

from agent_trace_otel.store.index import open_regular
from agent_trace_otel.store.lines import read_event
from agent_trace_otel.store.requests import spans_of

# as spans_file writes a span; what is quoted in a value has a backslash before each quote
_find_ids = re.compile(rb'"spanId":"([0-9a-f]{16})","parentSpanId":"([0-9a-f]{16})"').findall
_NAMES_PARENT = b'"parentSpanId":"'


def span_parents(path: str) -> dict[str, str]:
    """Return the parents of a file's spans; empty when it can't be read, since a replay can do without.

    Lines that are written as ours are not parsed: a file is mostly what tools and models said.
    """
    found: dict[str, str] = {}
    try:
        with open_regular(path) as file:
            for line in file:
                pairs = _find_ids(line)
                if len(pairs) == line.count(_NAMES_PARENT):
                    found.update((span.decode(), parent.decode()) for span, parent in pairs)
                    continue
                for span in spans_of(read_event(line)):
                    span_id, parent = span.get("spanId"), span.get("parentSpanId")
                    if isinstance(span_id, str) and isinstance(parent, str):
                        found[span_id] = parent
    except OSError:
        pass
    return found
