"""Names and shapes of older versions, and of what can't be run here: read by their tables all the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent_trace_otel import semconv
from agent_trace_otel.dialects import Given, read
from agent_trace_otel.store.span_events import kind_of

CLAUDE_CODE = Path(__file__).parents[3] / "shared" / "claude_code" / "native_otel"
USER = {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
ASSISTANT = {"role": "assistant", "parts": [{"type": "text", "content": "yo"}], "finish_reason": "stop"}


def told(
    attributes: dict[str, Any], name: str = "", scope: str = "", events: Sequence[tuple[str, dict[str, Any]]] = ()
) -> dict[str, Any]:
    """Return what is read from a span."""
    return dict(read(Given(attributes, name, scope, events)).attributes)


def messages(found: dict[str, Any]) -> tuple[Any, Any]:
    """Return what was asked and answered."""
    return tuple(json.loads(found[name]) for name in (semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES))


def test_gen_ai_names_before_1_27() -> None:
    found = told(
        {
            "gen_ai.system": "az.ai.openai",
            "gen_ai.request.model": "m",
            "gen_ai.usage.prompt_tokens": 5,
            "gen_ai.usage.completion_tokens": 3,
            "gen_ai.response.finish_reason": "stop",
        }
    )
    assert found[semconv.PROVIDER_NAME] == "azure.ai.openai"
    assert (found[semconv.USAGE_INPUT_TOKENS], found[semconv.USAGE_OUTPUT_TOKENS]) == (5, 3)
    assert found[semconv.RESPONSE_FINISH_REASONS] == ["stop"]
    assert kind_of(found) == "model"


@pytest.mark.parametrize(
    "events",
    [
        [
            ("gen_ai.user.message", {"content": "hi"}),
            ("gen_ai.choice", {"finish_reason": "stop", "message": '{"role": "assistant", "content": "yo"}'}),
        ],
        [
            ("gen_ai.user.message", {"gen_ai.event.content": '{"role": "user", "content": "hi"}'}),
            ("gen_ai.choice", {"gen_ai.event.content": '{"message": {"content": "yo"}, "finish_reason": "stop"}'}),
        ],
        [
            ("gen_ai.content.prompt", {"gen_ai.prompt": '[{"role": "user", "content": "hi"}]'}),
            ("gen_ai.content.completion", {"gen_ai.completion": '[{"role": "assistant", "content": "yo"}]'}),
        ],
        [
            (
                "gen_ai.client.inference.operation.details",
                {"gen_ai.input.messages": json.dumps([USER]), "gen_ai.output.messages": json.dumps([ASSISTANT])},
            )
        ],
    ],
    ids=["attributes", "one JSON", "1.27 content", "details"],
)
def test_messages_that_are_span_events(events: list[tuple[str, dict[str, Any]]]) -> None:
    found = told({"gen_ai.operation.name": "chat", "gen_ai.system": "openai"}, events=events)
    assert messages(found) == ([USER], [ASSISTANT])


def test_messages_in_numbered_names_as_openllmetry_had_them() -> None:
    found = told(
        {
            "llm.request.type": "chat",
            "gen_ai.system": "OpenAI",
            "gen_ai.request.model": "m",
            "gen_ai.prompt.1.role": "tool",
            "gen_ai.prompt.1.content": "sunny",
            "gen_ai.prompt.1.tool_call_id": "c",
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "hi",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.finish_reason": "tool_calls",
            "gen_ai.completion.0.tool_calls.0.id": "c",
            "gen_ai.completion.0.tool_calls.0.name": "weather",
            "gen_ai.completion.0.tool_calls.0.arguments": '{"city": "Paris"}',
            "gen_ai.usage.cache_read_input_tokens": 2,
        }
    )
    asked, answered = messages(found)
    assert asked == [
        USER,
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "sunny", "id": "c"}]},
    ]
    call = {"type": "tool_call", "name": "weather", "arguments": {"city": "Paris"}, "id": "c"}
    assert [message["parts"] for message in answered] == [[call]]
    assert found[semconv.RESPONSE_FINISH_REASONS] == ["tool_calls"]
    assert found[semconv.USAGE_CACHE_READ_INPUT_TOKENS] == 2
    assert kind_of(found) == "model"


def test_names_of_today_are_believed_before_older_ones() -> None:
    found = told({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 7, "gen_ai.usage.prompt_tokens": 5})
    assert found[semconv.USAGE_INPUT_TOKENS] == 7


def test_an_agents_sum_is_no_model_call() -> None:
    run = {"agent_name": "a", "model_name": "m", "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 3}
    assert kind_of(told(run, "agent run", "pydantic-ai")) == "agent"
    assert kind_of(told({"gen_ai.tool.name": "t", "tool_arguments": "{}"}, "running tool", "pydantic-ai")) == "tool"


def test_pydantic_ais_first_format() -> None:
    events = [
        {"event.name": "gen_ai.user.message", "role": "user", "content": "hi"},
        {"event.name": "gen_ai.choice", "index": 0, "message": {"role": "assistant", "content": "yo"}},
    ]
    found = told({"gen_ai.operation.name": "chat", "events": json.dumps(events)}, "chat m", "pydantic-ai")
    assert messages(found) == ([USER], [ASSISTANT])


def test_google_adk_1() -> None:
    asked = {"model": "gemini", "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    found = told(
        {
            "gen_ai.system": "gcp.vertex.agent",
            "gen_ai.request.model": "gemini",
            "gcp.vertex.agent.session_id": "talk",
            "gcp.vertex.agent.llm_request": json.dumps(asked),
            "gcp.vertex.agent.llm_response": json.dumps({"content": {"role": "model", "parts": [{"text": "yo"}]}}),
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 3,
            "gen_ai.usage.experimental.reasoning_tokens": 4,
        },
        "call_llm",
        "gcp.vertex.agent",
    )
    assert messages(found) == ([USER], [ASSISTANT])
    assert found[semconv.CONVERSATION_ID] == "talk"
    assert (found[semconv.USAGE_OUTPUT_TOKENS], found[semconv.USAGE_REASONING_OUTPUT_TOKENS]) == (7, 4)
    assert kind_of(found) == "model"


@pytest.mark.parametrize(
    ("total", "tokens"), [(17, 15), (12, 10)], ids=["Bedrock leaves cached ones out", "OpenAI counts them in"]
)
def test_strands_input_tokens_are_the_providers(total: int, tokens: int) -> None:
    usage = {"input_tokens": 10, "output_tokens": 2, "total_tokens": total, "cache_read_input_tokens": 5}
    found = told({f"gen_ai.usage.{name}": value for name, value in usage.items()}, "chat", "strands.telemetry.tracer")
    assert found[semconv.USAGE_INPUT_TOKENS] == tokens


def test_vercels_older_names() -> None:
    found = told(
        {
            "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.id": "m",
            "ai.model.provider": "anthropic.messages",
            "ai.prompt.messages": '[{"role": "user", "content": [{"type": "text", "text": "hi"}]}]',
            "ai.response.text": "yo",
            "ai.response.finishReason": "stop",
            "ai.usage.promptTokens": 5,
            "ai.usage.completionTokens": 3,
        }
    )
    assert messages(found) == ([USER], [ASSISTANT])
    assert (found[semconv.USAGE_INPUT_TOKENS], found[semconv.USAGE_OUTPUT_TOKENS]) == (5, 3)
    assert (found[semconv.PROVIDER_NAME], found[semconv.REQUEST_MODEL]) == ("anthropic", "m")


def test_vercels_parts_of_the_input_are_added_up() -> None:
    parts = {"noCacheTokens": 1, "cacheReadTokens": 2, "cacheWriteTokens": 4}
    usage = {f"ai.usage.inputTokenDetails.{name}": value for name, value in parts.items()}
    found = told({"ai.operationId": "ai.streamText.doStream", "ai.usage.inputTokens": 1, **usage})
    assert found[semconv.USAGE_INPUT_TOKENS] == 7


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"input": 1, "input_cached_tokens": 2, "output": 3, "output_reasoning_tokens": 4}, (3, 2, 7, 4)),
        ({"input": 1, "cache_read_input_tokens": 2, "output": 3}, (3, 2, 3, None)),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 3,
                "prompt_tokens_details": {"cached_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 1},
            },
            (5, 2, 3, 1),
        ),
    ],
)
def test_langfuses_buckets_are_added_up(usage: dict[str, Any], tokens: tuple[Any, ...]) -> None:
    attributes = {"langfuse.observation.type": "generation", "langfuse.observation.usage_details": json.dumps(usage)}
    found = told(attributes, "g", "langfuse-sdk")
    names = (
        semconv.USAGE_INPUT_TOKENS,
        semconv.USAGE_CACHE_READ_INPUT_TOKENS,
        semconv.USAGE_OUTPUT_TOKENS,
        semconv.USAGE_REASONING_OUTPUT_TOKENS,
    )
    assert tuple(found.get(name) for name in names) == tokens


def test_claude_code_adds_cached_tokens_and_names_its_session() -> None:
    found = told(
        {
            "span.type": "llm_request",
            "session.id": "s",
            "gen_ai.conversation.id": "agent",
            "llm_request.context": "tool",
            "model": "claude",
            "input_tokens": "12",
            "cache_read_tokens": "1500",
            "cache_creation_tokens": "300",
            "output_tokens": "40",
        },
        "claude_code.llm_request",
    )
    assert (found[semconv.USAGE_INPUT_TOKENS], found[semconv.USAGE_OUTPUT_TOKENS]) == (1812, 40)
    assert (found[semconv.CONVERSATION_ID], found[semconv.REQUEST_MODEL]) == ("s", "claude")
    assert kind_of(found) == "model"


@pytest.mark.skipif(not CLAUDE_CODE.exists(), reason="no recordings here")
def test_claude_codes_recorded_spans() -> None:
    kinds: dict[str, set[str]] = {}
    for path in sorted(CLAUDE_CODE.glob("*.spans.json")):
        for span in json.loads(path.read_text(encoding="utf-8")):
            found = told(span["attributes"], span["name"], "com.anthropic.claude_code.tracing")
            kinds.setdefault(span["name"], set()).add(kind_of(found))
            if kind_of(found) == "tool":
                assert found[semconv.TOOL_NAME]
    assert kinds == {
        "claude_code.interaction": {"agent"},
        "claude_code.llm_request": {"model"},
        "claude_code.tool": {"tool"},
        "claude_code.tool.execution": {"agent"},
        "claude_code.tool.blocked_on_user": {"agent"},
    }


@pytest.mark.parametrize(
    "span",
    [
        ("anthropic.messages.count_tokens", "com.anthropic.sdk.python", {"gen_ai.request.model": "m"}),
        ("anthropic.models.list", "com.anthropic.sdk.python", {"gen_ai.provider.name": "anthropic"}),
        ("fetch", "x", {"gen_ai.operation.name": "fetch_response", "gen_ai.response.id": "r"}),
        ("GET", "opentelemetry.instrumentation.httpx", {"http.request.method": "GET"}),
    ],
)
def test_what_asks_no_model_is_no_model_call(span: tuple[str, str, dict[str, Any]]) -> None:
    name, scope, attributes = span
    assert kind_of(told(attributes, name, scope)) != "model"


def test_a_tool_that_anthropics_client_ran() -> None:
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "t",
        "anthropic.tool_result.content": "x",
    }
    assert told(attributes)[semconv.TOOL_CALL_RESULT] == "x"


def test_openinference_tools_agents_and_chains() -> None:
    kinds = {"TOOL": "tool", "AGENT": "agent", "CHAIN": "agent", "RETRIEVER": "agent", "EMBEDDING": "model"}
    for kind, expected in kinds.items():
        found = told({"openinference.span.kind": kind, "input.value": '{"a": 1}', "output.value": "b"}, "look")
        assert kind_of(found) == expected
        if kind == "TOOL":
            names = (semconv.TOOL_NAME, semconv.TOOL_CALL_ARGUMENTS, semconv.TOOL_CALL_RESULT)
            assert [found[name] for name in names] == ["look", '{"a": 1}', "b"]
