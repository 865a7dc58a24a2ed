"""Which files a session read and wrote, by whom and how often.

Comes in: file events and the lines of tool calls. Goes out: rows, most touched first. Called by `stats`.

Told by file_read and file_write events, and by the calls of tools that are known to read or write the file they name;
of a call that logs its own file events those alone count. Calls that failed touched nothing. What a shell command
touches nobody knows.
"""

from __future__ import annotations

import json
import re

from agent_trace_otel.store.lines import text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent_trace_otel.store.index import SessionIndex

# in lower case without _ and -, of MCP servers' tools the part after the server
_READERS = frozenset({"read", "readfile", "readtextfile", "view", "viewimage", "notebookread"})
_PATCHERS = frozenset({"applypatch"})
_PATCHED_FILES = "patch"
_WRITERS = {
    "write", "writefile", "edit", "editfile", "multiedit", "notebookedit", "create", "createfile", "delete",
    "deletefile", "replace", "searchreplace", "strreplace",
}  # fmt: skip
# a quote inside a JSON string is escaped, so what is found is a key, or a string that no value follows
_PATH_KEYS = (b'"file_path"', b'"path"', b'"notebook_path"', b'"filename"')
_VALUE = re.compile(rb'\s*:\s*"((?:[^"\\]+|\\.)*)"').match
_PATCHED = re.compile(rb'\*\*\* (?:Add|Update|Delete) File: ((?:[^"\\]|\\[^n])*)').findall
_AGENT = re.compile(rb',"agent":"((?:[^"\\]+|\\.)*)"\Z').search
_AGENT_WIDTH = 1000  # bytes that it may take
_SPAN = b',"span_id":"'
_SPAN_WIDTH = 16
_IDS = b',"trace_id":"'
_IDS_WIDTH = 120  # bytes that our ids take at the end of a line
_BRACE = ord("}")


class FileTouches:
    """Counts how often each file was read and written, and by which agent."""

    def __init__(self, index: SessionIndex) -> None:
        self._index = index
        self._kinds: dict[str, str] = {}
        self._counts: dict[tuple[bytes, bytes, str], int] = {}
        """By path and agent as JSON has them between its quotes, and kind."""
        self._logged: set[tuple[bytes, str]] = set()
        for ordinal in index.of_type("file_read", "file_write"):
            data, kind, end = index.data(ordinal), index.event_types[ordinal], index.partners[ordinal]
            self._logged.add((text_of(data, "span_id").encode("utf-8", "replace"), kind))
            if end < 0 or index.event_types[end] != "error":
                self._add(_raw(text_of(data, "uri")), _raw(text_of(data, "agent")), kind)

    def add_call(self, ordinal: int, name: str, line: bytes) -> None:
        """Count a tool call by its line, as `SessionIndex.line` gives it."""
        kind = self._kinds.get(name)
        if kind is None:
            kind = self._kinds[name] = _kind_of(name)
        if not kind:
            return
        end = self._index.partners[ordinal]
        if end >= 0 and self._index.event_types[end] == "error":
            return
        ids = line.rfind(_IDS, -_IDS_WIDTH)
        if self._logged:
            span = line.find(_SPAN, ids) + len(_SPAN)
            if (line[span : span + _SPAN_WIDTH], kind) in self._logged:
                return
        agent = b""
        if line[ids - 1] != _BRACE and ids > 0:  # something stands between the arguments and our ids
            found = _AGENT(line, max(0, ids - _AGENT_WIDTH), ids)
            agent = found[1] if found is not None else agent
        for path in _paths_in(line) if kind != _PATCHED_FILES else _PATCHED(line):
            self._add(path, agent, "file_read" if kind == "file_read" else "file_write")

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each file: ``path``, ``reads``, ``writes``, and both again ``by`` agent.

        The main agent is the agent None.
        """
        files: dict[str, dict[str, Any]] = {}
        for (raw_path, raw_agent, kind), count in self._counts.items():
            path, agent = _text(raw_path), _text(raw_agent) or None
            row = files.get(path)
            if row is None:
                row = files[path] = {"path": path, "reads": 0, "writes": 0, "by": []}
            who: dict[str, Any] | None = next((who for who in row["by"] if who["agent"] == agent), None)
            if who is None:
                who = {"agent": agent, "reads": 0, "writes": 0}
                row["by"].append(who)
            touched = "reads" if kind == "file_read" else "writes"
            row[touched] += count
            who[touched] += count
        return sorted(files.values(), key=_most_touched)

    def _add(self, path: bytes, agent: bytes, kind: str) -> None:
        key = (path, agent, kind)
        self._counts[key] = self._counts.get(key, 0) + 1


def _kind_of(name: str) -> str:
    plain = name.rpartition("__")[2].lower().replace("_", "").replace("-", "")
    if plain in _PATCHERS:
        return _PATCHED_FILES
    return "file_read" if plain in _READERS else "file_write" if plain in _WRITERS else ""


def _paths_in(line: bytes) -> list[bytes]:
    """Return the file that a call names, if it does."""
    for key in _PATH_KEYS:
        at = line.find(key)
        path = _VALUE(line, at + len(key)) if at >= 0 else None
        if path is not None:
            return [path[1]] if path[1] else []
    return []


def _raw(text: str) -> bytes:
    return json.dumps(text)[1:-1].encode("ascii")


def _text(raw: bytes) -> str:
    """Return what stands between the quotes of a JSON string."""
    text = raw.decode("utf-8", "replace")
    if "\\" not in text:
        return text
    try:
        return str(json.loads(f'"{text}"'))
    except ValueError:
        return text


def _most_touched(row: dict[str, Any]) -> tuple[int, int, str]:
    return -(row["reads"] + row["writes"]), -row["writes"], row["path"]
