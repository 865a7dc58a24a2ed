"""Payloads that are too large or nested too deeply -> the same with marks where something was left out.

Called by `frames`, before redaction: what nobody will look at is not worth the time that reading it takes.
"""

from __future__ import annotations

import re
from typing import Final, cast

MAX_DEPTH: Final = 100
"""As deep as redaction reads."""

_SIZE_OF_NUMBER: Final = 8
_SMALLEST_SHARE: Final = 64  # characters; less would be all marks
_NESTED: Final = '"… [cut: nested]"'
# in JSON a bracket counts only outside strings, and a quote only if no backslash escapes it
_STRUCTURE: Final = re.compile(r'\\.|["\[\]{}]', re.DOTALL)


def flattened(text: str, depth: int = MAX_DEPTH) -> str:
    """Return JSON text with every array and object deeper than ``depth`` replaced by a mark, whatever it holds.

    Parsers recurse, so this has to happen before one sees the text. Other text comes back as it may.
    """
    kept: list[str] = []
    in_string, level, start = False, 0, 0
    for match in _STRUCTURE.finditer(text):
        character = match[0]
        if character == '"':
            in_string = not in_string
        elif in_string or len(character) > 1:
            continue
        elif character in "[{":
            level += 1
            if level == depth + 1:
                kept += (text[start : match.start()], _NESTED)
        else:
            level -= 1
            if level == depth:
                start = match.end()
    if level <= depth:
        kept.append(text[start:])
    return "".join(kept)


def fitted(value: object, limit: int) -> object:
    """Return a JSON value of about ``limit`` characters at most: the small stays whole, the large shares the rest.

    An event's ids stand between outputs of any length, so values are not cut in the order they come.
    """
    sizes: dict[int, int] = {}
    return value if _measure(value, sizes) <= limit else _fit(value, limit, sizes)


def _measure(value: object, sizes: dict[int, int]) -> int:
    """Return about how many characters a value has, and note it for every container within."""
    if isinstance(value, str):
        return len(value) + 2
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        size = 2 + sum(len(key) + 4 + _measure(item, sizes) for key, item in members.items())
    elif isinstance(value, list):
        size = 2 + sum(_measure(item, sizes) for item in cast("list[object]", value))
    else:
        return _SIZE_OF_NUMBER
    sizes[id(cast("object", value))] = size
    return size


def _fit(value: object, limit: int, sizes: dict[int, int]) -> object:
    if isinstance(value, str):
        from agent_trace_otel.content import cut  # half as much again as everything else on the hook's slow path

        return cut(value, max(limit, 0))
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        shares = _shares([len(key) + 4 + _size(item, sizes) for key, item in members.items()], limit)
        kept = {
            key: item if share is None else _fit(item, share - len(key), sizes)
            for (key, item), share in zip(members.items(), shares, strict=False)
        }
        if len(kept) < len(members):
            kept["…"] = f"[cut: {len(members) - len(kept)} members]"
        return kept
    if isinstance(value, list):
        items = cast("list[object]", value)
        shares = _shares([_size(item, sizes) for item in items], limit)
        rest = [f"… [cut: {len(items) - len(shares)} items]"] if len(shares) < len(items) else []
        first = [
            item if share is None else _fit(item, share, sizes) for item, share in zip(items, shares, strict=False)
        ]
        return first + rest
    return value


def _shares(sizes: list[int], limit: int) -> list[int | None]:
    """Return how much each member may have, None for all of it; fewer than there are if even the first don't fit."""
    most = max(limit // _SMALLEST_SHARE, 1)
    sizes = sizes[:most]
    left, largest = limit, 0
    # the level at which the small ones stay whole and all others get as much as each other
    for done, size in enumerate(sorted(sizes)):
        largest = left // (len(sizes) - done)
        if size > largest:
            break
        left -= size
    else:
        return [None] * len(sizes)
    return [None if size <= largest else largest for size in sizes]


def _size(value: object, sizes: dict[int, int]) -> int:
    if isinstance(value, str):
        return len(value) + 2
    return sizes.get(id(value), _SIZE_OF_NUMBER)
