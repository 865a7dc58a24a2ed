"""The timeline format: one event a line in events.ndjson, one SessionMeta in meta.json.

Comes in: values already redacted. Goes out: lines that agent-strace 0.4.0 and newer read, and the same lines read back.
Called by the writer (`folder`, `span_events`) and by every reader.

agent-strace's readers reject unknown keys and unknown types, so the keys below are all there are; what we add of our
own lives inside ``data``. Lines are ASCII: its reader splits on U+2028 and the like.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

EventType = Literal[
    "session_start",
    "session_end",
    "user_prompt",
    "assistant_response",
    "tool_call",
    "tool_result",
    "llm_request",
    "llm_response",
    "file_read",
    "file_write",
    "decision",
    "error",
]
EVENT_TYPES: frozenset[str] = frozenset(get_args(EventType))

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One line of events.ndjson.

    ``timestamp`` is unix seconds, ``duration_ms`` milliseconds. ``parent_id`` of a tool_result, llm_response or error
    is the ``event_id`` of the call it closes. ``event_type`` is a plain string, since a reader may meet a type that is
    newer than it.
    """

    event_type: str
    timestamp: float
    event_id: str = ""
    session_id: str = ""
    parent_id: str = ""
    duration_ms: float | None = None
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_line(self) -> bytes:
        """Return the line as written to disk, newline included."""
        return event_line(
            self.event_type,
            self.timestamp,
            self.event_id,
            self.session_id,
            _encode(dict(self.data)),
            parent_id=self.parent_id,
            duration_ms=self.duration_ms,
        )

    @classmethod
    def from_line(cls, line: bytes) -> TraceEvent:
        """Read one line.

        Unknown keys are ignored, missing ones get their default.

        Raises:
            ValueError: the line is no JSON object, or its type or time is missing or of the wrong kind.
        """
        try:
            raw: Any = json.loads(line)
        except RecursionError:
            msg = "nested too deeply"
            raise ValueError(msg) from None
        if not isinstance(raw, dict):
            msg = "not a JSON object"
            raise ValueError(msg)  # noqa: TRY004 - one error type for every bad line
        fields = cast("dict[str, Any]", raw)
        event_type, timestamp = fields.get("event_type"), fields.get("timestamp")
        if not isinstance(event_type, str) or not isinstance(timestamp, (int, float)):
            msg = "event_type or timestamp missing"
            raise ValueError(msg)  # noqa: TRY004 - one error type for every bad line
        data, duration = fields.get("data"), fields.get("duration_ms")
        return cls(
            event_type=event_type,
            timestamp=float(timestamp),
            event_id=_text(fields.get("event_id")),
            session_id=_text(fields.get("session_id")),
            parent_id=_text(fields.get("parent_id")),
            duration_ms=float(duration) if isinstance(duration, (int, float)) else None,
            data=cast("dict[str, Any]", data) if isinstance(data, dict) else {},
        )


def event_line(  # noqa: PLR0913 - the seven keys of the format
    event_type: str,
    timestamp: float,
    event_id: str,
    session_id: str,
    data_json: str,
    *,
    parent_id: str = "",
    duration_ms: float | None = None,
) -> bytes:
    """Return one line from parts; ``data_json`` is a JSON object as ASCII text without line breaks.

    Ids are ours (hex digits or checked by ``identity.folder_name``), so they need no escaping.
    """
    parent = f',"parent_id":"{parent_id}"' if parent_id else ""
    duration = f',"duration_ms":{duration_ms!r}' if duration_ms is not None else ""
    return (
        f'{{"event_type":"{event_type}","timestamp":{timestamp!r},"event_id":"{event_id}",'
        f'"session_id":"{session_id}"{parent}{duration},"data":{data_json}}}\n'
    ).encode("ascii")


@dataclass(slots=True)
class SessionMeta:
    """meta.json: what `agent-trace list` shows without reading the timeline.

    Times are unix seconds, ``total_duration_ms`` milliseconds; ``ended_at`` is None while the session runs (and for
    ever, if its process was killed: then readers count again from events.ndjson).
    """

    session_id: str
    started_at: float = 0.0
    ended_at: float | None = None
    agent_name: str = ""
    command: str = ""
    tool_calls: int = 0
    llm_requests: int = 0
    errors: int = 0
    total_tokens: int = 0
    total_duration_ms: float = 0.0

    def to_json(self) -> str:
        """Return the file's text: indented, unknown values left out."""
        values = {name: getattr(self, name) for name in _META_KEYS}
        return json.dumps({k: v for k, v in values.items() if v not in (None, "", 0)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, *, session_id: str) -> SessionMeta:
        """Read meta.json leniently: unknown keys and values of the wrong kind are ignored.

        Raises:
            ValueError: the text is no JSON object.
        """
        try:
            raw = json.loads(text)
        except RecursionError:
            msg = "nested too deeply"
            raise ValueError(msg) from None
        if not isinstance(raw, dict):
            msg = "meta.json holds no JSON object"
            raise ValueError(msg)  # noqa: TRY004 - one error type for every bad file
        fields = cast("dict[str, Any]", raw)
        meta = cls(session_id)
        for key in _META_KEYS:
            value, default = fields.get(key), getattr(meta, key)
            if isinstance(value, bool) or value is None:
                continue
            if isinstance(default, str):
                if isinstance(value, str):
                    setattr(meta, key, value)
            elif isinstance(value, (int, float)) and abs(value) < _MAX_NUMBER:
                setattr(meta, key, int(value) if isinstance(default, int) else float(value))
        meta.session_id = session_id
        return meta


_MAX_NUMBER = 1e18  # also keeps out NaN and the infinities, which Python's JSON reads
_META_KEYS = tuple(SessionMeta.__dataclass_fields__)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
