"""Ollama: chat, generate and embed, as asked and as answered, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

from message_shape import check_messages

from agent_trace_otel import semconv
from agent_trace_otel.model_io import StreamReading, read_request, read_response

COUNTS = {"prompt_eval_count": 5, "eval_count": 7, "total_duration": 1_000}
FOUND = {
    semconv.RESPONSE_MODEL: "llama3.2",
    semconv.RESPONSE_FINISH_REASONS: ("stop",),
    semconv.USAGE_INPUT_TOKENS: 5,
    semconv.USAGE_OUTPUT_TOKENS: 7,
}
CALL = {"function": {"name": "f", "arguments": {"a": 1}}}
SAID = [
    {
        "role": "assistant",
        "finish_reason": "stop",
        "parts": [
            {"type": "reasoning", "content": "hmm"},
            {"type": "text", "content": "Hello"},
            {"type": "tool_call", "name": "f", "arguments": {"a": 1}},
        ],
    }
]


def split(found: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    messages = json.loads(found.pop(semconv.OUTPUT_MESSAGES, "[]"))
    check_messages(messages, output=True)
    return found, messages


def test_a_chat_request_is_read_with_its_options() -> None:
    found = read_request(
        {
            "model": "llama3.2",
            "messages": [
                {"role": "user", "content": "Look", "images": ["aW1n"]},
                {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [CALL]},
                {"role": "tool", "content": "2", "tool_name": "f"},
            ],
            "options": {"temperature": 0.5, "num_predict": 9, "top_k": 40, "seed": 1, "stop": ["END"]},
            "format": {"type": "object"},
            "stream": True,
        }
    )
    assert found.attributes == {
        semconv.REQUEST_TEMPERATURE: 0.5,
        semconv.REQUEST_MAX_TOKENS: 9,
        semconv.REQUEST_TOP_K: 40,
        semconv.REQUEST_SEED: 1,
        semconv.REQUEST_STOP_SEQUENCES: ("END",),
        semconv.REQUEST_STREAM: True,
        semconv.OUTPUT_TYPE: "json",
    }
    check_messages(found.messages)
    assert found.messages == [
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "Look"},
                {"type": "blob", "modality": "image", "content": "aW1n"},
            ],
        },
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "tool_call", "name": "f", "arguments": {"a": 1}},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": "2", "id": "f"}]},
    ]


def test_a_chat_answer_is_read() -> None:
    message = {"role": "assistant", "content": "Hello", "thinking": "hmm", "tool_calls": [CALL]}
    answer = {"model": "llama3.2", "message": message, "done": True, "done_reason": "stop", **COUNTS}
    assert split(read_response(answer)) == (FOUND, SAID)


def test_a_generated_text_is_read() -> None:
    answer = {"model": "llama3.2", "response": "Hello", "done": True, "done_reason": "stop", **COUNTS}
    found, (message,) = split(read_response(answer))
    assert found == FOUND
    assert message["parts"] == [{"type": "text", "content": "Hello"}]


def test_a_chat_stream_reads_as_the_answer() -> None:
    pieces = [{"thinking": "h", "content": ""}, {"thinking": "mm"}, {"content": "Hel"}, {"content": "lo"}]
    pieces.append({"content": "", "tool_calls": [CALL]})
    chunks = [{"model": "llama3.2", "message": {"role": "assistant", **piece}, "done": False} for piece in pieces]
    end = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", **COUNTS}
    reading = StreamReading()
    for chunk in [*chunks, {"model": "llama3.2", **end}]:
        reading.add(chunk)
        reading.attributes()
    assert split(reading.attributes()) == (FOUND, SAID)


def test_a_stream_that_is_cut_short_has_no_counts() -> None:
    reading = StreamReading()
    reading.add({"model": "llama3.2", "response": "Hel", "done": False})
    found, (message,) = split(reading.attributes())
    assert found == {semconv.RESPONSE_MODEL: "llama3.2"}
    assert message["finish_reason"] == "error"


def test_embeddings_are_measured() -> None:
    answer = {"model": "nomic", "embeddings": [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]], "prompt_eval_count": 5}
    assert read_response(answer) == {
        semconv.RESPONSE_MODEL: "nomic",
        semconv.EMBEDDINGS_DIMENSION_COUNT: 3,
        semconv.USAGE_INPUT_TOKENS: 5,
    }
