"""Two sequences of keys -> the pairs of places at which they are the same, in order in both.

Comes in: keys that are equal for what is the same. Goes out: (place in a, place in b), ascending in both. Pure; called
by `differences`.

Patience diff (Bram Cohen): what the two share at head and tail is taken first, then the keys that each has exactly
once, as the longest row that is in order in both; between them the same again. Stretches without such keys are aligned
by their longest common subsequence if they are short, else by first with first, second with second occurrence of each
key. So 10,000 calls take a moment, whatever they are.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence
    from typing import TypeAlias

    Pairs: TypeAlias = list[tuple[int, int]]

_SHORT = 20_000  # cells of a table of common subsequences


def aligned(a: Sequence[Hashable], b: Sequence[Hashable]) -> Pairs:
    """Return the pairs of places in ``a`` and ``b`` that belong together.

    Example:
        >>> aligned("xaby", "xby")
        [(0, 0), (2, 1), (3, 2)]
    """
    found: Pairs = []
    waiting = [(0, len(a), 0, len(b))]
    while waiting:
        a_low, a_high, b_low, b_high = waiting.pop()
        while a_low < a_high and b_low < b_high and a[a_low] == b[b_low]:
            found.append((a_low, b_low))
            a_low, b_low = a_low + 1, b_low + 1
        while a_low < a_high and b_low < b_high and a[a_high - 1] == b[b_high - 1]:
            a_high, b_high = a_high - 1, b_high - 1
            found.append((a_high, b_high))
        if a_low == a_high or b_low == b_high:
            continue
        of_a, of_b = a[a_low:a_high], b[b_low:b_high]
        anchors = _in_order(_once(of_a), _once(of_b))
        if not anchors and len(of_a) * len(of_b) <= _SHORT:
            found += [(a_low + x, b_low + y) for x, y in _common_subsequence(of_a, of_b)]
            continue
        if not anchors:
            anchors = _in_order(_numbered(of_a), _numbered(of_b))
        moved = [(a_low + x, b_low + y) for x, y in anchors]
        found += moved
        if moved:
            waiting += gaps(moved, (a_low, a_high), (b_low, b_high))
    return sorted(found)


def refined(pairs: Pairs, a: Sequence[Hashable], b: Sequence[Hashable]) -> Pairs:
    """Return the pairs of further places that are the same by other keys, in the gaps that ``pairs`` leave."""
    found: Pairs = []
    for a_low, a_high, b_low, b_high in gaps(pairs, (0, len(a)), (0, len(b))):
        found += [(a_low + x, b_low + y) for x, y in aligned(a[a_low:a_high], b[b_low:b_high])]
    return found


def gaps(pairs: Pairs, of_a: tuple[int, int], of_b: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """Yield (first in a, end in a, first in b, end in b) of each gap that both sides have between pairs."""
    edges = [(of_a[0] - 1, of_b[0] - 1), *pairs, (of_a[1], of_b[1])]
    for (a_before, b_before), (a_after, b_after) in pairwise(edges):
        if a_before + 1 < a_after and b_before + 1 < b_after:
            yield a_before + 1, a_after, b_before + 1, b_after


def _once(keys: Sequence[Hashable]) -> dict[Hashable, int]:
    """Return the place of each key that is there exactly once."""
    places: dict[Hashable, int] = {}
    for place, key in enumerate(keys):
        places[key] = -1 if key in places else place
    return {key: place for key, place in places.items() if place >= 0}


def _numbered(keys: Sequence[Hashable]) -> dict[Hashable, int]:
    """Return the place of each occurrence: (key, how many came before)."""
    counts: dict[Hashable, int] = {}
    places: dict[Hashable, int] = {}
    for place, key in enumerate(keys):
        number = counts[key] = counts.get(key, -1) + 1
        places[key, number] = place
    return places


def _in_order(a: dict[Hashable, int], b: dict[Hashable, int]) -> Pairs:
    """Return the longest row of shared keys that ascends in both: patience sorting."""
    shared = [(place, b[key]) for key, place in a.items() if key in b]  # ascends in a
    tops: list[int] = []  # the lowest place in b that a row of each length ends with
    ends: list[int] = []  # and whose it is
    before: list[int] = []
    for number, (_, place) in enumerate(shared):
        length = bisect_left(tops, place)
        before.append(ends[length - 1] if length else -1)
        tops[length : length + 1] = [place]
        ends[length : length + 1] = [number]
    row: Pairs = []
    number = ends[-1] if ends else -1
    while number >= 0:
        row.append(shared[number])
        number = before[number]
    return row[::-1]


def _common_subsequence(a: Sequence[Hashable], b: Sequence[Hashable]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of a longest common subsequence, by the table of the longest ones from each place on."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for x in range(len(a) - 1, -1, -1):
        row, below = table[x], table[x + 1]
        for y in range(len(b) - 1, -1, -1):
            row[y] = below[y + 1] + 1 if a[x] == b[y] else max(below[y], row[y + 1])
    x = y = 0
    while x < len(a) and y < len(b):
        if a[x] == b[y]:
            yield x, y
            x, y = x + 1, y + 1
        elif table[x + 1][y] >= table[x][y + 1]:
            x += 1
        else:
            y += 1
