"""Says everything that server-everything understands, by the Python SDK 1.x or 2.x, and prints what came back.

usage: sdk_client.py stdio|http|sse TARGET [MODE]. TARGET is a URL, for stdio the server's command as a JSON array; MODE
is the 2.x client's (auto, legacy). Prints one JSON object, step -> result, so that two runs can be compared. Run by the
end-to-end tests in an environment that holds the SDK, once straight and once through a proxy.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
from mcp import types

TEXT = 'a\u2028b\u2029c\u0085d \u4e16\u754c \U0001f600 "q" \\ \t \x01 end'
_STEP_SECONDS = 30.0
_LONG = 2000
_CHANGING = re.compile(r"\d{1,2}:\d\d:\d\d(\s?[AP]M)?|\d{4}-\d\d-\d\dT[\d:.]+Z?")
_BASE64 = re.compile(r"[A-Za-z0-9+/=]{24,}\Z")


def plain(value: Any) -> Any:
    """Return a result as JSON, with what changes from run to run taken out and what is long told by its hash."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(value, dict):
        return {key: plain(found) for key, found in value.items() if key != "ttlMs"}
    if isinstance(value, (list, tuple)):
        return [plain(found) for found in value]
    if not isinstance(value, str):
        return value
    if len(value) > _LONG:
        return f"<{len(value)} {hashlib.sha256(value.encode()).hexdigest()[:16]}>"
    return f"<base64 {len(value)}>" if _BASE64.match(value) else _CHANGING.sub("<time>", value)


async def sampled(_context: Any, _params: Any) -> Any:
    """Answer a sampling request."""
    answer = {"role": "assistant", "model": "stub", "content": {"type": "text", "text": TEXT}, "stopReason": "endTurn"}
    return types.CreateMessageResult.model_validate(answer)


async def elicited(_context: Any, _params: Any) -> Any:
    """Answer an elicitation."""
    return types.ElicitResult.model_validate(
        {"action": "accept", "content": {"name": "Zo\u00eb \u2028", "check": True}}
    )


async def rooted(_context: Any) -> Any:
    """Answer a request for roots."""
    return types.ListRootsResult.model_validate({"roots": [{"uri": "file:///srv/one", "name": "one"}]})


_CALLBACKS = {"sampling_callback": sampled, "elicitation_callback": elicited, "list_roots_callback": rooted}


@contextlib.asynccontextmanager
async def connected(transport: str, target: str, mode: str) -> AsyncIterator[Any]:
    """Yield a client that has shaken hands."""
    mcp: Any = importlib.import_module("mcp")
    streams: Any
    if transport == "stdio":
        command, *arguments = json.loads(target)
        told = mcp.StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
        streams = told if hasattr(mcp, "Client") else mcp.stdio_client(told)
    elif transport == "sse":
        streams = importlib.import_module("mcp.client.sse").sse_client(target)
    elif hasattr(mcp, "Client"):
        streams = target
    else:
        streams = importlib.import_module("mcp.client.streamable_http").streamablehttp_client(target)
    if hasattr(mcp, "Client"):
        async with mcp.Client(streams, mode=mode, **_CALLBACKS) as client:
            yield client
    else:
        async with streams as (reading, writing, *_), mcp.ClientSession(reading, writing, **_CALLBACKS) as session:
            await session.initialize()
            yield session


async def conversation(client: Any) -> dict[str, Any]:
    """Return what came back from every step."""
    results: dict[str, Any] = {}
    steps: dict[str, Callable[[], Awaitable[Any]]] = {
        "tools": client.list_tools,
        "resources": client.list_resources,
        "templates": client.list_resource_templates,
        "prompts": client.list_prompts,
        "ping": client.send_ping,
        "echo": lambda: client.call_tool("echo", {"message": TEXT}),
        "sum": lambda: client.call_tool("get-sum", {"a": 1.5, "b": 2}),
        "bad arguments": lambda: client.call_tool("get-sum", {"a": "x"}),
        "unknown tool": lambda: client.call_tool("nope", {}),
        "image": lambda: client.call_tool("get-tiny-image", {}),
        "links": lambda: client.call_tool("get-resource-links", {"count": 3}),
        "text": lambda: client.read_resource("demo://resource/dynamic/text/1"),
        "blob": lambda: client.read_resource("demo://resource/dynamic/blob/2"),
        "unknown resource": lambda: client.read_resource("demo://nope"),
        "prompt": lambda: client.get_prompt("args-prompt", {"city": "Z\u00fcrich"}),
        "unknown prompt": lambda: client.get_prompt("nope"),
        "sampling": lambda: client.call_tool("trigger-sampling-request", {"prompt": TEXT, "maxTokens": 10}),
        "elicitation": lambda: client.call_tool("trigger-elicitation-request", {}),
        "roots": lambda: client.call_tool("get-roots-list", {}),
        "progress": lambda: progress(client),
        "overtaking": lambda: overtaking(client),
        "many at once": lambda: many_at_once(client),
        "long": lambda: client.call_tool("echo", {"message": "B" * 900_000}),
        "cancelled, then another": lambda: cancelled(client),
    }
    for name, step in steps.items():
        try:
            with anyio.fail_after(_STEP_SECONDS):
                results[name] = plain(await step())
        except Exception as error:  # noqa: BLE001, PERF203 - what went wrong is compared as well
            code = getattr(getattr(error, "error", None), "code", None)
            results[name] = {"failed": type(error).__name__, "code": code, "message": plain(str(error))[:300]}
    return results


async def progress(client: Any) -> Any:
    """Return a result and the progress told on the way."""
    told: list[Any] = []

    async def heard(done: float, total: float | None, message: str | None) -> None:
        told.append([done, total, message])

    arguments = {"duration": 1.0, "steps": 5}
    result = await client.call_tool("trigger-long-running-operation", arguments, progress_callback=heard)
    await anyio.sleep(0.2)
    return [plain(result), told]


async def overtaking(client: Any) -> list[str]:
    """Return the order in which a slow and a fast call end."""
    ended: list[str] = []

    async def slow() -> None:
        await client.call_tool("trigger-long-running-operation", {"duration": 2.0, "steps": 2})
        ended.append("slow")

    async def fast() -> None:
        await anyio.sleep(0.2)
        await client.call_tool("echo", {"message": "fast"})
        ended.append("fast")

    async with anyio.create_task_group() as both:
        both.start_soon(slow)
        both.start_soon(fast)
    return ended


async def many_at_once(client: Any) -> dict[int, Any]:
    """Return the results of 50 calls that are open together."""
    found: dict[int, Any] = {}

    async def one(number: int) -> None:
        found[number] = plain(await client.call_tool("get-sum", {"a": number, "b": 1000}))

    async with anyio.create_task_group() as all_of_them:
        for number in range(50):
            all_of_them.start_soon(one, number)
    return {number: found[number] for number in sorted(found)}


async def cancelled(client: Any) -> Any:
    """Return what a call gives after another was given up."""
    with anyio.move_on_after(0.5) as scope:
        await client.call_tool("trigger-long-running-operation", {"duration": 20, "steps": 20})
    return [scope.cancelled_caught, plain(await client.call_tool("echo", {"message": "still there"}))]


async def main() -> None:
    """Print the conversation."""
    transport, target, mode = (*sys.argv[1:], "auto")[:3]
    async with connected(transport, target, mode) as client:
        results = await conversation(client)
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    anyio.run(main)
