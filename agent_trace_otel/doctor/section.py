"""One part of doctor's report: what was found, for people and for programs, and what is wrong with it.

Made by the other modules of this room, put together by `report`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report."""

    title: str
    lines: tuple[tuple[str, str], ...]
    """Label and text."""
    facts: Any
    """The same for programs."""
    problems: tuple[str, ...] = ()
    """What is broken and what to do, a line each."""
    notes: tuple[str, ...] = ()
    """What works, and is worth knowing."""


def counted(number: int, noun: str) -> str:
    """Return a number and its noun in the right form: "1 span", "2 spans"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
