"""An MCP server and ways to reach it, on whichever mcp is installed; a program that serves: ``stdio`` or ``http PORT``.

1.x and 2.x differ in names and in where things stand, not in what is sent; the differences end here. Annotations are
evaluated: the older ones don't know a tool's Context by its name.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
from mcp import ClientSession, StdioServerParameters, types
from mcp.client import stdio

import agent_trace_otel as at

VERSION = tuple(int(part) for part in version("mcp").split(".")[:2])
IS_V2 = VERSION >= (2, 0)
if IS_V2:
    from mcp import Client
    from mcp.server import MCPServer as Server
    from mcp.server.mcpserver import Context
    from mcp.shared.exceptions import MCPError as JsonRpcError

    WAYS = ["in process", "in memory", "stdio", "stdio, legacy", "http", "http, legacy"]
    LEGACY_WAYS = ["in memory", "stdio, legacy", "http, legacy"]
else:
    from mcp.client.streamable_http import streamablehttp_client
    from mcp.server.fastmcp import Context
    from mcp.server.fastmcp import FastMCP as Server
    from mcp.shared.exceptions import McpError as JsonRpcError
    from mcp.shared.memory import create_connected_server_and_client_session

    WAYS = LEGACY_WAYS = ["in memory", "stdio", "http"]

__all__ = [
    "IS_V2",
    "LEGACY_WAYS",
    "SECRET",
    "VERSION",
    "WAYS",
    "JsonRpcError",
    "connected",
    "elicited",
    "listed",
    "new_server",
    "sampled",
    "types",
]


SECRET = "sk-ant-api03-aaaaBBBBccccDDDDeeeeFFFFgggg"


@at.trace_tool
def look_up(word: str) -> str:
    """Be a traced call inside a tool of the server."""
    return word.upper()


def new_server() -> Any:
    """Return a server with a tool for each way that a call can go."""
    server = Server("demo")

    @server.tool()
    def add(a: int, b: int) -> int:
        return a + b

    @server.tool()
    def shout(word: str) -> str:
        return look_up(word)

    @server.tool()
    def fail() -> str:
        msg = f"no way with {SECRET}"
        raise ValueError(msg)

    @server.tool()
    async def count(ctx: Context) -> str:  # type: ignore[type-arg,unused-ignore]
        for step in (1, 2):
            await ctx.report_progress(step, 2)
        return "counted"

    @server.tool()
    async def sleep(ctx: Context) -> str:  # type: ignore[type-arg,unused-ignore]
        await ctx.report_progress(0, 1)
        await anyio.sleep(60)
        return "never"

    @server.tool()
    async def ask(ctx: Context) -> str:  # type: ignore[type-arg,unused-ignore]
        asked = types.SamplingMessage(role="user", content=types.TextContent(type="text", text="well?"))
        answer = await ctx.session.create_message([asked], max_tokens=9, related_request_id=ctx.request_id)
        return str(answer.content.text)

    @server.tool()
    async def elicit(ctx: Context) -> str:  # type: ignore[type-arg,unused-ignore]
        schema = {"type": "object", "properties": {"name": {"type": "string"}}}
        answer = await ctx.session.elicit("who?", schema, related_request_id=ctx.request_id)
        return str(answer.content)

    @server.tool()
    async def log(ctx: Context) -> str:  # type: ignore[type-arg,unused-ignore]
        await ctx.info("working")
        return "logged"

    @server.tool()
    async def roots(ctx: Context) -> str:  # type: ignore[type-arg,unused-ignore]
        return str((await ctx.session.list_roots()).roots)

    @server.tool()
    async def relay() -> str:
        async with connected("in memory", {}) as inner:
            return str((await inner.call_tool("add", {"a": 1, "b": 2})).content[0].text)

    @server.resource("demo://text")
    def text() -> str:
        return "some text"

    @server.prompt()
    def greet(name: str) -> str:
        return f"greet {name}"

    return server


async def sampled(_context: object, _params: object) -> Any:
    """Be the model that a server asks for."""
    said = types.TextContent(type="text", text="fine")
    reason = {"stop_reason" if IS_V2 else "stopReason": "endTurn"}
    return types.CreateMessageResult(role="assistant", model="stub", content=said, **reason)  # type: ignore[arg-type]


async def elicited(_context: object, _params: object) -> Any:
    """Be the user that a server asks."""
    return types.ElicitResult(action="accept", content={"name": "Zoë"})


async def listed(_context: object) -> Any:
    """Be the client that has one root."""
    return types.ListRootsResult(roots=[types.Root(uri="file:///here")])  # type: ignore[arg-type,unused-ignore]


@asynccontextmanager
async def connected(way: str, environment: Mapping[str, str], **callbacks: Any) -> AsyncIterator[Any]:
    """Connect to a server in one of the `WAYS`; a process of its own gets ``environment``."""
    kind, _, era = way.partition(", ")
    mode = {"mode": era or ("legacy" if kind == "in memory" else "auto")} if IS_V2 else {}
    if kind in ("in process", "in memory"):
        if IS_V2:
            async with Client(new_server(), **mode, **callbacks) as client:  # type: ignore[arg-type]
                yield client
        else:
            server = new_server()._mcp_server
            async with create_connected_server_and_client_session(server, **callbacks) as session:
                yield session
    elif kind == "stdio":
        program = [str(Path(__file__)), "stdio"]
        parameters = StdioServerParameters(command=sys.executable, args=program, env=dict(environment))
        if IS_V2:
            async with Client(stdio.stdio_client(parameters), **mode, **callbacks) as client:  # type: ignore[arg-type]
                yield client
        else:
            async with (
                stdio.stdio_client(parameters) as (read, write),
                ClientSession(read, write, **callbacks) as session,
            ):
                await session.initialize()
                yield session
    else:
        with served(environment) as url:
            if IS_V2:
                async with Client(url, **mode, **callbacks) as client:  # type: ignore[arg-type]
                    yield client
            else:
                async with streamablehttp_client(url) as streams, ClientSession(*streams[:2], **callbacks) as session:
                    await session.initialize()
                    yield session


@contextmanager
def served(environment: Mapping[str, str]) -> Iterator[str]:
    """Serve over Streamable HTTP in a process of its own; yields the endpoint's URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__)), "http", str(port)],
        env=dict(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server does not come up"
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.terminate()
        process.wait()


def serve(transport: str, port: str = "0") -> None:
    """Be the server's process, traced unless it is told not to be."""
    if "DEMO_UNTRACED" not in os.environ:
        at.instrument("mcp")
    server = new_server()
    if transport == "stdio":
        server.run()
    elif IS_V2:
        server.run("streamable-http", port=int(port))
    else:
        server.settings.port = int(port)
        server.run("streamable-http")


if __name__ == "__main__":
    serve(*sys.argv[1:])
