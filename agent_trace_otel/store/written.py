"""What a session folder holds already, by ids: for a story that is told anew after a kill.

Comes in: a folder. Goes out: the ids of its events and spans. Called by `writer`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_trace_otel.store.folder import EVENTS, SPANS


@dataclass(frozen=True, slots=True)
class Written:
    """Ids of lines that are in a folder; a line that repeats one is not written again."""

    events: frozenset[str]
    spans: frozenset[str]
    """In hex."""


def written_in(folder: Path) -> Written:
    """Read the ids in a folder that may not exist; a torn line holds none."""
    return Written(
        events=frozenset(str(event.get("event_id")) for event in objects_in(folder / EVENTS)),
        spans=frozenset(
            str(span.get("spanId"))
            for request in objects_in(folder / SPANS)
            for resource in request.get("resourceSpans", ())
            for scope in resource.get("scopeSpans", ())
            for span in scope.get("spans", ())
        ),
    )


def objects_in(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a file's lines; a missing file has none, a torn line holds none."""
    with contextlib.suppress(OSError), path.open("rb") as lines:
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):
                found = json.loads(line)
                if isinstance(found, dict):
                    yield found
