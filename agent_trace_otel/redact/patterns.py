"""A regular expression in, the same out, compiled when first used: compiling all of them would cost an import 30 ms.

Used by `pairs`, `forms` and `opaque`. A hook that redacts one small payload needs a few of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any


class Pattern:
    """A pattern over bytes with the methods of ``re.Pattern`` that redaction uses."""

    match: Callable[..., re.Match[bytes] | None]
    search: Callable[..., re.Match[bytes] | None]
    fullmatch: Callable[..., re.Match[bytes] | None]
    finditer: Callable[..., Iterator[re.Match[bytes]]]

    def __init__(self, pattern: bytes, flags: int = 0) -> None:
        """Keep the pattern for later."""
        self.pattern = pattern
        self.flags = flags

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whichever method was asked for first
        """Compile, and from now on answer with the compiled pattern's own methods."""
        if name not in Pattern.__annotations__:
            raise AttributeError(name)
        compiled = re.compile(self.pattern, self.flags)
        for method in Pattern.__annotations__:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)
