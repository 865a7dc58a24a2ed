"""What frameworks say of a call -> what is told of it; shapes alone, without the frameworks."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

import agent_trace_otel as at
from agent_trace_instrumentors import _agents_spans as agents
from agent_trace_instrumentors import _langchain_messages as langchain
from agent_trace_instrumentors._langchain_runs import Runs, outcome_of
from agent_trace_otel import model_io
from agent_trace_otel.testing import Recorded


class BaseMessage(SimpleNamespace):
    """A message in the shape of langchain-core's."""


def human(content: Any) -> BaseMessage:
    return BaseMessage(type="human", content=content)


def ai(content: Any, *calls: dict[str, Any], **more: Any) -> BaseMessage:
    return BaseMessage(type="ai", content=content, tool_calls=list(calls), **more)


ADD = {"name": "add", "args": {"a": 1}, "id": "call_1"}


def test_messages_are_read_with_their_calls_and_results() -> None:
    given = [
        BaseMessage(type="system", content="be brief"),
        human("how much?"),
        ai("", ADD),
        BaseMessage(type="tool", content="3", tool_call_id="call_1", name="add"),
    ]
    assert langchain.read_messages(given) == [
        {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
        {"role": "user", "parts": [{"type": "text", "content": "how much?"}]},
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "add", "arguments": {"a": 1}, "id": "call_1"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "3"}]},
    ]


def test_a_call_that_stands_in_the_content_too_is_one_call() -> None:
    content = [{"type": "text", "text": "so"}, {"type": "tool_use", "id": "call_1", "name": "add", "input": {"a": 1}}]
    (message,) = langchain.read_messages([ai(content, ADD)])
    assert [part["type"] for part in message["parts"]] == ["text", "tool_call"]


def test_a_result_tells_numbers_in_the_conventions_way(recorded: Recorded) -> None:
    message = ai(
        "three",
        id="lc_run--1",
        response_metadata={"model_name": "gpt-x-1", "finish_reason": "stop", "id": "chatcmpl-1"},
        usage_metadata={
            "input_tokens": 10,
            "output_tokens": 5,
            "input_token_details": {"cache_read": 4, "cache_creation": 2},
            "output_token_details": {"reasoning": 3},
        },
    )
    result = SimpleNamespace(generations=[[SimpleNamespace(message=message, text="three")]], llm_output=None)
    told = langchain.answer_attributes(result)
    assert json.loads(told.pop("gen_ai.output.messages"))[0]["parts"] == [{"type": "text", "content": "three"}]
    assert told == {
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-x-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_write.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 3,
    }
    assert recorded.sessions() == []


@pytest.mark.parametrize("own", ["run-1", "run--1", "lc_run--1", None])
def test_an_id_that_langchain_made_is_no_response_id(own: str | None) -> None:
    message = ai("x", id=own, response_metadata={"model": "m"})
    result = SimpleNamespace(generations=[[SimpleNamespace(message=message, text="x")]], llm_output={})
    assert "gen_ai.response.id" not in langchain.answer_attributes(result)


def test_what_a_failed_call_left_says_nothing() -> None:
    nothing = SimpleNamespace(message=ai("", response_metadata={}), text="")
    assert langchain.answer_attributes(SimpleNamespace(generations=[[nothing]], llm_output=None)) == {}
    assert langchain.answer_attributes(None) == {}


def test_requests_name_model_and_provider() -> None:
    kwargs = {
        "invocation_params": {"model_name": "claude-x", "temperature": 0.5, "input": "of no use"},
        "metadata": {"ls_provider": "google_genai", "ls_max_tokens": 7},
    }
    body, provider = langchain.request_of([human("hi")], None, kwargs)
    assert provider == "gcp.gemini"
    request = model_io.read_request(body)
    assert (request.model, request.operation) == ("claude-x", "chat")
    assert request.attributes == {"gen_ai.request.temperature": 0.5, "gen_ai.request.max_tokens": 7}


def test_states_tell_their_messages_or_themselves(recorded: Recorded) -> None:
    state = {"messages": [human("hi"), ai("hello")]}
    assert [message["role"] for message in langchain.messages_given(state) or []] == ["user", "assistant"]  # type: ignore[index]
    assert [message["role"] for message in langchain.messages_made(state) or []] == ["assistant"]  # type: ignore[index]
    assert langchain.messages_given({"topic": "birds"}) == '{"topic":"birds"}'
    assert langchain.messages_given(None) is langchain.messages_made({}) is None
    assert recorded.sessions() == []


def test_control_flow_is_no_failure() -> None:
    def raised(*names: str) -> BaseException:
        kind: type = Exception
        for name in names:
            kind = type(name, (kind,), {"__module__": "langgraph.errors"})
        error: BaseException = kind()
        return error

    assert outcome_of(raised("GraphBubbleUp", "GraphInterrupt")) == "interrupted"
    assert outcome_of(raised("GraphBubbleUp", "ParentCommand")) == "ok"
    assert outcome_of(raised("GraphRecursionError")) is None
    assert outcome_of(ValueError()) is None
    assert outcome_of(GeneratorExit()) == "abandoned"


def test_runs_that_never_end_are_forgotten(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    from uuid import uuid4

    monkeypatch.setattr("agent_trace_instrumentors._langchain_runs.MAX_RUNS", 10)
    runs = Runs()
    with at.session("test"):
        ids = [uuid4() for _ in range(20)]
        for run_id in ids:
            runs.begin_chain(run_id, "chain", {}, {})
        assert runs.of(ids[0]) is None
        assert runs.of(ids[-1]) is not None
    assert [span.name for span in recorded.spans()] == ["invoke_agent test"]


def test_models_of_the_agents_sdk_are_asked_as_their_api_has_it() -> None:
    responses = type("OpenAIResponsesModel", (), {"model": "gpt-x", "__module__": "agents.models.openai_responses"})()
    completions = type("Chat", (), {"model": "gpt-x", "__module__": "agents.models.openai_chatcompletions"})()
    given = {"system_instructions": "be brief", "input": "hi", "model_settings": SimpleNamespace(temperature=0.5)}
    asked = model_io.read_request(agents.request_of(responses, given, streams=True))
    assert asked.system == [{"type": "text", "content": "be brief"}]
    assert asked.attributes == {"gen_ai.request.temperature": 0.5, "gen_ai.request.stream": True}
    asked = model_io.read_request(agents.request_of(completions, given, streams=False))
    assert [message["role"] for message in asked.messages or []] == ["system", "user"]
    assert asked.system is None


def test_a_response_id_that_the_agents_sdk_made_up_is_none(recorded: Recorded) -> None:
    output = {
        "id": "__fake_id__", "object": "response", "status": "completed", "model": "gpt-x",
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}],
    }  # fmt: skip
    told = agents.answer_of(SimpleNamespace(output=[output], usage={"input_tokens": 3, "output_tokens": 2}))
    assert "gen_ai.response.id" not in told
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (3, 2)
    assert recorded.sessions() == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (None, ("", "")),
        ({"message": "Error running tool", "data": {"error": "no luck"}}, ("error", "Error running tool: no luck")),
        ({"message": "Max turns exceeded", "data": {"max_turns": 2}}, ("error", "Max turns exceeded")),
        ({}, ("error", "error")),
    ],
)
def test_failures_of_the_agents_sdk(error: Any, told: tuple[str, str]) -> None:
    assert agents.failure_of(error) == told


def test_handoffs_are_called_as_the_sdk_calls_their_tool() -> None:
    assert agents.handoff_tool("Refund Agent") == "transfer_to_refund_agent"
