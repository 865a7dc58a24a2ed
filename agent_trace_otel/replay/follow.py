"""A session that runs -> its events as they come, like ``strace -p``.

Comes in: what the user said (--trace-dir, an id), or a session. Goes out: the session to follow, once there is one, and
its ordinals until it is over. Called by the replay command.

Looking ten times a second costs nothing that can be measured and works on every file system; what wakes on file events
differs by system and sees nothing on a network's.
"""

from __future__ import annotations

import os
import time

from agent_trace_otel.errors import SessionNotFoundError
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import find_session, find_trace_dir, session_folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent_trace_otel.store.reader import Session

_POLL = 0.1  # seconds
_BETWEEN_STATES = 1.0  # seconds between looks at whether the process lives
_GRACE = 2.0  # seconds in which a recorder that outlives the process may still write
_SHARE = 10  # of its time, looking takes at most one part in so many


def session_to_follow(
    trace_dir: str | None,
    wanted: str | None,
    say: Callable[[str], object],
    *,
    sleep: Callable[[float], object] = time.sleep,
) -> Session:
    """Return the session that an id names, or without one the newest that runs; wait for it if there is none yet.

    Args:
        trace_dir: as `find_trace_dir` takes it; it may not exist yet.
        wanted: an id or its first characters.
        say: is told once, if there is nothing to follow yet.
        sleep: waits a number of seconds.

    Raises:
        SessionNotFoundError: more than one session answers to the id.
        StoreError: the trace directory or the session folder can't be read.
    """
    has_said = False
    while True:
        began = time.monotonic()
        session = _candidate(trace_dir, wanted)
        if session is not None:
            return session
        if not has_said:
            say(f"waiting for a session{f' {wanted}' if wanted else ''} to begin")
            has_said = True
        sleep(max(_POLL, _SHARE * (time.monotonic() - began)))


def followed(session: Session, index: SessionIndex, *, sleep: Callable[[float], object] = time.sleep) -> Iterator[int]:
    """Yield the ordinals of a session's events: those there are by time, then others as they come.

    Ends when the session has ended, or when its process is gone and nothing more is written.

    Args:
        session: its state is kept up to date.
        index: one that grows.
        sleep: waits a number of seconds.

    Raises:
        StoreError: the file can't be read.
    """
    yield from index.order
    ends = index.count("session_end")
    session.update_state(index)
    looked = heard = time.monotonic()
    while not _is_over(session, time.monotonic() - heard):
        fresh = index.read_on()
        now = time.monotonic()
        if fresh:
            heard = now
            yield from sorted(fresh, key=index.timestamps.__getitem__)
        else:
            sleep(_POLL)
        if index.count("session_end") != ends or now - looked >= _BETWEEN_STATES:
            ends, looked = index.count("session_end"), now
            session.update_state(index)


def _is_over(session: Session, silent_for: float) -> bool:
    if session.state == "crashed":
        return silent_for >= _GRACE
    # what says nothing of its process is over when meta.json says so
    return session.state == "ended" or (session.state == "unknown" and session.ended_at is not None)


def _candidate(trace_dir: str | None, wanted: str | None) -> Session | None:
    wanted = wanted and wanted.rstrip("…")
    try:
        found = find_trace_dir(trace_dir)
    except SessionNotFoundError:
        return None
    if not any(os.path.basename(folder).startswith(wanted or "") for folder in session_folders(found)[0]):
        return None
    session = find_session(found, wanted)
    if wanted or session.ended_at is not None:
        return session if wanted else None
    with SessionIndex(session.events_path) as index:
        session.update_state(index)
    # a folder is made before its first event is written
    return session if session.state in ("running", "unknown") else None
