"""google-genai: one span a request, sync and async, plain and streamed, however the stream ends."""

from __future__ import annotations

import asyncio
import gc
import json
import pickle
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from model_server import RECORDING, Answer, ModelServer, answer_events, answer_json, serving
from opentelemetry import context as context_api

import agent_trace_otel as at
from agent_trace_otel import guard, semconv
from agent_trace_otel.testing import Recorded, reset

genai = pytest.importorskip("google.genai")
from google.genai import models, types  # noqa: E402 - after the question whether it is there
from google.genai.errors import APIError  # noqa: E402
from google.oauth2.credentials import Credentials  # noqa: E402

# the client's own, of its HTTP library
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

MODEL = "gemini-2.5-flash"
USAGE = {"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 2, "cachedContentTokenCount": 3}


def said(
    *parts: dict[str, Any], reason: str | int | None = "STOP", usage: dict[str, Any] | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    return {
        "candidates": [candidate],
        "modelVersion": f"{MODEL}-001",
        "responseId": "r1",
        "usageMetadata": USAGE if usage is None else usage,
    }


CHUNKS = [
    said({"text": "Hel"}, reason=None, usage={"promptTokenCount": 5}),
    said({"text": "lo"}, reason=None, usage={"promptTokenCount": 5}),
    said({"text": ""}),
]
CALL = said({"functionCall": {"name": "weather", "args": {"city": "Oslo"}}})
REFUSED = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}
ANSWERS: dict[str, Answer | list[Answer]] = {
    "hello": answer_json(said({"text": "Hello"})),
    "stream": answer_events(CHUNKS),
    "refused": answer_json(REFUSED, 429),
    "reset": Answer(answer_events(CHUNKS[:2]).pieces, content_type="text/event-stream", is_reset=True),
    "embedded": answer_json({"embeddings": [{"values": [0.1, 0.2, 0.3]}]}),
    "counted": answer_json({"totalTokens": 5}),
    "odd": answer_json({"odd": True}),
    "numbers": answer_json(said({"text": "Hello"}, reason=1)),
    "page": Answer((b"<html>not now</html>",)),
}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ANSWERS) as running:
        yield running


@pytest.fixture(autouse=True)
def traced(recorded: Recorded) -> Iterator[None]:
    """Trace the client in a session; nothing of ours may fail meanwhile."""
    guard.failures.clear()
    at.instrument("google_genai")
    at.start_session("test")
    yield
    at.end_session()
    assert guard.failures == {}
    at.uninstrument()


def client_of(server: ModelServer, answer: str, *, on_vertex: bool = False) -> Any:
    options = {"base_url": server.url, "headers": {RECORDING: answer}}
    if on_vertex:
        return genai.Client(
            vertexai=True, project="p", location="l", credentials=Credentials("token"), http_options=options
        )
    return genai.Client(api_key="key", http_options=options)


def run(client: Any, asking: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine, and put the client's connections away."""

    async def go() -> Any:
        try:
            return await asking
        finally:
            if hasattr(client.aio, "aclose"):  # older versions close nothing
                await client.aio.aclose()

    return asyncio.run(go())


def calls(recorded: Recorded) -> list[Any]:
    """End the session and return the spans of model calls, each checked to have ended once."""
    at.end_session()
    spans = [span for session in recorded.sessions() for span in recorded.spans(session)]
    found = [span for span in spans if span.attributes.get(semconv.OPERATION_NAME) in semconv.MODEL_OPERATIONS]
    assert len({span.context.span_id for span in found}) == len(found)
    return sorted(found, key=lambda span: span.start_time)


def call(recorded: Recorded) -> dict[str, Any]:
    """Return the attributes of the only model call."""
    (span,) = calls(recorded)
    return dict(span.attributes)


def ask(server: ModelServer, answer: str, way: str, **arguments: Any) -> list[Any]:
    """Ask the model one way and return the chunks, or the one answer."""
    arguments = {"model": MODEL, "contents": "Hi", **arguments}
    client = client_of(server, answer)

    async def asked() -> list[Any]:
        if way == "async":
            return [await client.aio.models.generate_content(**arguments)]
        if way == "async stream":
            return [chunk async for chunk in await client.aio.models.generate_content_stream(**arguments)]
        chat = client.aio.chats.create(model=MODEL)
        if way == "async chat":
            return [await chat.send_message("Hi")]
        return [chunk async for chunk in await chat.send_message_stream("Hi")]

    if way.startswith("async"):
        return run(client, asked())
    if way == "sync":
        return [client.models.generate_content(**arguments)]
    if way == "sync stream":
        return list(client.models.generate_content_stream(**arguments))
    chat = client.chats.create(model=MODEL)
    return [chat.send_message("Hi")] if way == "sync chat" else list(chat.send_message_stream("Hi"))


WHOLE = ("sync", "async", "sync chat", "async chat")
STREAMED = ("sync stream", "async stream", "sync chat stream", "async chat stream")


@pytest.mark.parametrize("way", [*WHOLE, *STREAMED])
def test_a_call_is_one_span(server: ModelServer, recorded: Recorded, way: str) -> None:
    streams = way in STREAMED
    result = ask(server, "stream" if streams else "hello", way)
    assert "".join(chunk.text or "" for chunk in result) == "Hello"
    assert isinstance(result[0], types.GenerateContentResponse)
    (span,) = calls(recorded)
    found = dict(span.attributes)
    assert span.name == f"generate_content {MODEL}"
    assert span.status.is_unset
    assert found[semconv.PROVIDER_NAME] == "gcp.gemini"
    assert (found[semconv.SERVER_ADDRESS], found[semconv.SERVER_PORT]) == ("127.0.0.1", int(server.url[17:]))
    assert json.loads(found[semconv.INPUT_MESSAGES]) == [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
    assert json.loads(found[semconv.OUTPUT_MESSAGES]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hello"}], "finish_reason": "stop"}
    ]
    assert found[semconv.RESPONSE_ID] == "r1"
    assert found[semconv.RESPONSE_MODEL] == f"{MODEL}-001"
    assert found[semconv.RESPONSE_FINISH_REASONS] == ("stop",)
    assert found[semconv.USAGE_INPUT_TOKENS] == 5
    assert found[semconv.USAGE_OUTPUT_TOKENS] == 9
    assert found[semconv.USAGE_REASONING_OUTPUT_TOKENS] == 2
    assert found[semconv.USAGE_CACHE_READ_INPUT_TOKENS] == 3
    assert found[semconv.OUTCOME] == "ok"
    assert found.get(semconv.REQUEST_STREAM) is (True if streams else None)
    assert (found.get(semconv.RESPONSE_TIME_TO_FIRST_CHUNK, 0) > 0) is streams
    assert found.get(semconv.CHUNKS) == (3 if streams else None)


def test_a_call_stands_under_its_session_and_above_what_it_sends(server: ModelServer, recorded: Recorded) -> None:
    seen: list[Any] = []
    client = client_of(server, "stream")
    send = client._api_client._httpx_client.send

    def sending(*args: Any, **kwargs: Any) -> Any:
        seen.append(at_now())
        return send(*args, **kwargs)

    client._api_client._httpx_client.send = sending
    stream = client.models.generate_content_stream(model=MODEL, contents="Hi")
    before = at_now()
    next(stream)
    assert at_now() == before  # between two chunks the program is where it was
    list(stream)
    (span,) = calls(recorded)
    assert seen == [span.context.span_id]
    assert span.parent.span_id == before


def at_now() -> int:
    from opentelemetry import trace

    return trace.get_current_span().get_span_context().span_id


def test_vertex_is_told_from_gemini(server: ModelServer, recorded: Recorded) -> None:
    client = client_of(server, "hello", on_vertex=True)  # a client that is garbage is closed
    client.models.generate_content(model=MODEL, contents="Hi")
    assert call(recorded)[semconv.PROVIDER_NAME] == "gcp.vertex_ai"


def test_settings_are_told(server: ModelServer, recorded: Recorded) -> None:
    config = types.GenerateContentConfig(
        system_instruction="Be brief.", temperature=0.5, top_k=4, max_output_tokens=9, stop_sequences=["END"], seed=1
    )
    ask(server, "hello", "sync", config=config)
    found = call(recorded)
    assert json.loads(found[semconv.SYSTEM_INSTRUCTIONS]) == [{"type": "text", "content": "Be brief."}]
    assert found[semconv.REQUEST_TEMPERATURE] == 0.5
    assert found[semconv.REQUEST_TOP_K] == 4
    assert found[semconv.REQUEST_MAX_TOKENS] == 9
    assert found[semconv.REQUEST_STOP_SEQUENCES] == ("END",)
    assert found[semconv.REQUEST_SEED] == 1


@pytest.mark.parametrize("way", ["sync", "async", "sync stream", "async stream"])
def test_functions_that_the_client_calls_lie_between_requests(recorded: Recorded, way: str) -> None:
    def weather(city):  # noqa: ANN001, ANN202 - older versions want classes here, not their names
        """Tell the weather."""
        return f"sun in {city}"

    weather.__annotations__ = {"city": str, "return": str}

    reply = answer_events if "stream" in way else lambda chunks: answer_json(chunks[0])
    with serving({"tools": [reply([CALL]), reply([said({"text": "Sun."})])]}) as server:
        result = ask(server, "tools", way, config={"tools": [weather]})
    assert result[-1].text == "Sun."
    first, second = (dict(span.attributes) for span in calls(recorded))
    (asked,) = json.loads(first[semconv.OUTPUT_MESSAGES])
    assert asked["parts"] == [{"type": "tool_call", "name": "weather", "arguments": {"city": "Oslo"}}]
    told = json.loads(second[semconv.INPUT_MESSAGES])[-1]
    assert (told["role"], told["parts"][0]["response"]) == ("tool", {"result": "sun in Oslo"})
    assert first[semconv.USAGE_INPUT_TOKENS] == second[semconv.USAGE_INPUT_TOKENS] == 5


@pytest.mark.parametrize("way", ["sync", "async"])
def test_embeddings_are_one_span(server: ModelServer, recorded: Recorded, way: str) -> None:
    client = client_of(server, "embedded")
    asked = {"model": "gemini-embedding-001", "contents": ["Hi", "you"]}
    if way == "sync":
        result = client.models.embed_content(**asked)
    else:
        result = run(client, client.aio.models.embed_content(**asked))
    assert len(result.embeddings[0].values) == 3
    (span,) = calls(recorded)
    assert span.name == "embeddings gemini-embedding-001"
    assert span.attributes[semconv.EMBEDDINGS_DIMENSION_COUNT] == 3
    assert len(json.loads(span.attributes[semconv.INPUT_MESSAGES])) == 2


def test_tokens_that_are_counted_are_no_call(server: ModelServer, recorded: Recorded) -> None:
    client = client_of(server, "counted")
    assert client.models.count_tokens(model=MODEL, contents="Hi").total_tokens == 5
    assert calls(recorded) == []


# -- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [*WHOLE, *STREAMED])
def test_a_refusal_is_the_callers_exception(server: ModelServer, recorded: Recorded, way: str) -> None:
    with pytest.raises(APIError, match="slow down") as raised:
        ask(server, "refused", way)
    (span,) = calls(recorded)
    kind = type(raised.value)
    assert span.attributes[semconv.ERROR_TYPE] == f"{kind.__module__}.{kind.__qualname__}"
    assert span.attributes[semconv.HTTP_RESPONSE_STATUS_CODE] == 429
    assert span.attributes[semconv.OUTCOME] == "error"
    assert not span.status.is_ok


@pytest.mark.parametrize("way", ["sync", "async"])
def test_an_answer_that_the_client_cannot_read_is_told(server: ModelServer, recorded: Recorded, way: str) -> None:
    with pytest.raises(AttributeError):
        ask(server, "numbers", way)
    found = call(recorded)
    assert found[semconv.ERROR_TYPE] == "AttributeError"
    assert found[semconv.USAGE_OUTPUT_TOKENS] == 9
    assert found[semconv.RESPONSE_FINISH_REASONS] == ("stop",)


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_page_in_an_answers_place_ends_the_span(server: ModelServer, recorded: Recorded, way: str) -> None:
    with pytest.raises(ValueError):
        ask(server, "page", way)
    assert call(recorded)[semconv.OUTCOME] == "error"


@pytest.mark.parametrize("way", STREAMED)
def test_a_connection_that_is_reset_leaves_what_had_come(server: ModelServer, recorded: Recorded, way: str) -> None:
    with pytest.raises(Exception) as raised:
        ask(server, "reset", way)
    found = call(recorded)
    kind = type(raised.value)
    assert found[semconv.ERROR_TYPE] == f"{kind.__module__}.{kind.__qualname__}"
    assert found[semconv.OUTCOME] == "error"
    assert found[semconv.CHUNKS] == 2
    assert "Hello" in found[semconv.OUTPUT_MESSAGES]
    assert found[semconv.USAGE_INPUT_TOKENS] == 5


# -- streams that nobody reads to their end ----------------------------------------------------------------------


def break_off(stream: Iterator[Any]) -> None:
    for _ in stream:
        break
    del stream


def close(stream: Any) -> None:
    next(stream)
    stream.close()


def never_read(stream: Any) -> None:
    del stream


def stop_with_an_exception(stream: Iterator[Any]) -> None:
    def read() -> None:
        for _ in stream:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read()


@pytest.mark.parametrize("leave", [break_off, close, stop_with_an_exception])
def test_a_stream_that_is_left_is_abandoned(
    server: ModelServer, recorded: Recorded, leave: Callable[[Any], None]
) -> None:
    client = client_of(server, "stream")
    leave(client.models.generate_content_stream(model=MODEL, contents="Hi"))
    gc.collect()
    (span,) = calls(recorded)
    assert span.attributes[semconv.OUTCOME] == "abandoned"
    assert span.attributes[semconv.CHUNKS] == 1
    assert span.attributes[semconv.USAGE_INPUT_TOKENS] == 5
    assert "Hel" in span.attributes[semconv.OUTPUT_MESSAGES]
    assert span.status.is_unset
    assert semconv.ERROR_TYPE not in span.attributes


def test_a_stream_that_is_never_begun_asks_nobody(server: ModelServer, recorded: Recorded) -> None:
    client = client_of(server, "stream")
    never_read(client.models.generate_content_stream(model=MODEL, contents="Hi"))
    gc.collect()
    assert server.asked == []
    assert calls(recorded) == []


async def break_off_async(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        break


async def close_async(stream: Any) -> None:
    await anext(stream)
    await stream.aclose()


async def stop_with_an_exception_async(stream: AsyncIterator[Any]) -> None:
    async def read() -> None:
        async for _ in stream:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await read()


@pytest.mark.parametrize("leave", [break_off_async, close_async, stop_with_an_exception_async])
def test_an_async_stream_that_is_left_is_abandoned(
    server: ModelServer, recorded: Recorded, leave: Callable[[Any], Any]
) -> None:
    client = client_of(server, "stream")

    async def main() -> None:
        await leave(await client.aio.models.generate_content_stream(model=MODEL, contents="Hi"))

    run(client, main())
    gc.collect()
    (span,) = calls(recorded)
    assert span.attributes[semconv.OUTCOME] == "abandoned"
    assert span.attributes[semconv.CHUNKS] == 1
    assert span.status.is_unset


def test_a_task_that_is_cancelled_is_interrupted(recorded: Recorded) -> None:
    held = threading.Event()

    async def main(client: Any) -> None:
        stream = await client.aio.models.generate_content_stream(model=MODEL, contents="Hi")
        begun = asyncio.Event()

        async def read() -> None:
            async for _ in stream:
                begun.set()

        task = asyncio.create_task(read())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.set()

    whole = answer_events(CHUNKS)
    with serving({"held": Answer(whole.pieces, content_type=whole.content_type, waits=held)}) as server:
        client = client_of(server, "held")
        run(client, main(client))
    (span,) = calls(recorded)
    assert span.attributes[semconv.OUTCOME] == "interrupted"
    assert span.attributes[semconv.CHUNKS] == 1
    assert span.status.is_unset


# -- around it ---------------------------------------------------------------------------------------------------


def test_calls_of_many_threads_are_told_apart(server: ModelServer, recorded: Recorded) -> None:
    client = client_of(server, "stream")

    def one(number: int) -> str:
        chunks = client.models.generate_content_stream(model=MODEL, contents=f"Hi {number}")
        return "".join(chunk.text or "" for chunk in chunks)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(one, range(24))) == ["Hello"] * 24
    asked = {json.loads(span.attributes[semconv.INPUT_MESSAGES])[0]["parts"][0]["content"] for span in calls(recorded)}
    assert asked == {f"Hi {number}" for number in range(24)}


def test_two_streams_at_once_are_two_spans(server: ModelServer, recorded: Recorded) -> None:
    client = client_of(server, "stream")
    streams = [client.models.generate_content_stream(model=MODEL, contents="Hi") for _ in range(2)]
    assert len(list(zip(*streams, strict=True))) == 3
    assert [span.attributes[semconv.OUTCOME] for span in calls(recorded)] == ["ok", "ok"]


def test_answers_can_be_pickled(server: ModelServer) -> None:
    (answer,) = ask(server, "hello", "sync")
    assert pickle.loads(pickle.dumps(answer)).text == "Hello"
    assert type(answer) is types.GenerateContentResponse


def test_what_is_suppressed_is_not_traced(server: ModelServer, recorded: Recorded) -> None:
    token = context_api.attach(context_api.set_value("suppress_instrumentation", True))
    try:
        ask(server, "hello", "sync")
        ask(server, "stream", "sync stream")
    finally:
        context_api.detach(token)
    assert calls(recorded) == []


def test_an_answer_without_a_candidate_is_an_answer(server: ModelServer, recorded: Recorded) -> None:
    ask(server, "odd", "sync")
    assert call(recorded)[semconv.OUTCOME] == "ok"


@pytest.mark.parametrize("way", ["sync", "sync stream"])
def test_content_that_is_off_leaves_the_numbers(
    server: ModelServer, recorded: Recorded, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TRACE_CAPTURE_CONTENT", "false")
    reset()
    at.start_session("quiet")
    ask(server, "stream" if "stream" in way else "hello", way, config={"system_instruction": "Secret"})
    (span,) = calls(recorded)
    assert {semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES, semconv.SYSTEM_INSTRUCTIONS}.isdisjoint(span.attributes)
    assert span.attributes[semconv.USAGE_OUTPUT_TOKENS] == 9


def test_uninstrumenting_restores_what_was_there(server: ModelServer, recorded: Recorded) -> None:
    owners = (models.Models, models.AsyncModels)
    names = ("_generate_content", "_generate_content_stream", "embed_content")
    patched = {(owner, name): vars(owner)[name] for owner in owners for name in names}
    at.uninstrument()
    restored = {(owner, name): vars(owner)[name] for owner in owners for name in names}
    assert all(patched[key] is not restored[key] for key in patched)
    assert all(patched[key].__wrapped__ is restored[key] for key in patched)
    ask(server, "hello", "sync")
    assert calls(recorded) == []


def test_instrumenting_twice_makes_one_span(server: ModelServer, recorded: Recorded) -> None:
    at.instrument("google_genai")
    ask(server, "hello", "sync")
    assert len(calls(recorded)) == 1
