"""What a model was asked: every provider's arguments become one reading."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from types import MappingProxyType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from message_shape import check_messages, check_part

from agent_trace_otel import semconv
from agent_trace_otel.content import to_json
from agent_trace_otel.model_io import ModelRequest, read_request


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


def messages_of(**arguments: Any) -> list[dict[str, Any]]:
    found = read_request(arguments).messages
    check_messages(json.loads(to_json(found)))
    assert found is not None
    return found


def parts_of(content: Any, role: str = "user") -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = messages_of(messages=[{"role": role, "content": content}])[0]["parts"]
    return parts


def test_a_chat_completion_is_read_whole() -> None:
    found = read_request(
        {
            "model": "gpt-4o-mini",
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "Weather?"}], "name": "ada"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"in": "Oslo"}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
            ],
            "temperature": 0,
            "top_p": 0.5,
            "max_completion_tokens": 100,
            "max_tokens": None,
            "frequency_penalty": 0.1,
            "presence_penalty": -1,
            "seed": 7,
            "stop": "END",
            "n": 2,
            "stream": True,
            "reasoning_effort": "low",
            "response_format": {"type": "json_object"},
        }
    )
    assert found == ModelRequest(
        model="gpt-4o-mini",
        provider="openai",
        operation="chat",
        messages=[
            {"role": "developer", "parts": [text("Be brief.")]},
            {"role": "user", "parts": [text("Weather?")], "name": "ada"},
            {
                "role": "assistant",
                "parts": [{"type": "tool_call", "name": "weather", "arguments": {"in": "Oslo"}, "id": "call_1"}],
            },
            {"role": "tool", "parts": [{"type": "tool_call_response", "response": "rain", "id": "call_1"}]},
        ],
        system=None,
        attributes={
            semconv.REQUEST_TEMPERATURE: 0.0,
            semconv.REQUEST_TOP_P: 0.5,
            semconv.REQUEST_MAX_TOKENS: 100,
            semconv.REQUEST_FREQUENCY_PENALTY: 0.1,
            semconv.REQUEST_PRESENCE_PENALTY: -1.0,
            semconv.REQUEST_SEED: 7,
            semconv.REQUEST_STOP_SEQUENCES: ("END",),
            semconv.REQUEST_CHOICE_COUNT: 2,
            semconv.REQUEST_STREAM: True,
            semconv.REQUEST_REASONING_LEVEL: "low",
            semconv.OUTPUT_TYPE: "json",
        },
    )
    assert isinstance(found.attributes[semconv.REQUEST_TEMPERATURE], float)


def test_an_anthropic_message_is_read_whole() -> None:
    found = read_request(
        {
            "model": "claude-sonnet-4-5",
            "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {"role": "user", "content": "Look"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "s"},
                        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "gone", "is_error": True},
                        {
                            "type": "tool_result",
                            "tool_use_id": "toolu_2",
                            "content": [{"type": "text", "text": "one"}],
                        },
                    ],
                },
            ],
            "max_tokens": 64,
            "top_k": 5,
            "stop_sequences": ["a", "b"],
            "stream": False,
        }
    )
    assert (found.provider, found.operation, found.system) == ("anthropic", "chat", [text("Be kind.")])
    assert found.messages == [
        {"role": "user", "parts": [text("Look")]},
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "tool_call", "name": "look", "arguments": {"at": 1}, "id": "toolu_1"},
            ],
        },
        {
            "role": "tool",
            "parts": [
                {"type": "tool_call_response", "response": "gone", "id": "toolu_1", "is_error": True},
                {"type": "tool_call_response", "response": "one", "id": "toolu_2"},
            ],
        },
    ]
    assert found.attributes == {
        semconv.REQUEST_MAX_TOKENS: 64,
        semconv.REQUEST_TOP_K: 5,
        semconv.REQUEST_STOP_SEQUENCES: ("a", "b"),
    }


def test_items_of_the_responses_api_become_messages() -> None:
    found = read_request(
        {
            "model": "o3-mini",
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "2+2?"}]},
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "sum"}], "content": []},
                {"type": "reasoning", "summary": [], "encrypted_content": "x"},
                {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "[2,2]"},
                {"type": "function_call_output", "call_id": "call_1", "output": "4"},
                {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "q"}},
                {"type": "local_shell_call", "id": "ls_1", "call_id": "call_2", "action": {"command": ["ls"]}},
                {"type": "item_reference", "id": "msg_1"},
            ],
            "previous_response_id": "resp_0",
            "reasoning": {"effort": "high"},
            "max_output_tokens": 9,
            "text": {"format": {"type": "json_schema"}},
        }
    )
    assert (found.provider, found.operation, found.system) == ("openai", "chat", [text("Be brief.")])
    shown = [(message["role"], *message["parts"]) for message in found.messages or []]
    assert shown == [
        ("user", text("2+2?")),
        ("assistant", {"type": "reasoning", "content": "sum"}),
        ("assistant", {"type": "tool_call", "name": "add", "arguments": [2, 2], "id": "call_1"}),
        ("tool", {"type": "tool_call_response", "response": "4", "id": "call_1"}),
        (
            "assistant",
            {
                "type": "server_tool_call",
                "name": "web_search",
                "server_tool_call": {
                    "type": "web_search",
                    "id": "ws_1",
                    "status": "completed",
                    "action": {"query": "q"},
                },
                "id": "ws_1",
            },
        ),
        ("assistant", {"type": "tool_call", "name": "local_shell", "arguments": {"command": ["ls"]}, "id": "call_2"}),
        ("user", {"type": "item_reference", "id": "msg_1"}),
    ]
    assert found.attributes == {
        semconv.REQUEST_PREVIOUS_RESPONSE_ID: "resp_0",
        semconv.REQUEST_REASONING_LEVEL: "high",
        semconv.REQUEST_MAX_TOKENS: 9,
        semconv.OUTPUT_TYPE: "json",
    }


GOOGLE_WIRE = {
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "Sum?"}, {"fileData": {"fileUri": "gs://b/a.png", "mimeType": "image/png"}}],
        },
        {"role": "model", "parts": [{"functionCall": {"name": "add", "args": {"a": 1}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "add", "response": {"result": 3}}}]},
    ],
    "systemInstruction": {"parts": [{"text": "Add."}], "role": "user"},
    "generationConfig": {
        "temperature": 1,
        "topP": 0.9,
        "topK": 40.0,
        "maxOutputTokens": 5,
        "stopSequences": ["x"],
        "candidateCount": 1,
        "responseMimeType": "application/json",
    },
}
GOOGLE_PYTHON = {
    "model": "gemini-2.5-flash",
    "contents": [
        SimpleNamespace(
            role="user",
            parts=[
                SimpleNamespace(text="Sum?", thought=None),
                SimpleNamespace(file_data=SimpleNamespace(file_uri="gs://b/a.png", mime_type="image/png")),
            ],
        ),
        SimpleNamespace(
            role="model", parts=[SimpleNamespace(function_call=SimpleNamespace(id=None, name="add", args={"a": 1}))]
        ),
        {"role": "user", "parts": [{"function_response": {"name": "add", "response": {"result": 3}}}]},
    ],
    "config": SimpleNamespace(
        system_instruction="Add.",
        temperature=1.0,
        top_p=0.9,
        top_k=40.0,
        max_output_tokens=5,
        stop_sequences=["x"],
        candidate_count=1,
        response_mime_type="application/json",
    ),
}


@pytest.mark.parametrize("arguments", [GOOGLE_WIRE, GOOGLE_PYTHON], ids=["wire", "python"])
def test_google_contents_are_read_in_both_spellings(arguments: dict[str, Any]) -> None:
    found = read_request(arguments)
    assert (found.provider, found.operation, found.system) == ("gcp.gen_ai", "generate_content", [text("Add.")])
    assert found.messages == [
        {
            "role": "user",
            "parts": [
                text("Sum?"),
                {"type": "uri", "modality": "image", "uri": "gs://b/a.png", "mime_type": "image/png"},
            ],
        },
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "add", "arguments": {"a": 1}}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "response": {"result": 3}, "name": "add"}]},
    ]
    assert found.attributes == {
        semconv.REQUEST_TEMPERATURE: 1.0,
        semconv.REQUEST_TOP_P: 0.9,
        semconv.REQUEST_TOP_K: 40,
        semconv.REQUEST_MAX_TOKENS: 5,
        semconv.REQUEST_STOP_SEQUENCES: ("x",),
        semconv.OUTPUT_TYPE: "json",
    }


@pytest.mark.parametrize(
    ("arguments", "operation"),
    [
        ({"prompt": "Once", "model": "gpt-3.5-turbo-instruct"}, "text_completion"),
        ({"prompt": "Once", "model": "gpt-4o"}, "chat"),
        ({"input": ["a", "b"], "model": "text-embedding-3-small"}, "embeddings"),
        ({"input": "a", "model": "mine", "encoding_format": "base64"}, "embeddings"),
        ({"contents": "a"}, "generate_content"),
        ({}, "chat"),
    ],
)
def test_the_arguments_tell_the_operation(arguments: dict[str, Any], operation: str) -> None:
    assert read_request(arguments).operation == operation


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("o1", "openai"),
        ("ft:gpt-4o-mini:acme::1", "openai"),
        ("azure/my-deployment", "azure.ai.openai"),
        ("anthropic/claude-3-opus", "anthropic"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "aws.bedrock"),
        ("models/gemini-2.0-flash", "gcp.gen_ai"),
        ("projects/p/locations/l/publishers/google/models/gemini-2.0-flash", "gcp.gen_ai"),
        ("gpt-oss-120b", None),
        ("oslo-7b", None),
        ("meta-llama/Llama-3", None),
        (None, None),
    ],
)
def test_the_model_tells_the_provider_where_only_one_has_it(model: str | None, provider: str | None) -> None:
    assert read_request({"model": model, "messages": []}).provider == provider


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            {"type": "blob", "modality": "image", "content": "aGk=", "mime_type": "image/png"},
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
            {"type": "uri", "modality": "image", "uri": "https://a/b.png"},
        ),
        (
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            {"type": "file", "modality": "document", "file_id": "file_1"},
        ),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}}, text("hi")),
        (
            {"type": "image_url", "image_url": {"url": "data:image/gif;base64,aGk="}},
            {"type": "blob", "modality": "image", "content": "aGk=", "mime_type": "image/gif"},
        ),
        (
            {"type": "input_image", "image_url": "https://a/b.png"},
            {"type": "uri", "modality": "image", "uri": "https://a/b.png"},
        ),
        (
            {"type": "input_image", "file_id": "file_2"},
            {"type": "file", "modality": "image", "file_id": "file_2"},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
            {"type": "blob", "modality": "audio", "content": "aGk=", "mime_type": "audio/wav"},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk="}},
            {"type": "blob", "modality": "document", "content": "aGk=", "mime_type": "application/pdf"},
        ),
        (
            {"type": "input_file", "file_url": "https://a/b.pdf"},
            {"type": "uri", "modality": "document", "uri": "https://a/b.pdf"},
        ),
        (
            {"inline_data": {"data": b"hi", "mime_type": "image/png"}},
            {"type": "blob", "modality": "image", "content": "aGk=", "mime_type": "image/png"},
        ),
        ({"type": "refusal", "refusal": "no"}, {"type": "refusal", "content": "no"}),
        ({"type": "text", "text": None}, {"type": "text_block", "text": None}),
        ({"type": "brand_new", "depth": 3}, {"type": "brand_new", "depth": 3}),
        ({"type": "image", "source": None}, {"type": "image", "source": None}),
        (
            {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"q": 1}},
            {
                "type": "server_tool_call",
                "name": "web_search",
                "server_tool_call": {"type": "web_search", "input": {"q": 1}},
                "id": "srv_1",
            },
        ),
        (
            {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []},
            {
                "type": "server_tool_call_response",
                "server_tool_call_response": {"type": "web_search", "content": []},
                "id": "srv_1",
            },
        ),
        (
            {"executableCode": {"language": "PYTHON", "code": "1+1"}},
            {
                "type": "server_tool_call",
                "name": "code_execution",
                "server_tool_call": {"type": "code_execution", "language": "PYTHON", "code": "1+1"},
            },
        ),
    ],
)
def test_a_content_block_becomes_a_part_of_the_convention(block: dict[str, Any], part: dict[str, Any]) -> None:
    assert parts_of([block]) == [part]


def test_a_huge_image_is_cut_and_says_so() -> None:
    raw = b"\x89" * 1_000_000
    for data in (raw, base64.b64encode(raw).decode()):
        (part,) = parts_of([{"inline_data": {"data": data, "mime_type": "image/png"}}])
        kept, _, mark = part["content"].partition("…")
        assert len(kept) == 1 << 18
        assert base64.b64decode(kept) == raw[: len(kept) // 4 * 3]
        assert mark == f" [cut: {len(base64.b64encode(raw)) - len(kept)} characters]"


@pytest.mark.parametrize("given", ["hi", ["hi"], {"role": "user", "content": "hi"}, ("hi",)])
def test_a_prompt_may_come_in_many_shapes(given: Any) -> None:
    assert messages_of(prompt=given) == [{"role": "user", "parts": [text("hi")]}]


def test_client_objects_between_dicts_are_read_alike() -> None:
    called = SimpleNamespace(id="c", function=SimpleNamespace(name="f", arguments="not json"))
    answered = SimpleNamespace(role="assistant", content=None, refusal=None, tool_calls=[called], function_call=None)
    block = SimpleNamespace(type="text", text="hello")
    assert messages_of(messages=[answered, MappingProxyType({"role": "user", "content": [block]})]) == [
        {"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "arguments": "not json", "id": "c"}]},
        {"role": "user", "parts": [text("hello")]},
    ]


def test_an_unknown_object_with_a_dump_is_kept_whole() -> None:
    class Block:
        type = "novelty"

        def model_dump(self) -> dict[str, Any]:
            return {"type": "novelty", "depth": 3}

    assert parts_of([Block()]) == [{"type": "novelty", "depth": 3}]


class Endless:
    def __getattr__(self, name: str) -> Endless:
        return Endless()


@pytest.mark.parametrize("odd", [Mock(), MagicMock(), Endless(), object(), 3, None, b"x", [1], {1: 2}, [[]]])
def test_what_is_no_request_gives_nothing_and_never_raises(odd: Any) -> None:
    given = dict.fromkeys(
        ("model", "messages", "system", "temperature", "max_tokens", "stream", "stop", "n", "seed"), odd
    )
    if odd == 3:
        del given["n"], given["max_tokens"], given["temperature"], given["seed"]
    assert read_request(given) == ModelRequest()
    assert read_request(odd).attributes == {}


def test_objects_whose_every_attribute_raises_do_no_harm() -> None:
    class Raising:
        def __getattribute__(self, name: str) -> Any:
            raise RuntimeError(name)

    messages = [{"role": "user", "content": [Raising(), "hi"]}]
    assert read_request({"model": Raising(), "messages": Raising(), "config": Raising()}) == ModelRequest()
    assert read_request({"model": "m", "messages": messages}).model in ("m", None)


def test_a_conversation_too_long_for_one_attribute_keeps_its_shape() -> None:
    long = [{"role": "user", "content": f"{number} " + '"quoted"\n' * 2000} for number in range(200)]
    asked = messages_of(
        messages=[{"role": "system", "content": "z" * 3_000_000}, *long, {"role": "user", "content": "?"}]
    )
    assert len(to_json(asked)) <= 1 << 20
    assert [message["parts"][0]["content"].split()[0] for message in asked[1:]] == [*map(str, range(200)), "?"]


def test_numbers_beyond_reason_are_left_out() -> None:
    assert (
        read_request({"temperature": 10**400, "top_p": True, "max_tokens": 1.5, "top_k": float("inf")}).attributes == {}
    )


def test_a_class_to_parse_into_means_json() -> None:
    assert read_request({"response_format": ModelRequest}).attributes == {semconv.OUTPUT_TYPE: "json"}


def test_reading_model_calls_loads_no_part_of_opentelemetry() -> None:
    code = "import sys, agent_trace_otel.model_io; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_instructions_are_parts_of_the_convention() -> None:
    for given in ("a", ["a"], [{"type": "text", "text": "a"}], {"parts": [{"text": "a"}]}, {"text": "a"}):
        found = read_request({"system": given}).system
        assert found == [text("a")]
        check_part(found[0])
