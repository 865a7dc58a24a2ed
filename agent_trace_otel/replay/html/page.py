"""A session -> one HTML file: the page's own code, and the session as data that can't become code.

Comes in: a Session and its index. Goes out: pieces of text, streamed: details come first, as they are read, since a
session's results may be larger than memory wants; the rows that point to them come last. Called by the export command.

Data stands in script elements of a type that no browser runs, as ASCII JSON whose ``<``, ``>`` and ``&`` are escaped,
so no text can end the element (HTML standard, "Restrictions for contents of script elements"). The page's policy allows
the scripts and the style written here, by hash, and nothing else: no network, no evaluation, no attribute handlers, no
HTML made of strings (Content Security Policy level 3, Trusted Types).
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import datetime, timezone
from hashlib import sha256
from html import escape as escape_html
from importlib.resources import files
from itertools import chain

from agent_trace_otel import __version__
from agent_trace_otel.replay.html.event_rows import event_rows
from agent_trace_otel.replay.html.order import end_frames, in_order
from agent_trace_otel.replay.html.readable import readable, readable_text
from agent_trace_otel.replay.html.rows import LATEST
from agent_trace_otel.replay.html.same_calls import folded
from agent_trace_otel.replay.html.span_rows import span_rows
from agent_trace_otel.replay.listing import summary
from agent_trace_otel.replay.notes import notes
from agent_trace_otel.replay.recorded_spans import SpansFile
from agent_trace_otel.replay.text import state_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from agent_trace_otel.replay.html.rows import Row
    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import Session

SCRIPTS = ("elements.js", "session.js", "filter.js", "time.js", "list.js", "overview.js", "detail.js", "app.js")
COLUMNS = (
    "key",
    "depth",
    "kind",
    "name",
    "summary",
    "start",
    "duration",
    "outcome",
    "failed",
    "tokens",
    "cost",
    "place",
)
_BLOCK = 1 << 18  # characters of details that a browser reads at once
_PLACEHOLDER = re.compile(r"@([a-z]+)@")
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def page(session: Session, index: SessionIndex) -> Iterator[str]:
    """Yield the pieces of the page; the session must have been counted (`Session.recount`)."""
    style, scripts = asset("style.css"), [asset(name) for name in SCRIPTS]
    head, _, foot = asset("page.html").partition("@data@")
    name = readable_text(f"{session.agent_name or 'session'} {session.session_id}")
    values = {
        "policy": policy(style, scripts),
        "title": escape_html(name),
        "version": __version__,
        "style": style,
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    yield _filled(head, values)
    spans = SpansFile(session.spans_path)
    rows: list[Row] = []
    yield from _details(index, spans, rows.append)
    ordered = in_order(folded(rows))
    if session.state == "ended":
        end_frames(ordered)
    origin = min((row.start for row in ordered), default=0)
    yield _data("rows", {"columns": COLUMNS, "rows": [_columns(row, origin) for row in ordered]})
    yield _data("session", readable(_facts(session, index, spans, ordered, origin)))
    yield _filled(foot, values)


def policy(style: str, scripts: list[str]) -> str:
    """Return the page's Content Security Policy."""
    allowed = " ".join(map(_source, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_source(style)}; img-src data:; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def asset(name: str) -> str:
    """Return a file of the page as it is written in the package."""
    return (files("agent_trace_otel.replay.html") / "assets" / name).read_text(encoding="utf-8")


def _details(index: SessionIndex, spans: SpansFile, add: Callable[[Row], None]) -> Iterator[str]:
    """Yield the elements that hold details, and hand over the rows that point to them."""
    known: set[str] = set()
    block: list[str] = []
    number = size = 0
    for row, detail in chain(span_rows(spans), event_rows(index, known)):
        known.add(row.key)
        row.place = (number, len(block))
        add(row)
        block.append(_json(detail))
        size += len(block[-1])
        if size >= _BLOCK:
            yield _element("details", f"[{','.join(block)}]")
            block.clear()
            number, size = number + 1, 0
    yield _element("details", f"[{','.join(block)}]")


def _facts(session: Session, index: SessionIndex, spans: SpansFile, rows: list[Row], origin: int) -> dict[str, Any]:
    """Return what the page says above the rows."""
    of_models = sum(row.cost for row in rows if row.kind == "model")
    remarks = list(notes(session, index))
    if spans.unreadable:
        remarks.append(f"left out {spans.unreadable} unreadable lines or spans of spans.jsonl")
    return {
        **summary(session),
        "state_line": "" if session.state == "ended" else state_line(session),
        "cost": of_models or sum(row.cost for row in rows if row.kind == "session"),
        "origin": datetime.fromtimestamp(origin / 1e9, tz=timezone.utc).isoformat(timespec="milliseconds"),
        "duration": (_latest(session, index, rows) - origin) / 1e6,
        "notes": remarks,
    }


def _latest(session: Session, index: SessionIndex, rows: list[Row]) -> int:
    """Return how far the recording goes, in unix nanoseconds: open calls are drawn up to there."""
    seconds = [session.ended_at or 0.0, index.timestamps[index.order[-1]] if len(index) else 0.0]
    if session.state == "running":
        seconds.append(session.started_at + session.duration_ms / 1000)
    return max([int(min(max(seconds), LATEST) * 1e9), *(row.end or row.start for row in rows)])


def _columns(row: Row, origin: int) -> list[Any]:
    """Return a row's values in the order of COLUMNS; start and duration in milliseconds."""
    duration = None if row.end is None else _milliseconds(row.end - row.start)
    return [
        readable_text(row.key),
        row.depth,
        row.kind,
        row.name,
        row.summary,
        _milliseconds(row.start - origin),
        duration,
        readable_text(row.outcome),
        int(row.failed),
        row.tokens,
        row.cost,
        row.place,
    ]


def _milliseconds(nanoseconds: int) -> float:
    return round(nanoseconds / 1e6, 3)


def _data(name: str, value: object) -> str:
    return _element(name, _json(value))


def _element(name: str, text: str) -> str:
    return f'<script type="application/json" class="{name}">{text}</script>\n'


def _json(value: object) -> str:
    return _encode(value).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _filled(template: str, values: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def _source(text: str) -> str:
    """Return what allows an inline element of this text (Content Security Policy level 3, "hash-source")."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
