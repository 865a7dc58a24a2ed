"""A place in ASCII text in, the end of the string or bracket that opens there out; called by `pairs`.

The text may hold JSON in a string in JSON: at each level a quote is written with 0, 1, 3, 7 ... backslashes. It may
be cut.
"""

from __future__ import annotations

import re
from typing import Final

_BACKSLASH: Final = 0x5C
_IN_BRACKETS: Final = re.compile(rb"[\[\](){}\"']")


def end_of_string(raw: bytes, start: int, quote: bytes, backslashes: int, within: int | None) -> int:
    """Return where the string ends that was opened, right before ``start``, by that many backslashes and a quote.

    -1 if it does not end ``within`` that many characters; without that limit a cut text ends it as well.
    """
    level = (backslashes + 1).bit_length() - 1
    limit = len(raw) if within is None else min(len(raw), start + within)
    at = raw.find(quote, start, limit)
    while at >= 0:
        before = at - _first_backslash(raw, start, at)
        if _closes(before, level):
            return at - min(before, backslashes)
        at = raw.find(quote, at + 1, limit)
    return limit if within is None else -1


def end_of_brackets(raw: bytes, start: int, within: int | None = None) -> int:
    """Return the place after the bracket that closes the one at ``start``; the end of the text if none does.

    -1 if it is not closed ``within`` that many characters.
    """
    limit = len(raw) if within is None else min(len(raw), start + within)
    depth = 0
    at = start
    while match := _IN_BRACKETS.search(raw, at, limit):
        at = match.end()
        symbol = match.group()
        if symbol in b"\"'":
            backslashes = match.start() - _first_backslash(raw, start, match.start())
            end = end_of_string(raw, at, symbol, backslashes, within)
            at = (raw.find(symbol, end) + 1 or len(raw)) if end >= 0 else limit
        else:
            depth += 1 if symbol in b"[{(" else -1
            if depth == 0:
                return at
    return len(raw) if within is None else -1


def _first_backslash(raw: bytes, start: int, at: int) -> int:
    """Return where the backslashes begin that stand right before ``at``."""
    while at > start and raw[at - 1] == _BACKSLASH:
        at -= 1
    return at


def _closes(backslashes: int, level: int) -> bool:
    """Tell whether a quote after that many backslashes ends a string at that level, or one around it."""
    while backslashes % 2:
        if level == 0:
            return False
        backslashes, level = (backslashes - 1) // 2, level - 1
    return True
