"""LangChain and LangGraph, of whatever version is installed, with a real client and a real server on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from chat_answers import CACHED, MODEL, REASONING, TOKENS_IN, TOKENS_OUT, failure, model
from patching import check
from told import spans_of, timeline, tree

import agent_trace_otel as at
from agent_trace_otel.testing import Recorded

pytest.importorskip("langchain_openai")
pytest.importorskip("langgraph")

from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import create_react_agent

INSTRUMENTORS = ("langchain", "openai")
pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@at.trace_tool
def look_up(query: str) -> str:
    return f"about {query}"


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    look_up(str(a))
    return a + b


@tool
async def wait(seconds: float) -> str:
    """Wait."""
    look_up("a clock")
    await asyncio.sleep(seconds)
    return "waited"


@tool
def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


def says(text: str) -> Any:
    return lambda _body: text


def calls_then(*calls: Any, text: str = "done") -> Any:
    """A model that calls tools once, and answers when it has their results."""
    return lambda body: text if any(message["role"] == "tool" for message in body["messages"]) else calls


def client(url: str, **settings: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model="gpt-4o", base_url=f"{url}/v1", api_key="test", max_retries=0, stream_usage=True, **settings
    )


def asked(text: str = "please") -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def test_a_model_is_one_span_however_it_is_called(traced: Recorded) -> None:
    async def asynchronously(chat: ChatOpenAI) -> list[str]:
        answered = await chat.ainvoke("how are you?")
        return [str(answered.content), "".join([str(chunk.content) async for chunk in chat.astream("how are you?")])]

    with model(says("very well")) as server, at.session("test"):
        chat = client(server.url, temperature=0.5)
        said = [chat.invoke("how are you?").content, "".join(str(c.content) for c in chat.stream("how are you?"))]
        said += asyncio.run(asynchronously(chat))
        assert said == ["very well"] * 4
        assert len(server.asked) == 4
    spans = spans_of(traced, "chat")
    assert [span.name for span in spans] == ["chat gpt-4o"] * 4
    for span in spans:
        told = dict(span.attributes)
        assert told["gen_ai.response.model"] == MODEL
        assert told["gen_ai.request.temperature"] == 0.5
        assert told["gen_ai.response.finish_reasons"] == ("stop",)
        assert told["gen_ai.usage.input_tokens"] == TOKENS_IN
        assert told["gen_ai.usage.output_tokens"] == TOKENS_OUT
        assert told["gen_ai.usage.cache_read.input_tokens"] == CACHED
        assert told["gen_ai.usage.reasoning.output_tokens"] == REASONING
        assert json.loads(told["gen_ai.input.messages"])[-1]["parts"] == [{"type": "text", "content": "how are you?"}]
        assert json.loads(told["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": "very well"}]
        assert "agent_trace.duplicates" not in told
    assert ["gen_ai.response.time_to_first_chunk" in span.attributes for span in spans] == [False, True, False, True]
    assert timeline(traced) == ["session_start", *["llm_request", "llm_response"] * 4, "session_end"]


def test_a_chain_is_one_span_around_its_calls(traced: Recorded) -> None:
    with model(says("hello")) as server, at.session("test"):
        chain = ChatPromptTemplate.from_template("say {word}") | client(server.url) | StrOutputParser()
        assert chain.invoke({"word": "hello"}) == "hello"
        assert "".join(chain.stream({"word": "hello"})) == "hello"
        assert asyncio.run(chain.ainvoke({"word": "hello"})) == "hello"
        assert chain.batch([{"word": "a"}, {"word": "b"}]) == ["hello", "hello"]
    assert tree(traced) == ["invoke_agent test", *["  invoke_workflow RunnableSequence", "    chat gpt-4o"] * 5]


def test_what_runs_in_a_chain_hangs_under_it(traced: Recorded) -> None:
    with model(says("hello")) as server, at.session("test"):
        chat = client(server.url)
        chain = RunnableParallel(a=RunnableLambda(look_up), b=chat) | RunnableLambda(
            lambda given: f"{given['a']}, {given['b'].content}"
        )
        assert chain.invoke("x") == "about x, hello"
    assert sorted(tree(traced)[2:]) == ["    chat gpt-4o", "    execute_tool look_up"]


def test_an_agent_calls_tools_in_parallel_and_their_own_calls_hang_under_them(traced: Recorded) -> None:
    with model(calls_then(("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4}))) as server, at.session("test"):
        agent = create_react_agent(client(server.url), [add], name="calculator")
        assert agent.invoke(asked())["messages"][-1].content == "done"
    assert tree(traced) == [
        "invoke_agent test",
        "  invoke_agent calculator",
        "    chat gpt-4o",
        *["    execute_tool add", "      execute_tool look_up"] * 2,
        "    chat gpt-4o",
    ]
    tools = [span.attributes for span in spans_of(traced, "execute_tool") if span.name.endswith("add")]
    assert sorted(json.loads(told["gen_ai.tool.call.arguments"])["a"] for told in tools) == [1, 3]
    assert sorted(told["gen_ai.tool.call.result"] for told in tools) == ["3", "7"]
    assert all(told["gen_ai.tool.call.id"].startswith("call_") for told in tools)
    meta = traced.meta()
    assert (meta.tool_calls, meta.llm_requests, meta.total_tokens) == (4, 2, 2 * (TOKENS_IN + TOKENS_OUT))
    (about_agent,) = [span for span in spans_of(traced, "invoke_agent") if span.name.endswith("calculator")]
    assert json.loads(about_agent.attributes["gen_ai.input.messages"])[0]["parts"][0]["content"] == "please"
    assert json.loads(about_agent.attributes["gen_ai.output.messages"])[0]["parts"][0]["content"] == "done"


def test_the_same_asynchronously_and_streamed(traced: Recorded) -> None:
    async def main(url: str) -> str:
        agent = create_react_agent(client(url), [add, wait], name="calculator")
        words = ""
        async for message, _ in agent.astream(asked(), stream_mode="messages"):
            words += str(message.content) if message.type == "AIMessageChunk" else ""
        return words

    with model(calls_then(("add", {"a": 1, "b": 2}), ("wait", {"seconds": 0.01}))) as server, at.session("test"):
        assert asyncio.run(main(server.url)) == "done"
    told = tree(traced)
    assert told[:3] == ["invoke_agent test", "  invoke_agent calculator", "    chat gpt-4o"]
    assert sorted(told[3:-1:2]) == ["    execute_tool add", "    execute_tool wait"]
    assert told[4:-1:2] == ["      execute_tool look_up"] * 2
    assert told[-1] == "    chat gpt-4o"
    assert all("gen_ai.response.time_to_first_chunk" in span.attributes for span in spans_of(traced, "chat"))


def graph_of(url: str) -> Any:
    """A graph with a node of its own, an agent for a node, and an agent that a node calls."""
    chat = client(url)
    adder = create_react_agent(chat, [add], name="adder")

    def plan(_state: MessagesState) -> dict[str, Any]:
        look_up("plans")
        return {"messages": [chat.invoke("plan it")]}

    def delegate(state: MessagesState) -> dict[str, Any]:
        return {"messages": adder.invoke(state)["messages"][-1:]}

    graph = StateGraph(MessagesState)
    graph.add_node("plan", plan)
    graph.add_node("adder", adder)
    graph.add_node("delegate", delegate)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "adder")
    graph.add_edge("adder", "delegate")
    graph.add_edge("delegate", END)
    return graph.compile(name="team")


def test_nodes_and_graphs_in_graphs_are_named(traced: Recorded) -> None:
    with model(says("all right")) as server, at.session("test"):
        graph_of(server.url).invoke(asked())
        asyncio.run(graph_of(server.url).ainvoke(asked()))
    assert tree(traced) == [
        "invoke_agent test",
        *[
            "  invoke_agent team",
            "    invoke_agent plan",
            "      execute_tool look_up",
            "      chat gpt-4o",
            "    invoke_agent adder",
            "      chat gpt-4o",
            "    invoke_agent delegate",
            "      invoke_agent adder",
            "        chat gpt-4o",
        ]
        * 2,
    ]
    agents = [line.split()[-1] for line in timeline(traced) if line.startswith("llm_request")]
    assert agents == ["plan", "adder", "adder"] * 2


def test_tasks_of_a_function_are_named(traced: Recorded) -> None:
    from langgraph.func import entrypoint, task

    with model(says("all right")) as server, at.session("test"):
        chat = client(server.url)

        @task
        def greet(word: str) -> str:
            return str(chat.invoke(word).content)

        @entrypoint()
        def flow(word: str) -> str:
            look_up(word)
            return greet(word).result()

        assert flow.invoke("hello") == "all right"
    assert tree(traced)[2:] == [
        "    invoke_agent flow",
        "      execute_tool look_up",
        "      invoke_agent greet",
        "        chat gpt-4o",
    ]


def test_a_tool_that_fails_is_an_error_and_the_agent_goes_on(traced: Recorded) -> None:
    with model(calls_then(("fail", {"why": "no luck"}))) as server, at.session("test"):
        agent = create_react_agent(client(server.url), [fail], name="unlucky")
        with contextlib.suppress(ValueError):  # newer versions let it through
            agent.invoke(asked())
    (span,) = spans_of(traced, "execute_tool")
    assert span.status.status_code.name == "ERROR"
    assert span.attributes["error.type"] == "ValueError"
    assert span.events[0].attributes["exception.message"] == "no luck"
    assert "error fail unlucky" in timeline(traced)


def test_a_model_that_fails_is_an_error_of_all_around_it_and_of_the_caller(traced: Recorded) -> None:
    with model(lambda _: failure()) as server, at.session("test"):
        chain = ChatPromptTemplate.from_template("say {word}") | client(server.url)
        with pytest.raises(Exception, match="scripted failure"):
            chain.invoke({"word": "x"})
        with pytest.raises(Exception, match="scripted failure"):
            list(chain.stream({"word": "x"}))
        with pytest.raises(Exception, match="scripted failure"):
            asyncio.run(chain.ainvoke({"word": "x"}))
    assert tree(traced)[1:] == ["  invoke_workflow RunnableSequence (error)", "    chat gpt-4o (error)"] * 3
    assert all(span.status.status_code.name == "ERROR" for span in spans_of(traced, "chat"))
    assert all("BadRequestError" in span.attributes["error.type"] or "InvalidRequest" in span.attributes["error.type"]
               for span in spans_of(traced, "chat"))  # fmt: skip


def test_a_chain_that_fails_before_any_call_is_told(traced: Recorded) -> None:
    def boom(_given: object) -> None:
        raise KeyError

    with at.session("test"), pytest.raises(KeyError):
        (RunnableLambda(boom) | RunnableLambda(lambda x: x)).invoke(1)
    assert tree(traced)[1:] == ["  invoke_workflow RunnableSequence (error)"]


def test_a_graph_that_waits_for_a_person_is_interrupted_and_goes_on(traced: Recorded) -> None:
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.types import Command, interrupt

    def ask(_state: MessagesState) -> dict[str, Any]:
        return {"messages": [HumanMessage(str(interrupt("may I?")))]}

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    compiled = graph.compile(checkpointer=InMemorySaver(), name="careful")
    config: Any = {"configurable": {"thread_id": "one"}}
    with at.session("test"):
        compiled.invoke(asked(), config)
        assert compiled.invoke(Command(resume="yes"), config)["messages"][-1].content == "yes"
    assert tree(traced)[1:] == [
        "  invoke_agent careful",
        "    invoke_agent ask (interrupted)",
        "  invoke_agent careful",
        "    invoke_agent ask",
    ]
    assert all(span.status.status_code.name == "UNSET" for span in traced.spans())


def test_streams_that_are_left_are_abandoned(traced: Recorded) -> None:
    async def left(chat: ChatOpenAI) -> None:
        stream = chat.astream("how are you?")
        async for chunk in stream:
            if chunk.content:
                break
        await stream.aclose()

    with model(says("very well")) as server, at.session("test"):
        chat = client(server.url)
        stream = chat.stream("how are you?")
        for chunk in stream:
            if chunk.content:
                break
        stream.close()
        del stream
        gc.collect()
        asyncio.run(left(chat))
    spans = spans_of(traced, "chat")
    assert [span.attributes["agent_trace.outcome"] for span in spans] == ["abandoned", "abandoned"]
    assert all(span.status.status_code.name == "UNSET" for span in spans)
    assert all(span.attributes["agent_trace.chunks"] >= 1 for span in spans)


def test_a_cancelled_task_is_interrupted(traced: Recorded) -> None:
    async def main(url: str) -> None:
        agent = create_react_agent(client(url), [wait], name="patient")
        task = asyncio.ensure_future(agent.ainvoke(asked()))
        while not any(event.data.get("tool_name") == "wait" for event in traced.events()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with model(calls_then(("wait", {"seconds": 30}))) as server, at.session("test"):
        asyncio.run(main(server.url))
    outcomes = {span.name: span.attributes["agent_trace.outcome"] for span in traced.spans()}
    assert outcomes["execute_tool wait"] == outcomes["invoke_agent patient"] == "interrupted"
    assert outcomes["invoke_agent test"] == "ok"


def test_agents_in_threads_do_not_mix(traced: Recorded) -> None:
    with model(calls_then(("add", {"a": 1, "b": 2}))) as server, at.session("test"):
        agents = [create_react_agent(client(server.url), [add], name=f"agent-{n}") for n in range(6)]
        with ThreadPoolExecutor(6) as pool:
            assert len(list(pool.map(lambda agent: agent.invoke(asked()), agents))) == 6
    by_id = {span.context.span_id: span for span in traced.spans()}
    for span in spans_of(traced, "chat"):
        above = by_id[span.parent.span_id]
        assert above.name.startswith("invoke_agent agent-")
    assert len(spans_of(traced, "chat")) == 12


def test_users_see_the_same_with_and_without(recorded: Recorded) -> None:
    def outputs(url: str) -> list[Any]:
        agent = create_react_agent(client(url), [add], name="calculator")
        told = agent.invoke(asked())["messages"]
        kinds = [type(chunk).__name__ for chunk in client(url).stream("x")]
        return [[(type(m).__name__, m.content, [c["name"] for c in getattr(m, "tool_calls", [])]) for m in told], kinds]

    with model(calls_then(("add", {"a": 1, "b": 2}))) as server:
        plain = outputs(server.url)
        at.instrument("langchain", "openai")
        try:
            with at.session("test"):
                assert outputs(server.url) == plain
        finally:
            at.uninstrument()
        before = len(recorded.spans())
        assert outputs(server.url) == plain
    assert len(recorded.spans()) == before


def test_the_handler_is_one_object_in_all_copies(traced: Recorded) -> None:
    import pickle

    seen: list[Any] = []
    with at.session("test"):
        RunnableLambda(lambda _x, config: seen.append(config["callbacks"])).invoke(1)
    (handler,) = [one for one in seen[0].handlers if type(one).__name__ == "AgentTraceHandler"]
    assert copy.deepcopy(handler) is handler
    assert copy.copy(handler) is handler
    assert pickle.loads(pickle.dumps(handler)) is handler


def test_without_a_session_a_run_is_a_session_of_its_own(traced: Recorded) -> None:
    at.configure()
    with model(calls_then(("add", {"a": 1, "b": 2}))) as server:
        create_react_agent(client(server.url), [add], name="calculator").invoke(asked())
    assert tree(traced)[0] == "invoke_agent calculator"
    assert [line.split()[0] for line in timeline(traced)][:2] == ["session_start", "llm_request"]


def test_a_retriever_is_a_look_up(traced: Recorded) -> None:
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever

    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            look_up(query)
            return [Document(page_content=f"a book about {query}")]

    with at.session("test"):
        assert Shelf().invoke("birds")[0].page_content == "a book about birds"
    (span, _) = spans_of(traced, "execute_tool")
    assert span.name == "execute_tool Shelf"
    assert span.attributes["gen_ai.tool.type"] == "datastore"
    assert json.loads(span.attributes["gen_ai.tool.call.arguments"]) == {"query": "birds"}
    assert "a book about birds" in span.attributes["gen_ai.tool.call.result"]


def test_content_is_left_out_where_nobody_wants_it(traced: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TRACE_CAPTURE_CONTENT", "false")
    with model(calls_then(("add", {"a": 41, "b": 2}), text="a secret")) as server, at.session("test"):
        create_react_agent(client(server.url), [add], name="calculator").invoke(asked("my question"))
    assert "a secret" not in traced.text()
    assert "my question" not in traced.text()
    assert "41" not in [span.attributes.get("gen_ai.tool.call.arguments") for span in traced.spans()]


def test_all_that_is_named_is_patched_and_put_back() -> None:
    check("langchain")
