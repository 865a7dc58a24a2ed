"""A session as data for other programs: json, csv, ndjson, and the document of `agent-trace inspect`.

Comes in: a Session and its index. Goes out: pieces of text, streamed, in order of time. Called by the export and
inspect commands.
"""

from __future__ import annotations

import json

from agent_trace_otel.replay.listing import summary
from agent_trace_otel.replay.stats import figures
from agent_trace_otel.replay.terminal import escape
from agent_trace_otel.store.lines import is_object, read_event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import Session

CSV_COLUMNS = ("timestamp", "event_type", "event_id", "parent_id", "duration_ms", "name", "text", "data")
# a spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_BLOCK = 1 << 16  # characters
_TEXTS = ("prompt", "text", "message", "content_preview", "result", "reason", "uri", "error")
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def events_as_ndjson(index: SessionIndex) -> Iterator[str]:
    """Yield the events as JSON lines."""
    return (_json(index, ordinal) + "\n" for ordinal in index.order)


def events_as_json(index: SessionIndex) -> Iterator[str]:
    """Yield the pieces of one JSON array of events."""
    return _array(index, "")


def document(session: Session, index: SessionIndex) -> Iterator[str]:
    """Yield the pieces of one JSON object: what is known of a session, its open calls, its figures, its events.

    Figures are those of `stats.figures`: tools, models, cost, files, retries, loops, and what was skipped.
    """
    found = figures(session, index)
    head: dict[str, Any] = {
        **summary(session),
        "folder": session.folder,
        "meta_problem": session.meta_problem or None,
        "counts": {event_type: index.count(event_type) for event_type in dict.fromkeys(index.event_types)},
        "open_calls": [index.event(ordinal) for ordinal in index.order if index.is_open(ordinal)],
        **{name: value for name, value in found.items() if name not in {"session", "events"}},
    }
    yield json.dumps(head, indent=2)[: -len("\n}")] + ',\n  "events": '
    yield from _array(index, "  ")
    yield "}\n"


def events_as_csv(index: SessionIndex) -> Iterator[str]:
    """Yield one row an event, a heading first; cells that a spreadsheet would take for formulas begin with ``'``."""
    import csv
    import io

    rows = io.StringIO()
    write = csv.writer(rows, lineterminator="\r\n").writerow  # RFC 4180
    write(CSV_COLUMNS)
    for ordinal in index.order:
        event = index.event(ordinal)
        found = event.get("data")
        data = found if is_object(found) else {}
        duration = index.duration_ms(ordinal)
        name = index.tool_name(ordinal) or data.get("model") or data.get("choice") or data.get("agent_name")
        write(
            (
                repr(index.timestamps[ordinal]),
                _cell(index.event_types[ordinal]),
                _cell(event.get("event_id")),
                _cell(event.get("parent_id")),
                "" if duration is None else f"{max(0.0, duration):.3f}",
                _cell(name),
                _cell(next((data[key] for key in _TEXTS if data.get(key)), None)),
                _encode(data),  # begins with a brace, and is ASCII
            )
        )
        if rows.tell() >= _BLOCK:
            yield rows.getvalue()
            rows.seek(0)
            rows.truncate()
    yield rows.getvalue()


def _array(index: SessionIndex, indent: str) -> Iterator[str]:
    yield "["
    before = "\n"
    for ordinal in index.order:
        yield f"{before}{indent}  {_json(index, ordinal)}"
        before = ",\n"
    yield f"\n{indent}]\n"


def _json(index: SessionIndex, ordinal: int) -> str:
    """Return an event as JSON text: its line if that is what we would write, else written anew."""
    line = index.line(ordinal)
    event = read_event(line)
    if line.isascii() and event and b"NaN" not in line and b"Infinity" not in line:
        text = line.decode("ascii")
        if text.isprintable():
            return text
    return _encode(event)


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else _encode(value)
    if not text.isprintable():
        text = "\n".join(escape(line) for line in text.split("\n"))
    return "'" + text if text.startswith(_FORMULA_STARTS) else text
