"""The OpenAI Agents SDK, of whatever version is installed, with a real client and a real server on this machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from chat_answers import CACHED, MODEL, REASONING, TOKENS_IN, TOKENS_OUT, failure, model
from patching import check
from told import spans_of, timeline, tree

import agent_trace_otel as at
from agent_trace_otel.testing import Recorded

pytest.importorskip("agents")

import agents
from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    input_guardrail,
    set_trace_processors,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

INSTRUMENTORS = ("openai_agents", "openai")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # clients are closed with their event loops
]
MODELS = [OpenAIChatCompletionsModel, OpenAIResponsesModel]


@pytest.fixture(autouse=True)
def exported() -> Iterator[list[Any]]:
    """What the SDK itself would send to OpenAI."""
    kept: list[Any] = []

    class Kept(agents.tracing.TracingProcessor):
        def on_trace_start(self, trace: Any) -> None: ...
        def on_trace_end(self, trace: Any) -> None:
            kept.append(trace.export()["workflow_name"])

        def on_span_start(self, span: Any) -> None: ...
        def on_span_end(self, span: Any) -> None:
            kept.append(span.export()["span_data"]["type"])

        def shutdown(self) -> None: ...
        def force_flush(self) -> None: ...

    set_trace_processors([Kept()])
    yield kept
    set_trace_processors([])


@at.trace_tool
def look_up(query: str) -> str:
    return f"about {query}"


@function_tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    look_up(str(a))
    return a + b


@function_tool
async def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


@function_tool(failure_error_function=None)
def crash(why: str) -> str:
    """Fail for good."""
    raise ValueError(why)


def is_answered(body: dict[str, Any]) -> bool:
    told = body.get("messages") or body["input"]
    return any(item.get("role") == "tool" or item.get("type") == "function_call_output" for item in told)


def calls_then(*calls: Any, text: str = "done") -> Any:
    return lambda body: text if is_answered(body) else calls


def asked_of(server: Any, kind: Any) -> Any:
    return kind("gpt-4o", AsyncOpenAI(base_url=f"{server.url}/v1", api_key="test", max_retries=0))


async def streamed(agent: Any, text: str) -> Any:
    result = Runner.run_streamed(agent, text)
    async for _ in result.stream_events():
        pass
    return result.final_output


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("streams", [False, True])
def test_an_agent_with_tools(traced: Recorded, kind: Any, streams: bool, exported: list[Any]) -> None:
    with model(calls_then(("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4}))) as server, at.session("test"):
        agent = Agent(name="calculator", instructions="be exact", model=asked_of(server, kind), tools=[add])
        if streams:
            assert asyncio.run(streamed(agent, "please")) == "done"
        else:
            assert asyncio.run(run(agent, "please")) == "done"
    assert tree(traced) == [
        "invoke_agent test",
        "  invoke_workflow Agent workflow",
        "    invoke_agent calculator",
        "      chat gpt-4o",
        *["      execute_tool add", "        execute_tool look_up"] * 2,
        "      chat gpt-4o",
    ]
    first, second = spans_of(traced, "chat")
    for span in (first, second):
        told = dict(span.attributes)
        assert told["gen_ai.usage.input_tokens"] == TOKENS_IN
        assert told["gen_ai.usage.output_tokens"] == TOKENS_OUT
        assert "be exact" in told.get("gen_ai.system_instructions", "") + told["gen_ai.input.messages"]
        assert "please" in told["gen_ai.input.messages"]
        assert "agent_trace.duplicates" not in told
        if kind is OpenAIResponsesModel or "openai" in at.instrument("openai_agents"):  # whose own is on, too
            assert told["gen_ai.usage.cache_read.input_tokens"] == CACHED
            assert told["gen_ai.usage.reasoning.output_tokens"] == REASONING
            assert told["gen_ai.response.model"] == MODEL
            assert told["gen_ai.response.id"].startswith(("resp_", "chatcmpl-"))
    assert "done" in second.attributes["gen_ai.output.messages"]
    tools = [span.attributes for span in spans_of(traced, "execute_tool") if span.name.endswith("add")]
    assert sorted(json.loads(told["gen_ai.tool.call.arguments"])["a"] for told in tools) == [1, 3]
    assert sorted(told["gen_ai.tool.call.result"] for told in tools) == ["3", "7"]
    assert all(told["gen_ai.tool.call.id"].startswith("call_") for told in tools)
    meta = traced.meta()
    assert (meta.tool_calls, meta.llm_requests, meta.total_tokens) == (4, 2, 2 * (TOKENS_IN + TOKENS_OUT))
    opening = next(event for event in traced.events() if event.event_type == "tool_call")
    assert opening.data["arguments"]["b"] in (2, 4)  # told before it ran
    assert exported.count("function") == 2
    assert "Agent workflow" in exported


def test_a_handoff_is_told_and_the_next_agent_stands_beside_the_first(traced: Recorded) -> None:
    def script(body: dict[str, Any]) -> Any:
        return "bye" if "you are second" in json.dumps(body) else [("transfer_to_second", {})]

    with model(script) as server, at.session("test"):
        asked = asked_of(server, OpenAIChatCompletionsModel)
        second = Agent(name="second", instructions="you are second", model=asked)
        first = Agent(name="first", instructions="you are the other", model=asked, handoffs=[second])
        assert asyncio.run(run(first, "hello")) == "bye"
    assert tree(traced)[2:] == [
        "    invoke_agent first",
        "      chat gpt-4o",
        "      execute_tool transfer_to_second",
        "    invoke_agent second",
        "      chat gpt-4o",
    ]
    assert "tool_call transfer_to_second first" in timeline(traced)


def test_agents_as_tools_hang_under_their_call(traced: Recorded) -> None:
    def script(body: dict[str, Any]) -> Any:
        return "seven" if "you add" in json.dumps(body) else calls_then(("sum_up", {"input": "3 and 4"}))(body)

    with model(script) as server, at.session("test"):
        asked = asked_of(server, OpenAIResponsesModel)
        adder = Agent(name="adder", instructions="you add", model=asked)
        tool = adder.as_tool(tool_name="sum_up", tool_description="adds")
        asker = Agent(name="asker", instructions="you ask", model=asked, tools=[tool])
        assert asyncio.run(run(asker, "how much?")) == "done"
    assert tree(traced)[2:] == [
        "    invoke_agent asker",
        "      chat gpt-4o",
        "      execute_tool sum_up",
        "        invoke_agent adder",
        "          chat gpt-4o",
        "      chat gpt-4o",
    ]


def test_guardrails_are_told_and_one_that_trips_blocks(traced: Recorded) -> None:
    @input_guardrail
    async def polite(_context: Any, _agent: Any, given: Any) -> GuardrailFunctionOutput:
        look_up("manners")
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered="!" in str(given))

    with model(lambda _: "hello") as server, at.session("test"):
        agent = Agent(name="host", model=asked_of(server, OpenAIChatCompletionsModel), input_guardrails=[polite])
        assert asyncio.run(run(agent, "hello")) == "hello"
        with pytest.raises(InputGuardrailTripwireTriggered):
            asyncio.run(run(Agent(name="host", model=asked_of(server, OpenAIChatCompletionsModel),
                                  input_guardrails=[polite]), "hello!"))  # fmt: skip
    fine, tripped = [span for span in spans_of(traced, "execute_tool") if span.name == "execute_tool polite"]
    assert fine.attributes["gen_ai.tool.type"] == "guardrail"
    assert json.loads(fine.attributes["gen_ai.tool.call.result"]) == {"triggered": False}
    assert tripped.attributes["agent_trace.outcome"] == "blocked"
    assert tripped.status.status_code.name == "ERROR"
    assert [line for line in tree(traced) if "look_up" in line] == ["        execute_tool look_up"] * 2


async def run(agent: Any, text: str) -> Any:
    return (await Runner.run(agent, text)).final_output


async def whole_run(agent: Any) -> Any:
    return await Runner.run(agent, "please")


def test_tools_that_fail(traced: Recorded) -> None:
    with model(calls_then(("fail", {"why": "no luck"}))) as server, at.session("test"):
        agent = Agent(name="unlucky", model=asked_of(server, OpenAIChatCompletionsModel), tools=[fail])
        assert asyncio.run(run(agent, "go")) == "done"
    (span,) = spans_of(traced, "execute_tool")
    assert span.status.status_code.name == "ERROR"
    assert span.attributes["error.type"] == "tool_error"
    assert "error fail unlucky" in timeline(traced)


def test_a_tool_that_fails_for_good_ends_the_run(traced: Recorded) -> None:
    with model(calls_then(("crash", {"why": "no luck"}))) as server, at.session("test"):
        agent = Agent(name="unlucky", model=asked_of(server, OpenAIChatCompletionsModel), tools=[crash])
        with pytest.raises(Exception, match="no luck"):
            asyncio.run(run(agent, "go"))
    (span,) = spans_of(traced, "execute_tool")
    assert span.status.status_code.name == "ERROR"
    assert "no luck" in (span.status.description or "")


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_that_fails(traced: Recorded, kind: Any) -> None:
    with model(lambda _: failure()) as server, at.session("test"):
        with pytest.raises(Exception, match="scripted failure"):
            asyncio.run(run(Agent(name="a", model=asked_of(server, kind)), "go"))
        with pytest.raises(Exception, match="scripted failure"):
            asyncio.run(streamed(Agent(name="a", model=asked_of(server, kind)), "go"))
    spans = spans_of(traced, "chat")
    assert [span.attributes["error.type"] for span in spans] == ["openai.BadRequestError"] * 2
    assert all("scripted failure" in span.status.description for span in spans)


def test_turns_without_end_are_an_error_of_the_agent(traced: Recorded) -> None:
    with model(lambda _: [("add", {"a": 1, "b": 2})]) as server, at.session("test"):
        agent = Agent(name="endless", model=asked_of(server, OpenAIChatCompletionsModel), tools=[add])
        with pytest.raises(MaxTurnsExceeded):
            asyncio.run(limited(agent))
    (about,) = [span for span in spans_of(traced, "invoke_agent") if span.name.endswith("endless")]
    assert about.status.status_code.name == "ERROR"
    assert len(spans_of(traced, "chat")) == 2


async def limited(agent: Any) -> None:
    await Runner.run(agent, "go", max_turns=2)


def test_a_cancelled_run_is_interrupted(traced: Recorded) -> None:
    @function_tool
    async def wait() -> str:
        """Wait."""
        await asyncio.sleep(30)
        return ""

    async def main(agent: Any) -> None:
        task = asyncio.ensure_future(Runner.run(agent, "go"))
        while not any(event.data.get("tool_name") == "wait" for event in traced.events()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with model(calls_then(("wait", {}))) as server, at.session("test"):
        asyncio.run(main(Agent(name="patient", model=asked_of(server, OpenAIChatCompletionsModel), tools=[wait])))
    (span,) = spans_of(traced, "execute_tool")
    assert span.attributes["agent_trace.outcome"] == "interrupted"
    assert {span.name for span in traced.spans()} >= {"invoke_agent patient", "invoke_workflow Agent workflow"}


def test_it_tells_though_the_sdk_is_told_not_to(traced: Recorded, exported: list[Any]) -> None:
    set_tracing_disabled(True)
    try:
        with model(calls_then(("add", {"a": 1, "b": 2}))) as server, at.session("test"):
            agent = Agent(name="calculator", model=asked_of(server, OpenAIChatCompletionsModel), tools=[add])
            assert asyncio.run(run(agent, "please")) == "done"
    finally:
        set_tracing_disabled(False)
    assert exported == []
    assert [line.strip() for line in tree(traced)] == [
        "invoke_agent test",
        "invoke_workflow Agent workflow",
        "invoke_agent calculator",
        "chat gpt-4o",
        "execute_tool add",
        "execute_tool look_up",
        "chat gpt-4o",
    ]


def test_runs_beside_each_other_do_not_mix(traced: Recorded) -> None:
    async def main(url: Any) -> None:
        kinds = [asked_of(url, OpenAIChatCompletionsModel) for _ in range(5)]
        runs = [Runner.run(Agent(name=f"agent-{n}", model=kind, tools=[add]), "go") for n, kind in enumerate(kinds)]
        await asyncio.gather(*runs)

    with model(calls_then(("add", {"a": 1, "b": 2}))) as server, at.session("test"):
        asyncio.run(main(server))
    by_id = {span.context.span_id: span for span in traced.spans()}
    for span in [*spans_of(traced, "chat"), *spans_of(traced, "execute_tool")]:
        above = by_id[span.parent.span_id]
        assert above.name.startswith(("invoke_agent agent-", "execute_tool add"))
    assert len(spans_of(traced, "chat")) == 10


def test_users_see_the_same_with_and_without(recorded: Recorded, exported: list[Any]) -> None:
    def outputs(server: Any) -> list[Any]:
        agent = Agent(name="calculator", model=asked_of(server, OpenAIChatCompletionsModel), tools=[add])
        exported.clear()
        result = asyncio.run(whole_run(agent))
        return [result.final_output, [type(item).__name__ for item in result.new_items], list(exported)]

    with model(calls_then(("add", {"a": 1, "b": 2}))) as server:
        plain = outputs(server)
        at.instrument("openai_agents", "openai")
        try:
            with at.session("test"):
                assert outputs(server) == plain
        finally:
            at.uninstrument()
        before = len(recorded.spans())
        assert outputs(server) == plain
    assert len(recorded.spans()) == before


def test_all_that_is_named_is_patched_and_put_back() -> None:
    check("openai_agents", without=("agents.extensions.models.litellm_model",))
