"""MCP requests and what is around them: sessions, contexts that callers choose, suppression, odd and failing things."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_demo import IS_V2, SECRET, VERSION, JsonRpcError, connected, sampled
from mcp_spans import NEAR, requests_of, run, sides, tree
from opentelemetry import context as context_api
from programs import environment
from programs import run as run_program

import agent_trace_otel as at
from agent_trace_instrumentors import _mcp_messages, _mcp_requests
from agent_trace_instrumentors.mcp import McpInstrumentor
from agent_trace_otel import guard
from agent_trace_otel.testing import Recorded

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NAMED = {"traceparent": f"00-{TRACE}-{SPAN}-01"}

pytestmark = [
    pytest.mark.usefixtures("traced_mcp"),
    pytest.mark.filterwarnings("ignore:The sampling capability is deprecated"),
]
with_meta = pytest.mark.skipif(VERSION < (1, 30), reason="call_tool has no meta yet")


# -- sessions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", NEAR)
def test_calls_over_one_connection_go_to_the_session_they_are_made_in(recorded: Recorded, way: str) -> None:
    ids: dict[str, str] = {}

    async def agent(client: Any, name: str) -> None:
        with at.session(name) as session:
            ids[name] = session.session_id
            await client.call_tool("shout", {"word": name})
            if way == "in memory":
                await client.call_tool("ask", {})

    async def main() -> None:
        # connected before there is any session
        async with connected(way, {}, sampling_callback=sampled) as client, anyio.create_task_group() as group:
            for name in ("a", "b", "c"):
                group.start_soon(agent, client, name)

    anyio.run(main)
    for name, session_id in ids.items():
        spans = {span.context.span_id: span for span in recorded.spans(session_id)}
        found = [span for span in spans.values() if span.name == "tools/call shout"]
        assert sorted(span.kind.name for span in found) == ["CLIENT", "SERVER"]
        assert {json.loads(span.attributes["gen_ai.tool.call.arguments"])["word"] for span in found} == {name}
        (inner,) = (span for span in spans.values() if span.name == "execute_tool look_up")
        assert spans[inner.parent.span_id].kind.name == "SERVER"
        if way == "in memory":
            asked = [span for span in spans.values() if span.name == "sampling/createMessage"]
            assert sorted(span.kind.name for span in asked) == ["CLIENT", "SERVER"]


def test_without_a_session_and_a_provider_the_first_call_makes_ours(tmp_path: Path) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import anyio
import agent_trace_otel
agent_trace_otel.instrument("mcp")
from mcp_demo import connected
from agent_trace_instrumentors.mcp import McpInstrumentor

print("opentelemetry.sdk" in sys.modules)

async def main():
    async with connected("in memory", {{}}) as client:
        print((await client.call_tool("add", {{"a": 1, "b": 2}})).content[0].text)

anyio.run(main)
print(McpInstrumentor().unpatched, "opentelemetry.sdk" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n3\n() True\n"
    recorded = Recorded(tmp_path / "traces")
    found = [span for session_id in recorded.sessions() for span in recorded.spans(session_id)]
    assert sorted(span.kind.name for span in found if span.name == "tools/call add") == ["CLIENT", "SERVER"]


@pytest.mark.parametrize("way", NEAR)
def test_without_a_session_a_provider_records_each_call_by_its_trace(recorded: Recorded, way: str) -> None:
    at.configure()

    async def main() -> None:
        async with connected(way, {}) as client:
            await client.call_tool("add", {"a": 1, "b": 2})

    anyio.run(main)
    folders = [recorded.spans(session_id) for session_id in recorded.sessions()]
    (call,) = (spans for spans in folders if any(span.name == "tools/call add" for span in spans))
    assert sorted(span.kind.name for span in call) == ["CLIENT", "SERVER"]


# -- contexts ----------------------------------------------------------------------------------------------------


@with_meta
@pytest.mark.parametrize("way", NEAR)
def test_a_context_that_the_caller_chose_is_passed_on(recorded: Recorded, way: str) -> None:
    given = dict(NAMED)

    async def drive(client: Any) -> None:
        await client.call_tool("add", {"a": 1, "b": 2}, meta=given)

    run(recorded, way, drive)
    client, server = sides(recorded, "tools/call")
    assert (f"{server.parent.trace_id:032x}", f"{server.parent.span_id:016x}") == (TRACE, SPAN)
    assert client.context.trace_id != server.context.trace_id
    assert given == NAMED


@with_meta
@pytest.mark.parametrize("way", NEAR)
def test_the_current_spans_context_put_there_by_a_library_gives_way_to_the_requests(
    recorded: Recorded, way: str
) -> None:
    async def drive(client: Any) -> None:
        from opentelemetry import propagate

        @at.trace_agent
        async def helper() -> None:
            carrier: dict[str, str] = {}
            propagate.inject(carrier)
            await client.call_tool("add", {"a": 1, "b": 2}, meta=carrier)

        await helper()

    run(recorded, way, drive)
    client, server = sides(recorded, "tools/call")
    assert server.parent.span_id == client.context.span_id


@pytest.mark.parametrize("named", [{"traceparent": 3}, {"traceparent": "00-zz-1-01"}, {}, {"baggage": "a=b"}], ids=str)
def test_an_odd_context_is_none(recorded: Recorded, named: dict[str, Any]) -> None:
    with at.session("demo") as session:
        handled = _mcp_requests.handle("tools/list", {"_meta": named}, object_with_weakref(), 1, {})
        assert handled is not None
        handled.answered({})
        root = session.root
    (span,) = requests_of(recorded, without=())
    assert root is not None
    assert span.parent.span_id == root.get_span_context().span_id


def object_with_weakref() -> object:
    """Return something that can be a connection."""
    return type("Connection", (), {})()


def test_an_ambient_span_of_another_trace_is_linked(recorded: Recorded) -> None:
    provider = at.configure()
    with provider.get_tracer("http").start_as_current_span("POST /mcp") as around:
        handled = _mcp_requests.handle("tools/call", {"name": "x", "_meta": NAMED}, object_with_weakref(), 1, {})
        assert handled is not None
        handled.answered({})
    (span,) = requests_of(recorded)
    assert f"{span.context.trace_id:032x}" == TRACE
    assert [link.context.span_id for link in span.links] == [around.get_span_context().span_id]


def test_what_an_untraced_server_asks_for_hangs_under_the_call(recorded: Recorded) -> None:
    way = "stdio, legacy" if IS_V2 else "stdio"

    async def main() -> None:
        untraced = {**environment(recorded.trace_dir.parent), "DEMO_UNTRACED": "1"}
        with at.session("demo"):
            async with connected(way, untraced, sampling_callback=sampled) as client:
                await client.call_tool("ask", {})

    anyio.run(main)
    assert tree(recorded) == ["  tools/call ask CLIENT ok", "    sampling/createMessage SERVER ok"]
    timeline = [event.event_type for event in recorded.events()]
    assert (timeline.count("llm_request"), timeline.count("llm_response")) == (1, 1)


def test_a_traced_server_of_an_untraced_client_tells_of_its_calls_itself(tmp_path: Path) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import anyio, os
import agent_trace_otel as at
from mcp_demo import connected

async def main():
    with at.session("demo") as session:
        async with connected("stdio", {{**os.environ, **session.environment()}}) as client:
            await client.call_tool("add", {{"a": 1, "b": 2}})

anyio.run(main)
"""
    ran = run_program(program, tmp_path)
    assert ran.code == 0
    (call,) = requests_of(ran.recorded)
    assert call.kind.name == "SERVER"
    assert [event.event_type for event in ran.recorded.events()].count("tool_call") == 1


# -- what is left out --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", NEAR)
def test_a_suppressed_context_is_silent(recorded: Recorded, way: str) -> None:
    at.configure()  # the SDK's own spans would be seen

    async def drive(client: Any) -> None:
        token = context_api.attach(context_api.set_value("suppress_instrumentation", value=True))
        try:
            await client.call_tool("add", {"a": 1, "b": 2})
        finally:
            context_api.detach(token)

    run(recorded, way, drive)
    assert [span for span in requests_of(recorded) if span.kind.name == "CLIENT" and of_ours(span)] == []


def of_ours(span: Any) -> bool:
    """Tell whether a span is not the SDK's own."""
    return bool(span.instrumentation_scope.name == "agent_trace_otel")


@pytest.mark.parametrize("way", NEAR)
def test_secrets_are_redacted(recorded: Recorded, way: str) -> None:
    async def drive(client: Any) -> None:
        await client.call_tool("shout", {"word": SECRET})
        await client.call_tool("fail", {})

    run(recorded, way, drive)
    assert "[REDACTED" in recorded.text()
    assert SECRET not in recorded.text()


@pytest.mark.parametrize("way", NEAR)
def test_without_content_nothing_that_was_said_is_kept(recorded: Recorded, way: str) -> None:
    at.configure(capture_content=False, trace_dir=recorded.trace_dir)

    async def drive(client: Any) -> None:
        await client.list_tools()
        await client.call_tool("shout", {"word": "private word"})
        await client.call_tool("fail", {})
        await client.get_prompt("greet", {"name": "private name"})
        await client.read_resource("demo://text")
        if way == "in memory":
            await client.call_tool("ask", {})

    run(recorded, way, drive, sampling_callback=sampled)
    for said in ("private", "PRIVATE", "no way", "some text", "well?", "fine", "inputSchema"):
        assert said not in recorded.text()
    assert requests_of(recorded)[0].attributes["gen_ai.tool.name"] == "shout"


# -- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", NEAR)
def test_a_time_out_is_told_as_one(recorded: Recorded, way: str) -> None:
    async def drive(client: Any) -> None:
        limit: Any = 0.01 if IS_V2 else timedelta(seconds=0.01)
        with pytest.raises(JsonRpcError):
            await client.call_tool("sleep", {}, read_timeout_seconds=limit)

    run(recorded, way, drive)
    client = requests_of(recorded)[0]
    assert client.attributes["error.type"] == "timeout"
    assert "rpc.response.status_code" not in client.attributes
    assert client.status.status_code.name == "ERROR"


@pytest.mark.parametrize("way", NEAR)
def test_a_failure_of_ours_is_not_the_programs(recorded: Recorded, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    texts: list[str] = []

    async def drive(client: Any) -> None:
        for name in ("read_request", "read_result", "read_notification"):
            with monkeypatch.context() as patched:
                patched.setattr(_mcp_messages, name, broken)
                answer = await client.call_tool("count", {}, progress_callback=ignore)
                texts.append(answer.content[0].text)

    async def ignore(*_: object) -> None:
        pass

    run(recorded, way, drive)
    assert texts == ["counted"] * 3
    assert guard.failures.keys() == {
        "trace an MCP request",
        "end the span of an MCP request",
        "tell of an MCP notification",
    }
    guard.failures.clear()
    # the first call is not traced; the others' spans ended in time
    assert [span.attributes["agent_trace.outcome"] for span in requests_of(recorded) if of_ours(span)] == ["ok"] * 4


# -- on and off --------------------------------------------------------------------------------------------------


@pytest.fixture
def off(traced_mcp: None) -> Iterator[None]:
    """Have nothing instrumented at first, and after whatever the test does."""
    at.uninstrument()
    yield
    at.uninstrument()


@pytest.mark.usefixtures("off")
def test_uninstrument_restores_everything(recorded: Recorded) -> None:
    def state() -> list[dict[str, int]]:
        """Return what the patched classes and modules hold, by identity: a wrapper equals what it wraps."""
        owners = []
        for target in McpInstrumentor.targets:
            owner: Any = sys.modules.get(target.module)
            for name in target.path.split(".")[:-1]:
                owner = getattr(owner, name, None)
            owners.append({} if owner is None else {name: id(value) for name, value in vars(owner).items()})
        return owners

    before = state()
    at.instrument("mcp")
    assert state() != before
    at.uninstrument()
    assert state() == before

    async def drive(client: Any) -> None:
        await client.call_tool("add", {"a": 1, "b": 2})

    run(recorded, "in memory", drive)
    assert [span for span in requests_of(recorded) if of_ours(span)] == []


@pytest.mark.usefixtures("off")
def test_a_connection_made_before_is_traced_after(recorded: Recorded) -> None:
    async def drive(client: Any) -> None:
        await client.call_tool("add", {"a": 1, "b": 2})
        at.instrument("mcp")
        await client.call_tool("add", {"a": 3, "b": 4})
        at.uninstrument()
        await client.call_tool("add", {"a": 5, "b": 6})

    run(recorded, "in memory", drive)
    told = [span.attributes["gen_ai.tool.call.arguments"] for span in requests_of(recorded) if of_ours(span)]
    assert {json.loads(arguments)["a"] for arguments in told} == {3}


@pytest.mark.usefixtures("off")
def test_switched_off_in_the_middle_of_a_call_its_spans_still_end(recorded: Recorded) -> None:
    at.instrument("mcp")

    async def drive(client: Any) -> None:
        async def switch_off(*_: object) -> None:
            at.uninstrument()

        await client.call_tool("count", {}, progress_callback=switch_off)

    run(recorded, "in memory", drive)
    assert [span.attributes["agent_trace.outcome"] for span in requests_of(recorded)][:1] == ["ok"]


def test_it_is_the_entry_point_that_the_table_promises() -> None:
    tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    from agent_trace_instrumentors import INSTRUMENTORS, load

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    declared = project["entry-points"]["opentelemetry_instrumentor"]
    wanted = [name for name, entry in INSTRUMENTORS.items() if not entry.opt_in]
    assert declared == {f"agent_trace_{name}": f"{load(name).__module__}:{load(name).__name__}" for name in wanted}
