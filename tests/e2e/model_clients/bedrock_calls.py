"""Amazon Bedrock through botocore, and aiobotocore where it is there: one span a call, however it ends.

Run by ``tests/e2e/test_client_versions.py`` in environments that have them.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import io
import json
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.client
import botocore.exceptions
import botocore.parsers
import botocore.session
import pytest
from botocore.config import Config
from botocore.eventstream import EventStream
from botocore.response import StreamingBody
from event_stream import answer_stream, event, exception
from model_server import Answer, ModelServer, answer_json, serving
from opentelemetry import context as context_api

import agent_trace_otel as at
from agent_trace_otel import guard, semconv
from agent_trace_otel.testing import Recorded, reset

try:
    from aiobotocore.session import get_session as get_async_session
except ImportError:
    get_async_session = None

HI = [{"role": "user", "content": [{"text": "Hi"}]}]
USAGE = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 22, "cacheReadInputTokens": 10}
CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello"}]}},
    "stopReason": "end_turn",
    "usage": USAGE,
    "metrics": {"latencyMs": 1},
}
EVENTS = [
    event("messageStart", {"role": "assistant"}),
    event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hel"}}),
    event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "lo"}}),
    event("contentBlockStop", {"contentBlockIndex": 0}),
    event("messageStop", {"stopReason": "end_turn"}),
    event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}}),
]
CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-3-haiku",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 10},
}
MISTRAL = {"outputs": [{"text": "Hello", "stop_reason": "stop"}]}
COUNTED = {"x-amzn-bedrock-input-token-count": "5", "x-amzn-bedrock-output-token-count": "7"}
ID = {"x-amzn-requestid": "req-1"}
SLOW = {"message": "slow down"}


def chunk(value: dict[str, Any]) -> bytes:
    return event("chunk", {"bytes": base64.b64encode(json.dumps(value).encode()).decode()})


CLAUDE_EVENTS = [
    chunk({"type": "message_start", "message": {**CLAUDE, "content": [], "stop_reason": None}}),
    chunk({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    chunk({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}),
    chunk({"type": "content_block_stop", "index": 0}),
    chunk({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}),
    chunk({"type": "message_stop"}),
]
ANSWERS: dict[str, Answer | list[Answer]] = {
    "/model/nova/converse": answer_json(CONVERSED, headers=ID),
    "/model/nova/converse-stream": answer_stream(*EVENTS, headers=ID),
    "/model/claude/invoke": answer_json(CLAUDE, headers=ID),
    "/model/claude/invoke-with-response-stream": answer_stream(*CLAUDE_EVENTS, headers=ID),
    "/model/mistral/invoke": answer_json(MISTRAL, headers={**ID, **COUNTED}),
    "/model/torn/invoke": Answer((json.dumps(CLAUDE).encode()[:50],), is_reset=True),
    "/model/slow/converse": answer_json(SLOW, 429, headers={"x-amzn-errortype": "ThrottlingException", **ID}),
    "/model/slow/converse-stream": answer_json(SLOW, 429, headers={"x-amzn-errortype": "ThrottlingException", **ID}),
    "/model/reset/converse-stream": answer_stream(*EVENTS[:3], is_reset=True),
    "/model/broken/converse-stream": answer_stream(*EVENTS[:3], exception("modelStreamErrorException", "it broke")),
    "/guardrail/g/version/1/apply": answer_json({"action": "NONE", "outputs": [], "assessments": [], "usage": {}}),
}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ANSWERS) as running:
        yield running


@pytest.fixture(autouse=True)
def traced(recorded: Recorded) -> Iterator[None]:
    """Trace the client in a session; nothing of ours may fail meanwhile."""
    guard.failures.clear()
    at.instrument("bedrock")
    at.start_session("test")
    yield
    at.end_session()
    assert guard.failures == {}
    at.uninstrument()


def settings(server: ModelServer) -> dict[str, Any]:
    return {
        "region_name": "us-east-1",
        "endpoint_url": server.url,
        "aws_access_key_id": "key",
        "aws_secret_access_key": "secret",
        "config": Config(retries={"total_max_attempts": 1}),
    }


@pytest.fixture
def client(server: ModelServer) -> Any:
    return botocore.session.Session().create_client("bedrock-runtime", **settings(server))


def calls(recorded: Recorded) -> list[Any]:
    """End the session and return the spans of model calls."""
    at.end_session()
    spans = [span for session in recorded.sessions() for span in recorded.spans(session)]
    return [span for span in spans if span.attributes.get(semconv.OPERATION_NAME) in semconv.MODEL_OPERATIONS]


def call(recorded: Recorded) -> dict[str, Any]:
    (span,) = calls(recorded)
    return dict(span.attributes)


def counts_cached_tokens() -> bool:
    """Tell whether botocore knows of them: versions before 1.35.76 drop them."""
    model = botocore.session.Session().get_service_model("bedrock-runtime")
    return "cacheReadInputTokens" in model.shape_for("TokenUsage").members


def check(found: dict[str, Any], model: str, *, streams: bool) -> None:
    """Check what every answered call tells."""
    assert found[semconv.PROVIDER_NAME] == "aws.bedrock"
    assert found[semconv.REQUEST_MODEL] == model
    assert found[semconv.SERVER_ADDRESS] == "127.0.0.1"
    assert "Hi" in found[semconv.INPUT_MESSAGES]
    (answer,) = json.loads(found[semconv.OUTPUT_MESSAGES])
    assert answer == {"role": "assistant", "parts": [{"type": "text", "content": "Hello"}], "finish_reason": "stop"}
    cached = 0 if model == "mistral" or (model == "nova" and not counts_cached_tokens()) else 10
    assert found[semconv.USAGE_INPUT_TOKENS] == 5 + cached
    assert found[semconv.USAGE_OUTPUT_TOKENS] == 7
    assert found.get(semconv.USAGE_CACHE_READ_INPUT_TOKENS) == (cached or None)
    assert found[semconv.REQUEST_ID] == "req-1"
    assert found[semconv.OUTCOME] == "ok"
    assert found.get(semconv.REQUEST_STREAM) is (True if streams else None)
    assert (found.get(semconv.RESPONSE_TIME_TO_FIRST_CHUNK, 0) > 0) is streams


# -- calls -------------------------------------------------------------------------------------------------------


def test_converse_is_one_span(client: Any, recorded: Recorded) -> None:
    result = client.converse(modelId="nova", messages=HI, inferenceConfig={"maxTokens": 9})
    assert result["output"]["message"]["content"] == [{"text": "Hello"}]
    (span,) = calls(recorded)
    assert span.name == "chat nova"
    assert span.attributes[semconv.REQUEST_MAX_TOKENS] == 9
    check(dict(span.attributes), "nova", streams=False)


def test_a_converse_stream_is_one_span(client: Any, recorded: Recorded) -> None:
    stream = client.converse_stream(modelId="nova", messages=HI)["stream"]
    assert isinstance(stream, EventStream)
    assert len(list(stream)) == 6
    found = call(recorded)
    assert found[semconv.CHUNKS] == 6
    check(found, "nova", streams=True)


CLAUDE_BODY = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9})
READERS: dict[str, Callable[[Any], bytes]] = {
    "read": lambda body: body.read(),
    "read all": lambda body: body.read(-1) if hasattr(body, "readinto") else body.read(),
    "read pieces": lambda body: b"".join(iter(lambda: body.read(10), b"")),
    "read the very length": lambda body: body.read(len(json.dumps(CLAUDE))),
    "iterate": b"".join,
    "iterate pieces": lambda body: b"".join(body.iter_chunks(7)),
    "iterate lines": lambda body: b"".join(body.iter_lines()),
    "readlines": lambda body: b"".join(body.readlines()),
    "next": lambda body: next(body) + b"".join(body),
    "as a file": lambda body: io.BufferedReader(body).read() if hasattr(body, "readinto") else body.read(),
    "json": lambda body: json.dumps(json.load(body)).encode(),
}


@pytest.mark.parametrize("way", READERS)
def test_a_body_may_be_read_in_any_way(client: Any, recorded: Recorded, way: str) -> None:
    body = client.invoke_model(modelId="claude", body=CLAUDE_BODY)["body"]
    assert isinstance(body, StreamingBody)
    assert json.loads(READERS[way](body)) == CLAUDE
    found = call(recorded)
    check(found, "claude", streams=False)
    assert found[semconv.RESPONSE_ID] == "msg_1"
    assert found[semconv.RESPONSE_MODEL] == "claude-3-haiku"


def test_a_body_may_be_entered(client: Any, recorded: Recorded) -> None:
    with client.invoke_model(modelId="claude", body=CLAUDE_BODY)["body"] as entered:
        assert json.loads(entered.read()) == CLAUDE
    check(call(recorded), "claude", streams=False)


def test_headers_count_where_the_answer_does_not(client: Any, recorded: Recorded) -> None:
    client.invoke_model(modelId="mistral", body=json.dumps({"prompt": "Hi"}))["body"].read()
    (span,) = calls(recorded)
    assert span.name == "text_completion mistral"
    check(dict(span.attributes), "mistral", streams=False)


def test_an_invoked_stream_is_one_span(client: Any, recorded: Recorded) -> None:
    events = list(client.invoke_model_with_response_stream(modelId="claude", body=CLAUDE_BODY)["body"])
    assert len(events) == 6
    check(call(recorded), "claude", streams=True)


def test_what_asks_no_model_is_not_traced(client: Any, recorded: Recorded) -> None:
    if not hasattr(client, "apply_guardrail"):
        pytest.skip("this botocore does not know it")
    asked = {"guardrailIdentifier": "g", "guardrailVersion": "1", "source": "INPUT", "content": []}
    client.apply_guardrail(**asked)
    assert calls(recorded) == []


def test_other_services_pass_by(server: ModelServer, recorded: Recorded) -> None:
    other = botocore.session.Session().create_client("sts", **settings(server))
    with pytest.raises(botocore.parsers.ResponseParserError):
        other.get_caller_identity()
    assert calls(recorded) == []


# -- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["converse", "converse_stream"])
def test_a_refusal_is_the_callers_exception(client: Any, recorded: Recorded, method: str) -> None:
    with pytest.raises(client.exceptions.ThrottlingException):
        getattr(client, method)(modelId="slow", messages=HI)
    found = call(recorded)
    assert "Throttling" in found[semconv.ERROR_TYPE]
    assert found[semconv.HTTP_RESPONSE_STATUS_CODE] == 429
    assert found[semconv.REQUEST_ID] == "req-1"
    assert found[semconv.OUTCOME] == "error"


def test_arguments_that_do_not_fit_are_the_callers_exception(client: Any, recorded: Recorded) -> None:
    with pytest.raises(botocore.exceptions.ParamValidationError):
        client.converse(modelId=7, messages="no")
    assert call(recorded)[semconv.ERROR_TYPE] == "botocore.exceptions.ParamValidationError"


@pytest.mark.parametrize("model", ["reset", "broken"])
def test_a_stream_that_breaks_leaves_what_had_come(client: Any, recorded: Recorded, model: str) -> None:
    stream = client.converse_stream(modelId=model, messages=HI)["stream"]
    with pytest.raises(Exception, match=r".") as raised:
        list(stream)
    found = call(recorded)
    kind = type(raised.value)
    assert found[semconv.ERROR_TYPE] == f"{kind.__module__}.{kind.__qualname__}"
    assert found[semconv.CHUNKS] == 3
    assert "Hello" in found[semconv.OUTPUT_MESSAGES]


def test_a_body_that_is_torn_is_the_callers_exception(client: Any, recorded: Recorded) -> None:
    body = client.invoke_model(modelId="torn", body=CLAUDE_BODY)["body"]
    with pytest.raises(Exception, match=r"."):
        body.read()
    assert call(recorded)[semconv.OUTCOME] == "error"


# -- left ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["break", "close", "unread", "exception"])
def test_a_stream_that_is_left_is_abandoned(client: Any, recorded: Recorded, leave: str) -> None:
    def read(stream: Any) -> None:
        for _ in stream:
            if leave == "exception":
                raise ZeroDivisionError
            break
        if leave == "close":
            stream.close()

    result = client.converse_stream(modelId="nova", messages=HI)
    if leave == "exception":
        with pytest.raises(ZeroDivisionError):
            read(result["stream"])
    elif leave != "unread":
        read(result["stream"])
    del result
    gc.collect()
    (span,) = calls(recorded)
    assert span.attributes[semconv.OUTCOME] == "abandoned"
    assert span.attributes[semconv.CHUNKS] == (0 if leave == "unread" else 1)
    assert span.status.is_unset


@pytest.mark.parametrize("leave", ["unread", "half", "close"])
def test_a_body_that_is_left_is_abandoned(client: Any, recorded: Recorded, leave: str) -> None:
    body = client.invoke_model(modelId="mistral", body=json.dumps({"prompt": "Hi"}))["body"]
    if leave == "half":
        body.read(5)
    if leave == "close":
        body.close()
    del body
    gc.collect()
    found = call(recorded)
    assert found[semconv.OUTCOME] == "abandoned"
    assert found[semconv.USAGE_OUTPUT_TOKENS] == 7  # the headers had come


# -- around it -----------------------------------------------------------------------------------------------------


def test_calls_of_many_threads_are_told_apart(client: Any, recorded: Recorded) -> None:
    def one(number: int) -> int:
        messages = [{"role": "user", "content": [{"text": f"Hi {number}"}]}]
        return len(list(client.converse_stream(modelId="nova", messages=messages)["stream"]))

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(one, range(16))) == [6] * 16
    asked = {json.loads(span.attributes[semconv.INPUT_MESSAGES])[0]["parts"][0]["content"] for span in calls(recorded)}
    assert asked == {f"Hi {number}" for number in range(16)}


def test_answers_can_be_pickled(client: Any) -> None:
    result = client.converse(modelId="nova", messages=HI)
    assert type(result) is dict
    assert pickle.loads(pickle.dumps(result)) == result


def test_what_is_suppressed_is_not_traced(client: Any, recorded: Recorded) -> None:
    token = context_api.attach(context_api.set_value("suppress_instrumentation", True))
    try:
        client.converse(modelId="nova", messages=HI)
        body = client.invoke_model(modelId="claude", body=CLAUDE_BODY)["body"]
    finally:
        context_api.detach(token)
    assert type(body) is StreamingBody
    assert calls(recorded) == []


def test_content_that_is_off_leaves_the_numbers(
    client: Any, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TRACE_CAPTURE_CONTENT", "false")
    reset()
    at.start_session("quiet")
    list(client.converse_stream(modelId="nova", messages=HI)["stream"])
    found = call(recorded)
    assert {semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES}.isdisjoint(found)
    assert found[semconv.USAGE_OUTPUT_TOKENS] == 7


def test_uninstrumenting_restores_what_was_there(client: Any, recorded: Recorded) -> None:
    patched = vars(botocore.client.BaseClient)["_make_api_call"]
    at.instrument("bedrock")  # a second time changes nothing
    assert vars(botocore.client.BaseClient)["_make_api_call"] is patched
    at.uninstrument()
    assert vars(botocore.client.BaseClient)["_make_api_call"] is patched.__wrapped__
    client.converse(modelId="nova", messages=HI)
    assert calls(recorded) == []


# -- aiobotocore ---------------------------------------------------------------------------------------------------

asynchronous = pytest.mark.skipif(get_async_session is None, reason="aiobotocore is not here")


def drive(server: ModelServer, talk: Callable[[Any], Any]) -> None:
    async def main() -> None:
        async with get_async_session().create_client("bedrock-runtime", **settings(server)) as client:
            await talk(client)

    asyncio.run(main())


@asynchronous
def test_async_calls_are_one_span_each(server: ModelServer, recorded: Recorded) -> None:
    async def talk(client: Any) -> None:
        assert (await client.converse(modelId="nova", messages=HI))["stopReason"] == "end_turn"
        stream = (await client.converse_stream(modelId="nova", messages=HI))["stream"]
        assert len([item async for item in stream]) == 6
        result = await client.invoke_model(modelId="claude", body=CLAUDE_BODY)
        async with result["body"] as body:
            assert json.loads(await body.read()) == CLAUDE
        result = await client.invoke_model(modelId="claude", body=CLAUDE_BODY)
        assert json.loads(b"".join([piece async for piece in result["body"].iter_chunks()])) == CLAUDE
        stream = (await client.invoke_model_with_response_stream(modelId="claude", body=CLAUDE_BODY))["body"]
        assert len([item async for item in stream]) == 6

    drive(server, talk)
    found = [dict(span.attributes) for span in calls(recorded)]
    for told, model, streams in zip(
        found, ["nova", "nova", "claude", "claude", "claude"], [False, True, False, False, True], strict=True
    ):
        check(told, model, streams=streams)


@asynchronous
def test_an_async_stream_that_is_left_is_abandoned(server: ModelServer, recorded: Recorded) -> None:
    async def talk(client: Any) -> None:
        async for _ in (await client.converse_stream(modelId="nova", messages=HI))["stream"]:
            break

    drive(server, talk)
    gc.collect()
    assert call(recorded)[semconv.OUTCOME] == "abandoned"


@asynchronous
def test_an_async_refusal_is_the_callers_exception(server: ModelServer, recorded: Recorded) -> None:
    async def talk(client: Any) -> None:
        with pytest.raises(botocore.exceptions.ClientError):
            await client.converse(modelId="slow", messages=HI)

    drive(server, talk)
    assert call(recorded)[semconv.HTTP_RESPONSE_STATUS_CODE] == 429
