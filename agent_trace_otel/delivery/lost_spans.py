"""What a process left open when it died -> the spans and events that close it, as it would have written them itself.

Comes in: what the events of a folder say of a call or of a run, and what its spans have in common. Goes out: lines of
spans.jsonl and events.ndjson, with the outcome `lost`. Pure; called by `lost`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent_trace_otel import semconv
from agent_trace_otel.store import span_events
from agent_trace_otel.store.events import event_line
from agent_trace_otel.store.lines import as_text, is_list, is_object, text_of
from agent_trace_otel.store.spans_file import HAS_IS_REMOTE, IS_REMOTE

_INTERNAL, _CLIENT, _ERROR = 1, 3, 2  # SpanKind and StatusCode of trace.proto
_MESSAGE_OF_CALL: Final = "the process ended before an answer came"
_MESSAGE_OF_RUN: Final = "the process ended without a word"
_MAX_VALUE: Final = 16 * 1024
_are_ids = re.compile(r"[0-9a-f]{32}:[0-9a-f]{16}:[0-9a-f]{16}").fullmatch
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the spans of a session have around them, as in a line of spans.jsonl."""

    resource: Mapping[str, Any]
    scope: Mapping[str, Any]
    members: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The scope's schemaUrl, if it has one."""

    def line(self, span: Mapping[str, Any]) -> bytes:
        """Return one span's line."""
        scope_spans = {"scope": self.scope, "spans": [span], **self.members}
        return f"{_encode({'resourceSpans': [{**self.resource, 'scopeSpans': [scope_spans]}]})}\n".encode("ascii")


@dataclass(frozen=True, slots=True)
class Lost:
    """One span that has to be closed."""

    kind: span_events.Kind
    span_id: str
    trace_id: str
    parent_id: str
    start_ns: int
    name: str
    otlp_kind: int
    attributes: Mapping[str, Any]
    message: str
    flags: int
    agent: str = ""
    is_mcp: bool = False

    def span(self, end_ns: int) -> dict[str, Any]:
        """Return the span as OTLP JSON; it ends when the last sign of life was seen."""
        end_ns = max(end_ns, self.start_ns)
        return {
            "traceId": self.trace_id,
            "spanId": self.span_id,
            **({"parentSpanId": self.parent_id} if self.parent_id else {}),
            "flags": self.flags,
            "name": self.name,
            "kind": self.otlp_kind,
            "startTimeUnixNano": str(self.start_ns),
            "endTimeUnixNano": str(end_ns),
            "attributes": [_key_value(key, value) for key, value in self._all_attributes().items()],
            "status": {"message": self.message, "code": _ERROR},
        }

    def event(self, session_id: str, end_ns: int) -> bytes | None:
        """Return the line that closes it in the timeline, None if its kind has none."""
        end_ns = max(end_ns, self.start_ns)
        duration_ms = (end_ns - self.start_ns) / 1e6
        tail = span_events.tail(self.trace_id, self.span_id, self.parent_id, self.agent, is_mcp=self.is_mcp)
        failure = span_events.Failure(self.message, "")
        found = span_events.closing(self.kind, self._all_attributes(), failure, duration_ms, tail, _MAX_VALUE)
        if found is None:
            return None
        event_type, data = found
        return event_line(
            event_type,
            end_ns / 1e9,
            span_events.closing_id(self.span_id),
            session_id,
            data,
            parent_id="" if self.kind == "session" else self.span_id,
            duration_ms=duration_ms,
        )

    def _all_attributes(self) -> dict[str, Any]:
        return {**self.attributes, semconv.ERROR_TYPE: semconv.OUTCOME_LOST, semconv.OUTCOME: semconv.OUTCOME_LOST}


def lost_call(event: Mapping[str, Any], session_id: str, trace_flags: int) -> Lost | None:
    """Return the span of a call from the event that opened it; None if the event doesn't say which span it is."""
    data = _placed(event)
    if data is None:
        return None
    is_tool = event.get("event_type") == "tool_call"
    name = text_of(data, "tool_name") if is_tool else text_of(data, "model")
    operation = semconv.EXECUTE_TOOL if is_tool else text_of(data, "method") or semconv.CHAT
    attributes: dict[str, Any] = {semconv.OPERATION_NAME: operation}
    if is_tool:
        attributes |= {semconv.TOOL_NAME: name, semconv.TOOL_CALL_ARGUMENTS: as_text(data.get("arguments") or {})}
    elif name:
        attributes[semconv.REQUEST_MODEL] = name
    return Lost(
        kind="tool" if is_tool else "model",
        span_id=text_of(data, "span_id"),
        trace_id=text_of(data, "trace_id"),
        parent_id=text_of(data, "parent_span_id"),
        start_ns=_nanoseconds(event),
        name=f"{operation} {name}" if name else operation,
        otlp_kind=_INTERNAL if is_tool else _CLIENT,
        attributes={**attributes, semconv.SESSION_ID: session_id},
        message=_MESSAGE_OF_CALL,
        flags=trace_flags | HAS_IS_REMOTE,
        agent=text_of(data, "agent"),
        is_mcp=data.get("mcp") is True,
    )


def lost_run(event: Mapping[str, Any], session_id: str, number: int, trace_flags: int) -> Lost | None:
    """Return the session span of a run from its session_start; ``number`` is the run's, from 1."""
    data = _placed(event)
    if data is None:
        return None
    agent, command, parent = text_of(data, "agent_name"), data.get("command"), text_of(data, "parent_span_id")
    process: dict[str, Any] = {
        semconv.PROCESS_COMMAND_ARGS: command if is_list(command) and command else None,
        semconv.PROCESS_PID: data.get("pid"),
        semconv.PROCESS_START: data.get("pid_start"),
        semconv.BOOT_ID: data.get("boot_id"),
        semconv.HOST_NAME: data.get("host"),
        semconv.AGENT_NAME: agent or None,
    }
    return Lost(
        kind="session",
        span_id=text_of(data, "span_id"),
        trace_id=text_of(data, "trace_id"),
        parent_id=parent,
        start_ns=_nanoseconds(event),
        name=f"{semconv.INVOKE_AGENT} {agent}" if agent else semconv.INVOKE_AGENT,
        otlp_kind=_INTERNAL,
        attributes={
            semconv.OPERATION_NAME: semconv.INVOKE_AGENT,
            semconv.SCOPE: semconv.SCOPE_SESSION,
            semconv.RUN: number,
            semconv.CONVERSATION_ID: session_id,
            semconv.SESSION_ID: session_id,
            **{key: value for key, value in process.items() if value is not None},
        },
        message=_MESSAGE_OF_RUN,
        flags=trace_flags | HAS_IS_REMOTE | (IS_REMOTE if parent else 0),
    )


def lost_parent(  # noqa: PLR0913 - what is known of it
    span_id: str, trace_id: str, parent_id: str, start_ns: int, session_id: str, trace_flags: int, agent: str
) -> Lost:
    """Return a span that is known only because others hang under it: an agent or a turn, which opens with no event.

    ``agent`` is its name, where its calls tell it.
    """
    told = {semconv.OPERATION_NAME: semconv.INVOKE_AGENT, semconv.AGENT_NAME: agent} if agent else {}
    return Lost(
        kind="agent" if agent else "generic",
        span_id=span_id,
        trace_id=trace_id,
        parent_id=parent_id,
        start_ns=start_ns,
        name=f"{semconv.INVOKE_AGENT} {agent}" if agent else "unfinished",
        otlp_kind=_INTERNAL,
        attributes={**told, semconv.SESSION_ID: session_id},
        message=_MESSAGE_OF_RUN,
        flags=trace_flags | HAS_IS_REMOTE,
    )


def _placed(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return an event's data if it says, in ids of OpenTelemetry's, which span it is of."""
    data = event.get("data")
    if not is_object(data):
        return None
    ids = text_of(data, "trace_id"), text_of(data, "span_id"), text_of(data, "parent_span_id") or "0" * 16
    return data if _are_ids(":".join(ids)) else None


def _nanoseconds(event: Mapping[str, Any]) -> int:
    at = event.get("timestamp")
    return round(at * 1e9) if isinstance(at, (int, float)) else 0


def _key_value(key: str, value: object) -> dict[str, Any]:
    return {"key": key, "value": _any_value(value)}


def _any_value(value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if is_list(value):
        return {"arrayValue": {"values": [_any_value(item) for item in value]}}
    return {"stringValue": as_text(value)}
