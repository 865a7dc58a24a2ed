"""What a call was given and gave back, as text: any Python value -> compact JSON (or the string itself).

Called by `spans` for arguments, results and messages. Never raises, never calls back into the traced program more than
a repr() needs, and stays bounded for cyclic, deep, huge and badly behaved values.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import pathlib
import re
import uuid
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from json import encoder as _json_encoder
from typing import Any, cast

MAX_TEXT = 1 << 20
"""Characters kept of one string, one repr, or one value as a whole."""
MAX_ITEMS = 10_000
"""Members kept of one collection."""
MAX_MEMBERS = 100_000
"""Members of a value and of all in it up to which it is encoded whole, at once."""
MAX_DEPTH = 50

_CONTAINERS = frozenset({list, tuple, dict})
_PLAIN = frozenset({int, float, bool, type(None)})
_MAX_INT_BITS = 4096  # CPython refuses to print far larger ones (sys.set_int_max_str_digits)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_plain_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=True)


def _unencodable(value: object) -> None:
    raise TypeError(type(value).__name__)


def _encode_plainly(value: object, _level: int) -> tuple[str]:
    return (_plain_encoder.encode(value),)


def _new_fast_encoder() -> Any:  # noqa: ANN401 - the C encoder has no type of its own
    """Return CPython's C encoder with the circularity check off (its shared marker dict is not thread-safe)."""
    make = getattr(_json_encoder, "c_make_encoder", None)
    quote = getattr(_json_encoder, "encode_basestring", None)
    if make is None or quote is None:
        return _encode_plainly
    return make(None, _unencodable, quote, None, ":", ",", False, False, False)  # noqa: FBT003 - positional in C


_fast_encode = _new_fast_encoder()


def to_json(value: object) -> str:
    """Return ``value`` as compact JSON text, cut where it is too long, deep or wide.

    Plain data is encoded by the C encoder; what it refuses (cycles, NaN, objects, bytes, odd keys) goes through
    `jsonable` first. Lone surrogates become U+FFFD.
    """
    try:
        text: str = "".join(_fast_encode(value, 0)) if _is_small(value) else ""
    except Exception:  # noqa: BLE001 - RecursionError, ValueError, TypeError, or a subclass's own
        text = ""
    if not text or len(text) > MAX_TEXT:
        try:
            text = _plain_encoder.encode(jsonable(value))
        except Exception:  # noqa: BLE001 - a dead proxy, or a class that lies about itself
            text = f'"<{type(value).__name__}: unreadable>"'
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def _is_small(value: object) -> bool:
    """Tell whether encoding the value whole is cheap, and leads through no code of the program's.

    A list's subclass may go on for ever, or wait, when it is iterated: `jsonable` takes what it needs of it.
    """
    if value.__class__ not in _CONTAINERS:
        return not isinstance(value, (dict, list, tuple))
    left, room = MAX_MEMBERS, MAX_TEXT
    waiting: list[Any] = [value]
    while waiting:
        whole = waiting.pop()
        left -= len(whole)
        if len(whole) > MAX_ITEMS or left < 0:
            return False
        for member in whole.values() if whole.__class__ is dict else whole:
            kind = member.__class__
            if kind is str:
                room -= len(member)
            elif kind in _CONTAINERS:
                waiting.append(member)
            elif kind not in _PLAIN and not isinstance(member, (str, int, float)):
                return False
    return room >= 0


def to_text(value: object) -> str:
    """Return a string as it is (cut when huge), any other value as `to_json` does."""
    if issubclass(type(value), str):  # asks the type alone: an object may raise when it is asked itself
        text = value if type(value) is str else str.__str__(cast("str", value))
        text = text if len(text) <= MAX_TEXT else cut(text, MAX_TEXT)
        return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)
    return to_json(value)


def cut(text: str, limit: int) -> str:
    """Return the first ``limit`` characters with a mark that says how many were left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… [cut: {len(text) - limit} characters]"


def jsonable(value: object, *, limit: int = MAX_TEXT) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Return a copy of ``value`` that JSON can hold, bounded to about ``limit`` characters in all."""
    return _Walk(limit).visit(value, 0)


class _Walk:
    """One bounded walk over one value."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._above: set[int] = set()

    def visit(self, value: object, depth: int) -> Any:  # noqa: ANN401 - one return a kind of value
        if value is None or value is True or value is False:
            return value
        if isinstance(value, enum.Enum):
            return self.visit(value.value, depth + 1)
        if isinstance(value, str):
            return self._take(str.__str__(value))
        if isinstance(value, int):
            return int(value) if value.bit_length() <= _MAX_INT_BITS else f"<int of {value.bit_length()} bits>"
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(float(value))
        if self._left <= 0:
            return "… [cut]"
        if depth >= MAX_DEPTH or id(value) in self._above:
            return "… [nested]" if depth >= MAX_DEPTH else "… [circular]"
        self._above.add(id(value))
        try:
            return self._compound(value, depth)
        except Exception:  # noqa: BLE001 - iteration, attribute access and conversion run the user's code
            return self._described(value)
        finally:
            self._above.discard(id(value))

    def _compound(self, value: Any, depth: int) -> Any:  # noqa: ANN401 - any value
        if isinstance(value, Mapping):
            mapping = cast("Mapping[object, object]", value)
            return self._members(mapping.items(), len(mapping), depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            items = cast("Collection[object]", value)
            kept = [self.visit(item, depth + 1) for item in islice(items, MAX_ITEMS)]
            return [*kept, f"… [cut: {len(items) - MAX_ITEMS} items]"] if len(items) > MAX_ITEMS else kept
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self._take(_bytes_text(bytes(cast("bytes", value))))
        if isinstance(value, (dt.date, dt.time)):
            return value.isoformat()
        if isinstance(value, (uuid.UUID, decimal.Decimal, pathlib.PurePath)):
            return self._take(str(value))
        if isinstance(value, type):
            return cast("type[object]", value).__qualname__
        if dataclasses.is_dataclass(value):
            fields = [(f.name, getattr(value, f.name, None)) for f in dataclasses.fields(cast("Any", value))]
            return self._members(fields, len(fields), depth)
        dump: Any = getattr(value.__class__, "model_dump", None)  # pydantic's BaseModel and what copies its interface
        if callable(dump):
            return self.visit(dump(value), depth + 1)
        return self._described(value)

    def _members(self, pairs: Iterable[tuple[object, object]], size: int, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key, item in islice(pairs, MAX_ITEMS):
            if self._left <= 0:
                break
            name = key if isinstance(key, str) else self._described(key) if not isinstance(key, int) else str(key)
            members[str(self._take(name))] = self.visit(item, depth + 1)
        if size > len(members):
            members["…"] = f"[cut: {size - len(members)} members]"
        return members

    def _described(self, value: object) -> str:
        try:
            return self._take(repr(value))
        except (Exception, SystemExit):  # noqa: BLE001 - a __repr__ may raise anything
            return f"<{type(value).__qualname__}: repr failed>"

    def _take(self, text: str) -> str:
        kept = cut(text, max(self._left, 0))
        self._left -= len(kept)
        return kept


def _bytes_text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode("ascii")
