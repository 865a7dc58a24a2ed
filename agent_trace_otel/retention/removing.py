"""Session folders -> gone, unless they come alive meanwhile. Called by the prune command.

A process may resume a session between the decision and its end. So what a folder held then is compared with what it
holds now, and the folder is renamed: who opens the session from then on makes a new one. After a moment, in which
whoever had it open has written, each is looked at again; one that has changed is put back. Only files of a session are
removed, through a descriptor of the folder, so nothing is followed out of it; a folder that holds anything else stays,
with just that in it.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from agent_trace_otel import open_flags

MARK: Final = ".pruned-"
"""What a folder's name begins with on its way out; no session's does."""
_OURS: Final = re.compile(
    r"events\.ndjson|spans\.jsonl|meta\.json|\.meta\.json\.\d+|(?:delivered|failed)-[A-Za-z0-9.-]+\.log"
)
_META: Final = "meta.json"
_MOMENT: Final = 0.25  # seconds
_ROOM: Final = 116  # characters of an id, which may have 128, beside what is added to it

Snapshot = frozenset[tuple[str, int, int, int]]
"""Name, inode, size and time of every file of a folder."""


@dataclass(slots=True)
class Removed:
    """What became of folders that were to go, by path."""

    gone: list[str] = field(default_factory=list[str])
    alive: list[str] = field(default_factory=list[str])
    """Put back, since they have changed meanwhile."""
    not_empty: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Of the session nothing is left, but these files are somebody else's."""
    failed: dict[str, str] = field(default_factory=dict[str, str])
    """Not removed, and why."""


def remove(folders: Mapping[str, Snapshot], wait: Callable[[float], None] = time.sleep) -> Removed:
    """Remove session folders; never raises for one of them.

    Args:
        folders: their paths, all in one trace directory -> what was in each when it was decided.
        wait: waits so many seconds for whoever has a folder open.
    """
    done = Removed()
    moved: list[tuple[str, str, Snapshot]] = []
    for folder, before in folders.items():
        try:
            aside = _aside(folder)
            if snapshot(folder) != before:
                done.alive.append(folder)
                continue
            os.rename(folder, aside)
            moved.append((folder, aside, before))
        except OSError as error:
            done.failed[folder] = error.strerror or str(error)
    if moved:
        wait(_MOMENT)
    for folder, aside, before in moved:
        try:
            if snapshot(aside) != before:
                put_back(folder, aside)
                done.alive.append(folder)
                continue
            foreign = _empty(aside)
            if foreign:
                put_back(folder, aside)
                done.not_empty[folder] = foreign
            else:
                os.rmdir(aside)
                done.gone.append(folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                put_back(folder, aside)
            done.failed[folder] = error.strerror or str(error)
    return done


def snapshot(folder: str) -> Snapshot:
    """Return what tells whether anything was written to a folder.

    Raises:
        OSError: it can't be read, or is a symbolic link.
    """
    descriptor = os.open(folder, open_flags.DIRECTORY)
    try:
        found = ((name, os.stat(name, dir_fd=descriptor, follow_symlinks=False)) for name in os.listdir(descriptor))
        return frozenset((name, one.st_ino, one.st_size, one.st_mtime_ns) for name, one in found)
    finally:
        os.close(descriptor)


def put_back(folder: str, aside: str) -> str:
    """Give a folder its name back, and return its path.

    Who had the session open may have made a folder for meta.json meanwhile: then both become one. One that holds a
    story of its own stays beside it, as another session.
    """
    trace_dir, session_id = os.path.split(folder)
    place, number = folder, 0
    while os.path.lexists(place):
        if _joined(aside, place):
            return place
        number += 1
        place = os.path.join(trace_dir, f"{session_id[:_ROOM]}.before-{number}")
    os.rename(aside, place)
    return place


def _joined(aside: str, place: str) -> bool:
    """Move everything into a folder that has nothing but meta.json, which is the newer one."""
    try:
        if os.listdir(place) not in ([], [_META]):
            return False
        for name in os.listdir(aside):
            if name != _META or not os.path.lexists(os.path.join(place, name)):
                os.rename(os.path.join(aside, name), os.path.join(place, name))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(aside, _META))
        os.rmdir(aside)
    except OSError:
        return False
    return True


def put_back_left_behind(trace_dir: str) -> list[str]:
    """Give folders their names back that a killed prune had renamed, and return their paths.

    Raises:
        OSError: the trace directory can't be read.
    """
    found: list[str] = []
    for name in sorted(os.listdir(trace_dir)):
        session_id = name.removeprefix(MARK).partition("~")[2]
        aside = os.path.join(trace_dir, name)
        if name.startswith(MARK) and session_id and stat.S_ISDIR(os.lstat(aside).st_mode):
            if _is_at_work(name):
                continue
            found.append(put_back(os.path.join(trace_dir, session_id), aside))
    return found


def _aside(folder: str) -> str:
    trace_dir, session_id = os.path.split(folder)
    return os.path.join(trace_dir, f"{MARK}{os.getpid()}~{session_id}")


def _is_at_work(name: str) -> bool:
    """Tell whether the prune that renamed a folder still runs; a pid that was taken anew delays one time more."""
    pid = name.removeprefix(MARK).partition("~")[0]
    if not pid.isdecimal() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _empty(folder: str) -> list[str]:
    """Remove the files of a session and return the names of what else is there."""
    descriptor = os.open(folder, open_flags.DIRECTORY)
    try:
        foreign: list[str] = []
        ours: list[str] = []
        for name in sorted(os.listdir(descriptor)):
            is_file = stat.S_ISREG(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode)
            (ours if is_file and _OURS.fullmatch(name) else foreign).append(name)
        for name in ours:
            os.unlink(name, dir_fd=descriptor)
        return foreign
    finally:
        os.close(descriptor)
