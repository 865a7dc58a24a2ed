"""A place in a text that has to be withheld: `pairs` and `forms` make it, `text` orders it, `redactor` acts on it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

MARK: Final = re.compile(r"\[REDACTED(?::[a-z0-9_-]+)?\]")


class Span(NamedTuple):
    """Characters [start, end) of a text, what they are ("" if only their key tells), a quote to put around the mark."""

    start: int
    end: int
    kind: str = ""
    quote: str = ""


def merged(found: list[Span]) -> list[Span]:
    """Return the spans in order, those that overlap as one."""
    if len(found) < 2:  # noqa: PLR2004 - nothing to compare
        return found
    found.sort(key=_outermost_first)
    ordered = [found[0]]
    for span in found[1:]:
        last = ordered[-1]
        if span.start >= last.end:
            ordered.append(span)
        elif span.end > last.end:
            ordered[-1] = last._replace(end=span.end)
        elif span.kind and not last.kind and not last.quote:
            ordered[-1] = last._replace(kind=span.kind)
    return ordered


def _outermost_first(span: Span) -> tuple[int, int]:
    return span.start, -span.end
