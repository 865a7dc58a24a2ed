"""An MCP client that knows nothing of tracing, and its server: this same file, as a process of its own.

pip install mcp
agent-trace run -- python examples/run/mcp_agent.py && agent-trace replay
"""

from __future__ import annotations

import asyncio
import sys

from mcp import Client, StdioServerParameters, stdio_client
from mcp.server import MCPServer

server = MCPServer("weather")


@server.tool()
def weather(city: str) -> str:
    """Look out of a window."""
    return f"snow in {city}"


async def main() -> None:
    """Start the server and ask it."""
    async with Client(stdio_client(StdioServerParameters(command=sys.executable, args=[__file__, "serve"]))) as client:
        answer = await client.call_tool("weather", {"city": "Oslo"})
        print(answer.content[0].text)


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        server.run()
    else:
        asyncio.run(main())
