"""JSON text -> the same text with one member set or taken out; every other byte stays where it was.

Called by `settings`: a file that a person keeps is not ours to reformat. Only what is set is written anew, in the
file's own indent and line ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

_SPACE = re.compile(r"[ \t\r\n]*")
_INDENT = re.compile(r"\s*\{[ \t]*\r?\n([ \t]+)\"")
_decode = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class _Member:
    """One ``"key": value`` of an object; offsets in the text, ends exclusive."""

    key: str
    start: int
    value: int
    end: int


def with_member(text: str, path: Sequence[str], value: object) -> str:
    """Return a document with a value at a path of keys: in place of the one there, else after its object's last member.

    Objects that the path leads through are made where they are missing.

    Args:
        text: a JSON document whose top is an object, and so is whatever stands on the path.
        path: one key or more.
        value: what json.dumps() takes.
    """
    start = _after_space(text, 0)
    for depth, key in enumerate(path, 1):
        members = _members(text, start)
        found = _find(members, key)
        if found is None:
            for above in reversed(path[depth:]):
                value = {above: value}
            return _inserted(text, start, members, depth, key, value)
        if depth == len(path):
            return text[: found.value] + _dumped(text, value, depth) + text[found.end :]
        start = found.value
    return text


def without_member(text: str, path: Sequence[str]) -> str:
    """Return a document without the member at a path of keys; the text itself when there is none."""
    start = _after_space(text, 0)
    for depth, key in enumerate(path, 1):
        members = _members(text, start)
        found = _find(members, key)
        if found is None:
            break
        if depth == len(path):
            at = members.index(found)
            if len(members) == 1:
                return text[: start + 1] + text[text.index("}", found.end) :]
            if at:
                return text[: members[at - 1].end] + text[found.end :]
            return text[: found.start] + text[members[1].start :]
        start = found.value
    return text


def _find(members: list[_Member], key: str) -> _Member | None:
    """Return the member that a reader of JSON takes: the last of that name."""
    return next((member for member in reversed(members) if member.key == key), None)


def _members(text: str, start: int) -> list[_Member]:
    """Return the members of the object that starts here; the text is known to be JSON."""
    members: list[_Member] = []
    at = _after_space(text, start + 1)
    while text[at] != "}":
        key, end = _decode(text, at)
        value = _after_space(text, _after_space(text, end) + 1)
        end = _decode(text, value)[1]
        members.append(_Member(key, at, value, end))
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return members


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _inserted(text: str, start: int, members: list[_Member], depth: int, key: str, value: object) -> str:  # noqa: PLR0913 - one place and what comes there
    newline, indent = _style(text)
    name = _json(key)
    if not members:
        inner = f"{newline}{indent * depth}{name}: {_dumped(text, value, depth)}{newline}{indent * (depth - 1)}"
        return text[: start + 1] + inner + text[text.index("}", start) :]
    last = members[-1].end
    if "\n" not in text[start : members[0].start]:  # an object on one line stays on one line
        return f"{text[:last]}, {name}: {_json(value)}{text[last:]}"
    return f"{text[:last]},{newline}{indent * depth}{name}: {_dumped(text, value, depth)}{text[last:]}"


def _dumped(text: str, value: object, depth: int) -> str:
    newline, indent = _style(text)
    return _json(value, indent).replace("\n", newline + indent * depth)


def _json(value: object, indent: str | None = None) -> str:
    """Return JSON text in which only what UTF-8 can't hold, one half of a surrogate pair, is escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _style(text: str) -> tuple[str, str]:
    """Return the document's line end and one step of its indent."""
    found = _INDENT.match(text)
    return "\r\n" if "\r\n" in text else "\n", found[1] if found else "  "
