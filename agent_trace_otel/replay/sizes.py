"""Bytes as people read and write them.

Comes in: a number of bytes. Goes out: short text. Pure; called by doctor and prune.
"""

from __future__ import annotations


def size(number: float) -> str:
    """Return a number of bytes in its largest unit, decimal: ``512 B``, ``1.5 MB``, ``25 GB``."""
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1000:  # noqa: PLR2004 - a thousand
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"  # noqa: PLR2004 - two digits suffice
        number /= 1000
    return f"{number:.1f} TB"
