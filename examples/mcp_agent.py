"""Trace an agent's MCP calls, and what its server does for them: one line switches it on.

    pip install mcp && python examples/mcp_agent.py && agent-trace replay

The server is in the same process, so that the example needs nothing else; over stdio or HTTP the spans are the same.
"""

from __future__ import annotations

import asyncio

import agent_trace_otel as at

at.instrument("mcp")

from mcp import Client  # noqa: E402 - after instrument() or before it: both work
from mcp.server import MCPServer  # noqa: E402

server = MCPServer("weather")


@at.trace_tool
def read_sensor(city: str) -> float:
    """Be a traced call of the server's own."""
    return {"Oslo": -3.5, "Lisbon": 17.0}[city]


@server.tool()
def temperature(city: str) -> float:
    """Tell the temperature in a city, in degrees Celsius."""
    return read_sensor(city)


@server.resource("weather://cities")
def cities() -> str:
    """List the cities with a sensor."""
    return "Oslo, Lisbon"


async def main() -> None:
    """Ask the server what there is, then how warm it is."""
    with at.session("weather-agent"):
        at.log_user_prompt("How warm is it in Oslo and Lisbon?")
        async with Client(server) as client:
            await client.read_resource("weather://cities")
            answers = [await client.call_tool("temperature", {"city": city}) for city in ("Oslo", "Lisbon")]
        at.log_assistant_response(" and ".join(str(answer.structured_content) for answer in answers))


if __name__ == "__main__":
    asyncio.run(main())
