"""Model calls of openai and anthropic, sync and async: one span each, whatever becomes of the call or its stream.

`tests/e2e/test_stainless_clients.py` runs this file with other versions of the clients.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import json
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from model_answers import ANSWER, ANTHROPIC, OPENAI, PROMPT, Library
from model_calls import answering, calls, close_clients, closing, headers, only_call, run
from opentelemetry import context as context_api

import agent_trace_otel as at
from agent_trace_instrumentors import load
from agent_trace_instrumentors._loan import Loan
from agent_trace_otel import guard, model_io, spans
from agent_trace_otel.testing import Recorded, recording

if TYPE_CHECKING:
    from model_server import ModelServer
    from opentelemetry.trace import Span

USAGE = {
    "openai": {"input_tokens": 11, "output_tokens": 3, "cache_read.input_tokens": 4, "reasoning.output_tokens": 1},
    "anthropic": {"input_tokens": 11, "output_tokens": 3, "cache_read.input_tokens": 4, "cache_write.input_tokens": 2},
}


@pytest.fixture(params=[OPENAI, ANTHROPIC], ids=lambda library: library.name)
def library(request: pytest.FixtureRequest) -> Iterator[Library]:
    """Trace one of the two libraries during the test; nothing of ours may fail meanwhile."""
    found: Library = request.param
    importlib.import_module(found.name)
    at.instrument(found.name)
    yield found
    close_clients()
    assert guard.failures == {}
    at.uninstrument()


@pytest.fixture
def server(library: Library) -> Iterator[ModelServer]:
    with answering(library) as found:
        yield found


def having(owner: Any, name: str) -> Any:
    """Return an attribute; a version of a client that has none of that name is not tested for it."""
    if not hasattr(owner, name):
        pytest.skip(f"there is no {name} in this version")
    return getattr(owner, name)


def text_of(told: dict[str, Any], name: str = "gen_ai.output.messages") -> str:
    return "".join(part["content"] for message in json.loads(told[name]) for part in message["parts"])


def check_whole(library: Library, told: dict[str, Any]) -> None:
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == library.name
    assert told["gen_ai.request.model"] == "colour-1"
    assert told["gen_ai.response.model"] == "colour-1-0101"
    assert told["gen_ai.response.id"] == library.id
    assert told["gen_ai.response.finish_reasons"] == ({"openai": "stop", "anthropic": "end_turn"}[library.name],)
    assert {name[13:]: n for name, n in told.items() if name.startswith("gen_ai.usage.")} == USAGE[library.name]
    assert text_of(told) == ANSWER
    assert text_of(told, "gen_ai.input.messages") == PROMPT
    assert told["server.address"] == "127.0.0.1"
    assert told["agent_trace.outcome"] == "ok"


def check_stream(library: Library, told: dict[str, Any]) -> None:
    check_whole(library, told)
    assert told["agent_trace.chunks"] == {"openai": 4, "anthropic": 7}[library.name]
    assert told["gen_ai.response.time_to_first_chunk"] > 0


# -- answers -----------------------------------------------------------------------------------------------------


def test_a_call_is_one_span_with_what_was_asked_and_answered(
    library: Library, server: ModelServer, recorded: Recorded
) -> None:
    run(recorded, lambda: library.create(library.client(server.url), **headers("whole")))
    call = only_call(recorded)
    assert (call.name, call.status) == ("chat colour-1", "UNSET")
    check_whole(library, call.told)
    assert "agent_trace.chunks" not in call.told


def test_an_async_call_is_one_span(library: Library, server: ModelServer, recorded: Recorded) -> None:
    async def work() -> None:
        await library.create(library.client(server.url, is_async=True), **headers("whole"))

    run(recorded, work)
    check_whole(library, only_call(recorded).told)


def test_the_answer_is_the_clients_own_and_can_be_pickled(
    library: Library, server: ModelServer, recorded: Recorded
) -> None:
    client = library.client(server.url)
    with at.session("test"):
        traced = library.create(client, **headers("whole"))
    at.uninstrument()
    bare = library.create(client, **headers("whole"))
    assert type(traced) is type(bare)
    assert traced == bare
    assert pickle.loads(pickle.dumps(traced)) == bare


def test_a_call_hangs_under_what_makes_it_and_is_told_before_it_runs(library: Library, recorded: Recorded) -> None:
    waits = threading.Event()
    held = replace(library.stream, waits=waits)

    @at.trace_tool
    def pick() -> None:
        stream = library.create(library.client(server.url), stream=True, **headers("held"))
        next(iter(stream))
        assert [event.event_type for event in recorded.events()][-2:] == ["tool_call", "llm_request"]
        waits.set()
        for _ in stream:
            pass

    with answering(library, held=held) as server:
        run(recorded, pick)
    call, tool = calls(recorded)
    assert tool.name == "execute_tool pick"
    assert call.parent == tool.span_id


def test_a_raw_response_is_read_without_being_touched(
    library: Library, server: ModelServer, recorded: Recorded
) -> None:
    def work() -> None:
        raw = library.resource(library.client(server.url)).with_raw_response
        found = raw.create(**library.arguments, **headers("whole"))
        assert found.headers["content-type"] == "application/json"
        assert found.parse().id == library.id

    run(recorded, work)
    check_whole(library, only_call(recorded).told)


def test_a_stream_parsed_out_of_a_raw_response_is_followed(
    library: Library, server: ModelServer, recorded: Recorded
) -> None:
    def work() -> None:
        raw = library.resource(library.client(server.url)).with_raw_response
        for _ in raw.create(**library.arguments, stream=True, **headers("stream")).parse():
            pass

    run(recorded, work)
    check_stream(library, only_call(recorded).told)


@pytest.mark.parametrize("name", ["whole", "stream"])
@pytest.mark.parametrize("way", ["read", "iter_bytes", "iter_lines", "iter_text"])
def test_a_body_that_the_program_reads_itself_says_as_much(
    library: Library, server: ModelServer, recorded: Recorded, name: str, way: str
) -> None:
    def work() -> None:
        streaming = having(library.resource(library.client(server.url)), "with_streaming_response")
        with streaming.create(**library.arguments, stream=name == "stream", **headers(name)) as response:
            list(getattr(response, way)())

    run(recorded, work)
    check = check_stream if name == "stream" else check_whole
    check(library, only_call(recorded).told)


@pytest.mark.parametrize("name", ["whole", "stream"])
def test_an_async_body_that_the_program_reads_itself_says_as_much(
    library: Library, server: ModelServer, recorded: Recorded, name: str
) -> None:
    async def work() -> None:
        streaming = having(library.resource(library.client(server.url, is_async=True)), "with_streaming_response")
        async with streaming.create(**library.arguments, stream=name == "stream", **headers(name)) as response:
            async for _ in response.iter_lines():
                pass

    run(recorded, work)
    check = check_stream if name == "stream" else check_whole
    check(library, only_call(recorded).told)


def test_a_body_that_nobody_reads_is_abandoned(library: Library, server: ModelServer, recorded: Recorded) -> None:
    def work() -> None:
        streaming = having(library.resource(library.client(server.url)), "with_streaming_response")
        with streaming.create(**library.arguments, **headers("whole")):
            pass

    run(recorded, work)
    call = only_call(recorded)
    assert (call.status, call.outcome) == ("UNSET", "abandoned")


def test_a_compressed_body_that_the_program_reads_itself_is_understood(library: Library, recorded: Recorded) -> None:
    import gzip

    packed = replace(
        library.whole,
        pieces=(gzip.compress(library.whole.pieces[0]),),
        headers={**library.whole.headers, "content-encoding": "gzip"},
    )

    def work() -> None:
        streaming = having(library.resource(library.client(server.url)), "with_streaming_response")
        with streaming.create(**library.arguments, **headers("packed")) as response:
            assert response.parse().id == library.id

    with answering(library, packed=packed) as server:
        run(recorded, work)
    check_whole(library, only_call(recorded).told)


# -- streams -----------------------------------------------------------------------------------------------------


def test_a_stream_is_one_span_over_its_iteration_and_stays_the_clients_own(
    library: Library, server: ModelServer, recorded: Recorded
) -> None:
    kind = importlib.import_module(library.name).Stream

    def work() -> None:
        stream = library.create(library.client(server.url), stream=True, **headers("stream"))
        assert type(stream) is kind
        assert stream.response.status_code == 200
        assert [event.event_type for event in recorded.events()] == ["session_start", "llm_request"]
        assert len(list(stream)) == {"openai": 4, "anthropic": 6 + 1}[library.name]
        assert list(stream) == []

    run(recorded, work)
    check_stream(library, only_call(recorded).told)


def test_an_async_stream_is_one_span_over_its_iteration(
    library: Library, server: ModelServer, recorded: Recorded
) -> None:
    kind = importlib.import_module(library.name).AsyncStream

    async def work() -> None:
        stream = await library.create(library.client(server.url, is_async=True), stream=True, **headers("stream"))
        assert type(stream) is kind
        async for _ in stream:
            pass

    run(recorded, work)
    check_stream(library, only_call(recorded).told)


def leave(library: Library, stream: Any, way: str) -> None:
    """Take what belongs to the first word, then go away."""
    if way in ("close", "with", "throw"):
        having(stream, "close")
    for _ in range(library.first_chunks):
        next(stream)
    if way == "close":
        stream.close()
    elif way == "response":
        stream.response.close()
    elif way == "with":
        with stream:
            pass
    elif way == "throw":
        with pytest.raises(ZeroDivisionError), stream:
            raise ZeroDivisionError


@pytest.mark.parametrize("way", ["close", "response", "with", "throw", "drop"])
def test_a_stream_that_is_left_is_abandoned_with_what_came(
    library: Library, server: ModelServer, recorded: Recorded, way: str
) -> None:
    def work() -> None:
        stream = library.create(library.client(server.url), stream=True, **headers("stream"))
        leave(library, stream, way)
        if way != "drop":
            assert len(calls(recorded)) == 1, "the span ends there and then"
        del stream
        gc.collect()
        assert len(calls(recorded)) == 1, "once"

    run(recorded, work)
    call = only_call(recorded)
    assert (call.status, call.outcome) == ("UNSET", "abandoned")
    assert call.told["agent_trace.chunks"] == library.first_chunks
    assert call.told["gen_ai.response.id"] == library.id
    assert text_of(call.told) == "Sea"
    assert "error.type" not in call.told
    if library.name == "anthropic":  # it counts at the start
        assert call.usage["input_tokens"] == 11


def test_a_stream_that_nobody_iterates_is_abandoned(library: Library, server: ModelServer, recorded: Recorded) -> None:
    def work() -> None:
        library.create(library.client(server.url), stream=True, **headers("stream"))
        gc.collect()

    run(recorded, work)
    call = only_call(recorded)
    assert (call.outcome, call.told["agent_trace.chunks"]) == ("abandoned", 0)


@pytest.mark.parametrize("way", ["close", "with", "drop", "cancel"])
def test_an_async_stream_that_is_left_is_abandoned_with_what_came(
    library: Library, recorded: Recorded, way: str
) -> None:
    waits = threading.Event()
    pieces = library.stream.pieces
    held = replace(
        library.stream,
        pieces=(b"".join(pieces[: library.first_chunks]), *pieces[library.first_chunks :]),
        waits=waits,
    )

    async def read(stream: Any) -> None:
        async for _ in stream:
            pass

    async def work() -> None:
        client = library.client(server.url, is_async=True)
        stream = await library.create(client, stream=True, **headers("held"))
        for _ in range(library.first_chunks):
            await anext(stream)
        if way == "close":
            await having(stream, "close")()
        elif way == "with":
            having(stream, "close")
            async with stream:
                pass
        elif way == "cancel":
            task = asyncio.create_task(read(stream))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        waits.set()
        del stream
        gc.collect()
        await asyncio.sleep(0)

    with answering(library, held=held) as server:
        run(recorded, work)
    call = only_call(recorded)
    assert (call.status, call.outcome) == ("UNSET", "interrupted" if way == "cancel" else "abandoned")
    assert call.told["agent_trace.chunks"] == library.first_chunks
    assert text_of(call.told) == "Sea"


def test_a_stream_that_breaks_off_is_an_error_with_what_came(library: Library, recorded: Recorded) -> None:
    broken = replace(library.stream, pieces=library.stream.pieces[: library.first_chunks], is_reset=True)
    seen: list[BaseException] = []

    def work() -> None:
        stream = library.create(library.client(server.url), stream=True, **headers("broken"))
        try:
            for _ in stream:
                pass
        except Exception as error:  # noqa: BLE001 - each client has its own
            seen.append(error)

    with answering(library, broken=broken) as server:
        run(recorded, work)
    call = only_call(recorded)
    kind = type(seen[0])
    assert (call.status, call.outcome) == ("ERROR", "error")
    assert call.told["error.type"] == f"{kind.__module__}.{kind.__qualname__}"
    assert call.told["agent_trace.chunks"] == library.first_chunks
    assert text_of(call.told) == "Sea"


def test_an_error_event_in_a_stream_is_an_error(library: Library, recorded: Recorded) -> None:
    said = {"error": {"message": "Out of paint.", "type": "overloaded_error", "code": "overloaded_error"}}
    event = b"event: error\ndata: " + json.dumps({"type": "error", **said}).encode() + b"\n\n"
    broken = replace(library.stream, pieces=(*library.stream.pieces[: library.first_chunks], event))

    module = importlib.import_module(library.name)
    if library.name == "openai" and module.__version__ < "1.3":
        pytest.skip("this version takes an error event for a chunk")

    def work() -> None:
        with pytest.raises(module.APIError, match="Out of paint"):
            list(library.create(library.client(server.url), stream=True, **headers("broken")))

    with answering(library, broken=broken) as server:
        run(recorded, work)
    call = only_call(recorded)
    assert call.status == "ERROR"
    assert call.told["error.type"].startswith(library.name)
    assert call.told["agent_trace.error.code"] == "overloaded_error"
    assert call.told["agent_trace.chunks"] == library.first_chunks


def test_ctrl_c_in_the_midst_of_a_stream_interrupts_it(
    library: Library, server: ModelServer, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    streaming = importlib.import_module(f"{library.name}._streaming")
    original, count = streaming.ServerSentEvent.json, iter(range(9))

    def interrupted(event: Any) -> Any:
        if next(count) == library.first_chunks:
            raise KeyboardInterrupt
        return original(event)

    monkeypatch.setattr(streaming.ServerSentEvent, "json", interrupted)

    def work() -> None:
        with pytest.raises(KeyboardInterrupt):
            list(library.create(library.client(server.url), stream=True, **headers("stream")))

    run(recorded, work)
    call = only_call(recorded)
    assert (call.status, call.outcome) == ("UNSET", "interrupted")
    assert text_of(call.told) == "Sea"


# -- failures ----------------------------------------------------------------------------------------------------


def test_a_refused_call_tells_why_and_raises_what_it_would(
    library: Library, server: ModelServer, recorded: Recorded
) -> None:
    def work() -> None:
        with pytest.raises(importlib.import_module(library.name).RateLimitError, match="Too many colours"):
            library.create(library.client(server.url), **headers("refusal"))

    run(recorded, work)
    call = only_call(recorded)
    assert (call.status, call.outcome) == ("ERROR", "error")
    assert call.told["error.type"] == f"{library.name}.RateLimitError"
    assert call.told["http.response.status_code"] == 429
    code = {"openai": "rate_limit_exceeded", "anthropic": "rate_limit_error"}[library.name]
    assert call.told["agent_trace.error.code"] == code
    assert text_of(call.told, "gen_ai.input.messages") == PROMPT
    assert "gen_ai.usage.input_tokens" not in call.told


def test_an_async_refusal_tells_as_much(library: Library, server: ModelServer, recorded: Recorded) -> None:
    async def work() -> None:
        with pytest.raises(importlib.import_module(library.name).RateLimitError):
            await library.create(library.client(server.url, is_async=True), **headers("refusal"))

    run(recorded, work)
    assert only_call(recorded).told["error.type"] == f"{library.name}.RateLimitError"


def test_a_server_that_is_not_there_is_an_error(library: Library, recorded: Recorded) -> None:
    def work() -> None:
        with pytest.raises(importlib.import_module(library.name).APIConnectionError):
            library.create(library.client("http://127.0.0.1:9"))

    run(recorded, work)
    call = only_call(recorded)
    assert call.told["error.type"] == f"{library.name}.APIConnectionError"
    assert call.told["server.port"] == 9


def test_retries_are_one_call(library: Library, recorded: Recorded) -> None:
    again = {**library.refusal.headers, "retry-after-ms": "1"}
    flaky = [replace(library.refusal, headers=again), replace(library.refusal, headers=again), library.whole]

    with answering(library, flaky=flaky) as server:
        client = library.client(server.url, max_retries=3)
        run(recorded, lambda: library.create(client, **headers("flaky")))
        assert len(server.asked) == 3
    check_whole(library, only_call(recorded).told)


def test_our_failure_is_not_the_programs(
    library: Library, server: ModelServer, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    def work() -> None:
        client = library.client(server.url)
        for name, target in (("read_request", model_io), ("read_response", model_io), ("end", spans)):
            with monkeypatch.context() as patch:
                patch.setattr(target, name, broken)
                assert library.create(client, **headers("whole")).id == library.id
                assert list(library.create(client, stream=True, **headers("stream")))
        with monkeypatch.context() as patch:
            patch.setattr(model_io, "StreamReading", broken)
            assert list(library.create(client, stream=True, **headers("stream")))

    run(recorded, work)
    assert guard.failures
    guard.failures.clear()


# -- what is traced ----------------------------------------------------------------------------------------------


def test_without_content_there_are_numbers_alone(library: Library, server: ModelServer, recorded: Recorded) -> None:
    with recording(recorded.trace_dir, AGENT_TRACE_CAPTURE_CONTENT="false"):

        def work() -> None:
            client = library.client(server.url)
            library.create(client, **headers("whole"))
            list(library.create(client, stream=True, **headers("stream")))

        run(recorded, work)
    for call in calls(recorded):
        assert "gen_ai.input.messages" not in call.told
        assert "gen_ai.output.messages" not in call.told
        assert call.usage == USAGE[library.name]
    assert ANSWER not in recorded.text()
    assert PROMPT not in recorded.text()


@pytest.mark.parametrize("key", ["suppress_instrumentation", context_api._SUPPRESS_INSTRUMENTATION_KEY])
def test_a_suppressed_call_leaves_nothing(library: Library, server: ModelServer, recorded: Recorded, key: str) -> None:
    def work() -> None:
        token = context_api.attach(context_api.set_value(key, True))
        client = library.client(server.url)
        library.create(client, **headers("whole"))
        list(library.create(client, stream=True, **headers("stream")))
        context_api.detach(token)

    run(recorded, work)
    assert calls(recorded) == []


def test_where_only_sessions_are_recorded_others_make_no_folder(
    library: Library, server: ModelServer, recorded: Recorded
) -> None:  # the recording began anew after the library was switched on
    client = library.client(server.url)
    library.create(client, **headers("whole"))
    assert len(list(library.create(client, stream=True, **headers("stream")))) > 3
    assert recorded.sessions() == []


def test_one_line_is_enough(library: Library, server: ModelServer, recorded: Recorded) -> None:
    at.instrument(library.name)
    client = library.client(server.url)
    library.create(client, **headers("whole"))
    list(library.create(client, stream=True, **headers("stream")))
    whole, streamed = (call for session in recorded.sessions() for call in calls(recorded, session))
    assert {whole.told["gen_ai.response.id"], streamed.told["gen_ai.response.id"]} == {library.id}
    at.uninstrument()
    library.create(client, **headers("whole"))
    assert len(recorded.sessions()) == 2


def test_threads_and_tasks_make_one_span_each(library: Library, server: ModelServer, recorded: Recorded) -> None:
    async def tasks() -> None:
        client = library.client(server.url, is_async=True)
        await asyncio.gather(*(library.create(client, **headers("whole")) for _ in range(10)))

    def work() -> None:
        client = library.client(server.url)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: list(library.create(client, stream=True, **headers("stream"))), range(16)))
        asyncio.run(closing(tasks()))

    run(recorded, work)
    found = calls(recorded)
    assert len(found) == 26
    assert len({call.span_id for call in found}) == 26
    for call in found:
        check_whole(library, call.told)


# -- switching ---------------------------------------------------------------------------------------------------


def patched(library: Library) -> dict[str, object]:
    """Return what stands at each place that is wrapped, by its class's own dictionary."""
    found: dict[str, object] = {}
    for target in load(library.name).targets:
        try:
            module: Any = importlib.import_module(target.module)
        except ModuleNotFoundError:  # of another version
            continue
        owner_path, _, name = target.path.rpartition(".")
        owner = getattr(module, owner_path) if owner_path else module
        found[str(target)] = vars(owner).get(name)
    return found


def test_uninstrumenting_puts_the_very_originals_back(library: Library) -> None:
    at.uninstrument()
    before = patched(library)
    at.instrument(library.name)
    during = patched(library)
    at.uninstrument()
    assert patched(library) == before
    assert all(during[place] is not original for place, original in before.items() if original is not None)


def test_instrumenting_twice_makes_one_span(library: Library, server: ModelServer, recorded: Recorded) -> None:
    at.instrument(library.name)
    load(library.name)().instrument(skip_dep_check=True)
    run(recorded, lambda: library.create(library.client(server.url), **headers("whole")))
    check_whole(library, only_call(recorded).told)


def test_clients_that_were_there_before_are_traced(library: Library, server: ModelServer, recorded: Recorded) -> None:
    at.uninstrument()
    client = library.client(server.url)
    resource, raw = library.resource(client), library.resource(client).with_raw_response
    stream_before = library.create(client, stream=True, **headers("stream"))
    at.instrument(library.name)

    def work() -> None:
        resource.create(**library.arguments, **headers("whole"))
        raw.create(**library.arguments, **headers("whole"))
        assert len(list(stream_before)) > 3

    run(recorded, work)
    assert len(calls(recorded)) == 2


def test_a_stream_outlives_its_instrumentor(library: Library, server: ModelServer, recorded: Recorded) -> None:
    def work() -> None:
        stream = library.create(library.client(server.url), stream=True, **headers("stream"))
        next(stream)
        at.uninstrument()
        list(stream)

    run(recorded, work)
    check_stream(library, only_call(recorded).told)


def test_everything_that_can_be_patched_is_patched(library: Library) -> None:
    assert load(library.name)().unpatched == ()


def test_the_wrapped_methods_look_like_themselves(library: Library) -> None:
    base = importlib.import_module(f"{library.name}._base_client")
    assert inspect.iscoroutinefunction(base.AsyncAPIClient.request)
    assert not inspect.iscoroutinefunction(base.SyncAPIClient.request)
    assert "cast_to" in inspect.signature(base.SyncAPIClient.request).parameters


# -- loans -------------------------------------------------------------------------------------------------------


@contextmanager
def lent(span: Span) -> Iterator[Loan]:
    """Do as a framework's instrumentor does around the client."""
    loan = Loan(span)
    token = context_api.attach(loan.context())
    try:
        yield loan
    finally:
        context_api.detach(token)


def test_a_lent_span_is_filled_in_and_left_to_its_owner(
    library: Library, server: ModelServer, recorded: Recorded
) -> None:
    def work() -> None:
        span = spans.start_model_call("framework's name", provider="framework")
        with lent(span) as loan:
            assert loan.attributes == {}
            list(library.create(library.client(server.url), stream=True, **headers("stream")))
        assert [event.event_type for event in recorded.events()] == ["session_start", "llm_request"]
        assert loan.attributes["gen_ai.response.id"] == library.id
        spans.end(span, {"agent_trace.detail": "framework"})

    run(recorded, work)
    call = only_call(recorded)
    check_stream(library, call.told)
    assert call.name == "chat framework's name"
    assert call.told["agent_trace.detail"] == "framework"


def test_a_second_call_under_a_loan_has_a_span_of_its_own(
    library: Library, server: ModelServer, recorded: Recorded
) -> None:
    def work() -> None:
        span = spans.start_model_call("one")
        with lent(span):
            client = library.client(server.url)
            with pytest.raises(importlib.import_module(library.name).RateLimitError):
                library.create(client, **headers("refusal"))
            library.create(client, **headers("whole"))
        spans.end(span)

    run(recorded, work)
    second, first = calls(recorded)
    check_whole(library, second.told)
    assert second.parent == first.span_id
