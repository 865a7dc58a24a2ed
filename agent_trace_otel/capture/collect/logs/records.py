"""The body of a logs request -> its records, as far as a coding agent's story may stand in them.

Comes in: an ExportLogsServiceRequest, protobuf or JSON. Goes out: `LogRecord`. Called by `serving`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from agent_trace_otel.capture.collect.answers import JSON, RefusedError
from agent_trace_otel.capture.collect.decoding import json_object
from agent_trace_otel.capture.collect.protobuf_spans import attributes
from agent_trace_otel.store.stored_span import attributes_in

_NAME, _TIME = "event.name", "event.timestamp"


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One event that a program has logged."""

    name: str
    """``event.name``."""
    time_ns: int
    scope: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    in_span: bool
    """Whether it names a span: then the program reports spans too."""


def records_of(body: bytes, encoding: str) -> list[LogRecord]:
    """Return the named events of a logs request; what has no name is no part of a story.

    Raises:
        RefusedError: the body is no ExportLogsServiceRequest.
    """
    try:
        return list(_of_json(json_object(body)) if encoding == JSON else _of_protobuf(body))
    except (DecodeError, ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError) as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"the body is no ExportLogsServiceRequest: {error}") from None


def _of_json(request: Mapping[str, Any]) -> Iterator[LogRecord]:
    for resource_logs in request.get("resourceLogs") or ():
        resource = attributes_in(resource_logs.get("resource") or {})
        for scope_logs in resource_logs.get("scopeLogs") or ():
            scope: Mapping[str, Any] = scope_logs.get("scope") or {}
            for record in scope_logs.get("logRecords") or ():
                values = attributes_in(record)
                name = str(record.get("eventName") or "")
                time_ns = int(record.get("timeUnixNano") or 0) or int(record.get("observedTimeUnixNano") or 0)
                yield from _record(name, time_ns, str(scope.get("name")), values, resource, bool(record.get("spanId")))


def _of_protobuf(body: bytes) -> Iterator[LogRecord]:
    for resource_logs in ExportLogsServiceRequest.FromString(body).resource_logs:
        resource = attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                values = attributes(record.attributes)
                # the field came with opentelemetry-proto 1.5
                name = str(getattr(record, "event_name", ""))
                time_ns = record.time_unix_nano or record.observed_time_unix_nano
                yield from _record(name, time_ns, scope_logs.scope.name, values, resource, any(record.span_id))


def _record(  # noqa: PLR0913 - what a record is made of
    name: str,
    time_ns: int,
    scope: str,
    values: dict[str, Any],
    resource: dict[str, Any],
    in_span: bool,  # noqa: FBT001
) -> Iterator[LogRecord]:
    named = values.get(_NAME) or name
    if isinstance(named, str) and named:
        yield LogRecord(named, _told_time(values.get(_TIME)) or time_ns, scope, values, resource, in_span)


def _told_time(text: object) -> int:
    """Return the time that an event tells itself, as unix nanoseconds; exporters batch, and some stamp then."""
    with suppress(ValueError, TypeError, OverflowError):
        when = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
        if when.tzinfo is None:
            when = when.replace(tzinfo=timezone.utc)
        return round(when.timestamp() * 1e6) * 1000
    return 0
