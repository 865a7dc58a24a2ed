"""Amazon Bedrock: Converse, and each maker's own JSON, as asked and as answered, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from message_shape import check_messages

from agent_trace_otel import semconv
from agent_trace_otel.model_io import StreamReading, read_request, read_response

IN, OUT = semconv.USAGE_INPUT_TOKENS, semconv.USAGE_OUTPUT_TOKENS
READ, WRITE = semconv.USAGE_CACHE_READ_INPUT_TOKENS, semconv.USAGE_CACHE_WRITE_INPUT_TOKENS
REASONS = semconv.RESPONSE_FINISH_REASONS


def split(found: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the attributes without messages, and the messages."""
    messages = json.loads(found.pop(semconv.OUTPUT_MESSAGES, "[]"))
    check_messages(messages, output=True)
    return found, messages


def streamed(chunks: list[Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    reading = StreamReading()
    for chunk in chunks:
        reading.add(chunk)
        reading.attributes()
    return split(reading.attributes())


def invoked(chunks: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    return streamed([{"chunk": {"bytes": json.dumps(chunk).encode()}} for chunk in chunks])


def metrics(given: int, made: int) -> dict[str, Any]:
    counts = {"inputTokenCount": given, "outputTokenCount": made, "invocationLatency": 9, "firstByteLatency": 3}
    return {"amazon-bedrock-invocationMetrics": counts}


def text_of(messages: list[dict[str, Any]]) -> str:
    return "".join(part["content"] for message in messages for part in message["parts"] if part["type"] == "text")


# -- Converse ----------------------------------------------------------------------------------------------------


def test_a_converse_request_is_read_whole() -> None:
    found = read_request(
        {
            "modelId": "anthropic.claude-3-haiku-20240307-v1:0",
            "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}],
            "inferenceConfig": {"maxTokens": 10, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
            "additionalModelRequestFields": {"top_k": 40},
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"text": "Look"},
                        {"image": {"format": "png", "source": {"bytes": b"png"}}},
                        {"document": {"format": "pdf", "name": "d", "source": {"s3Location": {"uri": "s3://b/d"}}}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
                        {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}},
                    ],
                },
                {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"json": {"b": 2}}]}}]},
                {
                    "role": "user",
                    "content": [{"toolResult": {"toolUseId": "t2", "content": [{"text": "no"}], "status": "error"}}],
                },
            ],
        }
    )
    assert (found.provider, found.operation) == ("aws.bedrock", "chat")
    assert found.model == "anthropic.claude-3-haiku-20240307-v1:0"
    assert found.system == [{"type": "text", "content": "Be brief."}]
    assert found.attributes == {
        semconv.REQUEST_MAX_TOKENS: 10,
        semconv.REQUEST_TEMPERATURE: 0.5,
        semconv.REQUEST_TOP_P: 0.9,
        semconv.REQUEST_TOP_K: 40,
        semconv.REQUEST_STOP_SEQUENCES: ("END",),
    }
    check_messages(found.messages)
    assert found.messages == [
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "Look"},
                {"type": "blob", "modality": "image", "content": "cG5n", "mime_type": "image/png"},
                {"type": "uri", "modality": "document", "uri": "s3://b/d", "mime_type": "application/pdf"},
            ],
        },
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "tool_call", "name": "f", "arguments": {"a": 1}, "id": "t1"},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": {"b": 2}, "id": "t1"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "no", "id": "t2", "is_error": True}]},
    ]


CALLED = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}}
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "hmm", "signature": "sig"}}}
USAGE = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 23, "cacheReadInputTokens": 10, "cacheWriteInputTokens": 1}
CONVERSED = {IN: 16, OUT: 7, READ: 10, WRITE: 1, REASONS: ("tool_use",)}
SAID = [
    {
        "role": "assistant",
        "finish_reason": "tool_call",
        "parts": [
            {"type": "reasoning", "content": "hmm"},
            {"type": "text", "content": "Hello"},
            {"type": "tool_call", "name": "f", "arguments": {"a": 1}, "id": "t1"},
        ],
    }
]


def test_a_converse_answer_counts_cached_input_too() -> None:
    answer = {
        "output": {"message": {"role": "assistant", "content": [THOUGHT, {"text": "Hello"}, CALLED]}},
        "stopReason": "tool_use",
        "usage": USAGE,
        "metrics": {"latencyMs": 1},
    }
    assert split(read_response(answer)) == (CONVERSED, SAID)


def test_a_converse_stream_reads_as_the_answer() -> None:
    def delta(index: int, value: dict[str, Any]) -> dict[str, Any]:
        return {"contentBlockDelta": {"contentBlockIndex": index, "delta": value}}

    events = [
        {"messageStart": {"role": "assistant"}},
        delta(0, {"reasoningContent": {"text": "h"}}),
        delta(0, {"reasoningContent": {"text": "mm"}}),
        delta(0, {"reasoningContent": {"signature": "sig"}}),
        {"contentBlockStop": {"contentBlockIndex": 0}},
        delta(1, {"text": "Hel"}),
        delta(1, {"text": "lo"}),
        {"contentBlockStart": {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "t1", "name": "f"}}}},
        delta(2, {"toolUse": {"input": '{"a"'}}),
        delta(2, {"toolUse": {"input": ": 1}"}}),
        {"messageStop": {"stopReason": "tool_use"}},
        {"metadata": {"usage": USAGE, "metrics": {"latencyMs": 1}}},
    ]
    assert streamed(events) == (CONVERSED, SAID)


@pytest.mark.parametrize("start", [{"toolUse": True}, {"toolResult": "x"}, True, {"toolUse": []}])
def test_a_block_that_begins_oddly_costs_itself_alone(start: object) -> None:
    events = [
        {"contentBlockStart": {"contentBlockIndex": 0, "start": start}},
        {"contentBlockDelta": {"contentBlockIndex": 1, "delta": {"text": "Hello"}}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": USAGE}},
    ]
    found, messages = streamed(events)
    assert (found[IN], text_of(messages)) == (16, "Hello")


def test_what_a_tool_of_the_provider_gave_is_kept() -> None:
    start = {"toolResult": {"toolUseId": "s1"}}
    _, messages = streamed(
        [
            {"contentBlockStart": {"contentBlockIndex": 0, "start": start}},
            {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolResult": [{"text": "found"}]}}},
        ]
    )
    assert messages[0]["parts"] == [{"type": "tool_call_response", "response": "found", "id": "s1"}]


# -- InvokeModel -------------------------------------------------------------------------------------------------

ASKED = {
    "anthropic": (
        {"messages": [{"role": "user", "content": "Hi"}], "system": "S", "max_tokens": 9, "temperature": 0.5},
        "chat",
    ),
    "nova": (
        {
            "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
            "inferenceConfig": {"max_new_tokens": 9, "temperature": 0.5},
        },
        "chat",
    ),
    "titan": (
        {"inputText": "Hi", "textGenerationConfig": {"maxTokenCount": 9, "temperature": 0.5}},
        "text_completion",
    ),
    "llama": ({"prompt": "Hi", "max_gen_len": 9, "temperature": 0.5}, "text_completion"),
    "mistral": ({"prompt": "Hi", "max_tokens": 9, "temperature": 0.5}, "text_completion"),
    "cohere": ({"message": "Hi", "chat_history": [], "max_tokens": 9, "temperature": 0.5}, "chat"),
    "cohere generate": ({"prompt": "Hi", "max_tokens": 9, "temperature": 0.5}, "text_completion"),
    "anthropic completion": ({"prompt": "Hi", "max_tokens_to_sample": 9, "temperature": 0.5}, "text_completion"),
}


@pytest.mark.parametrize("maker", ASKED)
@pytest.mark.parametrize("as_bytes", [True, False])
def test_each_makers_request_is_read(maker: str, as_bytes: bool) -> None:
    body, operation = ASKED[maker]
    text = json.dumps(body)
    found = read_request({"modelId": "maker.model-v1", "body": text.encode() if as_bytes else text})
    assert (found.model, found.provider, found.operation) == ("maker.model-v1", "aws.bedrock", operation)
    assert found.attributes == {semconv.REQUEST_MAX_TOKENS: 9, semconv.REQUEST_TEMPERATURE: 0.5}
    assert found.messages == [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]
    assert found.system == ([{"type": "text", "content": "S"}] if maker == "anthropic" else None)


@pytest.mark.parametrize("body", [{"inputText": "Hi", "dimensions": 3}, {"texts": ["Hi"], "input_type": "search"}])
def test_embeddings_are_told_by_their_request(body: dict[str, Any]) -> None:
    found = read_request({"modelId": "arn:aws:bedrock:profile/x", "body": json.dumps(body)})
    assert found.operation == "embeddings"
    assert found.messages == [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]


@pytest.mark.parametrize("body", [b"\xff", "{", b"[]", 7, open])
def test_a_body_that_cannot_be_read_leaves_the_model(body: Any) -> None:
    found = read_request({"modelId": "m", "body": body})
    assert (found.model, found.provider, found.messages) == ("m", "aws.bedrock", None)


ANSWERED = {
    "titan": (
        {"inputTextTokenCount": 5, "results": [{"tokenCount": 7, "outputText": "Hello", "completionReason": "FINISH"}]},
        {IN: 5, OUT: 7, REASONS: ("finish",)},
    ),
    "llama": (
        {"generation": "Hello", "prompt_token_count": 5, "generation_token_count": 7, "stop_reason": "stop"},
        {IN: 5, OUT: 7, REASONS: ("stop",)},
    ),
    "mistral": ({"outputs": [{"text": "Hello", "stop_reason": "stop"}]}, {REASONS: ("stop",)}),
    "cohere": (
        {"text": "Hello", "generation_id": "g1", "finish_reason": "COMPLETE", "chat_history": []},
        {semconv.RESPONSE_ID: "g1", REASONS: ("complete",)},
    ),
    "cohere generate": (
        {"id": "g1", "generations": [{"id": "x", "text": "Hello", "finish_reason": "COMPLETE"}], "prompt": "Hi"},
        {semconv.RESPONSE_ID: "g1", REASONS: ("complete",)},
    ),
    "anthropic completion": ({"completion": "Hello", "stop_reason": "stop_sequence"}, {REASONS: ("stop_sequence",)}),
}


@pytest.mark.parametrize("maker", ANSWERED)
def test_each_makers_answer_is_read(maker: str) -> None:
    answer, expected = ANSWERED[maker]
    found, messages = split(read_response(answer))
    assert found == expected
    assert text_of(messages) == "Hello"
    assert [message["finish_reason"] for message in messages] == ["stop"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"embedding": [0.1, 0.2, 0.3], "inputTextTokenCount": 5}, {semconv.EMBEDDINGS_DIMENSION_COUNT: 3, IN: 5}),
        ({"embeddings": [[0.1, 0.2, 0.3]], "id": "e"}, {semconv.EMBEDDINGS_DIMENSION_COUNT: 3}),
        ({"embeddings": {"float": [[0.1, 0.2, 0.3]]}, "id": "e"}, {semconv.EMBEDDINGS_DIMENSION_COUNT: 3}),
    ],
)
def test_embeddings_are_measured(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    assert read_response(answer) == expected


def test_a_tool_call_of_cohere_is_read() -> None:
    answer = {"text": "", "generation_id": "g", "finish_reason": "COMPLETE"}
    found = read_response({**answer, "tool_calls": [{"name": "f", "parameters": {"a": 1}}]})
    (message,) = json.loads(found[semconv.OUTPUT_MESSAGES])
    assert message["parts"] == [{"type": "tool_call", "name": "f", "arguments": {"a": 1}}]


STREAMS = {
    "titan": [
        {"outputText": "Hel", "index": 0, "inputTextTokenCount": 5, "completionReason": None},
        {"outputText": "lo", "totalOutputTextTokenCount": 7, "completionReason": "FINISH", **metrics(5, 7)},
    ],
    "llama": [
        {"generation": "Hel", "prompt_token_count": 5, "generation_token_count": 1, "stop_reason": None},
        {"generation": "lo", "prompt_token_count": None, "generation_token_count": 2, "stop_reason": None},
        {"generation": "", "generation_token_count": 7, "stop_reason": "stop", **metrics(5, 7)},
    ],
    "mistral": [
        {"outputs": [{"text": "Hel", "stop_reason": None}]},
        {"outputs": [{"text": "lo", "stop_reason": "stop"}], **metrics(5, 7)},
    ],
    "cohere": [
        {"event_type": "text-generation", "text": "Hel", "is_finished": False},
        {"event_type": "text-generation", "text": "lo", "is_finished": False},
        {"event_type": "stream-end", "finish_reason": "COMPLETE", "is_finished": True, **metrics(5, 7)},
    ],
    "cohere generate": [
        {"text": "Hel", "is_finished": False},
        {"text": "lo", "is_finished": False},
        {"is_finished": True, "finish_reason": "COMPLETE", **metrics(5, 7)},
    ],
    "nova": [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "Hel"}, "contentBlockIndex": 0}},
        {"contentBlockDelta": {"delta": {"text": "lo"}, "contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": {"inputTokens": 5, "outputTokens": 7}}, **metrics(5, 7)},
    ],
    "anthropic": [
        {"type": "message_start", "message": {"id": "m", "model": "c", "usage": {"input_tokens": 5}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
        {"type": "message_stop", **metrics(5, 7)},
    ],
    "openai": [
        {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]},
        {"id": "c", "choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}], **metrics(5, 7)},
    ],
}


@pytest.mark.parametrize("maker", STREAMS)
def test_each_makers_stream_is_read(maker: str) -> None:
    found, messages = invoked(STREAMS[maker])
    assert (found[IN], found[OUT]) == (5, 7)
    assert text_of(messages) == "Hello"
    assert [message["finish_reason"] for message in messages] == ["stop"]


def test_chunks_that_hold_no_json_are_counted_and_no_more() -> None:
    reading = StreamReading()
    for chunk in ({"chunk": {"bytes": b"\xff"}}, {"chunk": {"bytes": b"7"}}, {"chunk": {}}, {"other": 1}):
        reading.add(chunk)
    assert (reading.chunks, reading.attributes()) == (4, {})
