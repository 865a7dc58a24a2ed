"""One line of spans.jsonl, read for who is in it: span ids, parents, and whether they were sampled.

Comes in: a line as bytes, whole or torn. Goes out: a `SpanHead` for each of its spans. Called by whoever has to know
which spans a folder holds and not what they say: the ledger, and what closes lost sessions.

Lines that we write hold one span and have its head in front of everything a user chose, so it is matched; other lines
are parsed.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NamedTuple

    class SpanHead(NamedTuple):
        """Who a span is; ids are numbers, 0 for no parent."""

        span_id: int
        parent_id: int
        flags: int
        """SpanFlags of trace.proto: W3C trace flags in the low byte."""
        trace_id: bytes
        """32 hex digits."""

else:
    from collections import namedtuple  # typing takes longer to load than the rest of this file

    SpanHead = namedtuple("SpanHead", "span_id parent_id flags trace_id")  # noqa: PYI024

SAMPLED = 1
IS_REMOTE = 0x200
_LINE_START = b'{"resourceSpans":'
_END = b"}]}\n"
_SPAN_ID = b'"spanId":'
# In JSON text a quote inside a string is escaped, so the first member of "spans" can't be met within a value.
_search = re.compile(
    rb'"spans":\[\{"traceId":"([0-9a-f]{32})","spanId":"([0-9a-f]{16})"(?:,"traceState":"(?:[^"\\]|\\.)*")?'
    rb'(?:,"parentSpanId":"([0-9a-f]{16})")?,"flags":([0-9]+),'
).search


def heads_in(line: bytes) -> list[SpanHead]:
    """Return the spans of one line; a torn or foreign line has those that can be read, perhaps none."""
    found = _search(line)
    if found is not None and line.endswith(_END) and line.count(_SPAN_ID) == 1 and line.rfind(_LINE_START) == 0:
        trace_id, span_id, parent_id, flags = found.groups()
        return [SpanHead(int(span_id, 16), int(parent_id or b"0", 16), int(flags), trace_id)]
    if not line or line.isspace():
        return []
    start = line.rfind(_LINE_START, 1)  # half a line may have another process's behind it
    return _read(line) or (_read(line[start:]) if start > 0 else [])


def _read(text: bytes) -> list[SpanHead]:
    try:
        return list(_parsed(json.loads(text)))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return []


def is_sampled(head: SpanHead) -> bool:
    """Tell whether a span is one of those that are sent."""
    return bool(head.flags & SAMPLED)


def _parsed(request: Any) -> Iterator[SpanHead]:  # noqa: ANN401 - JSON
    for resource in request["resourceSpans"]:
        for scope in resource.get("scopeSpans") or ():
            for span in scope.get("spans") or ():
                # OTLP's flags are optional, and a producer that leaves them out has sampled what it wrote
                flags = int(span["flags"]) if span.get("flags") is not None else SAMPLED
                trace_id = str(span.get("traceId") or "").lower().encode()
                yield SpanHead(int(span["spanId"], 16), int(span.get("parentSpanId") or "0", 16), flags, trace_id)
