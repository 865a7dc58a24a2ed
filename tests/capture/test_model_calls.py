"""trace_llm_call: what a model is asked and answers is read from arguments and results, streams included."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from agent_trace_otel import end_session, start_session, trace_llm_call
from agent_trace_otel.testing import Recorded

ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-x",
    "role": "assistant",
    "content": [{"type": "text", "text": "Hello"}, {"type": "tool_use", "id": "t1", "name": "look", "input": {"q": 1}}],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2, "output_tokens": 3},
}
OPENAI = {
    "id": "chatcmpl-1",
    "model": "gpt-x-2026",
    "object": "chat.completion",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}


def as_object(value: Any) -> Any:
    """Turn parsed JSON into attributes, as client objects have them."""
    if isinstance(value, dict):
        return SimpleNamespace(**{key: as_object(item) for key, item in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


@pytest.fixture
def opened(recorded: Recorded) -> Iterator[Recorded]:
    """Open a session around the test."""
    start_session("test")
    yield recorded
    end_session()


@pytest.mark.parametrize("form", [dict, as_object])
def test_anthropic_response(opened: Recorded, form: Any) -> None:
    @trace_llm_call(provider="anthropic")
    def ask(messages: list[Any], model: str, max_tokens: int = 100) -> Any:
        return form(ANTHROPIC)

    ask([{"role": "user", "content": "hey"}], "claude-x")
    (span,) = opened.spans()
    assert span.name == "chat claude-x"
    found = dict(span.attributes or {})
    assert found["gen_ai.provider.name"] == "anthropic"
    assert found["gen_ai.request.max_tokens"] == 100
    assert (found["gen_ai.response.id"], found["gen_ai.response.model"]) == ("msg_1", "claude-x")
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (17, 3)
    assert found["gen_ai.usage.cache_read.input_tokens"] == 5
    assert json.loads(str(found["gen_ai.input.messages"])) == [
        {"role": "user", "parts": [{"type": "text", "content": "hey"}]}
    ]
    (answer,) = json.loads(str(found["gen_ai.output.messages"]))
    assert [part["type"] for part in answer["parts"]] == ["text", "tool_call"]
    request, response = (event for event in opened.events() if event.event_type.startswith("llm_"))
    assert (request.data["model"], request.data["message_count"]) == ("claude-x", 1)
    assert (response.data["total_tokens"], response.data["content_preview"]) == (20, "Hello")
    assert opened.meta().total_tokens in (0, 20)  # meta.json follows at most once a second


@pytest.mark.parametrize("form", [dict, as_object])
def test_openai_response(opened: Recorded, form: Any) -> None:
    @trace_llm_call
    async def ask(messages: list[Any], *, model: str = "gpt-x") -> Any:
        return form(OPENAI)

    asyncio.run(ask([{"role": "user", "content": "hey"}]))
    (span,) = opened.spans()
    found = dict(span.attributes or {})
    assert (found["gen_ai.request.model"], found["gen_ai.response.model"]) == ("gpt-x", "gpt-x-2026")
    assert tuple(found["gen_ai.response.finish_reasons"]) == ("stop",)  # type: ignore[arg-type]
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (7, 2)


def test_plain_text_and_an_argument_of_any_name(opened: Recorded) -> None:
    @trace_llm_call(model="tiny", provider="x_ai")
    def ask(question: str) -> str:
        return question[::-1]

    assert ask("abc") == "cba"
    request, response = (event for event in opened.events() if event.event_type.startswith("llm_"))
    assert (request.data["model"], request.data["message_count"]) == ("tiny", 1)
    assert response.data["content_preview"] == "cba"


def _chunks(texts: list[str]) -> Iterator[Any]:
    for text in texts:
        yield {
            "id": "c",
            "model": "gpt-x",
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {"content": text}}],
        }
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    yield {"id": "c", "model": "gpt-x", "object": "chat.completion.chunk", "choices": [], "usage": usage}


def test_stream_tells_time_to_first_chunk_text_and_usage(opened: Recorded) -> None:
    @trace_llm_call
    def ask(messages: list[Any], model: str) -> Iterator[Any]:
        time.sleep(0.02)
        yield from _chunks(["Hel", "lo"])

    assert len(list(ask([], "gpt-x"))) == 3
    (span,) = opened.spans()
    found = dict(span.attributes or {})
    duration = ((span.end_time or 0) - (span.start_time or 0)) / 1e9
    assert 0.02 <= float(str(found["gen_ai.response.time_to_first_chunk"])) <= duration
    assert found["agent_trace.chunks"] == 3
    assert found["gen_ai.usage.output_tokens"] == 2
    assert json.loads(str(found["gen_ai.output.messages"]))[0]["parts"] == [{"type": "text", "content": "Hello"}]


def test_abandoned_async_stream_keeps_what_came(opened: Recorded) -> None:
    @trace_llm_call(model="m")
    async def ask(prompt: str) -> AsyncIterator[str]:
        yield "one "
        yield "two"

    async def main() -> None:
        async for _ in ask("count"):
            break
        await asyncio.sleep(0.01)

    asyncio.run(main())
    (span,) = opened.spans()
    found = dict(span.attributes or {})
    assert (found["agent_trace.outcome"], found["agent_trace.chunks"]) == ("abandoned", 1)
    assert span.status.status_code.name == "UNSET"


def test_failed_call(opened: Recorded) -> None:
    @trace_llm_call(model="m")
    def ask(prompt: str) -> str:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        ask("x")
    closing = opened.events()[-1]
    assert (closing.event_type, closing.data["error"]) == ("error", "TimeoutError")
    assert closing.data["model"] == "m"


def test_content_can_be_left_out(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent_trace_otel.testing import recording

    with recording(tmp_path, AGENT_TRACE_CAPTURE_CONTENT="false") as found:
        start_session("quiet")

        @trace_llm_call(model="m")
        def ask(prompt: str) -> str:
            return "the answer is mumble"

        ask("say mumble")
        end_session()
        assert "mumble" not in found.text()
        assert [event.event_type for event in found.events()][1:3] == ["llm_request", "llm_response"]
