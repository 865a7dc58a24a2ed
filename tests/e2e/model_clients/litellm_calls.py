"""litellm: one span a call, with the client below it traced or not, and none where litellm tells its calls itself.

Run by ``tests/e2e/test_client_versions.py`` in an environment that has it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from model_server import Answer, ModelServer, answer_events, answer_json, serving
from opentelemetry import context as context_api

import agent_trace_otel as at
from agent_trace_otel import guard, semconv
from agent_trace_otel.testing import Recorded, reset

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the internet for prices when it is imported
import litellm

OLD = version("litellm").startswith("1.80.")

HI = [{"role": "user", "content": "Hi"}]
USAGE = {
    "prompt_tokens": 15,
    "completion_tokens": 7,
    "total_tokens": 22,
    "prompt_tokens_details": {"cached_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
CHAT = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06"}
WHOLE = {
    **CHAT,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": USAGE,
}
CHUNK = {**CHAT, "object": "chat.completion.chunk"}
CHUNKS = [
    {**CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}, "finish_reason": None}]},
    {**CHUNK, "choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": None}]},
    {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {**CHUNK, "choices": [], "usage": USAGE},
]
CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-3-5-haiku-20241022",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 0},
}
CLAUDE_EVENTS = [
    {"type": "message_start", "message": {**CLAUDE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 7},
    },
    {"type": "message_stop"},
]
REFUSED = {"error": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit"}}
VECTORS = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2, 0.3]}],
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "o4-mini",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 15,
        "input_tokens_details": {"cached_tokens": 10},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 22,
    },
}
RESPONSE_EVENTS = [
    {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None}},
    {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "Hello"},
    {"type": "response.completed", "response": RESPONSE},
]
ANSWERS: dict[str, Answer | list[Answer]] = {
    "gpt-4o": answer_json(WHOLE),
    "gpt-4o stream": answer_events(CHUNKS, done=True),
    "claude-3-5-haiku-20241022": answer_json(CLAUDE),
    "claude-3-5-haiku-20241022 stream": answer_events(CLAUDE_EVENTS, named=True),
    "gpt-3.5-turbo": answer_json(REFUSED, 429),
    "gpt-3.5-turbo stream": answer_json(REFUSED, 429),
    "gpt-4 stream": Answer(answer_events(CHUNKS[:2]).pieces, content_type="text/event-stream", is_reset=True),
    "text-embedding-3-small": answer_json(VECTORS),
    "o4-mini": answer_json(RESPONSE),
    "o4-mini stream": answer_events(RESPONSE_EVENTS, named=True),
}


def choose(asked: Any) -> str:
    body = asked.json
    return body["model"] + (" stream" if body.get("stream") else "")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ANSWERS, choose) as running:
        yield running


@pytest.fixture(autouse=True, params=["with the client below", "alone"])
def traced(recorded: Recorded, request: pytest.FixtureRequest) -> Iterator[None]:
    """Trace litellm in a session, with or without the openai package below it; nothing of ours may fail meanwhile."""
    guard.failures.clear()
    at.instrument("litellm", *(["openai"] if "below" in request.param else []))
    at.start_session("test")
    yield
    at.end_session()
    assert guard.failures == {}
    at.uninstrument()


def calls(recorded: Recorded) -> list[Any]:
    """End the session and return the spans of model calls."""
    at.end_session()
    spans = [span for session in recorded.sessions() for span in recorded.spans(session)]
    found = [span for span in spans if span.attributes.get(semconv.OPERATION_NAME) in semconv.MODEL_OPERATIONS]
    return sorted(found, key=lambda span: span.start_time)


def call(recorded: Recorded) -> dict[str, Any]:
    (span,) = calls(recorded)
    return dict(span.attributes)


def ask(server: ModelServer, way: str, model: str, **more: Any) -> list[Any]:
    """Ask one way, and return the chunks or the one answer."""
    base = server.url if model.startswith("anthropic") else f"{server.url}/v1"
    asked: dict[str, Any] = {
        "model": model,
        "messages": HI,
        "api_base": base,
        "api_key": "key",
        "max_retries": 0,
        **more,
    }
    streams = asked.get("stream")
    if "async" not in way:
        result = litellm.completion(**asked)
        return list(result) if streams else [result]

    async def main() -> list[Any]:
        result = await litellm.acompletion(**asked)
        return [chunk async for chunk in result] if streams else [result]

    return asyncio.run(main())


WAYS = pytest.mark.parametrize("way", ["sync", "async"])
STREAMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
MODELS = pytest.mark.parametrize("model", ["openai/gpt-4o", "gpt-4o", "anthropic/claude-3-5-haiku-20241022"])


@WAYS
@STREAMS
@MODELS
def test_a_call_is_one_span(server: ModelServer, recorded: Recorded, way: str, stream: bool, model: str) -> None:
    usage = {"stream_options": {"include_usage": True}} if stream and "gpt" in model else {}
    result = ask(server, way, model, stream=stream, temperature=0.5, **usage)
    texts = [
        choice.delta.content or "" if stream else choice.message.content for one in result for choice in one.choices
    ]
    assert "".join(texts) == "Hello"
    if not stream:
        assert type(result[0]) is litellm.ModelResponse
    (span,) = calls(recorded)
    found = dict(span.attributes)
    is_claude = model.startswith("anthropic")
    assert span.name == f"chat {model.rpartition('/')[2]}"
    assert found[semconv.PROVIDER_NAME] == ("anthropic" if is_claude else "openai")
    assert found[semconv.REQUEST_MODEL] == model.rpartition("/")[2]
    assert found[semconv.REQUEST_TEMPERATURE] == 0.5
    assert json.loads(found[semconv.INPUT_MESSAGES])[0]["parts"] == [{"type": "text", "content": "Hi"}]
    (answer,) = json.loads(found[semconv.OUTPUT_MESSAGES])
    assert (answer["parts"], answer["finish_reason"]) == ([{"type": "text", "content": "Hello"}], "stop")
    assert found[semconv.USAGE_INPUT_TOKENS] == 15
    assert found[semconv.USAGE_OUTPUT_TOKENS] == 7
    assert found[semconv.USAGE_CACHE_READ_INPUT_TOKENS] == 10
    assert found[semconv.OUTCOME] == "ok"
    assert (found.get(semconv.RESPONSE_TIME_TO_FIRST_CHUNK, 0) > 0) is stream
    if not is_claude:
        assert found[semconv.RESPONSE_ID] == "chatcmpl-1"
        assert found[semconv.USAGE_REASONING_OUTPUT_TOKENS] == 2


@WAYS
def test_embeddings_are_one_span(server: ModelServer, recorded: Recorded, way: str) -> None:
    asked = {"model": "openai/text-embedding-3-small", "input": ["Hi"], "api_base": f"{server.url}/v1", "api_key": "k"}
    if way == "sync":
        litellm.embedding(**asked)
    else:
        asyncio.run(litellm.aembedding(**asked))
    (span,) = calls(recorded)
    assert span.name == "embeddings text-embedding-3-small"
    assert span.attributes[semconv.EMBEDDINGS_DIMENSION_COUNT] == 3
    assert span.attributes[semconv.USAGE_INPUT_TOKENS] == 5


@WAYS
@STREAMS
def test_a_response_is_one_span(server: ModelServer, recorded: Recorded, way: str, stream: bool) -> None:
    asked = {"model": "openai/o4-mini", "input": "Hi", "api_base": f"{server.url}/v1", "api_key": "k", "stream": stream}

    async def main() -> None:
        result = await litellm.aresponses(**asked)
        if stream:
            async for _ in result:
                pass

    if way == "async":
        asyncio.run(main())
    elif stream:
        list(litellm.responses(**asked))
    else:
        litellm.responses(**asked)
    (span,) = calls(recorded)
    assert span.name == "chat o4-mini"
    assert span.attributes[semconv.USAGE_INPUT_TOKENS] == 15
    assert span.attributes[semconv.USAGE_OUTPUT_TOKENS] == 7
    assert "Hello" in span.attributes[semconv.OUTPUT_MESSAGES]
    assert span.attributes[semconv.OUTCOME] == "ok"


@WAYS
@STREAMS
def test_a_refusal_is_the_callers_exception(server: ModelServer, recorded: Recorded, way: str, stream: bool) -> None:
    with pytest.raises(litellm.RateLimitError):
        ask(server, way, "openai/gpt-3.5-turbo", stream=stream)
    found = call(recorded)
    assert found[semconv.ERROR_TYPE] == "litellm.exceptions.RateLimitError"
    assert found[semconv.HTTP_RESPONSE_STATUS_CODE] == 429
    assert found[semconv.OUTCOME] == "error"


@WAYS
def test_a_stream_that_breaks_is_the_callers_exception(server: ModelServer, recorded: Recorded, way: str) -> None:
    raised = None
    try:
        ask(server, way, "openai/gpt-4", stream=True)
    except Exception as error:  # noqa: BLE001 - whatever litellm makes of it
        raised = error
    if raised is None and OLD:
        pytest.skip("this litellm takes it for the end")
    found = call(recorded)
    assert found[semconv.OUTCOME] == "error"
    assert "Hel" in found[semconv.OUTPUT_MESSAGES]


@pytest.mark.parametrize("model", ["openai/gpt-4o", "anthropic/claude-3-5-haiku-20241022"])
def test_a_stream_that_is_left_is_abandoned(server: ModelServer, recorded: Recorded, model: str) -> None:
    base = server.url if model.startswith("anthropic") else f"{server.url}/v1"
    stream = litellm.completion(model, HI, stream=True, api_base=base, api_key="key")
    assert isinstance(stream, litellm.CustomStreamWrapper)
    next(stream)
    del stream
    gc.collect()
    found = call(recorded)
    assert found[semconv.OUTCOME] == "abandoned"
    assert found[semconv.CHUNKS] == 1


def test_two_calls_are_two_spans_side_by_side(server: ModelServer, recorded: Recorded) -> None:
    base = f"{server.url}/v1"
    first, second = (
        litellm.completion("openai/gpt-4o", HI, stream=True, api_base=base, api_key="key") for _ in range(2)
    )
    for _ in zip(first, second, strict=True):
        pass
    ask(server, "sync", "openai/gpt-4o")
    found = calls(recorded)
    assert len(found) == 3
    assert len({span.parent.span_id for span in found}) == 1


@WAYS
def test_a_routers_call_is_one_span(server: ModelServer, recorded: Recorded, way: str) -> None:
    params = {"model": "openai/gpt-4o", "api_base": f"{server.url}/v1", "api_key": "key"}
    router = litellm.Router(model_list=[{"model_name": "mine", "litellm_params": params}])
    if way == "sync":
        router.completion("mine", HI)
    else:
        asyncio.run(router.acompletion("mine", HI))
    assert call(recorded)[semconv.USAGE_OUTPUT_TOKENS] == 7


@pytest.mark.parametrize("name", ["callbacks", "success_callback"])
def test_nothing_is_made_where_litellm_tells_its_calls_itself(
    server: ModelServer, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    class OpenTelemetry(litellm.integrations.custom_logger.CustomLogger):
        pass

    at.uninstrument("openai")
    lists = [each for each, value in vars(litellm).items() if each.endswith("callback") and isinstance(value, list)]
    for each in lists:  # litellm itself puts one of "callbacks" into the others
        monkeypatch.setattr(litellm, each, list(getattr(litellm, each)))
    monkeypatch.setattr(litellm, name, [OpenTelemetry()])
    ask(server, "sync", "openai/gpt-4o")
    assert calls(recorded) == []


def test_what_is_suppressed_is_not_traced(server: ModelServer, recorded: Recorded) -> None:
    token = context_api.attach(context_api.set_value("suppress_instrumentation", True))
    try:
        ask(server, "sync", "openai/gpt-4o")
    finally:
        context_api.detach(token)
    assert calls(recorded) == []


def test_content_that_is_off_leaves_the_numbers(
    server: ModelServer, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TRACE_CAPTURE_CONTENT", "false")
    reset()
    at.start_session("quiet")
    ask(server, "sync", "openai/gpt-4o")
    found = call(recorded)
    assert {semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES}.isdisjoint(found)
    assert found[semconv.USAGE_OUTPUT_TOKENS] == 7


def test_uninstrumenting_restores_what_was_there(server: ModelServer, recorded: Recorded) -> None:
    names = ("completion", "acompletion", "embedding", "responses")
    patched = [vars(litellm)[name] for name in names]
    at.instrument("litellm")  # a second time changes nothing
    assert all(vars(litellm)[name] is one for name, one in zip(names, patched, strict=True))
    at.uninstrument()
    assert all(vars(litellm)[name] is one.__wrapped__ for name, one in zip(names, patched, strict=True))
    ask(server, "sync", "openai/gpt-4o")
    assert calls(recorded) == []
