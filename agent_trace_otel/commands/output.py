"""What commands write and say: text in blocks, through a pager, one line on stderr.

Called by the other modules of this room, each of which has commands of one kind.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from typing import Any

    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import Session

_BLOCK = 1 << 16  # characters in one write


def session_of(arguments: argparse.Namespace) -> Session:
    """Return the session that the arguments name."""
    from agent_trace_otel.store.reader import find_session, find_trace_dir

    return find_session(find_trace_dir(arguments.trace_dir), arguments.session)


def say_notes(session: Session, index: SessionIndex) -> None:
    """Say on stderr what a reader should know of a folder."""
    from agent_trace_otel.replay.notes import notes

    sys.stdout.flush()
    for note in notes(session, index):
        say(note)


def write_json(found: dict[str, Any]) -> None:
    """Write JSON for people and scripts."""
    import json

    write(json.dumps(found, indent=2) + "\n")


def write(text: str | Iterable[str], path: str | None = None) -> None:
    """Write text, or pieces of it, in blocks: to a file, or to stdout when there is no path or it is ``-``."""
    pieces = (text,) if isinstance(text, str) else text
    if path not in (None, "-"):
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
        return
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            sys.stdout.write("".join(waiting))
            waiting.clear()
            size = 0
    sys.stdout.write("".join(waiting))


def write_at_once(pieces: Iterable[str]) -> None:
    """Write pieces when they come, for whoever watches."""
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()


def say(message: str) -> None:
    """Write one line to stderr."""
    from agent_trace_otel.replay.terminal import one_line

    sys.stderr.write(f"agent-trace: {one_line(message, None)}\n")


def paged(*, is_wanted: bool) -> AbstractContextManager[object]:
    """Return a context in which stdout goes to a pager, if it is a terminal and there is more than a screen."""
    from contextlib import nullcontext

    if not is_wanted or not sys.stdout.isatty():
        return nullcontext()
    from agent_trace_otel.replay.pager import Paged

    return Paged(sys.stdout)
