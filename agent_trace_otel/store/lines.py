"""One line of events.ndjson, read for showing: its head at once, its data when somebody asks.

Comes in: a line as bytes. Goes out: its head (type, time, ids, duration, tool name), its data. Called by `index` and
`tally`; views go through `index`.

Most of a long session is results that a timeline doesn't show, so of a line in the key order that we and agent-strace
write only the head is matched; any other line is parsed like any JSON.

Nothing on the readers' path imports dataclasses, typing or pathlib: together they take longer to load than the
interpreter takes to start, and `agent-trace replay` has to feel instant.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias, TypeGuard

    Head: TypeAlias = tuple[bytes, bytes | float, bytes, bytes | None, bytes | float | None, bytes | None]

# The key order is fixed by store.events. An escaped quote would end a value early, but then the key that has to follow
# it doesn't, so the line is left to the parser, like any other that is written differently.
match_head = re.compile(
    rb'\{"event_type":"([^"]+)","timestamp":([0-9.]{1,24}),"event_id":"([^"]*)","session_id":"[^"]*",'
    rb'(?:"parent_id":"([^"]*)",)?(?:"duration_ms":([0-9.]{1,24}),)?"data":\{(?:"tool_name":"([^"\\]*)")?'
).match

# NaN and infinity are no JSON: as strings they can be shown and written again
_decoder = json.JSONDecoder(parse_constant=str)
# what raw_decode calls: a replay reads tens of thousands of objects, and one call less for each can be felt
_scan: Callable[[str, int], tuple[Any, int]] = getattr(_decoder, "scan_once")  # noqa: B009 - typeshed doesn't know it
_DATA = b'"data":{'
_TO_BRACE = len(_DATA) - 1
END = b"}}\n"  # of a whole line
OVER_MCP = ',"mcp":true'  # in the data of a tool call, where it stands
_LARGEST = 1e24  # whatever is beyond it is no time and no count


def read_head(line: bytes) -> Head | None:
    """Return (event_type, timestamp, event_id, parent_id, duration_ms, tool_name) of a line.

    Ids and names are bytes, numbers are for float(): unix seconds and milliseconds. What the line doesn't say is
    None or empty.

    Returns:
        None when the line holds no event: it is torn, no JSON, or has no type or time.
    """
    match = match_head(line)
    # a torn line begins like a whole one, so its end is looked at as well
    if match is not None and line.endswith(END) and line.isascii():
        event_type, timestamp, event_id, parent_id, duration_ms, tool_name = match.groups()
        return event_type, timestamp, event_id, parent_id, duration_ms, tool_name
    try:
        event: Any = _decoder.decode(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not is_object(event):
        return None
    event_type, timestamp, duration = event.get("event_type"), event.get("timestamp"), event.get("duration_ms")
    if not isinstance(event_type, str) or not is_number(timestamp):
        return None
    data = event.get("data")
    return (
        _id(event_type),
        float(timestamp),
        _id(event.get("event_id")),
        _id(event.get("parent_id")),
        float(duration) if is_number(duration) else None,
        _id(data.get("tool_name") if is_object(data) else None),
    )


def read_event(line: bytes) -> dict[str, Any]:
    """Return a whole event, or any JSON object, as it was written; empty when it turns out to be damaged."""
    try:
        event: Any = _decoder.raw_decode(line.decode("utf-8"))[0]
    except (ValueError, RecursionError):
        return {}
    return event if is_object(event) else {}


def read_data(line: bytes) -> dict[str, Any]:
    """Return the ``data`` of an event, empty when there is none."""
    at = line.find(_DATA)
    if at > 0 and line.count(b"{", 0, at) == 1:  # no other object before it: what is found is the event's own
        try:
            data: dict[str, Any] = _scan(line[at + _TO_BRACE :].decode(), 0)[0]
        except (ValueError, RecursionError, StopIteration):
            return {}
        return data
    found = read_event(line).get("data")
    return found if is_object(found) else {}


def tokens_of(data: dict[str, Any], name: str = "total_tokens") -> int:
    """Return a token count of a model response's data, 0 when it has none that can be one."""
    tokens = data.get(name)
    return int(tokens) if is_number(tokens) and tokens > 0 else 0


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Tell whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:  # noqa: ANN401 - JSON
    """Tell whether a JSON value is an array."""
    return isinstance(value, list)


def text_of(values: dict[str, Any], name: str) -> str:
    """Return a value that should be text: as it is, "" when it is missing, any other as JSON."""
    value = values.get(name)
    return value if isinstance(value, str) else "" if value is None else as_text(value)


def as_text(value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a JSON value as text: a string as it is, any other as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def is_number(value: Any) -> TypeGuard[float]:  # noqa: ANN401 - JSON
    """Tell whether a JSON value is a number that can be meant; True, False, NaN and infinity are none."""
    return (type(value) is float or type(value) is int) and -_LARGEST < value < _LARGEST


def _id(value: Any) -> bytes:  # noqa: ANN401 - JSON
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b""
