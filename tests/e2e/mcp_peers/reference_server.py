"""A server on the Python SDK 2.x that has most of what the official conformance suite asks for, in both eras of MCP.

usage: reference_server.py stdio | http PORT. Run by the end-to-end tests in an environment that holds the SDK; whether
it passes a scenario is of no account, only that it passes the same ones through a proxy.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from typing import Annotated, Any

from mcp import types
from mcp.server.mcpserver import Context, MCPServer, RequestStateSecurity
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.server.streamable_http import EventMessage, EventStore
from pydantic import BaseModel, Field

_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
_PAUSE = 0.05  # seconds

server = MCPServer(
    name="reference", version="1.0", request_state_security=RequestStateSecurity(keys=[b"reference-state-key-" * 2])
)


class Replayable(EventStore):
    """Keeps the events of streams, so that a client may resume one."""

    def __init__(self) -> None:
        self._events: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        after = int(last_event_id) if last_event_id.isdigit() else 0
        if not 0 < after <= len(self._events):
            return None
        stream = self._events[after - 1][0]
        for number, (found, message) in enumerate(list(self._events), 1):
            if number > after and found == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


class Answer(BaseModel):
    """What is asked of the user."""

    response: str = Field(description="User's response")


def _text(said: str) -> types.TextContent:
    return types.TextContent(type="text", text=said)


def _asked(message: str) -> types.ElicitRequest:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


@server.tool()
def test_simple_text() -> str:
    return "This is a simple text response for testing."


@server.tool()
def test_image_content() -> list[types.ImageContent]:
    return [types.ImageContent(type="image", data=_PIXEL, mime_type="image/png")]


@server.tool()
async def test_tool_with_logging(context: Context) -> str:
    for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await context.info(said)
        await asyncio.sleep(_PAUSE)
    return "done"


@server.tool()
async def test_tool_with_progress(context: Context) -> str:
    for done in (0, 50, 100):
        await context.report_progress(progress=done, total=100, message=f"Completed step {done} of 100")
        await asyncio.sleep(_PAUSE)
    return "progressed"


@server.tool()
async def test_sampling(prompt: str, context: Context) -> str:
    messages = [types.SamplingMessage(role="user", content=_text(prompt))]
    result = await context.session.create_message(
        messages=messages, max_tokens=100, related_request_id=context.request_id
    )
    return f"LLM response: {result.content.text}"


@server.tool()
async def test_elicitation(message: str, context: Context) -> str:
    result = await context.elicit(message=message, schema=Answer)
    return f"User response: action={result.action}"


@server.tool()
def test_error_handling() -> str:
    message = "This tool intentionally returns an error for testing"
    raise RuntimeError(message)


@server.tool()
def test_x_mcp_header(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "none",  # noqa: PT028 - a tool
) -> str:
    return f"region={region}"


@server.tool()
async def test_reconnection(context: Context) -> str:
    await context.info("before")
    await context.close_sse_stream()
    await asyncio.sleep(4 * _PAUSE)
    return "Reconnection test completed"


@server.tool()
async def test_trigger_tool_change(context: Context) -> str:
    await context.notify_tools_changed()
    return "tool list changed"


@server.tool()
async def test_input_required_result_elicitation(context: Context) -> str | types.InputRequiredResult:
    given = context.input_responses or {}
    if "user_name" in given:
        return f"Hello, {(given['user_name'].content or {}).get('name')}!"
    return types.InputRequiredResult(input_requests={"user_name": _asked("What is your name?")})


@server.tool()
async def test_input_required_result_request_state(context: Context) -> str | types.InputRequiredResult:
    if "confirm" in (context.input_responses or {}) and context.request_state == "nonce":
        return "state-ok"
    return types.InputRequiredResult(input_requests={"confirm": _asked("Please confirm")}, request_state="nonce")


@server.resource("test://static-text")
def static_text() -> str:
    return "This is the content of the static text resource."


@server.resource("test://static-binary")
def static_binary() -> bytes:
    return base64.b64decode(_PIXEL)


@server.resource("test://template/{id}/data")
def template(id: str) -> str:  # noqa: A002 - the suite's name
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@server.prompt()
def test_simple_prompt() -> list[UserMessage]:
    return [UserMessage(role="user", content=_text("This is a simple prompt for testing."))]


@server.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    return [UserMessage(role="user", content=_text(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))]


@server.completion()
async def completed(*_: Any) -> types.Completion:
    return types.Completion(values=[], total=0, has_more=False)


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run(transport="stdio")
    else:
        server.run(transport="streamable-http", port=int(sys.argv[2]), event_store=Replayable(), retry_interval=100)
