"""Sessions: their ids, how they nest, join, resume and end, and what the environment says of them meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from programs import run

from agent_trace_otel import (
    configure,
    current_session,
    end_session,
    identity,
    session,
    spans,
    start_session,
    trace_tool,
)
from agent_trace_otel.store.events import TraceEvent
from agent_trace_otel.testing import Recorded, recording

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


@trace_tool
def add(a: int, b: int) -> int:
    return a + b


def of_types(recorded: Recorded, *names: str, session_id: str | None = None) -> list[TraceEvent]:
    return [event for event in recorded.events(session_id) if event.event_type in names]


def root_of(recorded: Recorded, session_id: str | None = None) -> ReadableSpan:
    (root,) = roots_of(recorded, session_id)
    return root


def roots_of(recorded: Recorded, session_id: str | None = None) -> list[ReadableSpan]:
    found = [s for s in recorded.spans(session_id) if s.attributes.get("agent_trace.scope") == "session"]
    return sorted(found, key=lambda span: span.start_time)


def trace_id(span: ReadableSpan) -> str:
    return f"{span.context.trace_id:032x}"


def span_id(span: ReadableSpan) -> str:
    return f"{span.context.span_id:016x}"


# -- ids ---------------------------------------------------------------------------------------------------------


def test_a_new_session_is_a_random_uuid_and_its_trace_id_is_that_uuid(recorded: Recorded) -> None:
    opened = start_session("agent")
    end_session()
    assert uuid.UUID(opened.id).version == 4
    assert str(uuid.UUID(opened.id)) == opened.id
    assert trace_id(root_of(recorded)) == uuid.UUID(opened.id).hex
    assert recorded.sessions() == [opened.id]


def test_the_trace_id_of_another_id_is_the_beginning_of_its_sha256(recorded: Recorded) -> None:
    start_session("agent", session_id="nightly-run.7")
    end_session()
    assert trace_id(root_of(recorded)) == hashlib.sha256(b"nightly-run.7").hexdigest()[:32]


def test_the_nil_uuid_is_hashed(recorded: Recorded) -> None:
    nil = "00000000-0000-0000-0000-000000000000"
    start_session("agent", session_id=nil)
    end_session()
    assert trace_id(root_of(recorded)) == hashlib.sha256(nil.encode()).hexdigest()[:32]
    assert recorded.sessions() == [nil]


HOSTILE = ["../x", "..", ".hidden", "a/b", "a\\b", "a" * 300, "sitzung-ü", "a\n", "a b", "-rf", "nul\0", "\ud800"]


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_an_id_that_is_no_safe_folder_name_is_hashed(recorded: Recorded, hostile: str) -> None:
    digest = hashlib.sha256(hostile.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    assert identity.folder_name(hostile) == digest
    opened = start_session("agent", session_id=hostile)
    add(1, 2)
    end_session()
    assert opened.id == digest
    assert recorded.sessions() == [digest]
    assert {path.name for path in recorded.trace_dir.iterdir()} == {digest, ".gitignore"}
    assert {path.name for path in recorded.trace_dir.parent.iterdir()} == {"traces"}
    assert trace_id(root_of(recorded)) == digest  # the hash of the id, whether the id is hashed for the folder or not


@pytest.mark.parametrize("safe", ["a", "A-1_b.c", "a" * 128, "0..", "conv_68e1"])
def test_a_safe_id_is_the_folder_name(safe: str) -> None:
    assert identity.folder_name(safe) == safe


def test_an_empty_id_means_a_new_one(recorded: Recorded) -> None:
    opened = start_session("agent", session_id="")
    end_session()
    assert uuid.UUID(opened.id).version == 4


def test_span_ids_that_processes_must_agree_on_are_derived(recorded: Recorded) -> None:
    opened = start_session("agent", session_id="s-1")
    turn = spans.start_turn("agent", "hello", key="prompt-7")
    spans.end(turn)
    end_session()
    run_digest = hashlib.sha256(b"s-1\0run\x001").hexdigest()[:16]
    turn_digest = hashlib.sha256(b"s-1\0turn\0prompt-7").hexdigest()[:16]
    turn_span, root = recorded.spans(opened.id)
    assert [span_id(root), root.attributes["agent_trace.key"]] == [run_digest, run_digest]
    assert [span_id(turn_span), turn_span.attributes["agent_trace.key"]] == [turn_digest, turn_digest]


def test_in_a_foreign_provider_ids_are_random_and_the_key_is_an_attribute(recorded: Recorded) -> None:
    trace_api.set_tracer_provider(TracerProvider())
    opened = start_session("agent", session_id="s-1")
    end_session()
    root = root_of(recorded, opened.id)
    derived = hashlib.sha256(b"s-1\0run\x001").hexdigest()[:16]
    assert root.attributes["agent_trace.key"] == derived
    assert span_id(root) != derived
    assert trace_id(root) != hashlib.sha256(b"s-1").hexdigest()[:32]
    assert recorded.events()[0].data["trace_id"] == trace_id(root)


def test_one_trace_for_each_turn_is_an_option(tmp_path: Path) -> None:
    with recording(tmp_path / "traces", AGENT_TRACE_TRACE_PER="turn") as recorded:
        opened = start_session("agent", session_id="s-1")
        for prompt in ("p1", "p2"):
            turn = spans.start_turn("agent", "hello", key=prompt)
            assert turn is not None
            with trace_api.use_span(turn):
                add(1, 2)
        end_session()
        tools = [span for span in recorded.spans(opened.id) if span.name == "execute_tool add"]
        expected = [hashlib.sha256(f"s-1\0turn\0{prompt}".encode()).hexdigest()[:32] for prompt in ("p1", "p2")]
        assert [trace_id(span) for span in tools] == expected
        assert trace_id(root_of(recorded)) == hashlib.sha256(b"s-1").hexdigest()[:32]
        assert recorded.sessions() == ["s-1"]


# -- opening and ending ------------------------------------------------------------------------------------------


def test_sessions_nest_and_each_has_a_folder_of_its_own(recorded: Recorded) -> None:
    outer = start_session("outer")
    add(1, 1)
    inner = start_session("inner")
    add(2, 2)
    assert current_session() is inner
    ended = end_session()
    assert ended is not None
    assert (ended.session_id, ended.tool_calls) == (inner.id, 1)
    assert current_session() is outer
    add(3, 3)
    ended = end_session()
    assert ended is not None
    assert (ended.session_id, ended.tool_calls) == (outer.id, 2)
    assert end_session() is None
    calls = of_types(recorded, "tool_call", session_id=outer.id)
    assert [call.data["arguments"]["a"] for call in calls] == [1, 3]
    assert {call.data["parent_span_id"] for call in calls} == {span_id(root_of(recorded, outer.id))}
    assert root_of(recorded, inner.id).parent.span_id == root_of(recorded, outer.id).context.span_id


def test_end_session_without_one_says_none_and_makes_nothing(recorded: Recorded) -> None:
    assert end_session() is None
    assert recorded.sessions() == []


def test_end_session_in_a_bare_thread_ends_the_processs_session(recorded: Recorded) -> None:
    opened = start_session("agent")
    add(1, 2)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(end_session).result()
    assert ended is not None
    assert ended.session_id == opened.id
    assert ended.ended_at is not None
    assert [event.event_type for event in recorded.events()].count("session_end") == 1
    assert end_session() is None  # it is over, though this context still remembers it


def test_a_session_opened_after_another_thread_ended_the_last_is_no_child_of_it(recorded: Recorded) -> None:
    first = start_session("first")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(end_session).result()
    second = start_session("second")
    add(1, 2)
    end_session()
    assert root_of(recorded, second.id).parent is None
    assert trace_id(root_of(recorded, second.id)) == uuid.UUID(second.id).hex
    assert len(recorded.spans(first.id)) == 1


def test_a_nested_session_ended_elsewhere_leaves_the_outer_one_to_be_ended(recorded: Recorded) -> None:
    outer = start_session("outer")
    start_session("inner")

    async def end_elsewhere() -> None:
        await asyncio.create_task(asyncio.to_thread(end_session))

    asyncio.run(end_elsewhere())
    ended = end_session()
    assert ended is not None
    assert ended.session_id == outer.id


def test_the_session_block_ends_its_session_and_notes_what_left_it(recorded: Recorded) -> None:
    failure = LookupError("no luck")
    with pytest.raises(LookupError, match="no luck"), session("agent") as opened:
        raise failure
    (end,) = of_types(recorded, "session_end", session_id=opened.id)
    assert (end.data["error"], end.data["message"]) == ("LookupError", "no luck")
    assert root_of(recorded).status.status_code is trace_api.StatusCode.ERROR
    assert current_session() is None


def test_a_session_block_works_in_async_code(recorded: Recorded) -> None:
    async def work() -> str:
        async with session("agent") as opened:
            await asyncio.sleep(0)
            add(1, 2)
        return opened.id

    session_id = asyncio.run(work())
    types = [event.event_type for event in recorded.events(session_id)]
    assert types == ["session_start", "tool_call", "tool_result", "session_end"]


def test_two_sessions_in_two_tasks_keep_apart(recorded: Recorded) -> None:
    async def agent(number: int, barrier: asyncio.Event) -> str:
        opened = start_session(f"agent{number}")
        if number == 1:
            barrier.set()
        await barrier.wait()
        for step in range(3):
            await asyncio.sleep(0)
            add(number, step)
        ended = end_session()
        assert ended is not None
        assert ended.session_id == opened.id
        return opened.id

    async def both() -> list[str]:
        barrier = asyncio.Event()
        return await asyncio.gather(agent(0, barrier), agent(1, barrier))

    for number, session_id in enumerate(asyncio.run(both())):
        assert root_of(recorded, session_id).parent is None
        calls = of_types(recorded, "tool_call", session_id=session_id)
        assert [call.data["arguments"] for call in calls] == [{"a": number, "b": step} for step in range(3)]


def test_a_generator_leaves_the_session_of_its_consumer_alone(recorded: Recorded) -> None:
    @trace_tool
    def rows() -> Iterator[int]:
        with session("inside"):
            yield 1
            yield add(1, 1)

    outer = start_session("outer")
    iterator = rows()
    next(iterator)
    assert current_session() is outer
    add(5, 5)
    assert list(iterator) == [2]
    assert current_session() is outer
    end_session()
    (inner_id,) = set(recorded.sessions()) - {outer.id}
    assert [call.data["arguments"]["a"] for call in of_types(recorded, "tool_call", session_id=inner_id)] == [1]
    outer_calls = of_types(recorded, "tool_call", session_id=outer.id)
    assert [call.data["tool_name"] for call in outer_calls] == ["rows", "add"]
    assert outer_calls[1].data["parent_span_id"] == span_id(root_of(recorded, outer.id))


def test_a_call_in_a_bare_thread_hangs_under_the_session_root(recorded: Recorded) -> None:
    start_session("agent")
    thread = threading.Thread(target=add, args=(1, 2))
    thread.start()
    thread.join()
    end_session()
    call, root = recorded.spans()
    assert call.parent.span_id == root.context.span_id
    assert trace_id(call) == trace_id(root)


def test_a_session_opened_inside_a_users_span_adopts_its_trace(recorded: Recorded) -> None:
    provider = TracerProvider()
    trace_api.set_tracer_provider(provider)
    with provider.get_tracer("user").start_as_current_span("request") as request:
        opened = start_session("agent")
        end_session()
    root = root_of(recorded, opened.id)
    assert root.context.trace_id == request.get_span_context().trace_id
    assert root.parent.span_id == request.get_span_context().span_id
    assert root.attributes["session.id"] == opened.id


# -- what a parent process says ----------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", ["01", "00"])
def test_traceparent_is_adopted_and_the_session_keeps_its_own_id(tmp_path: Path, flags: str) -> None:
    with recording(tmp_path / "traces", TRACEPARENT=f"00-{TRACE}-{SPAN}-{flags}", TRACESTATE="a=b") as recorded:
        opened = start_session("agent")
        add(1, 2)
        end_session()
        call, root = recorded.spans(opened.id)
        assert [trace_id(call), trace_id(root)] == [TRACE, TRACE]
        assert f"{root.parent.span_id:016x}" == SPAN
        assert root.context.trace_state.get("a") == "b"
        assert root.context.trace_flags.sampled is (flags == "01")
        assert len(recorded.events()) == 4


def test_a_traceparent_that_is_none_is_ignored(tmp_path: Path) -> None:
    with recording(tmp_path / "traces", TRACEPARENT="00-nonsense") as recorded:
        opened = start_session("agent")
        end_session()
        assert trace_id(root_of(recorded)) == uuid.UUID(opened.id).hex


def test_the_session_named_in_the_environment_is_joined_by_calls_alone(tmp_path: Path) -> None:
    variables = {"AGENT_TRACE_SESSION_ID": "parent-session", "TRACEPARENT": TRACEPARENT}
    with recording(tmp_path / "traces", **variables) as recorded:
        add(1, 2)
        (call,) = recorded.spans("parent-session")
        assert (trace_id(call), f"{call.parent.span_id:016x}") == (TRACE, SPAN)
        assert call.attributes["session.id"] == "parent-session"


def test_the_session_named_in_the_environment_is_resumed_by_start_session(tmp_path: Path) -> None:
    with recording(tmp_path / "traces", AGENT_TRACE_SESSION_ID="parent-session", TRACEPARENT=TRACEPARENT) as recorded:
        opened = start_session("child")
        end_session()
        assert opened.id == "parent-session"
        assert recorded.sessions() == ["parent-session"]


def test_a_hostile_id_in_the_environment_is_hashed(tmp_path: Path) -> None:
    with recording(tmp_path / "traces", AGENT_TRACE_SESSION_ID="../../etc") as recorded:
        add(1, 2)
        assert recorded.sessions() == [identity.folder_name("../../etc")]
        assert len(recorded.sessions()[0]) == 32


def test_the_environment_names_the_session_while_it_is_open(recorded: Recorded) -> None:
    before = dict(os.environ)
    outer = start_session("outer")
    assert outer.root is not None
    while_open = dict(os.environ)
    assert while_open["AGENT_TRACE_SESSION_ID"] == outer.id
    assert while_open["AGENT_TRACE_DIR"] == str(recorded.trace_dir)
    context = outer.root.get_span_context()
    assert while_open["TRACEPARENT"] == f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    start_session("inner")
    assert dict(os.environ) == while_open
    end_session()
    assert dict(os.environ) == while_open
    end_session()
    assert dict(os.environ) == before


def test_the_environment_is_put_back_as_it_was(tmp_path: Path) -> None:
    given = {"AGENT_TRACE_SESSION_ID": "theirs", "TRACEPARENT": TRACEPARENT, "TRACESTATE": "a=b"}
    with recording(tmp_path / "traces", **given):
        before = dict(os.environ)
        with session("agent", trace_dir=tmp_path / "elsewhere"):
            assert os.environ["AGENT_TRACE_DIR"] == str(tmp_path / "elsewhere")
            assert SPAN not in os.environ["TRACEPARENT"]
        assert dict(os.environ) == before


def test_environment_of_a_session_names_the_callers_span(recorded: Recorded) -> None:
    @trace_tool
    def run_child() -> dict[str, str]:
        return opened.environment()

    opened = start_session("agent")
    found = run_child()
    outside = opened.environment()
    end_session()
    call, root = recorded.spans()
    assert found["AGENT_TRACE_SESSION_ID"] == opened.id
    assert found["AGENT_TRACE_DIR"] == str(recorded.trace_dir)
    assert span_id(call) in found["TRACEPARENT"]
    assert span_id(root) in outside["TRACEPARENT"]


# -- runs --------------------------------------------------------------------------------------------------------


def test_a_resumed_session_has_one_root_a_run_in_one_trace_each_linked_to_the_one_before(recorded: Recorded) -> None:
    for number in range(3):
        start_session("agent", session_id="s-1")
        add(number, 0)
        end_session()
    roots = roots_of(recorded, "s-1")
    assert [root.attributes["agent_trace.run"] for root in roots] == [1, 2, 3]
    assert len({trace_id(root) for root in roots}) == 1
    assert [span_id(root) for root in roots] == [
        hashlib.sha256(f"s-1\0run\0{number}".encode()).hexdigest()[:16] for number in (1, 2, 3)
    ]
    assert [[link.context.span_id for link in root.links] for root in roots] == [
        [],
        [roots[0].context.span_id],
        [roots[1].context.span_id],
    ]
    assert len(of_types(recorded, "session_start")) == len(of_types(recorded, "session_end")) == 3
    meta = recorded.meta()
    events = recorded.events()
    assert meta.tool_calls == 3
    assert meta.started_at == events[0].timestamp
    assert meta.ended_at == events[-1].timestamp


def test_a_resumed_session_is_open_until_its_last_run_ends(recorded: Recorded) -> None:
    start_session("agent", session_id="s-1")
    end_session()
    start_session("agent", session_id="s-1")
    assert recorded.meta().ended_at is None
    end_session()
    assert recorded.meta().ended_at is not None


def test_runs_of_several_processes_count_on(tmp_path: Path) -> None:
    source = """
from agent_trace_otel import session, trace_tool
with session("agent", session_id="s-1"):
    trace_tool(abs)(-1)
"""
    for _ in range(2):
        assert run(source, tmp_path).code == 0
    recorded = Recorded(tmp_path / "traces")
    first, second = roots_of(recorded, "s-1")
    assert [first.attributes["agent_trace.run"], second.attributes["agent_trace.run"]] == [1, 2]
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert first.attributes["process.pid"] != second.attributes["process.pid"]
    assert recorded.meta().tool_calls == 2


# -- exits -------------------------------------------------------------------------------------------------------


def test_a_session_left_open_is_ended_at_exit(tmp_path: Path) -> None:
    source = """
from agent_trace_otel import start_session, trace_tool
start_session("outer"); start_session("inner"); trace_tool(abs)(-1)
"""
    ran = run(source, tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    sessions = ran.recorded.sessions()
    assert len(sessions) == 2
    for session_id in sessions:
        (end,) = of_types(ran.recorded, "session_end", session_id=session_id)
        assert "error" not in end.data
        assert ran.recorded.meta(session_id).ended_at == end.timestamp


@pytest.mark.parametrize("whose", ["private", "configured", "foreign"])
def test_an_unhandled_exception_ends_the_session_as_its_failure(tmp_path: Path, whose: str) -> None:
    source = f"""
from agent_trace_otel import start_session, trace_tool, configure
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
if {whose == "configured"}: configure()
if {whose == "foreign"}: trace.set_tracer_provider(TracerProvider())
start_session("agent")
trace_tool(abs)(-1)
raise LookupError("no luck")
"""
    ran = run(source, tmp_path)
    assert ran.code == 1
    assert ran.warnings[-1] == "LookupError: no luck"
    (end,) = of_types(ran.recorded, "session_end")
    assert (end.data["exit_code"], end.data["error"], end.data["message"]) == (1, "LookupError", "no luck")
    assert root_of(ran.recorded).status.status_code is trace_api.StatusCode.ERROR


def test_the_users_exporter_gets_the_root_of_a_session_left_open(tmp_path: Path) -> None:
    source = """
from agent_trace_otel import start_session
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
start_session("first")
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.name + chr(10))))
trace.set_tracer_provider(provider)
start_session("second")
"""
    ran = run(source, tmp_path)
    assert ran.out.split("\n") == ["invoke_agent second", ""]


def test_configure_returns_the_provider_that_sessions_use(recorded: Recorded) -> None:
    provider = configure()
    assert trace_api.get_tracer_provider() is provider
    with session("agent"), provider.get_tracer("user").start_as_current_span("http"):
        pass
    inner, root = recorded.spans()
    assert inner.parent.span_id == root.context.span_id
