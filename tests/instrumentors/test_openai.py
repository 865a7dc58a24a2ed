"""What is openai's own: Responses, parsing and streaming helpers, Azure, compatible servers, batches."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from model_answers import ANSWER, CHAT, CHAT_CHUNKS, OPENAI, PROMPT, RESPONSE, RESPONSE_EVENTS, chat_chunk
from model_calls import answering, calls, close_clients, headers, only_call, run, said
from model_server import answer_events, answer_json
from pydantic import BaseModel

import agent_trace_otel as at
from agent_trace_otel import guard
from agent_trace_otel.testing import Recorded

ASKED: dict[str, Any] = {"model": "colour-1", "messages": [{"role": "user", "content": PROMPT}]}


class Colour(BaseModel):
    """What answers are parsed into."""

    name: str


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    at.instrument("openai")
    yield
    close_clients()
    assert guard.failures == {}
    at.uninstrument()


def chat(**message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": "stop"}
    return {**CHAT, "choices": [choice]}


# -- helpers on top of create ------------------------------------------------------------------------------------


def test_parse_is_one_call(recorded: Recorded) -> None:
    with answering(OPENAI, parsed=answer_json(chat(content='{"name": "sea green"}'))) as server:

        def work() -> None:
            done = OPENAI.client(server.url).chat.completions.parse(
                **ASKED, response_format=Colour, **headers("parsed")
            )
            assert done.choices[0].message.parsed == Colour(name="sea green")

        run(recorded, work)
    told = only_call(recorded).told
    assert told["gen_ai.output.type"] == "json"
    assert told["gen_ai.response.id"] == "chatcmpl-1"


def test_an_answer_that_cannot_be_parsed_has_cost_as_much(recorded: Recorded) -> None:
    cut = {**CHAT, "choices": [{**chat(content='{"na')["choices"][0], "finish_reason": "length"}]}
    with answering(OPENAI, cut=answer_json(cut), odd=answer_json(chat(content="no JSON"))) as server:

        def work() -> None:
            completions = OPENAI.client(server.url).chat.completions
            with pytest.raises(openai.LengthFinishReasonError):
                completions.parse(**ASKED, response_format=Colour, **headers("cut"))
            with pytest.raises(ValueError, match="Invalid JSON"):
                completions.parse(**ASKED, response_format=Colour, **headers("odd"))

        run(recorded, work)
    first, second = calls(recorded)
    assert first.told["error.type"] == "openai.LengthFinishReasonError"
    assert first.told["gen_ai.response.finish_reasons"] == ("length",)
    assert second.told["error.type"].endswith("ValidationError")
    for call in (first, second):
        assert call.status == "ERROR"
        assert call.usage["output_tokens"] == 3


def test_the_stream_helper_is_one_call_whichever_method_reads_it(recorded: Recorded) -> None:
    with answering(OPENAI) as server:

        def work() -> None:
            completions = OPENAI.client(server.url).chat.completions
            with completions.stream(**ASKED, **headers("stream")) as stream:
                assert stream.get_final_completion().choices[0].message.content == ANSWER
            with completions.stream(**ASKED, **headers("stream")) as stream:
                kinds = [event.type for event in stream]
                assert kinds[0] == "chunk"
            with completions.stream(**ASKED, **headers("stream")) as stream:
                stream.until_done()
            with completions.stream(**ASKED, **headers("stream")) as stream:
                next(iter(stream))

        run(recorded, work)
    found = calls(recorded)
    assert [call.outcome for call in found] == ["ok", "ok", "ok", "abandoned"]
    assert [call.told["agent_trace.chunks"] for call in found] == [4, 4, 4, 1]


def test_the_async_stream_helper_is_one_call(recorded: Recorded) -> None:
    with answering(OPENAI) as server:

        async def work() -> None:
            completions = OPENAI.client(server.url, is_async=True).chat.completions
            async with completions.stream(**ASKED, **headers("stream")) as stream:
                assert (await stream.get_final_completion()).choices[0].message.content == ANSWER
            async with completions.stream(**ASKED, **headers("stream")) as stream:
                async for _ in stream:
                    break

        run(recorded, work)
    assert [call.outcome for call in calls(recorded)] == ["ok", "abandoned"]


# -- responses ---------------------------------------------------------------------------------------------------

RESPONSES = {
    "whole": answer_json(RESPONSE),
    "events": answer_events(RESPONSE_EVENTS, named=True),
    "failed": answer_json(
        {**RESPONSE, "status": "failed", "output": [], "error": {"code": "server_error", "message": "Out of paint."}}
    ),
    "failing": answer_events(
        [
            RESPONSE_EVENTS[0],
            {
                "type": "response.failed",
                "sequence_number": 1,
                "response": {
                    **RESPONSE,
                    "status": "failed",
                    "output": [],
                    "error": {"code": "server_error", "message": "Out of paint."},
                },
            },
        ],
        named=True,
    ),
}


def test_responses_are_created_streamed_and_parsed_as_one_call_each(recorded: Recorded) -> None:
    with answering(OPENAI, **{**RESPONSES, "parsed": answer_json(RESPONSE)}) as server:

        def work() -> None:
            responses = OPENAI.client(server.url).responses
            asked: dict[str, Any] = {"model": "colour-1", "input": PROMPT, "instructions": "Be brief."}
            assert responses.create(**asked, **headers("whole")).output_text == ANSWER
            assert len(list(responses.create(**asked, stream=True, **headers("events")))) == 6
            with responses.stream(**asked, **headers("events")) as stream:
                assert stream.get_final_response().output_text == ANSWER
            responses.parse(**asked, **headers("whole"))

        run(recorded, work)
    found = calls(recorded)
    assert len(found) == 4
    for call in found:
        assert call.told["gen_ai.response.id"] == "resp_1"
        assert call.told["gen_ai.response.finish_reasons"] == ("stop",)
        assert call.usage["reasoning.output_tokens"] == 1
        assert said(call.told) == [{"type": "text", "content": ANSWER}]
        assert json.loads(call.told["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be brief."}]
    assert ["agent_trace.chunks" in call.told for call in found] == [False, True, True, False]


@pytest.mark.parametrize("name", ["failed", "failing"])
def test_a_response_that_failed_is_an_error_though_nothing_is_raised(recorded: Recorded, name: str) -> None:
    with answering(OPENAI, **RESPONSES) as server:

        def work() -> None:
            made = OPENAI.client(server.url).responses.create(
                model="colour-1", input=PROMPT, stream=name == "failing", **headers(name)
            )
            if name == "failing":
                list(made)

        run(recorded, work)
    call = only_call(recorded)
    assert (call.status, call.outcome) == ("ERROR", "error")
    assert call.told["error.type"] == "server_error"
    assert call.told["gen_ai.response.id"] == "resp_1"
    (event,) = [event for event in recorded.events() if event.event_type == "error"]
    assert event.data["message"] == "Out of paint."


def test_what_asks_no_model_has_no_usage_and_makes_no_model_call(recorded: Recorded) -> None:
    batch = {"id": "batch_1", "object": "batch", "status": "validating"}
    with answering(OPENAI, **RESPONSES, batch=answer_json(batch)) as server:

        def work() -> None:
            client = OPENAI.client(server.url)
            client.responses.retrieve("resp_1", **headers("whole"))
            client.responses.cancel("resp_1", **headers("whole"))
            client.batches.create(
                input_file_id="file_1", endpoint="/v1/responses", completion_window="24h", **headers("batch")
            )
            client.batches.retrieve("batch_1", **headers("batch"))
            client.models.list(**headers("whole"))

        run(recorded, work)
    found = calls(recorded)
    assert [call.name for call in found] == [
        "responses.retrieve",
        "responses.cancel",
        "batches.create",
        "batches.retrieve",
    ]
    for call in found:
        assert call.usage == {}
        assert "gen_ai.operation.name" not in call.told
    assert {event.event_type for event in recorded.events()} == {"session_start", "session_end"}


# -- the other endpoints -----------------------------------------------------------------------------------------


def test_completions_and_embeddings_are_their_own_operations(recorded: Recorded) -> None:
    completion = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "colour-0",
        "choices": [{"index": 0, "text": ANSWER, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
    }
    embedding = {
        "object": "list",
        "model": "colour-e",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}],
        "usage": {"prompt_tokens": 2, "total_tokens": 2},
    }
    with answering(OPENAI, completion=answer_json(completion), embedding=answer_json(embedding)) as server:

        def work() -> None:
            client = OPENAI.client(server.url)
            client.completions.create(model="colour-0", prompt=PROMPT, **headers("completion"))
            client.embeddings.create(model="colour-e", input=PROMPT, encoding_format="float", **headers("embedding"))

        run(recorded, work)
    first, second = calls(recorded)
    assert (first.name, second.name) == ("text_completion colour-0", "embeddings colour-e")
    assert first.usage == {"input_tokens": 2, "output_tokens": 3}
    assert said(first.told) == [{"type": "text", "content": ANSWER}]
    assert second.usage == {"input_tokens": 2}
    assert second.told["gen_ai.embeddings.dimension.count"] == 2


def test_many_choices_tool_calls_refusals_reasoning_and_audio_are_told(recorded: Recorded) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "mix", "arguments": '{"colour": "green"}'}}
    audio = {"id": "audio_1", "transcript": ANSWER, "data": "UklGRg==", "expires_at": 1}
    both = {**CHAT, "choices": [{**chat(content=word)["choices"][0], "index": n} for n, word in enumerate("ab")]}
    bodies = {
        "n": both,
        "tool": chat(tool_calls=[call]),
        "refused": chat(refusal="No."),
        "thought": chat(content=ANSWER, reasoning_content="Think."),
        "spoken": chat(audio=audio),
    }
    with answering(OPENAI, **{name: answer_json(body) for name, body in bodies.items()}) as server:

        def work() -> None:
            for name in bodies:
                OPENAI.client(server.url).chat.completions.create(**ASKED, n=2, logprobs=True, **headers(name))

        run(recorded, work)
    first, *rest = calls(recorded)
    assert [message["parts"][0]["content"] for message in json.loads(first.told["gen_ai.output.messages"])] == [
        "a",
        "b",
    ]
    assert first.told["gen_ai.response.finish_reasons"] == ("stop", "stop")
    assert [said(one.told) for one in rest] == [
        [{"type": "tool_call", "name": "mix", "arguments": {"colour": "green"}, "id": "call_1"}],
        [{"type": "refusal", "content": "No."}],
        [{"type": "reasoning", "content": "Think."}, {"type": "text", "content": ANSWER}],
        [{"type": "text", "content": ANSWER}, {"type": "blob", "modality": "audio", "content": "UklGRg=="}],
    ]


def test_azure_is_told_by_its_client(recorded: Recorded) -> None:
    with answering(OPENAI) as server:

        def work() -> None:
            client = openai.AzureOpenAI(
                api_key="key", api_version="2024-10-21", azure_endpoint=server.url, max_retries=0
            )
            client.chat.completions.create(**ASKED, **headers("whole"))
            client.close()

        run(recorded, work)
    assert only_call(recorded).told["gen_ai.provider.name"] == "azure.ai.openai"


@pytest.mark.parametrize(
    ("base_url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://mine.openai.azure.com/openai/v1", "azure.ai.openai"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "gcp.gemini"),
        ("https://us-central1-aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("http://localhost:11434/v1", "ollama"),
        ("https://notgroq.com/v1", "openai"),
        ("http://models.internal:8000/v1", "openai"),
    ],
)
def test_a_provider_is_told_by_its_address(base_url: str, provider: str) -> None:
    from agent_trace_instrumentors.openai import CLIENT

    with openai.OpenAI(api_key="key", base_url=base_url) as client:
        assert CLIENT.provider_of(client) == provider


# -- servers that speak the protocol in their own way ------------------------------------------------------------

ODD_STREAMS: dict[str, list[Any]] = {
    "no usage": CHAT_CHUNKS[:3],
    "usage in each chunk": [{**chunk, "usage": CHAT["usage"]} for chunk in CHAT_CHUNKS[:3]],
    "usage beside the last choice": [
        *CHAT_CHUNKS[:2],
        {**CHAT_CHUNKS[2], "choices": [{**CHAT_CHUNKS[2]["choices"][0], "usage": CHAT["usage"]}]},
    ],
    "groq's usage": [*CHAT_CHUNKS[:2], {**CHAT_CHUNKS[2], "x_groq": {"id": "req", "usage": CHAT["usage"]}}],
    "a first chunk of filters": [
        {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []},
        *CHAT_CHUNKS,
    ],
    "an empty text beside the tool call": [
        {
            **chat_chunk(""),
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "tool_calls",
                    "delta": {
                        "content": "",
                        "tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "mix", "arguments": "{}"}}],
                    },
                }
            ],
        }
    ],
    "reasoning beside an empty text": [
        {**chat_chunk(""), "choices": [{"index": 0, "delta": {"content": "", "reasoning": "Think."}}]},
        *CHAT_CHUNKS[1:],
    ],
    "chunks without choices": [{"id": "chatcmpl-1", "model": "colour-1-0101", "object": "x"}, *CHAT_CHUNKS],
}
WANTED: dict[str, tuple[list[str], bool]] = {
    "no usage": (["text"], False),
    "an empty text beside the tool call": (["tool_call"], False),
    "reasoning beside an empty text": (["reasoning", "text"], True),
}


@pytest.mark.parametrize("name", ODD_STREAMS)
def test_odd_streams_are_read_as_well_as_they_can_be(recorded: Recorded, name: str) -> None:
    with answering(OPENAI, odd=answer_events(ODD_STREAMS[name], done=True)) as server:
        run(
            recorded,
            lambda: list(OPENAI.client(server.url).chat.completions.create(**ASKED, stream=True, **headers("odd"))),
        )
    call = only_call(recorded)
    kinds, has_usage = WANTED.get(name, (["text"], True))
    assert [part["type"] for part in said(call.told)] == kinds
    assert call.usage.get("input_tokens") == (11 if has_usage else None)
    assert call.told["gen_ai.response.id"] == "chatcmpl-1"
    assert call.told["gen_ai.response.model"] == "colour-1-0101"


def test_an_error_with_status_200_is_an_error(recorded: Recorded) -> None:
    with answering(OPENAI, error=answer_json({"error": {"message": "Out of paint.", "code": 502}})) as server:
        run(recorded, lambda: OPENAI.client(server.url).chat.completions.create(**ASKED, **headers("error")))
    call = only_call(recorded)
    assert (call.status, call.told["error.type"]) == ("ERROR", "502")


def test_an_answer_that_is_no_json_is_the_clients_affair(recorded: Recorded) -> None:
    from model_server import Answer

    page = Answer((b"<html>Sign in</html>",), content_type="text/html")
    with answering(OPENAI, page=page) as server:

        def work() -> None:
            assert (
                OPENAI.client(server.url).chat.completions.create(**ASKED, **headers("page")) == "<html>Sign in</html>"
            )

        run(recorded, work)
    assert only_call(recorded).status == "UNSET"


# -- the process -------------------------------------------------------------------------------------------------

MODULES = """
import sys
{before}
import openai, anthropic
openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1").chat.completions
anthropic.Anthropic(api_key="k", base_url="http://127.0.0.1:9").messages
print(" ".join(sorted(sys.modules)))
"""


def test_a_program_imports_what_it_would_and_what_is_ours() -> None:
    def modules(before: str) -> set[str]:
        code = MODULES.format(before=before)
        return set(
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        )

    loaded = "import agent_trace_otel.spans, agent_trace_otel.model_io, agent_trace_otel.mcp_io, wrapt"
    beyond = modules(f"{loaded}; import agent_trace_otel as at; at.instrument('openai', 'anthropic')") - modules(loaded)
    assert {name for name in beyond if not name.startswith(("agent_trace_otel", "agent_trace_instrumentors"))} == set()
