"""One framed message -> the JSON-RPC messages in it (JSON-RPC 2.0; a batch holds several).

Comes in: `framing.Framed`. Goes out: `Message`s, and how many pieces were none. Pure; called by `recording`. What can't
be parsed whole (too long, too deep) is read by its outline: method and id, so that requests and answers still meet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from agent_trace_otel.capture.mcp.framing import KEPT_HEAD, KEPT_TAIL, Framed

JSON = Mapping[str, Any]

_MAX_NAME = 512  # characters of a method or an id; a longer one is nobody's
_UNCLOSED = rb'"[^"\\]*(?:\\.[^"\\]*)*'
_STRING = _UNCLOSED + rb'"'
_SCALAR = rb"(?:" + _STRING + rb"|-?\d[\d.eE+-]*|true|false|null)"
_TOKEN = re.compile(_UNCLOSED + rb'(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)  # one that is cut off must not be tried anew
_VALUE = re.compile(rb"\s*:\s*(" + _SCALAR + rb"|[{\[])?", re.DOTALL)
_CONTAINERS: dict[bytes, object] = {b"{": {}, b"[": []}
_LAST_MEMBERS = re.compile(rb'((?:,\s*"(?:id|jsonrpc|method)"\s*:\s*' + _SCALAR + rb"\s*)+)\}\s*\Z", re.DOTALL)
_MEMBER = re.compile(rb',\s*"(\w+)"\s*:\s*(' + _SCALAR + rb")", re.DOTALL)


class Id(NamedTuple):
    """A request's id; 1 is not "1" (JSON-RPC 2.0, section 4)."""

    kind: str
    """number, string or other."""
    text: str
    """As jsonrpc.request.id spells it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request (method and id), notification (method alone) or answer (id alone)."""

    method: str = ""
    id: Id | None = None
    params: JSON | None = None
    """Parameters by name; MCP has no others."""
    result: Any = None
    error: JSON | None = None
    version: str = "2.0"
    """What its jsonrpc member says."""
    is_whole: bool = True
    """False if only the outline could be read."""

    @property
    def meta(self) -> JSON:
        """The ``_meta`` of its parameters, or of its result."""
        return member(self.params if self.method else self.result, "_meta")


def read(framed: Framed) -> tuple[list[Message], int]:
    """Return the messages, and the number of pieces that are no JSON-RPC."""
    if framed.tail:
        return _of_outline(framed.content, framed.tail)
    try:
        value: Any = json.loads(framed.content.decode("utf-8", "replace"))
    except RecursionError:
        return _of_outline(framed.content[:KEPT_HEAD], framed.content[-KEPT_TAIL:])
    except ValueError:
        return [], 1
    pieces = cast("list[object]", value) if isinstance(value, list) else [value]
    found = [message for message in map(_message, pieces) if message is not None]
    return found, max(len(pieces), 1) - len(found)


def member(value: object, name: str) -> JSON:
    """Return an object's member if it is an object itself, else an empty one."""
    found = cast("JSON", value).get(name) if isinstance(value, dict) else None
    return cast("JSON", found) if isinstance(found, dict) else {}


def text_member(value: object, name: str) -> str:
    """Return an object's member if it is a string, else an empty one."""
    found = cast("JSON", value).get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def id_of(value: object) -> Id | None:
    """Return an id as it is compared; None for null, which is no id in MCP."""
    if value is None:
        return None
    if isinstance(value, str):
        return Id("string", value[:_MAX_NAME])
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = int(value) if isinstance(value, float) and value.is_integer() else value  # JavaScript has one kind
        return Id("number", str(number)[:_MAX_NAME])
    return Id("other", json.dumps(value)[:_MAX_NAME])


def _message(value: object) -> Message | None:
    if not isinstance(value, dict):
        return None
    object_ = cast("dict[str, Any]", value)
    method, params, error = object_.get("method"), object_.get("params"), object_.get("error")
    is_answer = "result" in object_ or isinstance(error, dict)
    if not (isinstance(method, str) and method) and not is_answer:
        return None
    return Message(
        method=method[:_MAX_NAME] if isinstance(method, str) else "",
        id=id_of(object_.get("id")),
        params=cast("JSON", params) if isinstance(params, dict) else None,
        result=object_.get("result"),
        error=cast("JSON", error) if isinstance(error, dict) else None,
        version=str(object_.get("jsonrpc", "")),
    )


def _of_outline(head: bytes, tail: bytes) -> tuple[list[Message], int]:
    """Read method and id from the two ends of one object."""
    known = _top_level(head)
    last = _LAST_MEMBERS.search(tail)
    if last is not None:
        known |= {name.decode(): _value(text) for name, text in _MEMBER.findall(last[1])}
    found = _message(known)
    if found is None:
        return [], 1
    return [Message(found.method, found.id, error=found.error, version=found.version or "2.0", is_whole=False)], 0


def _top_level(head: bytes) -> dict[str, Any]:
    """Return the members of the outermost object as far as the bytes go, its arrays and objects empty."""
    found: dict[str, Any] = {}
    depth = 0
    for token in _TOKEN.finditer(head):
        sign = token[0][:1]
        if sign in b"{[":
            depth += 1
        elif sign in b"]}":
            depth -= 1
        elif depth == 1:
            value = _VALUE.match(head, token.end())
            if value is not None:
                found[str(_value(token[0]))] = _value(value[1]) if value[1] else None
    return found


def _value(text: bytes) -> object:
    if text in _CONTAINERS:
        return _CONTAINERS[text]
    try:
        return json.loads(text.decode("utf-8", "replace"))
    except ValueError:
        return None
