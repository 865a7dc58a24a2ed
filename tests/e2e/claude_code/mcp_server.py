"""A stdio MCP server with three tools: add, boom (an error of the tool's own) and ask (asks the user back).

Started by the client, as the scenario ``mcp`` tells it: JSON-RPC lines on stdin -> JSON-RPC lines on stdout.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

_TOOLS = {
    "add": {"a": {"type": "number"}, "b": {"type": "number"}},
    "boom": {"why": {"type": "string"}},
    "ask": {"q": {"type": "string"}},
}
_NAME_SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}


def _send(message: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def _text(text: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], **more}


def _initialize(params: Mapping[str, Any]) -> dict[str, Any]:
    version = params.get("protocolVersion", "2025-06-18")
    server = {"name": "demo", "version": "1"}
    return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}


def _listed() -> dict[str, Any]:
    schemas = {name: {"type": "object", "properties": properties} for name, properties in _TOOLS.items()}
    return {"tools": [{"name": n, "description": n, "inputSchema": schema} for n, schema in schemas.items()]}


def main() -> None:
    """Answer until stdin ends."""
    asking: dict[str, Any] = {}  # id of our question -> id of the call that waits for it
    for line in sys.stdin:
        message = json.loads(line)
        number, method = message.get("id"), message.get("method")
        params: dict[str, Any] = message.get("params") or {}
        if method == "initialize":
            _send({"id": number, "result": _initialize(params)})
        elif method == "tools/list":
            _send({"id": number, "result": _listed()})
        elif method == "tools/call" and params["name"] == "ask":
            asking["question-1"] = number
            question = {"message": "Your name?", "requestedSchema": _NAME_SCHEMA}
            _send({"id": "question-1", "method": "elicitation/create", "params": question})
        elif method == "tools/call" and params["name"] == "boom":
            _send({"id": number, "result": _text("boom: scripted MCP error", isError=True)})
        elif method == "tools/call":
            arguments = params["arguments"]
            _send({"id": number, "result": _text(str(arguments["a"] + arguments["b"]))})
        elif method is None and number in asking:
            reply = json.dumps(message.get("result") or message.get("error"))
            _send({"id": asking.pop(number), "result": _text(f"reply: {reply}")})
        elif number is not None:
            _send({"id": number, "result": {}})


if __name__ == "__main__":
    main()
