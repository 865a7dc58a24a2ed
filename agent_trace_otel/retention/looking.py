"""A trace directory -> what deciding wants to know of each session. Called by the prune command; changes nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from agent_trace_otel.delivery.standing import standings
from agent_trace_otel.errors import StoreError
from agent_trace_otel.retention.deciding import Kept
from agent_trace_otel.retention.removing import snapshot
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session

_WRITTEN = ("events.ndjson", "spans.jsonl", "meta.json")


def look_at(folder: str, targets: Sequence[str], untold: frozenset[str] = frozenset()) -> Kept | None:
    """Return what is known of a session folder, None if nothing in it is a session's.

    Args:
        folder: the session folder.
        targets: names of back ends that the session is to be sent to, beside those that it has a ledger for.
        untold: ids of sessions that the recorder of hooks has more to tell of.
    """
    try:
        before = snapshot(folder)  # first of all: what comes while we look is noticed
    except OSError:
        return None
    times = list(_times(folder))
    if not times:
        return None
    session = Session(folder)
    if session.ended_at is None:
        # what can't be read is not known to be over
        with contextlib.suppress(StoreError, OSError), SessionIndex(session.events_path) as index:
            session.recount(index)
    standing = standings(folder, targets)
    return Kept(
        folder,
        session.state,
        last=session.ended_at or max(times),
        written=max(times),
        bytes=bytes_in(folder),
        undelivered={name: one.undelivered for name, one in standing.items() if one.undelivered},
        targets=tuple(standing),
        snapshot=before,
        is_untold=session.session_id in untold,
    )


def bytes_in(folder: str) -> int:
    """Return the size of a folder's files, however deep; links are not followed."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_size
    return total


def _times(folder: str) -> Iterator[float]:
    for name in _WRITTEN:
        with contextlib.suppress(OSError):
            yield os.lstat(os.path.join(folder, name)).st_mtime
