"""Sessions and a wish -> which of them go, and why the others stay. Pure; called by the prune command.

A session that is open, or that holds what a back end has not acknowledged, stays unless the latter is waived. Age is
counted from the end of a session, or from the last time that anything was written to it. Of what is too much, the
oldest goes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

SILENCE: Final = 24 * 3600.0
"""Seconds after which a session counts as over that nobody ends by name, or that ran on another host."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A session as it was found."""

    folder: str
    state: str
    """ended, running, crashed or unknown, as `store.reader.Session` has it."""
    last: float
    """Unix seconds of its end, or of the last write."""
    written: float
    """Unix seconds of the last write."""
    bytes: int
    undelivered: Mapping[str, int] = field(default_factory=dict[str, int])
    """Back ends that have not acknowledged everything -> how many spans."""
    targets: tuple[str, ...] = ()
    """All back ends that it is or was to be sent to."""
    snapshot: frozenset[tuple[str, int, int, int]] = frozenset()
    """What tells whether anything is written to it from then on, see `removing.snapshot`."""
    is_untold: bool = False
    """Whether the recorder of hooks has more to tell of it."""

    @property
    def session_id(self) -> str:
        """Its id, the folder's name."""
        return self.folder.rpartition("/")[2].rpartition("\\")[2]


@dataclass(frozen=True, slots=True)
class Wish:
    """What may go; at least one limit is given."""

    older_than: float | None = None
    """Seconds."""
    max_bytes: int | None = None
    undelivered_too: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one session."""

    session: Kept
    goes: bool
    why: str
    """Why it goes; or why it stays although it is among those that should go."""
    is_about_delivery: bool = False
    """Whether it would go if undelivered spans didn't count."""


def decide(sessions: Sequence[Kept], wish: Wish, now: float) -> list[Verdict]:
    """Return a verdict on each session that a limit asks to go, oldest first.

    Args:
        sessions: all there are.
        wish: the limits.
        now: unix seconds that ages are counted to.
    """
    left = sum(session.bytes for session in sessions)
    verdicts: list[Verdict] = []
    for session in sorted(sessions, key=lambda one: (one.last, one.session_id)):
        is_old = wish.older_than is not None and now - session.last > wish.older_than
        is_much = wish.max_bytes is not None and left > wish.max_bytes
        if not is_old and not is_much:
            continue
        stays = why_it_stays(session, wish, now)
        if stays:
            waived = not why_it_stays(session, replace(wish, undelivered_too=True), now)
            verdicts.append(Verdict(session, goes=False, why=stays, is_about_delivery=waived))
        else:
            left -= session.bytes
            verdicts.append(Verdict(session, goes=True, why="too old" if is_old else "too much"))
    return verdicts


def why_it_stays(session: Kept, wish: Wish, now: float) -> str:
    """Return why a session may not go, empty if it may."""
    if session.state == "running":
        return "it is running"
    if session.is_untold:
        return "the recorder has more to tell of it"
    if session.state == "unknown" and now - session.written < SILENCE:
        return "nobody has ended it, and it was written to within a day"
    if wish.undelivered_too:
        return ""
    waiting = [f"{count:,} to {target}" for target, count in session.undelivered.items() if count]
    if waiting:
        return f"undelivered spans: {', '.join(waiting)}"
    if session.state == "crashed" and session.targets:
        return "it crashed, and ship has not told a back end of its end"
    return ""
