"""Fields of what model clients take and give: dict items or attributes in, values of the expected type out.

Called by every file of this package. A mock that answers every attribute gives nothing, and a property that raises is a
field that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Sized

MAX_MEMBERS = 10_000
"""Messages, parts or choices read of one list."""
SCALARS = (str, bytes, bytearray, int, float, type(None))
"""What has no fields worth looking for."""


def field(owner: object, *names: str) -> Any:  # noqa: ANN401 - whatever the client put there
    """Return the first of the named dict items or attributes that is there and not None."""
    data: Any = owner
    value: Any
    is_dict = isinstance(owner, dict)
    for name in names:
        try:
            if is_dict:
                value = data.get(name)
            else:
                value = getattr(data, name, None)
                if value is None and _is_mapping(data.__class__):  # asked last, being slow
                    value = data.get(name)
        except Exception:  # noqa: BLE001 - a property of the client's or the user's may raise anything
            value = None
        if value is not None:
            return value
    return None


@lru_cache(maxsize=256)
def _is_mapping(kind: type) -> bool:
    """Tell whether objects of a class have items; remembered, since a stream asks of each chunk."""
    return issubclass(kind, Mapping)


def text_field(owner: object, *names: str) -> str | None:
    """Return the first of the named fields, if it is a string; members of a string enum give their value."""
    return _text(field(owner, *names))


def count_field(owner: object, *names: str) -> int | None:
    """Return the first of the named fields, if it is a whole number; True and False are none."""
    return _count(field(owner, *names))


def google_field(owner: object, name: str) -> Any:  # noqa: ANN401 - whatever the client put there
    """Return a field of Google's, named as in Python: JSON from the wire has it in camel case."""
    value = field(owner, name)
    return field(owner, _wire_name(name)) if value is None and issubclass(type(owner), dict) else value


def google_text(owner: object, name: str) -> str | None:
    """Return a field of Google's, if it is a string."""
    return _text(google_field(owner, name))


def google_count(owner: object, name: str) -> int | None:
    """Return a field of Google's, if it is a whole number."""
    return _count(google_field(owner, name))


@cache
def _wire_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _text(value: object) -> str | None:
    return str.__str__(value) if isinstance(value, str) else None


def _count(value: object) -> int | None:
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None


def members(value: object) -> list[Any]:
    """Return the members of a list or tuple, none of anything else; not to be changed, since it may be the user's."""
    if type(value) is list and len(cast("Sized", value)) <= MAX_MEMBERS:
        return cast("list[Any]", cast("object", value))
    if isinstance(value, (list, tuple)):
        return list(islice(cast("Iterable[Any]", value), MAX_MEMBERS))
    return []
