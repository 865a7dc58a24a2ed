"""What a dialect is: how its spans are known, which of its names mean what, and what a table of names can't say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent_trace_otel.dialects.given import Given


def _nothing(_given: Given) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One instrumentation's way to tell a span.

    Attributes:
        name: what it is called.
        scopes: beginnings of the names of instrumentation scopes that speak it.
        marks: beginnings of attribute names that nobody else uses.
        names: its attribute -> ours, where the value means the same.
        derived: what has to be worked out; asked first.
        content: attributes that hold what was said; a name that ends in a dot stands for all that begin so.
    """

    name: str
    scopes: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    derived: Callable[[Given], dict[str, Any]] = _nothing
    content: tuple[str, ...] = ()

    def is_spoken_by(self, given: Given) -> bool:
        """Tell whether a span speaks it."""
        if self.scopes and given.scope.startswith(self.scopes):
            return True
        return bool(self.marks) and any(name.startswith(self.marks) for name in given.attributes)
