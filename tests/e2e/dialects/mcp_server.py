"""A server and a client of the MCP SDK in one process."""

import asyncio

from mcp import Client
from mcp.server import MCPServer
from model import WEATHER
from recording import Samples, provider

samples = Samples()
provider(samples)
server = MCPServer("demo")


@server.tool()
def weather(city: str) -> str:
    """Tell the weather."""
    return WEATHER


async def main() -> None:
    async with Client(server) as client:
        await client.call_tool("weather", {"city": "Paris"})


asyncio.run(main())
samples.write()
