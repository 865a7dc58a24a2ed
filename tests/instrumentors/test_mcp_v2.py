"""What only mcp 2.x has: spans of its own, input asked for in results, subscriptions; and fastmcp on top of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from mcp_demo import IS_V2, types
from mcp_spans import NEAR, requests_of, run, sides, tree
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import agent_trace_otel as at
from agent_trace_otel.testing import Recorded

if not IS_V2:
    pytest.skip("mcp 1.x is installed", allow_module_level=True)

import mcp.shared._otel
from mcp import Client
from mcp.server import MCPServer
from mcp.server.mcpserver import Context  # noqa: TC002 - the server reads annotations

pytestmark = [
    pytest.mark.usefixtures("traced_mcp"),
    pytest.mark.filterwarnings("ignore:The sampling capability is deprecated"),
]


# -- the SDK's own spans -----------------------------------------------------------------------------------------


@pytest.fixture
def exported(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Have a provider of the user's own, which the SDK's tracer belongs to."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_api.set_tracer_provider(provider)
    # its tracer binds itself to the first provider of the process, which was another test's
    monkeypatch.setattr(mcp.shared._otel, "_tracer", provider.get_tracer("mcp-python-sdk"))
    yield exporter
    provider.shutdown()


async def call(client: Any) -> None:
    await client.call_tool("shout", {"word": "hey"})


@pytest.mark.parametrize("way", NEAR)
def test_the_sdks_own_spans_of_requests_are_replaced(
    recorded: Recorded, exported: InMemorySpanExporter, way: str
) -> None:
    run(recorded, way, call)
    told = [(span.name, span.kind.name, span.instrumentation_scope.name) for span in exported.get_finished_spans()]
    assert [name for name, _, scope in told if scope == "mcp-python-sdk" and "notifications/" not in name] == []
    assert sorted(kind for name, kind, _ in told if name == "tools/call shout") == ["CLIENT", "SERVER"]


@pytest.mark.parametrize("way", NEAR)
def test_switched_off_the_sdk_traces_itself_again(recorded: Recorded, exported: InMemorySpanExporter, way: str) -> None:
    at.uninstrument()
    run(recorded, way, call)
    scopes = {(span.name, span.instrumentation_scope.name) for span in exported.get_finished_spans()}
    assert ("tools/call shout", "mcp-python-sdk") in scopes
    assert ("MCP send tools/call shout", "mcp-python-sdk") in scopes or way == "in process"


# -- input asked for in results (2026-07-28) ---------------------------------------------------------------------


def new_asking_server() -> MCPServer:
    """Return a server whose tool wants to know more before it answers."""
    server = MCPServer("asking")

    @server.tool()
    async def greet(ctx: Context) -> types.InputRequiredResult | str:  # type: ignore[type-arg]
        if ctx.input_responses:
            return "hello"
        schema: Any = {"type": "object", "properties": {"name": {"type": "string"}}}
        asked = types.ElicitRequest(params=types.ElicitRequestFormParams(message="who?", requested_schema=schema))
        return types.InputRequiredResult(input_requests={"who": asked}, request_state="round 1")

    return server


async def tell_name(_context: object, _params: object) -> types.ElicitResult:
    return types.ElicitResult(action="accept", content={"name": "Zoë"})


def test_input_asked_for_in_a_result_is_a_span_and_the_retry_is_linked(recorded: Recorded) -> None:
    async def main() -> None:
        with at.session("demo"):
            async with Client(new_asking_server(), elicitation_callback=tell_name) as client:
                answer = await client.call_tool("greet", {})
                assert answer.content[0].text == "hello"

    anyio.run(main)
    assert tree(recorded) == [
        "  tools/call greet CLIENT ok",
        "    tools/call greet SERVER ok",
        "  elicitation/create SERVER ok",
        "  tools/call greet CLIENT ok",
        "    tools/call greet SERVER ok",
    ]
    first_sent, first_handled, asked, again_sent, again_handled = requests_of(recorded)
    assert json.loads(asked.attributes["agent_trace.mcp.params"])["message"] == "who?"
    assert json.loads(asked.attributes["agent_trace.mcp.result"]) == {"action": "accept", "content": {"name": "Zoë"}}
    for first, again in ((first_sent, again_sent), (first_handled, again_handled)):
        assert [link.context.span_id for link in again.links] == [first.context.span_id]
        assert again.attributes["jsonrpc.request.id"] != first.attributes["jsonrpc.request.id"]


# -- subscriptions (2026-07-28) ----------------------------------------------------------------------------------


def test_a_subscription_ends_where_it_is_acknowledged(recorded: Recorded) -> None:
    async def drive(client: Any) -> None:
        async with client.listen(tools_list_changed=True):
            await anyio.wait_all_tasks_blocked()
            open_now = {span.name for span in recorded.spans() if "mcp.method.name" in span.attributes}
            assert "subscriptions/listen" in open_now

    run(recorded, "in process", drive)
    for span in sides(recorded, "subscriptions/listen"):
        assert span.attributes["agent_trace.outcome"] == "ok"
        told = [event.attributes["mcp.method.name"] for event in span.events]
        assert told == ["notifications/subscriptions/acknowledged"]


# -- fastmcp -----------------------------------------------------------------------------------------------------


@pytest.fixture
def fastmcp() -> Any:
    """Return fastmcp, where it is installed."""
    return pytest.importorskip("fastmcp")


def test_fastmcps_own_spans_of_requests_are_replaced_and_what_they_know_is_kept(
    recorded: Recorded, fastmcp: Any
) -> None:
    at.configure()
    server, mounted = fastmcp.FastMCP("demo"), fastmcp.FastMCP("mounted")

    @server.tool
    def add(a: int, b: int) -> int:
        return a + b

    @server.tool
    async def nested() -> str:
        return str((await server.call_tool("add", {"a": 1, "b": 1})).structured_content)

    @mounted.tool
    def fail() -> str:
        msg = "no way"
        raise ValueError(msg)

    server.mount(mounted, namespace="sub")

    async def main() -> None:
        with at.session("demo"):
            async with fastmcp.Client(server) as client:
                await client.call_tool("add", {"a": 1, "b": 2})
                await client.call_tool("nested", {})
                await client.call_tool("sub_fail", {}, raise_on_error=False)

    anyio.run(main)
    (session_id,) = (name for name in recorded.sessions() if "-" in name)
    told = [
        (span.name, span.kind.name, span.instrumentation_scope.name)
        for span in sorted(recorded.spans(session_id), key=lambda span: span.start_time)
        if "tools/call" in span.name
    ]
    ours = "agent_trace_otel"
    assert told == [
        ("tools/call add", "CLIENT", ours),
        ("tools/call add", "SERVER", ours),
        ("tools/call nested", "CLIENT", ours),
        ("tools/call nested", "SERVER", ours),
        ("tools/call add", "SERVER", "fastmcp"),  # no request: one tool calls another
        ("tools/call sub_fail", "CLIENT", ours),
        ("tools/call sub_fail", "SERVER", ours),
        ("tools/call fail", "SERVER", "fastmcp"),  # the mounted server, called by the one around it
    ]
    server_span = next(
        span for span in recorded.spans(session_id) if (span.name, span.kind.name) == ("tools/call add", "SERVER")
    )
    assert server_span.attributes["fastmcp.server.name"] == "demo"
    events = [event.event_type for event in recorded.events(session_id)]
    assert (events.count("tool_call"), events.count("tool_result"), events.count("error")) == (3, 2, 1)
