"""TOML text -> the same text with some values set; comments, order and everything else stay.

Called by `setup` for our config file, which a person may have written. The standard library reads TOML and writes none;
what is written is read again, and if more has changed than was asked for, nothing is changed at all.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any, cast

from agent_trace_otel.errors import SettingsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Value = str | bool | Mapping[str, str]

_TABLE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_ANY_TABLE = re.compile(r"\s*\[.*\]\s*(?:#.*)?$")
_VALUE = r"""\s*=\s*(?:"(?:[^"\\]|\\.)*"|'[^']*'|\{.*\}|[^\s#"'{\[]+)"""


def with_values(text: str, values: Mapping[tuple[str, ...], Value | None]) -> str:
    """Return TOML text in which every value stands under its key, in place of the one there.

    Args:
        text: a TOML document.
        values: (key,) or (table, key) -> what it shall be; a mapping becomes an inline table, None takes it out.

    Raises:
        SettingsError: the text is no TOML, or says it in a way that can't be changed here (a table in dotted keys).
    """
    wanted = _read(text)
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    for (*table, key), value in values.items():
        if value is None and not _holds(wanted, table, key):
            continue
        _put(wanted, table, key, value)
        if value is None or isinstance(value, Mapping):
            _remove_table(lines, ".".join((*table, key)))
        if value is None:
            _remove(lines, ".".join(table), key)
        else:
            _set(lines, ".".join(table), key, _rendered(value))
    changed = "".join(lines)
    try:
        is_as_wanted = _read(changed) == wanted
    except SettingsError:
        is_as_wanted = False
    if not is_as_wanted:
        msg = f"can't set {', '.join('.'.join(path) for path in values)} there without touching the rest: do it by hand"
        raise SettingsError(msg)
    return changed


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"no TOML: {error}"
        raise SettingsError(msg) from error


def _holds(document: dict[str, Any], table: list[str], key: str) -> bool:
    for name in table:
        inner: Any = document.get(name, {})
        if not isinstance(inner, dict):
            return False
        document = cast("dict[str, Any]", inner)
    return key in document


def _put(document: dict[str, Any], table: list[str], key: str, value: Value | None) -> None:
    for name in table:
        inner: Any = document.setdefault(name, {})
        if not isinstance(inner, dict):
            msg = f"{name} is no table"
            raise SettingsError(msg)
        document = cast("dict[str, Any]", inner)
    if value is None:
        del document[key]
    else:
        document[key] = dict(value) if isinstance(value, Mapping) else value


def _set(lines: list[str], table: str, key: str, value: str) -> None:
    start, end = _body(lines, table)
    if start < 0:
        lines += ["\n"] * bool(lines and lines[-1].strip()) + [f"[{table}]\n"]
        start = end = len(lines)
    pattern = _assignment(key)
    last = start
    for at in range(start, end):
        found = pattern.match(lines[at])
        if found:
            lines[at] = f"{found[1]} = {value}{lines[at][found.end() :]}"
            return
        if lines[at].strip() and not lines[at].lstrip().startswith("#"):
            last = at + 1
    lines.insert(last, f"{key} = {value}\n")
    if not table and last == 0 and len(lines) > 1 and lines[1].strip():
        lines.insert(1, "\n")


def _remove(lines: list[str], table: str, key: str) -> None:
    start, end = _body(lines, table)
    at = next((at for at in range(max(start, 0), end) if _assignment(key).match(lines[at])), -1)
    if at >= 0:
        del lines[at]


def _assignment(key: str) -> re.Pattern[str]:
    return re.compile(rf"""(\s*["']?{re.escape(key)}["']?){_VALUE}""")


def _remove_table(lines: list[str], table: str) -> None:
    start, end = _body(lines, table)
    if start > 0:
        del lines[start - 1 : end]


def _body(lines: list[str], table: str) -> tuple[int, int]:
    """Return where the lines of a table begin and end, (-1, -1) when there is none; "" is what stands before all."""
    heads = [at for at, line in enumerate(lines) if _ANY_TABLE.match(line)]
    if not table:
        return 0, heads[0] if heads else len(lines)
    for head, following in zip(heads, [*heads[1:], len(lines)], strict=False):
        found = _TABLE.match(lines[head])
        if found and ".".join(part.strip().strip("\"'") for part in found[1].split(".")) == table:
            return head + 1, following
    return -1, -1


def _rendered(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    return "{ " + ", ".join(f"{_quoted(name)} = {_quoted(text)}" for name, text in value.items()) + " }"


def _quoted(text: str) -> str:
    """Return a basic string (TOML 1.0, "String"): JSON's escapes are among its own, and DEL needs one as well."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
