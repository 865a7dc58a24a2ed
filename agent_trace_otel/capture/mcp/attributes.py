"""What the span of an MCP request tells: a request or its answer in, attributes of the MCP and GenAI conventions out.

Called by `session`. `mcp_io` reads what is said; here is what a proxy knows besides: the connection, who speaks, and
what was too long to be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agent_trace_otel import mcp_io, semconv, spans
from agent_trace_otel.capture.mcp.messages import Message, member, text_member
from agent_trace_otel.capture.mcp.pairing import Request, is_stateless

META_CLIENT = "io.modelcontextprotocol/clientInfo"
META_SERVER = "io.modelcontextprotocol/serverInfo"

_UNREAD = "… [not read: too long or nested too deeply]"


class Ending(NamedTuple):
    """How an answer ends its request's span."""

    outcome: str
    message: str
    attributes: dict[str, Any]


def of_request(request: Request, known_protocol: str) -> dict[str, Any]:
    """Return what is known when a request is sent.

    Args:
        request: the request.
        known_protocol: the version that its session agreed on, for requests that name none.
    """
    message, exchange = request.message, request.exchange
    params: object = message.params
    if not message.is_whole and message.method == "tools/call":
        params = {"arguments": {"…": _UNREAD}}
    told = mcp_io.read_request(message.method, params).told(spans.content_text)
    protocol = told.get(semconv.MCP_PROTOCOL_VERSION) or exchange.protocol or known_protocol
    known: dict[str, Any] = {
        **exchange.attributes,
        semconv.JSONRPC_REQUEST_ID: message.id.text if message.id is not None else None,
        semconv.JSONRPC_PROTOCOL_VERSION: None if message.version == "2.0" else message.version,
        semconv.MCP_PROTOCOL_VERSION: protocol or None,
        semconv.MCP_SESSION_ID: (exchange.session or None) if not is_stateless(protocol) else None,
    }
    return {**{name: value for name, value in known.items() if value is not None}, **told}


def of_answer(request: Request, answer: Message) -> Ending:
    """Return what an answer says of its request: an error's type is the JSON-RPC code, or `tool_error`."""
    if answer.error is not None:
        reading = mcp_io.read_error(answer.error.get("code"), answer.error.get("message"), answer.error.get("data"))
    else:
        reading = mcp_io.read_result(request.message.method, answer.result if answer.is_whole else _UNREAD)
    outcome = semconv.OUTCOME_ERROR if reading.error_type else semconv.OUTCOME_OK
    return Ending(outcome, reading.failure(spans.content_text), reading.told(spans.content_text))


def of_notification(message: Message) -> dict[str, Any]:
    """Return what the event of a notification tells."""
    return mcp_io.read_notification(message.method, message.params).told(spans.content_text)


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
