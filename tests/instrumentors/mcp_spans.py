"""MCP conversations to record, and the spans they leave, for tests of the mcp instrumentor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from mcp_demo import WAYS, connected
from programs import environment

import agent_trace_otel as at
from agent_trace_otel.testing import Recorded

Drive = Callable[[Any], Awaitable[None]]
NEAR = [way for way in WAYS if way.startswith("in ")]
"""Ways without a process of the server's own, which takes seconds to start."""


def run(recorded: Recorded, way: str, drive: Drive, **callbacks: Any) -> None:
    """Open a session, connect and talk; a server in a process of its own joins the session."""

    async def main() -> None:
        with at.session("demo") as session:
            joined = {**environment(recorded.trace_dir.parent), **session.environment()}
            async with connected(way, joined, **callbacks) as client:
                await drive(client)

    anyio.run(main)


def requests_of(
    recorded: Recorded, *, without: tuple[str, ...] = ("initialize", "server/discover", "tools/list")
) -> list[Any]:
    """Return the spans of requests in the order they began; those of the handshake and of schemas left out."""
    found = [span for span in recorded.spans() if "mcp.method.name" in span.attributes]
    wanted = [span for span in found if not span.attributes["mcp.method.name"].startswith(("notifications/", *without))]
    return sorted(wanted, key=lambda span: (span.start_time, span.kind.name))


def tree(recorded: Recorded) -> list[str]:
    """Return the requests as lines: depth, name, side, outcome."""
    spans = {span.context.span_id: span for span in recorded.spans()}

    def depth(span: Any) -> int:
        above = spans.get(span.parent.span_id) if span.parent else None
        return 0 if above is None else depth(above) + 1

    lines = [span for span in recorded.spans() if span.name == "execute_tool look_up"] + requests_of(recorded)
    return [
        f"{'  ' * depth(span)}{span.name} {span.kind.name} {span.attributes['agent_trace.outcome']}"
        for span in sorted(lines, key=lambda span: span.start_time)
    ]


def sides(recorded: Recorded, method: str) -> tuple[Any, Any]:
    """Return the one CLIENT and the one SERVER span of a method."""
    spans = [span for span in requests_of(recorded, without=()) if span.attributes["mcp.method.name"] == method]
    found = {span.kind.name: span for span in spans}
    assert len(spans) == len(found) == 2
    return found["CLIENT"], found["SERVER"]
