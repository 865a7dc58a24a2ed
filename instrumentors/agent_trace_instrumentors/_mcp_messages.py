"""Requests and results of MCP as parsed JSON in; span names' targets, attributes and ways to end out.

Called by `_mcp_requests`. Pure but for the question whether content is captured. Shapes: the MCP specification's
schema, all revisions up to 2026-07-28; names: semantic conventions, MCP client and server spans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from agent_trace_otel import model_io, semconv, spans

Json = Mapping[str, Any]
NOTHING: Final[Json] = {}

PROTOCOL_VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
"""Key of `_meta` in each request since 2026-07-28, which has no handshake."""

SUBSCRIPTION_KEY: Final = "io.modelcontextprotocol/subscriptionId"
"""Key of `_meta` in what a `subscriptions/listen` sends: that request's id."""
LISTEN: Final = "subscriptions/listen"
LISTEN_ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
PROGRESS: Final = "notifications/progress"
OF_SERVERS: Final = frozenset({"sampling/createMessage", "elicitation/create", "roots/list"})
"""Requests that servers send, in the course of one that they handle."""

_STOP_REASONS = {
    "endTurn": "end_turn",
    "stopSequence": "stop_sequence",
    "maxTokens": "max_tokens",
    "toolUse": "tool_use",
}
_TIMEOUT_CODES: Final = frozenset({-32001, 408})  # what the SDK raises itself when no answer came: 2.x, 1.x


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended, in the words of `spans.end`."""

    attributes: Json = field(default_factory=dict[str, Any])
    outcome: str = semconv.OUTCOME_OK
    message: str = ""


def read_request(method: str, params: Json) -> tuple[str, dict[str, Any]]:
    """Return (target, attributes) of a request; the target is the tool's or prompt's name, empty for other methods."""
    reader = _REQUESTS.get(method)
    target, told, attributes = reader(params) if reader is not None else ("", frozenset[str](), {})
    rest = {name: value for name, value in params.items() if name not in told and name != "_meta"}
    attributes |= _content(semconv.MCP_PARAMS, rest or None)
    version = meta_of(params).get(PROTOCOL_VERSION_KEY)
    if isinstance(version, str):
        attributes[semconv.MCP_PROTOCOL_VERSION] = version
    return target, attributes


def read_result(method: str, result: Json) -> Ending:
    """Return how a request ended that was answered with a result.

    A tool that failed (``isError``) is a failure of the call; a result that asks for more input (``resultType``
    input_required, 2026-07-28) is none.
    """
    said = {name: value for name, value in result.items() if name != "_meta"} or None
    if method == "tools/call":
        attributes = _content(semconv.TOOL_CALL_RESULT, said)
        if result.get("isError") is not True:
            return Ending(attributes)
        attributes[semconv.ERROR_TYPE] = semconv.TOOL_ERROR
        message = spans.content_text(_text_of(result.get("content"))) or semconv.TOOL_ERROR
        return Ending(attributes, semconv.OUTCOME_ERROR, message)
    if method == "sampling/createMessage" and "role" in result:
        return Ending(_read_sampled(result))
    attributes = _content(semconv.MCP_RESULT, said)
    if method == "initialize" and isinstance(result.get("protocolVersion"), str):
        attributes[semconv.MCP_PROTOCOL_VERSION] = result["protocolVersion"]
    return Ending(attributes)


def read_error(error: object) -> Ending | None:
    """Return how a request ended that was answered with a JSON-RPC error, None if that is none.

    Args:
        error: the SDK's ErrorData, or anything with ``code`` and ``message``.
    """
    code, message = getattr(error, "code", None), getattr(error, "message", None)
    if not isinstance(code, int) or not isinstance(message, str):
        return None
    if code in _TIMEOUT_CODES:
        attributes = {semconv.ERROR_TYPE: semconv.TIMEOUT_ERROR}
    else:
        attributes = {semconv.ERROR_TYPE: str(code), semconv.RPC_RESPONSE_STATUS_CODE: str(code)}
        attributes |= _content(semconv.MCP_RESULT, getattr(error, "data", None))
    return Ending(attributes, semconv.OUTCOME_ERROR, message or str(code))


def read_notification(method: str, params: Json) -> dict[str, Any]:
    """Return the attributes of the span event that a notification is; its token only says whose it is."""
    said = {name: value for name, value in params.items() if name not in {"_meta", "progressToken"}}
    return {semconv.MCP_METHOD_NAME: method, **_content(semconv.MCP_PARAMS, said or None)}


def meta_of(params: Json) -> Json:
    """Return a request's ``_meta``, empty if it has none."""
    return as_json(params.get("_meta"))


def as_json(value: object) -> Json:
    """Return a JSON object as it is, a pydantic model of the SDK's as the one it is sent as, else an empty one."""
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        value = dump(by_alias=True, mode="json", exclude_none=True)
    return cast("Json", value) if isinstance(value, Mapping) else NOTHING


# -- methods -----------------------------------------------------------------------------------------------------

_Reading = tuple[str, frozenset[str], dict[str, Any]]
"""The target, attributes, and which members of params these tell in full."""


def _read_tool_call(params: Json) -> _Reading:
    name = str(params.get("name", ""))
    attributes = {semconv.OPERATION_NAME: semconv.EXECUTE_TOOL, semconv.TOOL_NAME: name}
    arguments = params.get("arguments")
    attributes |= _content(semconv.TOOL_CALL_ARGUMENTS, {} if arguments is None else arguments)
    return name, frozenset({"name", "arguments"}), attributes


def _read_prompt(params: Json) -> _Reading:
    name = str(params.get("name", ""))
    return name, frozenset(), {semconv.PROMPT_NAME: name}


def _read_resource(params: Json) -> _Reading:
    return "", frozenset(), {semconv.MCP_RESOURCE_URI: str(params.get("uri", ""))}


def _read_sampling(params: Json) -> _Reading:
    hints = as_json(params.get("modelPreferences")).get("hints")
    hint = as_json(cast("list[object]", hints)[0]).get("name") if isinstance(hints, list) and hints else None
    asked = model_io.read_request(
        {
            "messages": params.get("messages"),
            "system": params.get("systemPrompt"),
            "model": hint,
            "max_tokens": params.get("maxTokens"),
            "temperature": params.get("temperature"),
            "stop_sequences": params.get("stopSequences"),
        }
    )
    attributes = dict(asked.attributes)
    if asked.model:
        attributes[semconv.REQUEST_MODEL] = asked.model
    attributes |= _content(semconv.INPUT_MESSAGES, asked.messages)
    attributes |= _content(semconv.SYSTEM_INSTRUCTIONS, asked.system)
    told = {"messages", "systemPrompt", "maxTokens", "temperature", "stopSequences"}
    return "", frozenset(told), attributes


def _read_sampled(result: Json) -> dict[str, Any]:
    """Read a sampling result: an Anthropic message but for the spelling of its stop reason and a single block."""
    reason: object = result.get("stopReason")
    given: object = result.get("content")
    attributes = model_io.read_response(
        {
            "type": "message",
            "role": result["role"],
            "model": result.get("model"),
            "content": cast("object", given) if isinstance(given, list) else [given],
            "stop_reason": _STOP_REASONS.get(str(reason), reason),
        }
    )
    if reason is not None:
        attributes[semconv.RESPONSE_FINISH_REASONS] = (str(reason),)
    if spans.content_text("") is None:
        attributes.pop(semconv.OUTPUT_MESSAGES, None)
    return attributes


_REQUESTS: Mapping[str, Callable[[Json], _Reading]] = {
    "tools/call": _read_tool_call,
    "prompts/get": _read_prompt,
    "resources/read": _read_resource,
    "resources/subscribe": _read_resource,
    "resources/unsubscribe": _read_resource,
    "sampling/createMessage": _read_sampling,
}


def _content(name: str, value: object) -> dict[str, Any]:
    """Return an attribute that holds content, or none if there is nothing or content is not captured."""
    text = None if value is None else spans.content_text(value)
    return {} if text is None else {name: text}


def _text_of(blocks: object) -> str:
    found = [as_json(block).get("text") for block in cast("list[object]", blocks)] if isinstance(blocks, list) else []
    return "\n".join(text for text in found if isinstance(text, str))
