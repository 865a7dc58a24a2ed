"""ollama: chat, generate and embed are one span each, sync and async, plain and streamed, however the stream ends."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from model_server import Answer, ModelServer, answer_json, serving
from opentelemetry import context as context_api
from programs import environment

import agent_trace_otel as at
from agent_trace_otel import guard, semconv
from agent_trace_otel.testing import Recorded, reset

ollama = pytest.importorskip("ollama")
httpx = pytest.importorskip("httpx")

MODEL = "llama3.2"
THINKS = "thinking" in ollama.Message.model_fields  # versions before 0.5 drop it
COUNTS = {"done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 7, "total_duration": 1}
HI = [{"role": "user", "content": "Hi"}]


def lines(chunks: list[dict[str, Any]], **details: Any) -> Answer:
    pieces = tuple(json.dumps({"model": MODEL, **chunk}).encode() + b"\n" for chunk in chunks)
    return Answer(pieces, content_type="application/x-ndjson", **details)


def message(content: str, **rest: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": content, **rest}}


CHUNKS = [
    {**message("", thinking="hmm"), "done": False},
    {**message("Hel"), "done": False},
    {**message("lo"), "done": False},
    {**message(""), **COUNTS},
]
WROTE = [{"response": "Hel", "done": False}, {"response": "lo", "done": False}, {"response": "", **COUNTS}]
ANSWERS: dict[str, Answer | list[Answer]] = {
    "/api/chat": answer_json({"model": MODEL, **message("Hello", thinking="hmm"), **COUNTS}),
    "/api/chat stream": lines(CHUNKS),
    "/api/generate": answer_json({"model": MODEL, "response": "Hello", **COUNTS}),
    "/api/generate stream": lines(WROTE),
    "/api/embed": answer_json({"model": MODEL, "embeddings": [[0.1, 0.2, 0.3]], "prompt_eval_count": 5}),
    "/api/embeddings": answer_json({"embedding": [0.1, 0.2, 0.3]}),
    "/api/tags": answer_json({"models": []}),
    "missing": answer_json({"error": "model 'missing' not found"}, 404),
    "reset": lines(CHUNKS[:2], is_reset=True),
    "broken": lines([*CHUNKS[:2], {"error": "out of memory"}]),
}


def choose(asked: Any) -> str:
    """Return the answer's name: the model's if there is one of its name."""
    body = asked.json if asked.body else {}
    if body.get("model") in ANSWERS:
        return str(body["model"])
    return asked.path + (" stream" if body.get("stream") else "")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(ANSWERS, choose) as running:
        yield running


@pytest.fixture(autouse=True)
def traced(recorded: Recorded) -> Iterator[None]:
    """Trace the client in a session; nothing of ours may fail meanwhile."""
    guard.failures.clear()
    at.instrument("ollama")
    at.start_session("test")
    yield
    at.end_session()
    assert guard.failures == {}
    at.uninstrument()


def calls(recorded: Recorded) -> list[Any]:
    """End the session and return the spans of model calls."""
    at.end_session()
    spans = [span for session in recorded.sessions() for span in recorded.spans(session)]
    return [span for span in spans if span.attributes.get(semconv.OPERATION_NAME) in semconv.MODEL_OPERATIONS]


def call(recorded: Recorded) -> dict[str, Any]:
    (span,) = calls(recorded)
    return dict(span.attributes)


@contextmanager
def client_of(server: ModelServer) -> Iterator[Any]:
    client = ollama.Client(host=server.url)
    try:
        yield client
    finally:
        client._client.close()  # older versions have no close of their own


@asynccontextmanager
async def async_client_of(server: ModelServer) -> AsyncIterator[Any]:
    client = ollama.AsyncClient(host=server.url)
    try:
        yield client
    finally:
        await client._client.aclose()


def ask(server: ModelServer, method: str, way: str, **arguments: Any) -> list[Any]:
    """Ask one way, and return the chunks or the one answer."""
    arguments = {"model": MODEL, **arguments}
    if not way.startswith("async"):
        with client_of(server) as client:
            result = getattr(client, method)(**arguments)
            return list(result) if arguments.get("stream") else [result]

    async def main() -> list[Any]:
        async with async_client_of(server) as client:
            result = await getattr(client, method)(**arguments)
            return [chunk async for chunk in result] if arguments.get("stream") else [result]

    return asyncio.run(main())


WAYS = pytest.mark.parametrize("way", ["sync", "async"])
STREAMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@WAYS
@STREAMS
def test_a_chat_is_one_span(server: ModelServer, recorded: Recorded, way: str, stream: bool) -> None:
    result = ask(server, "chat", way, messages=HI, stream=stream, options={"temperature": 0.5})
    assert isinstance(result[0], ollama.ChatResponse)
    assert "".join(chunk.message.content for chunk in result) == "Hello"
    (span,) = calls(recorded)
    found = dict(span.attributes)
    assert span.name == f"chat {MODEL}"
    assert found[semconv.PROVIDER_NAME] == "ollama"
    assert (found[semconv.SERVER_ADDRESS], found[semconv.SERVER_PORT]) == ("127.0.0.1", int(server.url[17:]))
    assert found[semconv.REQUEST_TEMPERATURE] == 0.5
    assert json.loads(found[semconv.INPUT_MESSAGES]) == [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
    (answer,) = json.loads(found[semconv.OUTPUT_MESSAGES])
    assert answer["finish_reason"] == "stop"
    thought = [("reasoning", "hmm")] if THINKS else []
    assert [(part["type"], part["content"]) for part in answer["parts"]] == [*thought, ("text", "Hello")]
    assert found[semconv.RESPONSE_MODEL] == MODEL
    assert found[semconv.RESPONSE_FINISH_REASONS] == ("stop",)
    assert (found[semconv.USAGE_INPUT_TOKENS], found[semconv.USAGE_OUTPUT_TOKENS]) == (5, 7)
    assert (found.get(semconv.RESPONSE_TIME_TO_FIRST_CHUNK, 0) > 0) is stream
    assert found.get(semconv.CHUNKS) == (4 if stream else None)
    assert found[semconv.OUTCOME] == "ok"


@WAYS
@STREAMS
def test_a_generated_text_is_one_span(server: ModelServer, recorded: Recorded, way: str, stream: bool) -> None:
    result = ask(server, "generate", way, prompt="Hi", system="Be brief.", images=[b"img"], stream=stream)
    assert "".join(chunk.response for chunk in result) == "Hello"
    (span,) = calls(recorded)
    assert span.name == f"text_completion {MODEL}"
    (asked,) = json.loads(span.attributes[semconv.INPUT_MESSAGES])
    assert [part["type"] for part in asked["parts"]] == ["text", "blob"]
    assert "Be brief." in span.attributes[semconv.SYSTEM_INSTRUCTIONS]
    assert span.attributes[semconv.USAGE_OUTPUT_TOKENS] == 7
    assert "Hello" in span.attributes[semconv.OUTPUT_MESSAGES]


@WAYS
@pytest.mark.parametrize(("method", "given"), [("embed", {"input": ["Hi", "you"]}), ("embeddings", {"prompt": "Hi"})])
def test_embeddings_are_one_span(
    server: ModelServer, recorded: Recorded, way: str, method: str, given: dict[str, Any]
) -> None:
    ask(server, method, way, **given)
    (span,) = calls(recorded)
    assert span.name == f"embeddings {MODEL}"
    assert span.attributes[semconv.EMBEDDINGS_DIMENSION_COUNT] == 3
    assert "Hi" in span.attributes[semconv.INPUT_MESSAGES]


def test_what_asks_no_model_is_not_traced(server: ModelServer, recorded: Recorded) -> None:
    with client_of(server) as client:
        client.list()
    assert calls(recorded) == []


@WAYS
@STREAMS
def test_a_refusal_is_the_callers_exception(server: ModelServer, recorded: Recorded, way: str, stream: bool) -> None:
    with pytest.raises(ollama.ResponseError, match="not found"):
        ask(server, "chat", way, model="missing", messages=HI, stream=stream)
    found = call(recorded)
    assert found[semconv.ERROR_TYPE].endswith(".ResponseError")
    assert found[semconv.HTTP_RESPONSE_STATUS_CODE] == 404
    assert found[semconv.OUTCOME] == "error"


@WAYS
@pytest.mark.parametrize("model", ["reset", "broken"])
def test_a_stream_that_breaks_leaves_what_had_come(
    server: ModelServer, recorded: Recorded, way: str, model: str
) -> None:
    with pytest.raises((httpx.TransportError, ollama.ResponseError)):
        ask(server, "chat", way, model=model, messages=HI, stream=True)
    found = call(recorded)
    assert found[semconv.OUTCOME] == "error"
    assert found[semconv.CHUNKS] == 2
    assert "Hel" in found[semconv.OUTPUT_MESSAGES]


@pytest.mark.parametrize("leave", ["break", "close", "throw", "unread"])
def test_a_stream_that_is_left_is_abandoned(server: ModelServer, recorded: Recorded, leave: str) -> None:
    with client_of(server) as client:
        stream = client.chat(MODEL, HI, stream=True)
        if leave != "unread":
            next(stream)
        if leave == "close":
            stream.close()
        if leave == "throw":
            with pytest.raises(ZeroDivisionError):
                stream.throw(ZeroDivisionError())
        del stream
        gc.collect()
    (span,) = calls(recorded)
    assert span.attributes[semconv.OUTCOME] == "abandoned"
    assert span.attributes[semconv.CHUNKS] == (0 if leave == "unread" else 1)


def test_an_async_stream_that_is_left_is_abandoned(server: ModelServer, recorded: Recorded) -> None:
    async def main() -> None:
        async with async_client_of(server) as client:
            async for _ in await client.chat(MODEL, HI, stream=True):
                break

    asyncio.run(main())
    gc.collect()
    assert call(recorded)[semconv.OUTCOME] == "abandoned"


def test_the_modules_own_functions_are_traced(server: ModelServer, recorded: Recorded) -> None:
    program = (
        "import sys, agent_trace_otel as at\n"
        "if sys.argv[1] == 'before': import ollama\n"
        "at.instrument('ollama')\n"
        "assert sys.argv[1] == 'before' or 'ollama' not in sys.modules\n"
        "import ollama\n"
        "with at.session(sys.argv[1]): ollama.chat('llama3.2', [{'role': 'user', 'content': 'Hi'}])\n"
    )
    for when in ("before", "after"):
        variables = {**environment(recorded.trace_dir.parent), "OLLAMA_HOST": server.url}
        variables["AGENT_TRACE_DIR"] = str(recorded.trace_dir)
        subprocess.run([sys.executable, "-c", program, when], check=True, env=variables)
    assert len(calls(recorded)) == 2


def test_what_is_suppressed_is_not_traced(server: ModelServer, recorded: Recorded) -> None:
    token = context_api.attach(context_api.set_value("suppress_instrumentation", True))
    try:
        ask(server, "chat", "sync", messages=HI, stream=True)
    finally:
        context_api.detach(token)
    assert calls(recorded) == []


@STREAMS
def test_content_that_is_off_leaves_the_numbers(
    server: ModelServer, recorded: Recorded, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TRACE_CAPTURE_CONTENT", "false")
    reset()
    at.start_session("quiet")
    ask(server, "chat", "sync", messages=HI, stream=stream)
    found = call(recorded)
    assert {semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES}.isdisjoint(found)
    assert found[semconv.USAGE_OUTPUT_TOKENS] == 7


def test_uninstrumenting_restores_what_was_there(server: ModelServer, recorded: Recorded) -> None:
    kinds = (ollama.Client, ollama.AsyncClient)
    patched = [vars(kind)["_request"] for kind in kinds]
    at.instrument("ollama")  # a second time changes nothing
    assert [vars(kind)["_request"] for kind in kinds] == patched
    at.uninstrument()
    assert [vars(kind)["_request"] for kind in kinds] == [one.__wrapped__ for one in patched]
    ask(server, "chat", "sync", messages=HI)
    assert calls(recorded) == []
