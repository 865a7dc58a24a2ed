"""What the span of an MCP request tells: a request or its answer in, attributes of the MCP and GenAI conventions out.

Called by `session`. What was said (arguments, results, messages) is left out where content is not captured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from agent_trace_otel import content, model_io, semconv, spans
from agent_trace_otel.capture.mcp.messages import Message, member, text_member
from agent_trace_otel.capture.mcp.pairing import META_PROTOCOL, Request, is_stateless

META_CLIENT = "io.modelcontextprotocol/clientInfo"
META_SERVER = "io.modelcontextprotocol/serverInfo"

_STOP_REASONS = {
    "endTurn": "end_turn",
    "stopSequence": "stop_sequence",
    "maxTokens": "max_tokens",
    "toolUse": "tool_use",
}
_UNREAD = "… [not read: too long or nested too deeply]"


class Ending(NamedTuple):
    """How an answer ends its request's span."""

    outcome: str
    message: str
    attributes: dict[str, Any]


def target_of(message: Message) -> str:
    """Return what a span's name says beside the method: the tool or prompt (semantic conventions, MCP)."""
    return text_member(message.params, "name") if message.method in {"tools/call", "prompts/get"} else ""


def of_request(request: Request, known_protocol: str) -> dict[str, Any]:
    """Return what is known when a request is sent.

    Args:
        request: the request.
        known_protocol: the version that its session agreed on, for requests that name none.
    """
    message, exchange = request.message, request.exchange
    params: Mapping[str, Any] = message.params or {}
    protocol = text_member(message.meta, META_PROTOCOL) or exchange.protocol or known_protocol
    found: dict[str, Any] = {
        **exchange.attributes,
        semconv.JSONRPC_REQUEST_ID: message.id.text if message.id is not None else None,
        semconv.JSONRPC_PROTOCOL_VERSION: None if message.version == "2.0" else message.version,
        semconv.MCP_PROTOCOL_VERSION: protocol or None,
        semconv.MCP_SESSION_ID: (exchange.session or None) if not is_stateless(protocol) else None,
        semconv.MCP_RESOURCE_URI: text_member(params, "uri") or None,
    }
    if message.method == "tools/call":
        found[semconv.OPERATION_NAME] = semconv.EXECUTE_TOOL
        found[semconv.TOOL_NAME] = text_member(params, "name")
        if "arguments" in params:
            found[semconv.TOOL_CALL_ARGUMENTS] = _said(params["arguments"])
        elif not message.is_whole:
            found[semconv.TOOL_CALL_ARGUMENTS] = _said({"…": _UNREAD})
    elif message.method == "sampling/createMessage":
        found |= _of_sampling(params)
    else:
        if message.method == "prompts/get":
            found[semconv.PROMPT_NAME] = text_member(params, "name") or None
        found[semconv.MCP_PARAMS] = _said_beside_meta(params)
    return {name: value for name, value in found.items() if value is not None}


def _of_sampling(params: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a server wants to ask a model; its shape is that of Anthropic's messages in other letters."""
    asked = model_io.read_request(
        {
            "messages": params.get("messages"),
            "system": params.get("systemPrompt"),
            "max_tokens": params.get("maxTokens"),
            "temperature": params.get("temperature"),
            "stop_sequences": params.get("stopSequences"),
        }
    )
    return {
        **asked.attributes,
        semconv.INPUT_MESSAGES: None if asked.messages is None else _said(asked.messages),
        semconv.SYSTEM_INSTRUCTIONS: None if asked.system is None else _said(asked.system),
    }


def of_answer(request: Request, answer: Message) -> Ending:
    """Return what an answer says of its request: an error's type is the JSON-RPC code, or `tool_error`."""
    if answer.error is not None:
        return _of_error(answer.error)
    result, is_tools = answer.result, request.message.method == "tools/call"
    found: dict[str, Any] = {}
    if is_tools:
        found[semconv.TOOL_CALL_RESULT] = _said(_beside_meta(result)) if answer.is_whole else _said(_UNREAD)
    elif request.message.method == "sampling/createMessage" and isinstance(result, dict):
        found |= _of_sampled(cast("Mapping[str, Any]", result))
    else:
        found[semconv.MCP_RESULT] = _said_beside_meta(result) if answer.is_whole else _said(_UNREAD)
    if request.message.method == "initialize":
        found[semconv.MCP_PROTOCOL_VERSION] = text_member(answer.result, "protocolVersion") or None
    attributes = {name: value for name, value in found.items() if value is not None}
    if is_tools and isinstance(result, dict):
        told = cast("Mapping[str, Any]", result)
        if told.get("isError") is True:
            attributes[semconv.ERROR_TYPE] = semconv.TOOL_ERROR
            return Ending(semconv.OUTCOME_ERROR, _text_of(told) or semconv.TOOL_ERROR, attributes)
    return Ending(semconv.OUTCOME_OK, "", attributes)


def _of_error(error: Mapping[str, Any]) -> Ending:
    code = content.to_text(error["code"]) if error.get("code") is not None else "_OTHER"
    attributes: dict[str, Any] = {semconv.ERROR_TYPE: code, semconv.RPC_RESPONSE_STATUS_CODE: code}
    data = _said(error["data"]) if error.get("data") is not None else None
    if data is not None:
        attributes[semconv.MCP_RESULT] = data
    return Ending(semconv.OUTCOME_ERROR, content.to_text(error.get("message") or code), attributes)


def _of_sampled(result: Mapping[str, Any]) -> dict[str, Any]:
    reason = result.get("stopReason")
    found = model_io.read_response(
        {
            "type": "message",
            "role": "assistant",
            "model": result.get("model"),
            "content": _blocks(result.get("content")),
            "stop_reason": _STOP_REASONS.get(reason, reason) if isinstance(reason, str) else None,
        }
    )
    said = spans.content_text("") is not None
    return {name: value for name, value in found.items() if said or name != semconv.OUTPUT_MESSAGES}


def of_notification(message: Message) -> dict[str, Any]:
    """Return what the event of a notification tells; the token only says which request it is about."""
    params = {name: value for name, value in (message.params or {}).items() if name != "progressToken"}
    found = {semconv.MCP_METHOD_NAME: message.method, semconv.MCP_PARAMS: _said_beside_meta(params)}
    return {name: value for name, value in found.items() if value is not None}


def info_text(info: Mapping[str, Any]) -> str:
    """Return an Implementation object of MCP (clientInfo, serverInfo) as ``name/version``."""
    return "/".join(part for part in (text_member(info, "name"), text_member(info, "version")) if part)


def client_info(message: Message) -> str:
    """Return what a request says of the client, if it does: initialize, or any from 2026-07-28 on."""
    if message.method == "initialize":
        return info_text(member(message.params, "clientInfo"))
    return info_text(member(message.meta, META_CLIENT))


def server_info(request: Request, answer: Message) -> str:
    """Return what an answer says of the server, if it does: to initialize, or any from 2026-07-28 on."""
    if request.message.method == "initialize":
        return info_text(member(answer.result, "serverInfo"))
    return info_text(member(answer.meta, META_SERVER))


def _said(value: object) -> str | None:
    return spans.content_text(value)


def _said_beside_meta(value: object) -> str | None:
    rest = _beside_meta(value)
    return _said(rest) if rest not in (None, {}) else None


def _beside_meta(value: object) -> object:
    """Return params or a result without ``_meta``, which is the protocol's."""
    if not isinstance(value, dict):
        return value
    return {name: item for name, item in cast("Mapping[str, Any]", value).items() if name != "_meta"}


def _text_of(result: Mapping[str, Any]) -> str:
    """Return the text of a tool's result."""
    return "\n".join(filter(None, (text_member(block, "text") for block in _blocks(result.get("content")))))


def _blocks(content: object) -> list[object]:
    """Return the blocks of a content, which is one of them or a list."""
    return cast("list[object]", content) if isinstance(content, list) else [content]
