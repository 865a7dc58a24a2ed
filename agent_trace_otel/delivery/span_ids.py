"""A set of span ids for sessions of a million spans: 16 MiB for those, where a set of Python's takes a hundred.

Called by `ledger`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

_FIRST_SIZE: Final = 64
_SPREAD: Final = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio: consecutive ids end up far apart
_MASK: Final = 2**64 - 1


class SpanIds:
    """64-bit ids other than 0, in an open hash table; what is added stays."""

    __slots__ = ("_bits", "_count", "_table")

    def __init__(self, ids: Iterable[int] = ()) -> None:
        self._table = array("Q", bytes(8 * _FIRST_SIZE))
        self._bits = _FIRST_SIZE.bit_length() - 1
        self._count = 0
        self.update(ids)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, span_id: int) -> bool:
        table, last = self._table, len(self._table) - 1
        at = (span_id * _SPREAD & _MASK) >> (64 - self._bits)
        while (found := table[at]) != 0:
            if found == span_id:
                return True
            at = (at + 1) & last
        return False

    def add(self, span_id: int) -> bool:
        """Add an id; False if it was there, or is none."""
        if not 0 < span_id <= _MASK:
            return False
        table, last = self._table, len(self._table) - 1
        at = (span_id * _SPREAD & _MASK) >> (64 - self._bits)
        while (found := table[at]) != 0:
            if found == span_id:
                return False
            at = (at + 1) & last
        table[at] = span_id
        self._count += 1
        if self._count * 2 > len(table):
            self._grow()
        return True

    def update(self, ids: Iterable[int]) -> None:
        """Add many."""
        for span_id in ids:
            self.add(span_id)

    def _grow(self) -> None:
        before = self._table
        self._bits += 1
        self._table = array("Q", bytes(8 << self._bits))
        self._count = 0
        self.update(span_id for span_id in before if span_id)
