"""Values that a span may carry -> values that OTLP can carry; whatever is fine already is handed back as it is.

Comes in: text and attribute values of any span, ours or another instrumentation's. Goes out: the same, with what JSON
or protobuf has no form for replaced. Called by the processor on the copy of a span that goes to disk and to OTLP, and
by the code that reads other producers' files: one lone surrogate in one span name loses a whole OTLP batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

# protobuf's C++, Java and Python parsers refuse a message nested deeper than 100 and with it the whole request. A
# mapping costs 3 levels (AnyValue, KeyValueList, KeyValue), an attribute of an event starts at level 7.
MAX_DEPTH: Final = 30


def encodable_text(text: str) -> str:
    """Return text that UTF-8 can encode: the same object if it does already, else U+FFFD for each lone surrogate.

    A high and a low surrogate side by side become the character they stand for, as a JSON parser reads them.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def encodable_value(value: object, depth: int = MAX_DEPTH) -> object:
    """Return an attribute value that OTLP has a form for: the same object if it has one already.

    Integers outside int64 become decimal text, keys of mappings text, containers nested deeper than ``depth`` and
    objects of unknown types ``str(value)``. A whole attribute mapping may be passed as well. Never raises.
    """
    if isinstance(value, str):
        return encodable_text(value)
    if value is None or isinstance(value, (bool, float, bytes)):
        return value
    if isinstance(value, int):
        return value if INT64_MIN <= value <= INT64_MAX else _decimal(value)
    return _encodable_object(value, depth)


def _encodable_object(value: object, depth: int) -> object:
    if isinstance(value, (bytearray, memoryview)):
        return bytes(cast("bytearray", value))
    if depth > 0 and isinstance(value, Mapping):
        return _encodable_mapping(cast("Mapping[object, object]", value), depth - 1)
    if depth > 0 and isinstance(value, Sequence):
        return _encodable_sequence(cast("Sequence[object]", value), depth - 1)
    return _text_of(value)


def _encodable_mapping(mapping: Mapping[object, object], depth: int) -> Mapping[str, object]:
    changed = not isinstance(mapping, dict)
    copy: dict[str, object] = {}
    for key, value in mapping.items():
        new_key = encodable_text(key) if isinstance(key, str) else _text_of(key)
        new_value = encodable_value(value, depth)
        changed = changed or new_key is not key or new_value is not value
        copy[new_key] = new_value
    return copy if changed else cast("Mapping[str, object]", mapping)


def _encodable_sequence(sequence: Sequence[object], depth: int) -> Sequence[object]:
    copy = tuple(encodable_value(item, depth) for item in sequence)
    unchanged = isinstance(sequence, (list, tuple)) and all(new is old for new, old in zip(copy, sequence, strict=True))
    return sequence if unchanged else copy


def _decimal(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # sys.set_int_max_str_digits, 4,300 digits by default; base 16 has no limit
        return hex(number)


def _text_of(value: object) -> str:
    try:
        return encodable_text(str(value))
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise anything
        return f"<{type(value).__name__}>"
