"""What is anthropic's own: stream helpers, beta, the tool runner, and the spans that the package makes itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from model_answers import ANSWER, ANTHROPIC, MESSAGE, MESSAGE_EVENTS, TOOL_MESSAGE
from model_calls import answering, calls, close_clients, headers, only_call, run, said
from model_server import answer_events, answer_json
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import BaseModel

import agent_trace_otel as at
from agent_trace_otel import guard
from agent_trace_otel.testing import Recorded

ASKED = ANTHROPIC.arguments


class Colour(BaseModel):
    """What answers are parsed into."""

    name: str


@pytest.fixture(autouse=True)
def traced() -> Iterator[None]:
    at.instrument("anthropic")
    yield
    close_clients()
    assert guard.failures == {}
    at.uninstrument()


# -- helpers on top of create ------------------------------------------------------------------------------------


def test_the_stream_helper_is_one_call_whichever_method_reads_it(recorded: Recorded) -> None:
    with answering(ANTHROPIC) as server:

        def work() -> None:
            messages = ANTHROPIC.client(server.url).messages
            with messages.stream(**ASKED, **headers("stream")) as stream:
                assert "".join(stream.text_stream) == ANSWER
                assert stream.get_final_message().id == "msg_1"
            with messages.stream(**ASKED, **headers("stream")) as stream:
                assert stream.get_final_text() == ANSWER
            with messages.stream(**ASKED, **headers("stream")) as stream:
                stream.until_done()
            with messages.stream(**ASKED, **headers("stream")) as stream:
                for _ in stream.text_stream:
                    break

        run(recorded, work)
    found = calls(recorded)
    assert [call.outcome for call in found] == ["ok", "ok", "ok", "abandoned"]
    assert [call.told["agent_trace.chunks"] for call in found] == [7, 7, 7, 3]


def test_the_async_stream_helper_is_one_call(recorded: Recorded) -> None:
    with answering(ANTHROPIC) as server:

        async def work() -> None:
            messages = ANTHROPIC.client(server.url, is_async=True).messages
            async with messages.stream(**ASKED, **headers("stream")) as stream:
                assert [text async for text in stream.text_stream] == ["Sea", " green."]
            async with messages.stream(**ASKED, **headers("stream")) as stream:
                async for _ in stream.text_stream:
                    break

        run(recorded, work)
    assert [call.outcome for call in calls(recorded)] == ["ok", "abandoned"]


def test_beta_and_parsed_messages_are_one_call_each(recorded: Recorded) -> None:
    parsed = {**MESSAGE, "content": [{"type": "text", "text": '{"name": "sea green"}'}]}
    with answering(ANTHROPIC, parsed=answer_json(parsed)) as server:

        def work() -> None:
            client = ANTHROPIC.client(server.url)
            client.beta.messages.create(**ASKED, **headers("whole"))
            with client.beta.messages.stream(**ASKED, **headers("stream")) as stream:
                stream.get_final_message()
            done = client.messages.parse(**ASKED, output_format=Colour, **headers("parsed"))
            assert done.parsed_output == Colour(name="sea green")
            with pytest.raises(ValueError, match="Invalid JSON"):
                client.messages.parse(**ASKED, output_format=Colour, **headers("whole"))

        run(recorded, work)
    found = calls(recorded)
    assert [call.outcome for call in found] == ["ok", "ok", "ok", "error"]
    for call in found:
        assert call.usage["input_tokens"] == 11
        assert call.usage["output_tokens"] == 3
    assert found[2].told["gen_ai.output.type"] == "json"


def test_what_asks_no_model_has_no_usage_and_makes_no_model_call(recorded: Recorded) -> None:
    batch = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress"}
    with answering(ANTHROPIC, count=answer_json({"input_tokens": 11}), batch=answer_json(batch)) as server:

        def work() -> None:
            messages = ANTHROPIC.client(server.url).messages
            asked = {name: value for name, value in ASKED.items() if name != "max_tokens"}
            assert messages.count_tokens(**asked, **headers("count")).input_tokens == 11
            messages.batches.create(requests=[], **headers("batch"))
            messages.batches.retrieve("msgbatch_1", **headers("batch"))

        run(recorded, work)
    found = calls(recorded)
    assert [call.name for call in found] == [
        "messages.count_tokens",
        "messages.batches.create",
        "messages.batches.retrieve",
    ]
    assert [call.usage for call in found] == [{}, {}, {}]
    assert {event.event_type for event in recorded.events()} == {"session_start", "session_end"}


def test_thinking_and_the_providers_own_tools_are_told(recorded: Recorded) -> None:
    content: list[Any] = [
        {"type": "thinking", "thinking": "Think.", "signature": "c2ln"},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "green"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "text", "text": ANSWER},
    ]
    deltas: list[Any] = [
        {"type": "thinking_delta", "thinking": "Think."},
        None,
        None,
        {"type": "text_delta", "text": ANSWER},
    ]
    empty = [{**content[0], "thinking": ""}, content[1], content[2], {**content[3], "text": ""}]
    events = [MESSAGE_EVENTS[0]]
    for index, (block, delta) in enumerate(zip(empty, deltas, strict=True)):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta}] if delta else []
        events.append({"type": "content_block_stop", "index": index})
    events += MESSAGE_EVENTS[-2:]
    answers = {
        "thought": answer_json({**MESSAGE, "content": content}),
        "thinking": answer_events(events, named=True),
    }
    with answering(ANTHROPIC, **answers) as server:

        def work() -> None:
            messages = ANTHROPIC.client(server.url).messages
            messages.create(**ASKED, **headers("thought"))
            list(messages.create(**ASKED, stream=True, **headers("thinking")))

        run(recorded, work)
    whole, streamed = (said(call.told) for call in calls(recorded))
    assert whole == streamed
    assert [part["type"] for part in whole] == ["reasoning", "server_tool_call", "server_tool_call_response", "text"]


def test_the_other_platforms_are_told_by_their_clients(recorded: Recorded) -> None:
    from anthropic import AnthropicFoundry

    with answering(ANTHROPIC) as server:

        def work() -> None:
            with AnthropicFoundry(api_key="key", base_url=server.url, max_retries=0) as client:
                client.messages.create(**ASKED, **headers("whole"))

        run(recorded, work)
    assert only_call(recorded).told["gen_ai.provider.name"] == "azure.ai.inference"


# -- the package's own spans -------------------------------------------------------------------------------------


def test_the_packages_own_span_is_ours_and_goes_out_with_the_request(recorded: Recorded) -> None:
    at.configure(trace_dir=recorded.trace_dir)
    with answering(ANTHROPIC) as server:

        def work() -> None:
            client = ANTHROPIC.client(server.url)
            client.messages.create(**ASKED, service_tier="auto", **headers("whole"))
            list(client.messages.create(**ASKED, stream=True, **headers("stream")))

        run(recorded, work)
        asked = server.asked
    found = calls(recorded)
    assert [call.name for call in found] == ["chat colour-1", "chat colour-1"]
    for call, request in zip(found, asked, strict=True):
        sent = TraceContextTextMapPropagator().extract(dict(request.headers))
        from opentelemetry.trace import get_current_span

        assert get_current_span(sent).get_span_context().span_id == call.span_id
        assert call.told["anthropic.message.stop_reason"] == "end_turn"
        assert call.told["http.route"] == "/v1/messages"
        assert call.outcome == "ok"
    assert found[0].told["anthropic.request.id"] == "req_1"
    assert found[0].told["anthropic.request.service_tier"] == "auto"


def test_a_client_with_a_provider_of_its_own_keeps_its_spans_there(recorded: Recorded) -> None:
    exporter = InMemorySpanExporter()
    own = TracerProvider()
    own.add_span_processor(SimpleSpanProcessor(exporter))
    with answering(ANTHROPIC) as server:

        def work() -> None:
            client = ANTHROPIC.client(server.url, open_telemetry={"tracer_provider": own})
            client.messages.create(**ASKED, **headers("whole"))

        run(recorded, work)
    assert only_call(recorded).name == "chat colour-1"
    assert [span.name for span in exporter.get_finished_spans()] == ["anthropic.messages.create"]


def test_a_client_whose_own_spans_are_off_is_traced(recorded: Recorded) -> None:
    with answering(ANTHROPIC) as server:

        def work() -> None:
            client = ANTHROPIC.client(server.url, open_telemetry=False)
            client.messages.create(**ASKED, **headers("whole"))

        run(recorded, work)
    assert only_call(recorded).told["gen_ai.response.id"] == "msg_1"


def test_the_tool_runner_is_its_calls_and_its_tools_with_what_was_passed(recorded: Recorded) -> None:
    at.configure(trace_dir=recorded.trace_dir)

    @anthropic.beta_tool
    def mix(colour: str) -> str:
        """Mix a colour.

        Args:
            colour: which one.
        """
        return f"mixed {colour}"

    turns = [answer_json(TOOL_MESSAGE), ANTHROPIC.whole]
    with answering(ANTHROPIC, turns=turns) as server:

        def work() -> None:
            runner = ANTHROPIC.client(server.url).beta.messages.tool_runner(**ASKED, tools=[mix], **headers("turns"))
            assert runner.until_done().id == "msg_1"

        run(recorded, work)
    found = {call.name: call for call in calls(recorded)}
    chats = [call for call in calls(recorded) if call.name == "chat colour-1"]
    assert [call.told["gen_ai.response.id"] for call in chats] == ["msg_0", "msg_1"]
    tool = found["anthropic.custom_tool_use mix"]
    assert json.loads(tool.told["gen_ai.tool.call.arguments"]) == {"colour": "green"}
    assert "mixed green" in tool.told["gen_ai.tool.call.result"]
    runner = found["anthropic.messages.tool_runner"]
    assert {call.parent for call in (*chats, tool)} == {runner.span_id}
    kinds = [event.event_type for event in recorded.events()]
    assert [kinds.count(kind) for kind in ("llm_request", "llm_response", "tool_call", "tool_result")] == [2, 2, 1, 1]
