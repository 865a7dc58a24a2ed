"""A session folder -> the directory that the agent worked in.

Comes in: a Session. Goes out: an absolute path, or None. Called by `explain` and `diff`, which show and compare paths
as seen from there: two runs of one task are the same story wherever each had its copy of the project.
"""

from __future__ import annotations

import os

from agent_trace_otel.semconv import PROCESS_WORKING_DIRECTORY, SCOPE, SCOPE_SESSION
from agent_trace_otel.store.index import open_regular
from agent_trace_otel.store.lines import is_object, read_event
from agent_trace_otel.store.reader import DEFAULT_TRACE_DIR
from agent_trace_otel.store.requests import objects, spans_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agent_trace_otel.store.reader import Session

_MARK = f'"{PROCESS_WORKING_DIRECTORY}"'.encode("ascii")
_SHORTEST = 2  # names in a path: "/" and "/home" say nothing of a project


def working_directory(session: Session) -> str | None:
    """Return what the session's span says, else the directory that .agent-traces lies in, None when neither is known.

    A session that was killed has no span yet.
    """
    found = _recorded(session.spans_path)
    if found is None:
        above, name = os.path.split(os.path.dirname(os.path.abspath(session.folder)))
        found = above if name == DEFAULT_TRACE_DIR else ""
    found = found.rstrip("/")
    return found if found.startswith("/") and found.count("/") >= _SHORTEST else None


def _recorded(spans_path: str) -> str | None:
    found: str | None = None
    try:
        with open_regular(spans_path) as file:
            for line in file:
                if _MARK in line:  # a file is mostly what tools and models said
                    for attributes in _attributes(read_event(line)):
                        if attributes.get(SCOPE) == SCOPE_SESSION:
                            found = attributes.get(PROCESS_WORKING_DIRECTORY) or found
    except OSError:
        pass
    return found


def _attributes(request: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Yield the text attributes of each span of a request."""
    for span in spans_of(request):
        pairs = ((pair.get("key"), pair.get("value")) for pair in objects(span, "attributes"))
        texts = ((str(key), value.get("stringValue")) for key, value in pairs if is_object(value))
        yield {key: text for key, text in texts if isinstance(text, str)}
