"""MCP requests as spans: one a request and side, over every transport, on whichever mcp is installed.

`tests/e2e/test_mcp_instrumentor.py` runs this file with other versions.
"""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from mcp_demo import LEGACY_WAYS, VERSION, WAYS, JsonRpcError, elicited, listed, sampled
from mcp_spans import NEAR, requests_of, run, sides, tree

import agent_trace_otel as at
from agent_trace_instrumentors.mcp import McpInstrumentor
from agent_trace_otel.testing import Recorded

pytestmark = [
    pytest.mark.usefixtures("traced_mcp"),
    pytest.mark.filterwarnings("ignore:The (sampling|roots) capability is deprecated"),
    pytest.mark.filterwarnings("ignore:Use `streamable_http_client` instead"),
]


# -- what is recorded --------------------------------------------------------------------------------------------


def test_everything_that_can_be_patched_is_patched() -> None:
    assert McpInstrumentor().unpatched == ()


async def say_everything(client: Any) -> None:
    await client.list_tools()
    await client.call_tool("add", {"a": 1, "b": 2})
    await client.call_tool("shout", {"word": "hey"})
    await client.call_tool("fail", {})
    await client.read_resource("demo://text")
    await client.get_prompt("greet", {"name": "Zoë"})
    with pytest.raises(JsonRpcError):
        await client.get_prompt("missing")


EVERYTHING = """\
  tools/call add CLIENT ok
    tools/call add SERVER ok
  tools/call shout CLIENT ok
    tools/call shout SERVER ok
      execute_tool look_up INTERNAL ok
  tools/call fail CLIENT error
    tools/call fail SERVER error
  resources/read CLIENT ok
    resources/read SERVER ok
  prompts/get greet CLIENT ok
    prompts/get greet SERVER ok
  prompts/get missing CLIENT error
    prompts/get missing SERVER error
"""


@pytest.mark.parametrize("way", WAYS)
def test_each_request_is_one_span_a_side_and_the_handlers_hangs_under_the_senders(recorded: Recorded, way: str) -> None:
    run(recorded, way, say_everything)
    assert tree(recorded) == EVERYTHING.splitlines()
    timeline = [event.event_type for event in recorded.events()]
    # shout's inner call tells of itself; what the other side tells is folded
    assert timeline.count("tool_call") == 4
    assert timeline.count("tool_result") == 3
    assert timeline.count("error") == 1
    assert timeline.count("file_read") == 1
    client, server = requests_of(recorded)[:2]
    assert client.attributes["jsonrpc.request.id"] == server.attributes["jsonrpc.request.id"]
    assert client.attributes["mcp.protocol.version"] == server.attributes["mcp.protocol.version"]
    over_http = way.startswith("http")
    assert server.attributes.get("network.transport") == ("tcp" if over_http else None)
    expected = "tcp" if over_http else "pipe" if way.startswith("stdio") else None
    assert client.attributes.get("network.transport") == expected
    assert client.attributes.get("server.address") == ("127.0.0.1" if over_http else None)
    assert ("server.port" in client.attributes) == over_http
    assert "server.address" not in server.attributes
    has_session = way in LEGACY_WAYS and over_http
    assert ("mcp.session.id" in client.attributes, "mcp.session.id" in server.attributes) == (has_session, has_session)
    assert client.attributes.get("mcp.session.id") == server.attributes.get("mcp.session.id")


@pytest.mark.parametrize("way", NEAR)
def test_both_sides_tell_arguments_and_result(recorded: Recorded, way: str) -> None:
    async def drive(client: Any) -> None:
        await client.call_tool("add", {"a": 1, "b": 2})

    run(recorded, way, drive)
    for span in sides(recorded, "tools/call"):
        told = span.attributes
        assert json.loads(told["gen_ai.tool.call.arguments"]) == {"a": 1, "b": 2}
        assert json.loads(told["gen_ai.tool.call.result"])["content"] == [{"type": "text", "text": "3"}]
        assert (told["gen_ai.operation.name"], told["gen_ai.tool.name"]) == ("execute_tool", "add")
        assert span.status.status_code.name == "UNSET"
        assert "error.type" not in told


@pytest.mark.parametrize("way", NEAR)
def test_a_tool_that_fails_is_an_error_on_both_sides(recorded: Recorded, way: str) -> None:
    async def drive(client: Any) -> None:
        await client.call_tool("fail", {})

    run(recorded, way, drive)
    for span in sides(recorded, "tools/call"):
        assert span.attributes["error.type"] == "tool_error"
        assert span.status.status_code.name == "ERROR"
        assert span.status.description.startswith("Error executing tool fail")
        assert [event.name for event in span.events] == ["exception"]


@pytest.mark.parametrize("way", NEAR)
def test_an_error_is_told_by_its_json_rpc_code(recorded: Recorded, way: str) -> None:
    raised: list[Any] = []

    async def drive(client: Any) -> None:
        with pytest.raises(JsonRpcError) as caught:
            await client.read_resource("demo://missing")
        raised.append(caught.value)

    run(recorded, way, drive)
    client, server = sides(recorded, "resources/read")
    code = str(raised[0].error.code)
    assert (client.attributes["error.type"], client.attributes["rpc.response.status_code"]) == (code, code)
    assert client.status.description == raised[0].error.message
    assert server.status.status_code.name == "ERROR"


@pytest.mark.parametrize("way", LEGACY_WAYS)
def test_what_a_server_asks_for_is_a_span_a_side_under_the_call(recorded: Recorded, way: str) -> None:
    async def drive(client: Any) -> None:
        await client.call_tool("ask", {})

    run(recorded, way, drive, sampling_callback=sampled)
    assert tree(recorded) == [
        "  tools/call ask CLIENT ok",
        "    tools/call ask SERVER ok",
        "      sampling/createMessage CLIENT ok",
        "        sampling/createMessage SERVER ok",
    ]
    for span in sides(recorded, "sampling/createMessage"):
        told = span.attributes
        assert told["gen_ai.request.max_tokens"] == 9
        assert json.loads(told["gen_ai.input.messages"]) == [
            {"role": "user", "parts": [{"type": "text", "content": "well?"}]}
        ]
        assert json.loads(told["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": "fine"}]
        assert (told["gen_ai.response.model"], told["gen_ai.response.finish_reasons"]) == ("stub", ("endTurn",))
    if way in NEAR:  # of another process's, nobody can know whether it is told of there
        timeline = [event.event_type for event in recorded.events()]
        assert (timeline.count("llm_request"), timeline.count("llm_response")) == (1, 1)


@pytest.mark.parametrize(("tool", "method"), [("elicit", "elicitation/create"), ("roots", "roots/list")])
def test_what_else_a_server_asks_for_is_told_whole(recorded: Recorded, tool: str, method: str) -> None:
    async def drive(client: Any) -> None:
        await client.call_tool(tool, {})

    run(recorded, "in memory", drive, elicitation_callback=elicited, list_roots_callback=listed)
    assert tree(recorded) == [
        f"  tools/call {tool} CLIENT ok",
        f"    tools/call {tool} SERVER ok",
        f"      {method} CLIENT ok",
        f"        {method} SERVER ok",
    ]
    for span in sides(recorded, method):
        result = json.loads(span.attributes["agent_trace.mcp.result"])
        if method == "elicitation/create":
            assert json.loads(span.attributes["agent_trace.mcp.params"])["message"] == "who?"
            assert result == {"action": "accept", "content": {"name": "Zoë"}}
        else:
            assert result == {"roots": [{"uri": "file:///here"}]}


@pytest.mark.parametrize("way", NEAR)
def test_a_server_that_is_a_client_itself_nests(recorded: Recorded, way: str) -> None:
    async def drive(client: Any) -> None:
        await client.call_tool("relay", {})

    run(recorded, way, drive)
    assert tree(recorded) == [
        "  tools/call relay CLIENT ok",
        "    tools/call relay SERVER ok",
        "      tools/call add CLIENT ok",
        "        tools/call add SERVER ok",
    ]


@pytest.mark.parametrize("way", NEAR)
def test_progress_is_told_on_both_sides(recorded: Recorded, way: str) -> None:
    seen: list[float] = []

    async def on_progress(progress: float, *_: Any) -> None:
        seen.append(progress)

    async def drive(client: Any) -> None:
        await client.call_tool("count", {}, progress_callback=on_progress)

    run(recorded, way, drive)
    assert seen == [1, 2]
    for span in sides(recorded, "tools/call"):
        told = [
            (event.attributes["mcp.method.name"], json.loads(event.attributes["agent_trace.mcp.params"]))
            for event in span.events
        ]
        assert told == [("notifications/progress", {"progress": step, "total": 2}) for step in (1, 2)]


@pytest.mark.parametrize("way", [*NEAR, "stdio", "http"])
def test_a_call_that_is_given_up_is_interrupted_on_both_sides(recorded: Recorded, way: str) -> None:
    async def drive(client: Any) -> None:
        with anyio.CancelScope() as scope:

            async def give_up(*_: Any) -> None:
                scope.cancel()

            await client.call_tool("sleep", {}, progress_callback=give_up)
        assert scope.cancelled_caught

    run(recorded, way, drive)
    if way == "stdio" and VERSION < (1, 30):  # such a client kills the server, whose call stays open
        (client,) = requests_of(recorded)
    else:
        client, server = sides(recorded, "tools/call")
        assert server.attributes["agent_trace.outcome"] == "interrupted"
    assert client.attributes["agent_trace.outcome"] == "interrupted"
    assert client.status.status_code.name == "UNSET"


@pytest.mark.parametrize("way", NEAR)
def test_calls_at_once_hang_under_their_own_agents(recorded: Recorded, way: str) -> None:
    async def drive(client: Any) -> None:
        await client.list_tools()

        @at.trace_agent
        async def helper(number: int) -> None:
            await client.call_tool("add", {"a": number, "b": 0})

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(helper, number)

    run(recorded, way, drive)
    spans = {span.context.span_id: span for span in recorded.spans()}
    servers = [span for span in requests_of(recorded) if span.kind.name == "SERVER"]
    assert len(servers) == 8
    for server in servers:
        client = spans[server.parent.span_id]
        agent = spans[client.parent.span_id]
        assert server.attributes["gen_ai.tool.call.arguments"] == client.attributes["gen_ai.tool.call.arguments"]
        number = json.loads(server.attributes["gen_ai.tool.call.arguments"])["a"]
        assert (client.kind.name, agent.name) == ("CLIENT", "invoke_agent helper")
        assert str(number) in agent.attributes["gen_ai.input.messages"]
