"""Whether an instrumentor patches all that it names in the version that is installed, and puts it back."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import wrapt

from agent_trace_instrumentors import load


def check(name: str, *, without: tuple[str, ...] = ()) -> None:
    """Switch an instrumentor on and off; ``without`` are modules that need what is not installed."""
    instrumentor = load(name)()
    places: list[tuple[Any, str]] = []
    for target in instrumentor.targets:
        if target.module not in without:
            importlib.import_module(target.module)
            owner, attribute, _ = wrapt.resolve_path(sys.modules[target.module], target.path)
            places.append((owner, attribute))
    before = [vars(owner).get(attribute) for owner, attribute in places]
    instrumentor.instrument()
    try:
        assert instrumentor.unpatched == ()
        patched = [vars(owner).get(attribute) for owner, attribute in places]
        assert all(now is not then for now, then in zip(patched, before, strict=True))
    finally:
        instrumentor.uninstrument()
    assert [vars(owner).get(attribute) for owner, attribute in places] == before
    assert all(vars(owner).get(attribute) is then for (owner, attribute), then in zip(places, before, strict=True))
