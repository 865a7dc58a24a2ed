"""An index -> its tool calls, in order of time, each with what tells it apart and what became of it.

Comes in: a SessionIndex. Goes out: a ToolCalls of Call objects, small enough that 100,000 may be held. Called by
what is under explain/ and diff/.
"""

from __future__ import annotations

import json
import re
from functools import cache
from hashlib import sha256
from sys import intern

from agent_trace_otel.replay.activities import COMMAND_KEYS, EDITING, EDITORS, EXPLORING, OTHER, SHELLS, TESTING, TOOLS
from agent_trace_otel.replay.arguments import telling_argument
from agent_trace_otel.replay.shell_commands import activity_of
from agent_trace_otel.semconv import OUTCOME_ABANDONED, OUTCOME_OK, OUTCOME_UNKNOWN
from agent_trace_otel.store.lines import as_text, is_list, is_object, read_data, read_head, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent_trace_otel.store.index import SessionIndex

OK, OPEN = OUTCOME_OK, "open"
_NO_FAILURES = frozenset({OK, OPEN, OUTCOME_ABANDONED, OUTCOME_UNKNOWN})
_TITLE_WIDTH = 300  # characters; what is shown is cut to the terminal
_NAME_WIDTH = 100
_OUTCOME = b'"outcome":'
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode
_PATCHED = "*** Begin Patch"
_PATCHED_FILES = ("*** Update File: ", "*** Add File: ", "*** Delete File: ")


class Call:
    """One tool call.

    ``key`` is equal for calls of one tool with equal arguments, ``like`` for calls of one tool with the same target: a
    file, a query, the program of a test run. ``title`` is the tool with the argument that tells most. ``offset`` is
    seconds since the session's first event. ``outcome`` is "ok", "open" while nothing has closed the call, or what the
    recorder says became of it. ``end`` is the ordinal of the closing event, -1 without one. ``lane`` is equal for the
    calls of one run of a sub-agent, "" for those of the main agent.
    """

    __slots__ = (
        "activity",
        "agent",
        "duration_ms",
        "end",
        "key",
        "lane",
        "like",
        "name",
        "offset",
        "ordinal",
        "outcome",
        "title",
    )

    def __init__(self, calls: ToolCalls, ordinal: int) -> None:
        index = calls.index
        data = index.data(ordinal)
        given = data.get("arguments")
        arguments = given if is_object(given) else {}
        self.ordinal = ordinal
        self.offset = calls.offset(ordinal)
        self.name = intern((index.tool_name(ordinal) or "?")[:_NAME_WIDTH])
        self.agent = intern(text_of(data, "agent")[:_NAME_WIDTH])
        # calls of one sub-agent have one parent, even if several sub-agents of that name run side by side
        self.lane = intern(f"{self.agent}\0{text_of(data, 'parent_span_id')}") if self.agent else ""
        self.activity, program = activity(self.name, arguments)
        target = calls.relative(target_of(self.name, arguments))
        self.title = f"{self.name} {target}"[:_TITLE_WIDTH] if target else self.name
        self.like = f"{self.name}\0{program}" if self.activity == TESTING and program else self.title
        self.key = calls.key(self.name, arguments)
        self.end = index.partners[ordinal]
        self.duration_ms = index.duration_ms(self.end) if self.end >= 0 else None
        self.outcome = _outcome(index, self.end)

    @property
    def has_failed(self) -> bool:
        """Whether it is known to have failed, or to have been refused or interrupted."""
        return self.outcome not in _NO_FAILURES

    @property
    def end_offset(self) -> float:
        """Seconds since the session's first event at which the call had ended; its begin while it is open."""
        return self.offset + (self.duration_ms or 0.0) / 1000


class ToolCalls:
    """The tool calls of a session, ``all`` of them in order of time.

    Args:
        index: the session's events.
        directory: where the agent worked, see `working_directory`; paths are told as seen from there.
    """

    def __init__(self, index: SessionIndex, directory: str | None) -> None:
        self.index = index
        self._first = index.timestamps[index.order[0]] if len(index) else 0.0
        self._directory = directory
        self._inside = re.compile(re.escape(directory) + r"(/|(?![\w.-]))") if directory else None
        self.all = [Call(self, ordinal) for ordinal in index.order if index.event_types[ordinal] == "tool_call"]

    def offset(self, ordinal: int) -> float:
        """Return the seconds between the session's first event and this one."""
        return self.index.timestamps[ordinal] - self._first

    def reference(self, ordinal: int) -> dict[str, Any]:
        """Return where an event is found again: ``event_id``, and ``offset_ms`` since the session's first event."""
        head = read_head(self.index.line(ordinal) + b"\n")
        event_id = head[2].decode("utf-8", "replace") if head is not None else ""
        return {"event_id": event_id, "offset_ms": round(self.offset(ordinal) * 1000, 3)}

    @property
    def last_offset_ms(self) -> float:
        """Milliseconds between the session's first event and its last."""
        return round(self.offset(self.index.order[-1]) * 1000, 3) if len(self.index) else 0.0

    def told(self, call: Call) -> dict[str, Any]:
        """Return a call with its event: ``title`` and ``agent``, None for the main one."""
        return {**self.reference(call.ordinal), "title": call.title, "agent": call.agent or None}

    def relative(self, text: str) -> str:
        """Return text whose paths into the agent's directory begin there."""
        if self._directory is None or self._inside is None or self._directory not in text:
            return text
        return self._inside.sub(lambda match: "" if match[1] else ".", text)

    def result(self, call: Call) -> str:
        """Return what a call gave back: its result, or what its error says; "" while it is open."""
        if call.end < 0:
            return ""
        data = self.index.data(call.end)
        return self.relative(text_of(data, "result") or text_of(data, "message") or text_of(data, "error"))

    def key(self, name: str, arguments: dict[str, Any]) -> bytes:
        """Return what is equal for equal calls."""
        try:
            text = _encode([name, arguments])
        except RecursionError:  # nested nearly as deep as the parser goes
            text = name
        return sha256(self.relative(text).encode("utf-8", "surrogatepass")).digest()[:16]


def activity(name: str, arguments: dict[str, Any]) -> tuple[str, str]:
    """Return what a call does, a word of `activities`, and of a command line the program that does it."""
    plain = _plain_name(name)
    if plain in SHELLS:
        return activity_of(command_of(arguments))
    if plain in EDITORS:
        return (EXPLORING if arguments.get("command") == "view" else EDITING), ""
    return TOOLS.get(plain, OTHER), ""


def command_of(arguments: dict[str, Any]) -> str:
    """Return the command line of a shell's call, "" when there is none."""
    for key in COMMAND_KEYS:
        value = arguments.get(key)
        if isinstance(value, str):
            return value
        if is_list(value) and value:
            is_script = len(value) > 2 and str(value[1]).endswith("c")  # noqa: PLR2004 - bash, -lc, the script
            return as_text(value[-1]) if is_script else " ".join(map(as_text, value))
    return ""


def target_of(name: str, arguments: dict[str, Any]) -> str:
    """Return the command, path, pattern, URL or query of a call; of a patch the first file that it names."""
    telling = telling_argument(name, arguments)
    if telling.startswith(_PATCHED):
        lines = telling[:_TITLE_WIDTH].splitlines()
        files = [line.removeprefix(mark) for line in lines for mark in _PATCHED_FILES if line.startswith(mark)]
        return files[0] if files else telling
    if _plain_name(name) in EDITORS and isinstance(arguments.get("path"), str):
        return f"{telling} {arguments['path']}"
    return telling


@cache
def _plain_name(name: str) -> str:
    """Return a tool's name as the tables spell it, of an MCP tool without its server."""
    own = name.rpartition("__")[2].rpartition(":")[2]
    return own.lower().replace("_", "").replace("-", "").replace(".", "")


def _outcome(index: SessionIndex, end: int) -> str:
    if end < 0:
        return OPEN
    line = index.line(end)
    said = text_of(read_data(line), "outcome") if _OUTCOME in line else ""
    return intern(said[:_NAME_WIDTH]) or ("error" if index.event_types[end] == "error" else OK)
