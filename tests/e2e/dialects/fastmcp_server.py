"""A FastMCP server and its client in one process."""

import asyncio

from fastmcp import Client, FastMCP
from model import WEATHER
from recording import Samples, provider

samples = Samples()
provider(samples)
server = FastMCP("demo")


@server.tool
def weather(city: str) -> str:
    """Tell the weather."""
    return WEATHER


@server.resource("demo://motto")
def motto() -> str:
    return "be brief"


async def main() -> None:
    async with Client(server) as client:
        await client.call_tool("weather", {"city": "Paris"})
        await client.read_resource("demo://motto")


asyncio.run(main())
samples.write()
