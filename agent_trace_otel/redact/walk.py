"""One pass over a structure: a value in, the same shape without its secrets out. Called by `redactor`.

A value under a secret key is withheld whole. What holds nothing secret comes back as the same object.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from agent_trace_otel.redact.forms import program_passwords
from agent_trace_otel.redact.keys import Verdict
from agent_trace_otel.redact.opaque import is_opaque
from agent_trace_otel.redact.spans import MARK
from agent_trace_otel.redact.text import as_bytes

if TYPE_CHECKING:
    from agent_trace_otel.redact.redactor import Redactor

_WITHHELD: Final = "[REDACTED]"
_TOO_DEEP: Final = "[REDACTED:depth]"
_CYCLE: Final = "[REDACTED:cycle]"
_DEEPEST: Final = 100
_LONGEST_PLAIN_KEY: Final = 15  # longer ones may be a token
_PAIR: Final = 2
_PLAIN: Final = frozenset((int, float, bool, type(None)))
_CONTAINERS: Final[tuple[type, ...]] = (Mapping, list, tuple, set, frozenset)
_SIZED: Final[tuple[type, ...]] = (str, bytes, bytearray, *_CONTAINERS)
_PATH: Final = re.compile(r"[~.]{0,2}/|[A-Za-z]:\\")
_NAME: Final = re.compile(r"[A-Za-z][\w.-]{1,63}")
_FLAG: Final = re.compile(r"--?[A-Za-z][\w.-]{0,63}")
_COUNT: Final = re.compile(r"[0-9][0-9.,_]*")
_USER_FLAGS: Final = frozenset(("-u", "--user", "-U", "--proxy-user"))
_SCHEMA_TYPES: Final = frozenset(("string", "number", "integer", "boolean", "object", "array", "null"))
_SCHEMA_SECRETS: Final = frozenset(("default", "const", "enum", "example", "examples"))


class Walk:
    """One pass over one value; remembers the containers it met, so that shared and cyclic ones are walked once.

    With a list to note them in, every place withheld is noted as (kind, path, start, end); else no path is built.
    """

    def __init__(self, redactor: Redactor, found: list[tuple[str, str, int, int]] | None = None) -> None:
        """Walk with the rules of a redactor."""
        self._redactor = redactor
        self._verdict = redactor.key_words.verdict
        self._found = found
        self._met: dict[int, object] = {}
        self._depth = 0

    def value(self, value: object, path: str = "", *, in_pairs: bool = False) -> object:
        """Clean a value; ``in_pairs`` says that it stands in a list of pairs."""
        if type(value) in _PLAIN:
            return value
        identity = id(value)
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, (bytes, bytearray)):
            text = value.decode("latin-1")
            cleaned = self._text(text, path)
            return value if cleaned is text else type(value)(cleaned.encode("latin-1", "replace"))
        if not isinstance(value, _CONTAINERS):
            return value
        if self._depth > _DEEPEST:
            return _TOO_DEEP
        if identity in self._met:
            return self._met[identity]
        self._met[identity] = _CYCLE
        self._depth += 1
        result: object
        if isinstance(value, Mapping):
            result = self._mapping(cast("Mapping[object, object]", value), path)
        elif isinstance(value, (set, frozenset)):
            result = self._set(cast("set[object] | frozenset[object]", value), path)
        else:
            result = self._sequence(cast("list[object] | tuple[object, ...]", value), path, in_pairs=in_pairs)
        self._depth -= 1
        self._met[identity] = result
        return result

    def under(self, verdict: Verdict, value: object, path: str = "") -> object:
        """Clean a value that stands under a key of that verdict, which is not HARMLESS."""
        if value is None or _is_empty(value):
            return value
        if verdict is Verdict.FLAG and isinstance(value, bool):
            return value
        if (verdict is Verdict.COUNTED and not _holds_text(value)) or _is_schema(value):
            return self.value(value, path)
        if isinstance(value, str):
            if MARK.fullmatch(value) or self._redactor.allows(value):
                return value
            if verdict is Verdict.COUNTED and _COUNT.fullmatch(value):
                return value
            if verdict is Verdict.WORKING_DIRECTORY and _PATH.match(value):
                return self._text(value, path)
        self._note("key", path, value)
        return _WITHHELD.encode() if isinstance(value, (bytes, bytearray)) else _WITHHELD

    def _mapping(self, value: Mapping[object, object], path: str) -> object:
        new: dict[object, object] = {}
        same = True
        named = "value" in value and self._is_named_secret(value)
        for key, old in value.items():
            at = path if self._found is None else f"{path}.{key!s:.80}"
            clean_key = key
            if isinstance(key, str):
                verdict = self._verdict(key)
                if len(key) > _LONGEST_PLAIN_KEY:
                    clean_key = self._text(key, at)
                if key == "token" and "logprob" in value:
                    verdict = Verdict.HARMLESS  # log probabilities: tokens of a vocabulary
                elif named and key == "value":
                    verdict = Verdict.SECRET
            else:
                verdict = Verdict.HARMLESS
                if isinstance(key, bytes):
                    verdict = self._verdict(key.decode("latin-1"))
                    clean_key = self.value(key, at)
            if verdict is not Verdict.HARMLESS:
                cleaned = self.under(verdict, old, at)
            elif type(old) is str and self._found is None:
                cleaned = self._redactor.text(old)
            else:
                cleaned = self.value(old, at)
            if clean_key is not key:
                while clean_key in new:
                    clean_key = f"{clean_key}'"
            same = same and cleaned is old and clean_key is key
            new[clean_key] = cleaned
        return value if same else new

    def _is_named_secret(self, value: Mapping[object, object]) -> bool:
        """``{"name": "Authorization", "value": ...}``, as in HTTP archives and container environments."""
        name = value.get("name") or value.get("key") or value.get("header")
        return isinstance(name, str) and self._verdict(name) is Verdict.SECRET

    def _set(self, value: set[object] | frozenset[object], path: str) -> object:
        members = list(value)
        cleaned = [self.value(member, path) for member in members]
        return value if _same(cleaned, members) else type(value)(cleaned)

    def _sequence(self, value: list[object] | tuple[object, ...], path: str, *, in_pairs: bool) -> object:
        if len(value) == _PAIR and (second := self._second_of_pair(value, path, in_pairs=in_pairs)) is not None:
            return value if second is value[1] else _like(value, [value[0], second])
        of_pairs = bool(value) and all(
            isinstance(item, (list, tuple)) and len(cast("list[object]", item)) == _PAIR for item in value
        )
        cleaned = (
            self._arguments(value, path)
            if any(isinstance(item, str) and item[:1] == "-" for item in value)
            else list(value)
        )
        for index, item in enumerate(cleaned):
            cleaned[index] = self.value(item, path if self._found is None else f"{path}[{index}]", in_pairs=of_pairs)
        return value if _same(cleaned, value) else _like(value, cleaned)

    def _second_of_pair(self, value: list[object] | tuple[object, ...], path: str, *, in_pairs: bool) -> object | None:
        """Return the cleaned second of ``("Authorization", "Bearer x")``, None if the first is no secret key."""
        first, second = value
        if not isinstance(first, (str, bytes)) or not isinstance(second, (str, bytes)) or not second:
            return None
        name = first if isinstance(first, str) else first.decode("latin-1")
        if not _NAME.fullmatch(name) or self._verdict(name) is not Verdict.SECRET:
            return None
        # ["password", "username"] is a list of names, ["X-Api-Key", "x"] a header
        header = in_pairs or isinstance(value, tuple) or "-" in name or name[:1].isupper()
        if not header and not is_opaque(second.encode("ascii", "replace") if isinstance(second, str) else second):
            return None
        return self.under(Verdict.SECRET, second, path if self._found is None else f"{path}[1]")

    def _arguments(self, value: list[object] | tuple[object, ...], path: str) -> list[object]:
        """``["--token", "x"]``, ``["curl", "-u", "user:password"]``: an argument list as a program gets it."""
        cleaned = list(value)
        for index in range(1, len(cleaned)):
            flag, item = value[index - 1], value[index]
            if not isinstance(flag, str) or flag[:1] != "-" or not isinstance(item, str) or item[:1] == "-":
                continue
            at = path if self._found is None else f"{path}[{index}]"
            if _FLAG.fullmatch(flag) and self._verdict(flag) is Verdict.SECRET:
                cleaned[index] = self.under(Verdict.SECRET, item, at)
            elif flag in _USER_FLAGS:
                user, _, password = item.partition(":")
                # docker run -u 1000:1000, -u node:node
                if password and password != user and not password.isdigit() and not MARK.match(password):
                    self._note("password", at, item)
                    cleaned[index] = f"{user}:[REDACTED:password]"
        if all(isinstance(item, str) for item in cleaned):
            self._command(cast("list[str]", cleaned), path)
        return cleaned

    def _command(self, arguments: list[str], path: str) -> None:
        """Clean, in place, what is secret only for the program that gets it: ``["mysql", "-px"]``."""
        starts: list[int] = []
        at = 0
        for argument in arguments:
            starts.append(at)
            at += len(argument) + 1
        for start, end, kind, _ in reversed(program_passwords(as_bytes(" ".join(arguments)))):
            index = bisect_right(starts, start) - 1
            argument, first, last = arguments[index], start - starts[index], end - starts[index]
            if not self._redactor.allows(argument[first:last]):
                self._note(kind, path if self._found is None else f"{path}[{index}]", argument)
                arguments[index] = f"{argument[:first]}[REDACTED:{kind}]{argument[last:]}"

    def _text(self, text: str, path: str) -> str:
        cleaned = self._redactor.text(text)
        if self._found is not None and cleaned is not text:
            places = self._redactor.places(text)
            self._found += [(span.kind or "key", path, span.start, span.end) for span in places]
            if not places:
                self._found.append(("rule", path, 0, len(text)))
        return cleaned

    def _note(self, kind: str, path: str, value: object) -> None:
        if self._found is not None:
            self._found.append(
                (kind, path, 0, len(value) if isinstance(value, (str, bytes, bytearray)) else len(str(value)))
            )


def _same(new: list[object], old: list[object] | tuple[object, ...]) -> bool:
    return all(map(_is, new, old))


def _is(new: object, old: object) -> bool:
    return new is old


def _like(value: list[object] | tuple[object, ...], items: list[object]) -> object:
    """Return the items as a sequence of the same type; a named tuple has a maker of its own."""
    if isinstance(value, list):
        return items
    make: Any = getattr(value, "_make", tuple)
    return cast("object", make(items))


def _is_empty(value: object) -> bool:
    """Tell whether nothing is there to withhold."""
    return isinstance(value, _SIZED) and not value


def _holds_text(value: object) -> bool:
    """Tell text and lists with text in them from counts and structures of counts."""
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, str) for item in cast("list[object]", value))
    return isinstance(value, (str, bytes, bytearray))


def _is_schema(candidate: object) -> bool:
    """Tell the JSON Schema of a parameter called "password" from a password."""
    if not isinstance(candidate, Mapping):
        return False
    value = cast("Mapping[object, object]", candidate)
    kind = value.get("type")
    if isinstance(kind, str) and kind not in _SCHEMA_TYPES:
        return False
    described = isinstance(kind, (str, list)) or "anyOf" in value or "$ref" in value
    return described and not any(key in value for key in _SCHEMA_SECRETS)
