"""Spans of MCP: the Python SDK's own (scope ``mcp-python-sdk``, since 2.0) and those of FastMCP.

Source: `mcp/shared/jsonrpc_dispatcher.py`, `mcp/server/_otel.py`, `fastmcp/server/telemetry.py` and
`fastmcp/client/telemetry.py`. The SDK's client names the tool in the span's name alone: ``MCP send tools/call echo``.
FastMCP's spans say what is called as ``fastmcp.component.key``.
"""

from __future__ import annotations

from typing import Any

from agent_trace_otel import semconv
from agent_trace_otel.dialects.given import Given, text
from agent_trace_otel.dialects.table import Dialect

_TARGETS = {"tools/call": semconv.TOOL_NAME, "prompts/get": semconv.PROMPT_NAME}
_SENT = "MCP send "


def _derived(given: Given) -> dict[str, Any]:
    values = given.attributes
    method = text(values.get(semconv.MCP_METHOD_NAME))
    if method is None:
        return {}
    found: dict[str, Any] = {}
    if method == "tools/call":
        found[semconv.OPERATION_NAME] = semconv.EXECUTE_TOOL
    named = _TARGETS.get(method)
    if named is not None and values.get(named) is None:
        rest = given.name.removeprefix(_SENT)
        if rest.startswith(f"{method} "):
            found[named] = rest[len(method) + 1 :]
    return found


MCP = Dialect(name="mcp", marks=(semconv.MCP_METHOD_NAME,), derived=_derived)
