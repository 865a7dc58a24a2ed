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


def size(number: float) -> str:
    """Return bytes as people read them, decimal: "512 B", "1.5 MB"."""
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1000:  # noqa: PLR2004 - a thousand
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"  # noqa: PLR2004 - two digits suffice
        number /= 1000
    return f"{number:.1f} TB"
