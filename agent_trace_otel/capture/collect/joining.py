"""A trace's folder -> the folder of the conversation that the trace turns out to be part of.

Called by `sessions`: the spans of a trace end, and so arrive, before the span of the agent around them, which alone may
name the conversation. Until then the trace is a session by itself.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from agent_trace_otel.store.folder import EVENTS, META, SPANS, SessionFolder
from agent_trace_otel.store.written import objects_in, written_in

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_LEDGERS: Final = ("delivered-*.log", "failed-*.log")


def join(source: Path, target: SessionFolder) -> None:
    """Move what a folder holds to another session's; begun anew after a kill, nothing doubles.

    The folder itself stays for `finish`: a back end may just be taking its spans, and that is noted there.

    Raises:
        OSError, StoreError: it can't be moved; the source is still there.
    """
    before = written_in(target.path)
    target.make()
    for event in _events(source, target.path, is_new=not before.events):
        if str(event.get("event_id")) not in before.events:
            target.append_event(_encode(event).encode("ascii") + b"\n")
    for line in _span_lines(source):
        if _span_id(line) not in before.spans:
            target.append_span(line)
    for name in (SPANS, EVENTS, META):
        (source / name).unlink(missing_ok=True)


def finish(source: Path, target: Path) -> None:
    """Move what back ends have acknowledged as well, and remove the folder.

    Raises:
        OSError: it can't be moved; the source is still there.
    """
    for pattern in _LEDGERS:
        for path in source.glob(pattern):
            with (target / path.name).open("ab") as ledger:
                ledger.write(path.read_bytes())
    shutil.rmtree(source)


def _events(source: Path, target: Path, *, is_new: bool) -> Iterator[dict[str, Any]]:
    """Yield the events with the new session's id; a session that has begun already does not begin again."""
    for event in objects_in(source / EVENTS):
        if is_new or event.get("event_type") != "session_start":
            yield {**event, "session_id": target.name}


def _span_lines(source: Path) -> Iterator[bytes]:
    """Yield the lines of spans as they are: a trace's name is no session.id."""
    with suppress(FileNotFoundError), (source / SPANS).open("rb") as lines:
        yield from (line for line in lines if line.endswith(b"\n"))


def _span_id(line: bytes) -> str:
    start = line.find(b'"spanId":"') + len(b'"spanId":"')
    return line[start : start + 16].decode("ascii", "replace")
