"""What a model answered: every provider's response becomes span attributes of the convention."""

from __future__ import annotations

import enum
import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from message_shape import check_messages

from agent_trace_otel import semconv
from agent_trace_otel.model_io import read_response


class Object(SimpleNamespace):
    """A client's object with attributes, and a dump as pydantic has it."""

    def model_dump(self) -> dict[str, Any]:
        return {name: plain(value) for name, value in vars(self).items()}


def plain(value: Any) -> Any:
    if isinstance(value, Object):
        return value.model_dump()
    return [plain(member) for member in value] if isinstance(value, list) else value


def objects(value: Any) -> Any:
    """Return parsed JSON as nested objects, the way clients hand it out: what has no schema stays a dict."""
    if isinstance(value, dict):
        return Object(**{name: value if name in {"args", "input"} else objects(value) for name, value in value.items()})
    return [objects(member) for member in value] if isinstance(value, list) else value


def snake(value: Any) -> Any:
    """Return JSON of Google's with the names of its Python client."""
    if isinstance(value, dict):
        names = {name: "".join(f"_{c.lower()}" if c.isupper() else c for c in name) for name in value}
        return {names[name]: snake(member) for name, member in value.items()}
    return [snake(member) for member in value] if isinstance(value, list) else value


def read(result: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the attributes without messages, and the messages."""
    found = read_response(result)
    messages = json.loads(found.pop(semconv.OUTPUT_MESSAGES, "[]"))
    check_messages(messages, output=True)
    return found, messages


CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-2024",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi", "refusal": None}},
        {
            "index": 1,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "reasoning_content": "hm",
                "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": '{"a":1}'}}],
            },
        },
        {"index": 2, "finish_reason": None, "message": {"role": "assistant", "content": "", "refusal": "No."}},
    ],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
}


@pytest.mark.parametrize("shape", [dict, objects])
def test_a_chat_completion_gives_every_choice(shape: Any) -> None:
    found, messages = read(shape(CHAT))
    assert found == {
        semconv.RESPONSE_ID: "chatcmpl-1",
        semconv.RESPONSE_MODEL: "gpt-4o-2024",
        semconv.RESPONSE_FINISH_REASONS: ("stop", "tool_calls", "error"),
        semconv.USAGE_INPUT_TOKENS: 10,
        semconv.USAGE_OUTPUT_TOKENS: 5,
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: 4,
        semconv.USAGE_REASONING_OUTPUT_TOKENS: 0,
    }
    assert messages == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hi"}], "finish_reason": "stop"},
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "tool_call", "name": "f", "arguments": {"a": 1}, "id": "c1"},
            ],
            "finish_reason": "tool_call",
        },
        {"role": "assistant", "parts": [{"type": "refusal", "content": "No."}], "finish_reason": "error"},
    ]


ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
    ],
    "stop_reason": "tool_use",
    "usage": {
        "input_tokens": 1,
        "cache_read_input_tokens": 20,
        "cache_creation_input_tokens": 300,
        "output_tokens": 7,
    },
}


@pytest.mark.parametrize("shape", [dict, objects])
def test_anthropics_input_tokens_include_the_cached_ones(shape: Any) -> None:
    found, messages = read(shape(ANTHROPIC))
    assert found == {
        semconv.RESPONSE_ID: "msg_1",
        semconv.RESPONSE_MODEL: "claude-x",
        semconv.RESPONSE_FINISH_REASONS: ("tool_use",),
        semconv.USAGE_INPUT_TOKENS: 321,
        semconv.USAGE_OUTPUT_TOKENS: 7,
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: 20,
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: 300,
    }
    (message,) = messages
    assert [part["type"] for part in message["parts"]] == ["reasoning", "text", "tool_call"]
    assert message["finish_reason"] == "tool_call"


def response(**changed: Any) -> dict[str, Any]:
    output = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
    ]
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
    }
    body = {"id": "resp_1", "object": "response", "model": "gpt-5", "status": "completed"}
    return {**body, "output": output, "usage": usage, **changed}


@pytest.mark.parametrize("shape", [dict, objects])
def test_a_response_is_one_generation(shape: Any) -> None:
    found, messages = read(shape(response()))
    assert found == {
        semconv.RESPONSE_ID: "resp_1",
        semconv.RESPONSE_MODEL: "gpt-5",
        semconv.RESPONSE_FINISH_REASONS: ("stop",),
        semconv.USAGE_INPUT_TOKENS: 10,
        semconv.USAGE_OUTPUT_TOKENS: 9,
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: 2,
        semconv.USAGE_CACHE_WRITE_INPUT_TOKENS: 3,
        semconv.USAGE_REASONING_OUTPUT_TOKENS: 4,
    }
    assert messages == [
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Hi"}],
            "finish_reason": "stop",
        }
    ]


CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("changed", "reasons", "finish_reason"),
    [
        ({"output": [CALL]}, ("tool_calls",), "tool_call"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            ("max_output_tokens",),
            "length",
        ),
        ({"status": "failed"}, ("failed",), "error"),
        ({"status": "in_progress"}, None, "error"),
    ],
)
def test_a_responses_status_tells_why_it_stopped(changed: Any, reasons: Any, finish_reason: str) -> None:
    found, messages = read(response(**changed))
    assert found.get(semconv.RESPONSE_FINISH_REASONS) == reasons
    assert [message["finish_reason"] for message in messages] == [finish_reason]


class FinishReason(str, enum.Enum):
    STOP = "STOP"


class VertexFinishReason(enum.IntEnum):
    MAX_TOKENS = 2


def google(reason: Any = "STOP") -> dict[str, Any]:
    parts = [{"text": "hm", "thought": True}, {"text": "Hi"}, {"functionCall": {"name": "f", "args": {"a": 1}}}]
    usage = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 3,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 65,
    }
    return {
        "responseId": "r1",
        "modelVersion": "gemini-x",
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": reason}],
        "usageMetadata": usage,
    }


@pytest.mark.parametrize("shape", [dict, lambda value: objects(snake(value)), snake])
def test_googles_tokens_add_up_to_its_total(shape: Any) -> None:
    found, messages = read(shape(google()))
    assert found == {
        semconv.RESPONSE_ID: "r1",
        semconv.RESPONSE_MODEL: "gemini-x",
        semconv.RESPONSE_FINISH_REASONS: ("stop",),
        semconv.USAGE_INPUT_TOKENS: 15,
        semconv.USAGE_OUTPUT_TOKENS: 50,
        semconv.USAGE_CACHE_READ_INPUT_TOKENS: 3,
        semconv.USAGE_REASONING_OUTPUT_TOKENS: 30,
    }
    assert messages[0]["parts"] == [
        {"type": "reasoning", "content": "hm"},
        {"type": "text", "content": "Hi"},
        {"type": "tool_call", "name": "f", "arguments": {"a": 1}},
    ]


@pytest.mark.parametrize(
    ("reason", "read_as", "finish_reason"),
    [
        ("STOP", "stop", "stop"),
        (FinishReason.STOP, "stop", "stop"),
        (VertexFinishReason.MAX_TOKENS, "max_tokens", "length"),
        (3, "safety", "content_filter"),
        ("LANGUAGE", "language", "language"),
    ],
)
def test_google_spells_finish_reasons_in_many_ways(reason: Any, read_as: str, finish_reason: str) -> None:
    found, messages = read(google(reason))
    assert found[semconv.RESPONSE_FINISH_REASONS] == (read_as,)
    assert messages[0]["finish_reason"] == finish_reason


def test_a_legacy_completion_is_text() -> None:
    found, messages = read(
        {
            "id": "cmpl-1",
            "object": "text_completion",
            "model": "davinci-002",
            "choices": [{"text": " upon", "index": 0, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        }
    )
    assert found[semconv.RESPONSE_FINISH_REASONS] == ("length",)
    assert (found[semconv.USAGE_INPUT_TOKENS], found[semconv.USAGE_OUTPUT_TOKENS]) == (1, 2)
    assert messages[0]["parts"] == [{"type": "text", "content": " upon"}]


@pytest.mark.parametrize(("vector", "dimensions"), [([0.1, 0.2, 0.3], 3), ("AAAA", None)])
def test_embeddings_give_tokens_and_dimensions(vector: Any, dimensions: int | None) -> None:
    found = read_response(
        {
            "object": "list",
            "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": 0, "embedding": vector}],
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        }
    )
    assert found.get(semconv.EMBEDDINGS_DIMENSION_COUNT) == dimensions
    assert found[semconv.USAGE_INPUT_TOKENS] == 8
    assert semconv.OUTPUT_MESSAGES not in found


@pytest.mark.parametrize(
    "usage", [{"prompt_tokens": -1, "completion_tokens": 2}, {"input_tokens": -5, "output_tokens": 2}]
)
def test_fewer_tokens_than_none_are_no_count(usage: dict[str, int]) -> None:
    message = {"role": "assistant", "content": "a"}
    of_openai = {"object": "chat.completion", "choices": [{"message": message}], "usage": usage}
    of_anthropic = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "a"}], "usage": usage}
    for answer in (of_openai, of_anthropic):
        assert semconv.USAGE_INPUT_TOKENS not in read_response(answer)
        assert semconv.OUTPUT_MESSAGES in read_response(answer)


def test_a_plain_string_is_an_assistants_text() -> None:
    assert read_response("Hi") == {
        semconv.OUTPUT_MESSAGES: '[{"role":"assistant","parts":[{"type":"text","content":"Hi"}],'
        '"finish_reason":"stop"}]'
    }


@pytest.mark.parametrize("shape", [dict, objects])
def test_a_message_taken_out_of_its_response_is_read(shape: Any) -> None:
    found, messages = read(shape(CHAT["choices"][1]["message"]))  # type: ignore[index]  # a dict of many shapes
    assert found == {}
    assert [part["type"] for part in messages[0]["parts"]] == ["reasoning", "tool_call"]
    assert messages[0]["finish_reason"] == "tool_call"


class Endless:
    def __getattr__(self, name: str) -> Endless:
        return Endless()


class Wordy:
    def __getattr__(self, name: str) -> str:
        return name


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        b"bytes",
        [1, 2],
        object(),
        Mock(),
        MagicMock(),
        Endless(),
        Wordy(),
        {"choices": ["a", "b"], "id": "poll"},
        {"candidates": [{"name": "Ada"}], "modelVersion": "x"},
        {"type": "message", "role": "user", "content": []},
        {"error": {"message": "no"}},
        {"data": [{"embedding": 3}]},
        {"output": ["a"], "id": "x"},
        {"usage": {"prompt_tokens": 3}},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_answer_gives_nothing_and_never_raises(odd: Any) -> None:
    assert read_response(odd) == {}


def test_an_object_whose_every_attribute_raises_gives_nothing() -> None:
    class Raising:
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(name)

    assert read_response(Raising()) == {}


def test_only_values_of_the_right_type_are_taken() -> None:
    usage = {"prompt_tokens": True, "completion_tokens": "5", "prompt_tokens_details": Mock()}
    message = {"role": "assistant", "content": "Hi", "tool_calls": Mock(), "refusal": 3}
    found, messages = read({"id": 5, "model": Mock(), "choices": [{"message": message}], "usage": usage})
    assert found == {}
    assert messages == [{"role": "assistant", "parts": [{"type": "text", "content": "Hi"}], "finish_reason": "error"}]


def test_one_field_that_raises_spoils_no_other() -> None:
    class Broken(SimpleNamespace):
        @property
        def usage(self) -> Any:
            raise ValueError

    found = read_response(Broken(**{name: objects(value) for name, value in CHAT.items() if name != "usage"}))
    assert found[semconv.RESPONSE_ID] == "chatcmpl-1"
    assert semconv.USAGE_INPUT_TOKENS not in found


def test_a_huge_answer_is_bounded_and_still_json() -> None:
    _, messages = read({"choices": [{"message": {"role": "assistant", "content": "x" * 5_000_000}}]})
    assert len(messages[0]["parts"][0]["content"]) < 1_100_000


def test_what_follows_a_huge_part_is_not_lost() -> None:
    content = [{"type": "novelty", "data": ["x" * 1000] * 5000}, {"type": "text", "text": "y" * 2_000_000}]
    called = [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]
    message = {"role": "assistant", "content": content, "tool_calls": called}
    _, messages = read({"choices": [{"message": message, "finish_reason": "stop"}]})
    assert [part["type"] for part in messages[0]["parts"]] == ["novelty", "text", "tool_call"]
    assert messages[0]["parts"][1]["content"].endswith(" characters]")


def test_an_answer_that_contains_itself_is_read() -> None:
    message: dict[str, Any] = {"role": "assistant", "content": []}
    message["content"].append({"type": "novelty", "of": message})
    _, messages = read({"choices": [{"message": message}]})
    assert messages[0]["parts"][0]["type"] == "novelty"
