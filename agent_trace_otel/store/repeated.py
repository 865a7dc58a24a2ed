"""Calls that a timeline tells twice, since nobody could know while they happened: which of them to leave out.

Comes in: the lines of calls in file order. Goes out: the calls (ids of their opening events) that another one tells.
Called by `tally` for meta.json and by `index` for every view. Pure.

A model call is told twice if its closing event says so (``duplicate_of``: `folding`), if another one of its trace has
the same response id, or if it stands right in another model call. The one with tokens stays, else the first one. A
call over MCP is told twice if it stands right in another tool call, or if the agent told it as
``mcp__<server>__<tool>`` with equal arguments and it happened meanwhile.
"""

from __future__ import annotations

import json
from collections import deque

from agent_trace_otel.store.lines import OVER_MCP, read_data, read_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OF_AGENT = b'"tool_name":"mcp__'
"""How agents begin the names of tools that they call over MCP."""
_MARK = OVER_MCP.encode("ascii")
_TAIL = 200  # bytes at a line's end in which its place stands
_REPEATED = b'"duplicate_of":"'
_HAS_ANSWER = b'"response_id":"'
_TRACE = b'"trace_id":"'
_PARENT = b'"parent_span_id":"'
_PARENT_AT, _ID_AT = -(len(_PARENT) + 16 + len(b'"}}\n')), -(16 + len(b'"}}\n'))
_RECENT = 1024
_TO_ID = 100  # bytes of a line among which its event's id stands
_BEFORE_ARGUMENTS = 400


class Surplus:
    """What the calls that are left out would have counted."""

    __slots__ = ("errors", "llm_requests", "tokens", "tool_calls")

    def __init__(self) -> None:
        self.tool_calls = self.llm_requests = self.errors = self.tokens = 0


class _ToolCall:
    __slots__ = ("arguments", "at", "end", "failed", "is_mcp", "is_nested", "name")

    def __init__(self, at: float, name: bytes, line: bytes, *, is_mcp: bool) -> None:
        self.at, self.end = at, float("inf")
        self.name, self.is_mcp = name, is_mcp
        self.is_nested = self.failed = False
        self.arguments = hash(_encode(read_data(line).get("arguments")))


class Repeated:
    """Calls as they are read; ids are those of opening events."""

    def __init__(self) -> None:
        self._models: dict[bytes, int] = {}  # the tokens of each, as far as they are known
        self._answers: dict[bytes, bytes] = {}
        self._inside: dict[bytes, bytes] = {}
        self._failed: set[bytes] = set()
        self._left_out: set[bytes] = set()
        self._tools: dict[bytes, _ToolCall] = {}
        self._recent: deque[bytes] = deque(maxlen=_RECENT)  # how the lines of tool calls begin
        self._inside_unknown: dict[bytes, list[_ToolCall]] = {}  # by what they stand in, which may be told later
        self._has_mcp = False

    def ask(self, call: bytes, line: bytes) -> None:
        """Take a model call's request."""
        self._models[call] = 0
        parent = _parent_of(line)
        if parent in self._models and parent != call:
            self._inside[call] = parent

    def answer(self, call: bytes, line: bytes, tokens: int) -> None:
        """Take a model call's response; ``tokens`` is more than zero if it names any."""
        if call in self._models:
            self._models[call] = tokens
        start = line.find(_HAS_ANSWER)
        if start < 0:
            if _REPEATED in line:
                self._left_out.add(call)
        else:
            start += len(_HAS_ANSWER)
            end = line.find(b'"', start)
            trace = line.find(_TRACE, end) + len(_TRACE)
            key = line[start:end] + line[trace : trace + 32]
            before = self._answers.setdefault(key, call)
            if before != call:
                if tokens and not self._models.get(before):
                    before, call = call, before
                    self._answers[key] = before
                self._left_out.add(call)

    def fail(self, call: bytes, at: float) -> None:
        """Take a call's error."""
        if call in self._models:
            self._failed.add(call)
        tool = self._tools.get(call)
        if tool is not None:
            tool.failed = True
            tool.end = at

    def call(self, line: bytes) -> None:
        """Take a tool call; those that nobody could tell twice are passed over at once."""
        if line.find(_MARK, -_TAIL) >= 0 or line.find(_OF_AGENT, 0, _BEFORE_ARGUMENTS) >= 0:
            head = read_head(line)
            if head is not None:
                self._take(head[2], float(head[1]), head[5] or b"", line)
        self._recent.append(line[:_TO_ID])
        if self._inside_unknown:
            head = read_head(line)
            for tool in self._inside_unknown.pop(head[2], ()) if head is not None else ():
                tool.is_nested = True

    def _take(self, call: bytes, at: float, name: bytes, line: bytes) -> None:
        is_mcp = is_over_mcp(line)
        parent = _parent_of(line) if is_mcp else b""
        self._tools[call] = tool = _ToolCall(at, name, line, is_mcp=is_mcp)
        self._has_mcp = self._has_mcp or is_mcp
        if parent:
            tool.is_nested = any(parent in head for head in self._recent)
            if not tool.is_nested and len(self._inside_unknown) < _RECENT:
                self._inside_unknown.setdefault(parent, []).append(tool)

    def result(self, call: bytes, at: float) -> None:
        """Take a tool call's result."""
        tool = self._tools.get(call)
        if tool is not None:
            tool.end = at

    @property
    def knows_tools(self) -> bool:
        """Whether there are tool calls whose ends matter."""
        return bool(self._tools)

    def calls(self) -> set[bytes]:
        """Return the calls to leave out."""
        found = set(self._left_out)
        for call, outer in self._inside.items():
            if outer not in found:
                found.add(outer if self._models[call] and not self._models[outer] else call)
        if self._has_mcp:
            found |= self._calls_over_mcp()
        return found

    def surplus(self) -> Surplus:
        """Return what those calls would count."""
        found = Surplus()
        for call in self.calls():
            tool = self._tools.get(call)
            if tool is not None:
                found.tool_calls += 1
                found.errors += tool.failed
            else:
                found.llm_requests += call in self._models
                found.tokens += self._models.get(call, 0)
                found.errors += call in self._failed
        return found

    def _calls_over_mcp(self) -> set[bytes]:
        found: set[bytes] = set()
        told: dict[int, list[_ToolCall]] = {}
        for tool in self._tools.values():
            if not tool.is_mcp:
                told.setdefault(tool.arguments, []).append(tool)
        for call, tool in sorted(self._tools.items(), key=lambda item: item[1].at):
            if not tool.is_mcp:
                continue
            if tool.is_nested:
                found.add(call)
                continue
            of_agent = next((one for one in told.get(tool.arguments, ()) if _is_of(one, tool)), None)
            if of_agent is not None:
                told[tool.arguments].remove(of_agent)
                found.add(call)
        return found


def is_over_mcp(line: bytes) -> bool:
    """Tell whether a tool call was made over MCP, as the one who saw it there says."""
    return line.find(_MARK, -_TAIL) >= 0


def _parent_of(line: bytes) -> bytes:
    """Return the span that a call stands in, as its line's end says it; empty if it does not."""
    return line[_ID_AT:-4] if line.startswith(_PARENT, _PARENT_AT) else b""


def _is_of(agents: _ToolCall, over_mcp: _ToolCall) -> bool:
    return agents.at <= over_mcp.at <= agents.end and agents.name.endswith(b"__" + over_mcp.name)


def _encode(value: Any) -> str:  # noqa: ANN401 - JSON
    try:
        return json.dumps(value, sort_keys=True)
    except RecursionError:
        return ""
