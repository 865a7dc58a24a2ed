"""What only mcp 1.x has: requests that are objects of the caller's, and log messages that belong to a call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp_demo import IS_V2, types
from mcp_spans import run, sides

from agent_trace_otel.testing import Recorded

if IS_V2:
    pytest.skip("mcp 2.x is installed", allow_module_level=True)

pytestmark = pytest.mark.usefixtures("traced_mcp")


def test_a_callers_request_stays_as_it_is(recorded: Recorded) -> None:
    request = types.ClientRequest(types.PingRequest(method="ping"))
    before = request.model_dump()

    async def drive(client: Any) -> None:
        await client.send_request(request, types.EmptyResult)
        await client.send_request(request=request, result_type=types.EmptyResult)

    run(recorded, "in memory", drive)
    assert request.model_dump() == before
    pings = [span for span in recorded.spans() if span.name == "ping"]
    assert sorted(span.kind.name for span in pings) == ["CLIENT", "CLIENT", "SERVER", "SERVER"]


def test_what_a_handler_logs_to_the_client_is_an_event_of_its_call(recorded: Recorded) -> None:
    async def drive(client: Any) -> None:
        await client.call_tool("log", {})

    run(recorded, "in memory", drive)
    client, server = sides(recorded, "tools/call")
    (logged,) = server.events
    assert logged.attributes["mcp.method.name"] == "notifications/message"
    assert json.loads(logged.attributes["agent_trace.mcp.params"])["data"] == "working"
    assert list(client.events) == []
