"""Requests and answers of the MCP SDKs, as JSON or as models of theirs, in; attributes and ways to end out.

Called by `_mcp_requests`, `_mcp_v1` and `_mcp_v2`. `mcp_io` reads what is said; here is what the SDKs put around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from agent_trace_otel import mcp_io, semconv, spans

Json = Mapping[str, Any]
NOTHING: Final[Json] = {}

LISTEN: Final = "subscriptions/listen"
OF_SERVERS: Final = frozenset({"sampling/createMessage", "elicitation/create", "roots/list"})
"""Requests that servers send, in the course of one that they handle."""

_TIMEOUT_CODES: Final = frozenset({-32001, 408})  # what the SDK raises itself when no answer came: 2.x, 1.x


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended, in the words of `spans.end`."""

    attributes: Json = field(default_factory=dict[str, Any])
    outcome: str = semconv.OUTCOME_OK
    message: str = ""


def read_request(method: str, params: Json) -> tuple[str, dict[str, Any]]:
    """Return (target, attributes) of a request; the target is the tool's or prompt's name, empty for other methods."""
    return mcp_io.target_of(method, params), mcp_io.read_request(method, params).told(spans.content_text)


def read_result(method: str, result: Json) -> Ending:
    """Return how a request ended that was answered with a result."""
    return _ending(mcp_io.read_result(method, result))


def read_error(error: object) -> Ending | None:
    """Return how a request ended that was answered with a JSON-RPC error, None if that is none.

    Args:
        error: the SDK's ErrorData, or anything with ``code`` and ``message``.
    """
    code, message = getattr(error, "code", None), getattr(error, "message", None)
    if not isinstance(code, int) or not isinstance(message, str):
        return None
    if code in _TIMEOUT_CODES:
        return Ending({semconv.ERROR_TYPE: semconv.TIMEOUT_ERROR}, semconv.OUTCOME_ERROR, message or str(code))
    return _ending(mcp_io.read_error(code, message, getattr(error, "data", None)))


def read_notification(method: str, params: Json) -> dict[str, Any]:
    """Return the attributes of the span event that a notification is."""
    return mcp_io.read_notification(method, params).told(spans.content_text)


def meta_of(params: Json) -> Json:
    """Return a request's ``_meta``, empty if it has none."""
    return as_json(params.get("_meta"))


def as_json(value: object) -> Json:
    """Return a JSON object as it is, a pydantic model of the SDK's as the one it is sent as, else an empty one."""
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        value = dump(by_alias=True, mode="json", exclude_none=True)
    return cast("Json", value) if isinstance(value, Mapping) else NOTHING


def _ending(reading: mcp_io.Reading) -> Ending:
    outcome = semconv.OUTCOME_ERROR if reading.error_type else semconv.OUTCOME_OK
    return Ending(reading.told(spans.content_text), outcome, reading.failure(spans.content_text))
