"""A span as its instrumentation told it, and ways to look into it: flattened lists, JSON in text, numbers.

Called by every table of this package.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

Values: TypeAlias = Mapping[str, Any]
Branch: TypeAlias = dict[str, Any]

MAX_DEPTH = 16
MAX_MEMBERS = 10_000
_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Given:
    """One span.

    Attributes:
        attributes: its attributes, plain values.
        name: its name.
        scope: the name of its instrumentation scope.
        events: its span events as (name, attributes).
    """

    attributes: Values
    name: str = ""
    scope: str = ""
    events: Sequence[tuple[str, Values]] = ()


def first(values: Values, *names: str) -> Any:  # noqa: ANN401 - whatever the instrumentation put there
    """Return the first of the named values that is there and neither None nor an empty text."""
    for name in names:
        value = values.get(name)
        if value is not None and value != "":
            return value
    return None


def text(value: object) -> str | None:
    """Return a text, None for anything else and for an empty one."""
    return value if isinstance(value, str) and value else None


def count(value: object) -> int | None:
    """Return a whole number; some instrumentations write it as a float or a text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS else None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else None
    return value if isinstance(value, int) else None


def parsed(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """Return the object or list that a text holds in JSON, any other value as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def unquoted(value: object) -> Any:  # noqa: ANN401 - whatever stands there
    """Return a text without the quotes that JSON puts around it, any other value as it is."""
    if not isinstance(value, str) or value[:1] != '"':
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def table(value: object) -> Values | None:
    """Return an object, None for anything else; texts are read as JSON."""
    found: Any = parsed(value)
    return cast("Values", found) if isinstance(found, Mapping) else None


def member(value: object, *names: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the first of the named members of an object, None of anything else."""
    return first(cast("Values", value), *names) if isinstance(value, Mapping) else None


def members(value: object) -> list[Any]:
    """Return the members of a list, none of anything else."""
    return list(cast("Sequence[Any]", value)[:MAX_MEMBERS]) if isinstance(value, (list, tuple)) else []


def branch(values: Values, prefix: str) -> Branch:
    """Return what is flattened under a prefix as nested objects: ``p.0.a`` and ``p.1.b`` -> {"0": {"a"}, "1": {"b"}}.

    A value that stands where others hang under it is left out.
    """
    root: Branch = {}
    start = len(prefix)
    for name, value in values.items():
        if not name.startswith(prefix):
            continue
        path = name[start:].split(".", MAX_DEPTH)
        at = root
        for step in path[:-1]:
            below = at.get(step)
            if not isinstance(below, dict):
                below = at[step] = {}
            at = cast("Branch", below)
        at.setdefault(path[-1], value)
    return root


def rows(value: object) -> Iterator[Branch]:
    """Yield the objects of a flattened list in order."""
    if not isinstance(value, dict):
        return
    found = cast("Branch", value)
    for index in sorted(filter(_is_index, found), key=int):
        if isinstance(found[index], dict):
            yield found[index]


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdigit() and len(step) <= _MAX_DIGITS


def leaf(value: object, path: str) -> Any:  # noqa: ANN401 - whatever stands there
    """Return the value at a dotted path of nested objects, None if there is none or more hangs under it."""
    for step in path.split("."):
        if not isinstance(value, dict):
            return None
        value = cast("Branch", value).get(step)
    return None if isinstance(value, dict) else value
