"""A streamed answer: put together from its chunks it reads as the unstreamed one, at any moment, within bounds."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from message_shape import check_messages
from test_read_response import objects, snake

from agent_trace_otel import semconv
from agent_trace_otel.model_io import StreamReading

SHAPES = pytest.mark.parametrize("shape", [dict, objects], ids=["dict", "object"])


def read(chunks: list[Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the attributes without messages, and the messages; check that it can be asked at any moment."""
    reading = StreamReading()
    for count, chunk in enumerate(chunks, 1):
        reading.add(chunk)
        assert reading.chunks == count
        check_messages(json.loads(reading.attributes().get(semconv.OUTPUT_MESSAGES, "[]")), output=True)
    found = reading.attributes()
    return found, json.loads(found.pop(semconv.OUTPUT_MESSAGES, "[]"))


def chat(delta: dict[str, Any] | None = None, *, reason: str | None = None, **rest: Any) -> dict[str, Any]:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-2024", "usage": None}
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    return {**chunk, "choices": choices, **rest}


def call(index: int | None, arguments: str, **rest: Any) -> dict[str, Any]:
    name = rest.pop("name", None)
    return {"tool_calls": [{"index": index, "function": {"name": name, "arguments": arguments}, **rest}]}


CHAT = [
    chat(None, id="", model=""),
    chat({"role": "assistant", "content": "", "refusal": None}),
    chat({"content": None, "reasoning_content": "h"}),
    chat({"content": None, "reasoning_content": "m"}),
    chat({"content": "Hel"}),
    chat({"content": "lo"}),
    chat(call(0, "", id="c0", name="f")),
    chat(call(0, '{"a"')),
    chat(call(1, "{}", id="c1", name="g")),
    chat(call(0, ":1}")),
    chat({}, reason="tool_calls"),
    chat(None, usage={"prompt_tokens": 3, "completion_tokens": 4}),
]


@SHAPES
def test_chat_chunks_make_a_completion(shape: Any) -> None:
    found, messages = read([shape(chunk) for chunk in CHAT])
    assert found == {
        semconv.RESPONSE_ID: "chatcmpl-1",
        semconv.RESPONSE_MODEL: "gpt-4o-2024",
        semconv.RESPONSE_FINISH_REASONS: ("tool_calls",),
        semconv.USAGE_INPUT_TOKENS: 3,
        semconv.USAGE_OUTPUT_TOKENS: 4,
    }
    assert messages == [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "text", "content": "Hello"},
                {"type": "tool_call", "name": "f", "arguments": {"a": 1}, "id": "c0"},
                {"type": "tool_call", "name": "g", "arguments": {}, "id": "c1"},
            ],
            "finish_reason": "tool_call",
        }
    ]


def test_an_abandoned_stream_tells_what_came() -> None:
    found, messages = read(CHAT[:8])
    assert found == {semconv.RESPONSE_ID: "chatcmpl-1", semconv.RESPONSE_MODEL: "gpt-4o-2024"}
    assert messages[0]["parts"][1:] == [
        {"type": "text", "content": "Hello"},
        {"type": "tool_call", "name": "f", "arguments": '{"a"', "id": "c0"},
    ]
    assert messages[0]["finish_reason"] == "error"


def test_several_choices_stay_apart() -> None:
    pieces = [(0, "a", None), (1, "x", None), (0, "b", "stop"), (1, "y", "length")]
    chunks = [
        chat(None, choices=[{"index": index, "delta": {"content": text}, "finish_reason": reason}])
        for index, text, reason in pieces
    ]
    found, messages = read(chunks)
    assert [message["parts"][0]["content"] for message in messages] == ["ab", "xy"]
    assert found[semconv.RESPONSE_FINISH_REASONS] == ("stop", "length")


def test_tool_calls_without_an_index_follow_one_another() -> None:
    _, messages = read(
        [
            chat(call(None, '{"a":', id="c0", name="f")),
            chat(call(None, "1}")),
            chat(call(None, "{}", id="c1", name="g")),
        ]
    )
    assert [(part["name"], part["arguments"]) for part in messages[0]["parts"]] == [("f", {"a": 1}), ("g", {})]


def test_legacy_chunks_are_read() -> None:
    completions = [chat(None, choices=[{"index": 0, "text": text, "finish_reason": None}]) for text in ("On", "ce")]
    assert read(completions)[1][0]["parts"] == [{"type": "text", "content": "Once"}]
    functions = [chat({"function_call": {"name": "f", "arguments": "{"}}), chat({"function_call": {"arguments": "}"}})]
    assert read(functions)[1][0]["parts"] == [{"type": "tool_call", "name": "f", "arguments": {}}]
    refusals = [chat({"content": None, "refusal": "No"}), chat({"content": None, "refusal": "."})]
    assert read(refusals)[1][0]["parts"] == [{"type": "refusal", "content": "No."}]


def test_events_that_wrap_chunks_are_unwrapped() -> None:
    events = [
        SimpleNamespace(type="chunk", chunk=objects(chat({"content": "Hi"})), snapshot=Mock()),
        SimpleNamespace(type="content.delta", delta="Hi", snapshot="Hi"),
        SimpleNamespace(type="chunk", chunk=objects(chat({}, reason="stop")), snapshot=Mock()),
    ]
    found, messages = read(events)
    assert found[semconv.RESPONSE_FINISH_REASONS] == ("stop",)
    assert messages[0]["parts"] == [{"type": "text", "content": "Hi"}]


def block(index: int, kind: str, **rest: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **rest}}


def delta(index: int, kind: str, **rest: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **rest}}


ANTHROPIC = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "model": "claude-x",
            "usage": {"input_tokens": 1, "cache_read_input_tokens": 20, "output_tokens": 1},
        },
    },
    {"type": "ping"},
    block(0, "thinking", thinking=""),
    delta(0, "thinking_delta", thinking="h"),
    delta(0, "thinking_delta", thinking="m"),
    delta(0, "signature_delta", signature="s"),
    block(1, "text", text=""),
    delta(1, "text_delta", text="Hel"),
    {"type": "text", "text": "Hel", "snapshot": "Hel"},
    delta(1, "text_delta", text="lo"),
    block(2, "tool_use", id="t1", name="f", input={}),
    delta(2, "input_json_delta", partial_json=""),
    delta(2, "input_json_delta", partial_json='{"a": 1}'),
    block(3, "tool_use", id="t2", name="g", input={}),
    block(4, "web_search_tool_result", tool_use_id="s1", content=[{"title": "T"}]),
    {"type": "content_block_stop", "index": 4},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]


@SHAPES
def test_anthropic_events_make_a_message(shape: Any) -> None:
    found, messages = read([shape(event) for event in ANTHROPIC])
    assert found == {
        semconv.RESPONSE_ID: "msg_1",
        semconv.RESPONSE_MODEL: "claude-x",
        semconv.RESPONSE_FINISH_REASONS: ("tool_use",),
        semconv.USAGE_INPUT_TOKENS: 21,
        semconv.USAGE_OUTPUT_TOKENS: 9,
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: 20,
    }
    parts = messages[0]["parts"]
    assert parts[:2] == [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Hello"}]
    assert [(part["id"], part["name"], part["arguments"]) for part in parts[2:4]] == [
        ("t1", "f", {"a": 1}),
        ("t2", "g", {}),
    ]
    assert parts[4]["server_tool_call_response"]["type"] == "web_search"


def test_anthropics_first_event_tells_the_input_tokens() -> None:
    found, messages = read(ANTHROPIC[:1])
    assert found[semconv.USAGE_INPUT_TOKENS] == 21
    assert [message["parts"] for message in messages] == [[]]


def event(kind: str, index: int | None = None, **rest: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **({} if index is None else {"output_index": index}), **rest}


RESPONSES = [
    event("created", response={"id": "resp_1", "object": "response", "model": "gpt-5", "status": "in_progress"}),
    event("output_item.added", 0, item={"type": "reasoning", "id": "rs_1", "summary": []}),
    event("reasoning_summary_text.delta", 0, summary_index=0, delta="h"),
    event("reasoning_summary_text.delta", 0, summary_index=0, delta="m"),
    event("output_item.added", 1, item={"type": "web_search_call", "id": "ws_1", "status": "in_progress"}),
    event("output_item.done", 1, item={"type": "web_search_call", "id": "ws_1", "action": {"query": "q"}}),
    event("output_item.added", 2, item={"type": "message", "role": "assistant", "content": []}),
    event("output_text.delta", 2, content_index=0, delta="Hel"),
    event("output_text.delta", 2, content_index=0, delta="lo"),
    event("output_item.added", 3, item={"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""}),
    event("function_call_arguments.delta", 3, delta='{"a":1}'),
]


@SHAPES
def test_response_events_are_read_before_the_last_one(shape: Any) -> None:
    found, messages = read([shape(one) for one in RESPONSES])
    assert found == {semconv.RESPONSE_ID: "resp_1", semconv.RESPONSE_MODEL: "gpt-5"}
    parts = messages[0]["parts"]
    assert [part["type"] for part in parts] == ["reasoning", "server_tool_call", "text", "tool_call"]
    assert (parts[0]["content"], parts[2]["content"]) == ("hm", "Hello")
    assert (parts[3]["id"], parts[3]["arguments"]) == ("c1", {"a": 1})
    assert parts[1]["server_tool_call"]["action"] == {"query": "q"}


def test_the_last_response_event_is_believed() -> None:
    whole = {
        "id": "resp_1",
        "object": "response",
        "model": "gpt-5-2025",
        "status": "completed",
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Bye"}]}],
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    found, messages = read([*RESPONSES, event("completed", response=whole)])
    assert found[semconv.RESPONSE_MODEL] == "gpt-5-2025"
    assert found[semconv.RESPONSE_FINISH_REASONS] == ("stop",)
    assert (found[semconv.USAGE_INPUT_TOKENS], found[semconv.USAGE_OUTPUT_TOKENS]) == (1, 2)
    assert messages[0]["parts"] == [{"type": "text", "content": "Bye"}]


def google(*parts: dict[str, Any], reason: str | None = None, **usage: int) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": reason}
    return {"responseId": "r1", "modelVersion": "gemini-x", "candidates": [candidate], "usageMetadata": usage}


GOOGLE = [
    google({"text": "h", "thought": True}, promptTokenCount=4),
    google({"text": "m", "thought": True}, promptTokenCount=4, thoughtsTokenCount=2),
    google({"text": "Hel"}, trafficType=1),
    google({"text": "lo"}, {"functionCall": {"name": "f", "args": {"a": 1}}}),
    google({"text": "!"}, reason="STOP", promptTokenCount=4, thoughtsTokenCount=2, candidatesTokenCount=3),
]


@pytest.mark.parametrize("shape", [dict, lambda value: objects(snake(value))], ids=["wire", "object"])
def test_google_chunks_make_an_answer(shape: Any) -> None:
    found, messages = read([shape(chunk) for chunk in GOOGLE])
    assert found == {
        semconv.RESPONSE_ID: "r1",
        semconv.RESPONSE_MODEL: "gemini-x",
        semconv.RESPONSE_FINISH_REASONS: ("stop",),
        semconv.USAGE_INPUT_TOKENS: 4,
        semconv.USAGE_OUTPUT_TOKENS: 5,
        semconv.USAGE_REASONING_OUTPUT_TOKENS: 2,
    }
    assert [(part["type"], part.get("content") or part["name"]) for part in messages[0]["parts"]] == [
        ("reasoning", "hm"),
        ("text", "Hello"),
        ("tool_call", "f"),
        ("text", "!"),
    ]


def test_a_usage_without_counts_takes_none_away() -> None:
    found, _ = read(GOOGLE[:3])
    assert (found[semconv.USAGE_INPUT_TOKENS], found[semconv.USAGE_OUTPUT_TOKENS]) == (4, 2)


def test_strings_are_joined() -> None:
    found, messages = read(["Hel", "lo", None, 3])
    assert found == {}
    assert messages == [{"role": "assistant", "parts": [{"type": "text", "content": "Hello"}], "finish_reason": "stop"}]


@pytest.mark.parametrize(
    "odd", [None, 3, b"x", {}, [], object(), Mock(), MagicMock()], ids=lambda value: type(value).__name__
)
def test_what_is_no_chunk_is_counted_and_spoils_nothing(odd: Any) -> None:
    reading = StreamReading()
    reading.add(odd)
    assert (reading.chunks, reading.attributes()) == (1, {})
    for chunk in CHAT:
        reading.add(chunk)
        reading.add(odd)
    assert (reading.chunks, reading.attributes()[semconv.RESPONSE_ID]) == (25, "chatcmpl-1")


def test_a_chunk_whose_every_attribute_raises_is_counted() -> None:
    class Raising:
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(name)

    reading = StreamReading()
    reading.add("Hi")
    reading.add(Raising())
    assert reading.chunks == 2
    assert "Hi" in reading.attributes()[semconv.OUTPUT_MESSAGES]


@pytest.mark.parametrize(
    ("first", "more"),
    [
        ([], "x" * 1000),
        ([], chat({"content": "x" * 1000})),
        ([], chat(call(0, "x" * 1000, id="c0", name="f"))),
        (ANTHROPIC[:7], delta(1, "text_delta", text="x" * 1000)),
        (RESPONSES[:7], event("output_text.delta", 2, content_index=0, delta="x" * 1000)),
        ([], google({"text": "x" * 1000})),
        ([], google({"functionCall": {"name": "f", "args": {"a": "x" * 1000}}})),
    ],
    ids=["string", "chat", "chat tool call", "anthropic", "responses", "google", "google tool calls"],
)
def test_an_endless_stream_is_bounded(first: list[Any], more: Any) -> None:
    reading = StreamReading()
    for chunk in first:
        reading.add(chunk)
    for _ in range(1500):
        reading.add(more)
    shown = reading.attributes()[semconv.OUTPUT_MESSAGES]
    assert 700_000 < len(shown) <= 1 << 20
    check_messages(json.loads(shown), output=True)


def test_text_beyond_the_bound_is_counted() -> None:
    reading = StreamReading()
    for _ in range(3):
        reading.add("x" * 500_000)
    (message,) = json.loads(reading.attributes()[semconv.OUTPUT_MESSAGES])
    assert message["parts"][0]["content"] == "x" * (3 << 18) + f"… [cut: {1_500_000 - (3 << 18)} characters]"


def test_endlessly_many_tool_calls_are_bounded() -> None:
    reading = StreamReading()
    for index in range(2000):
        reading.add(chat(call(index, "{}", id=f"c{index}", name="f")))
    (message,) = json.loads(reading.attributes()[semconv.OUTPUT_MESSAGES])
    assert len(message["parts"]) == 1000
