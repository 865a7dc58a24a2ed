"""Spans of anybody's -> sessions: which spans become events, in which folder they land, and when they are written."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agent_trace_otel import (
    AgentTraceSpanProcessor,
    configure,
    end_session,
    log_assistant_response,
    log_decision,
    log_file_read,
    log_file_write,
    log_user_prompt,
    session,
    start_session,
    trace_agent,
    trace_llm_call,
    trace_tool,
)
from agent_trace_otel.processor import span_sessions
from agent_trace_otel.redact import Redactor
from agent_trace_otel.testing import Recorded, recording

TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1"}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}


@trace_tool
def echo(value: object) -> object:
    return value


SECOND = 1_000_000_000


@pytest.fixture
def tracer(recorded: Recorded) -> trace_api.Tracer:
    """Return a tracer of somebody else's instrumentation, in a provider with our processor."""
    provider = TracerProvider()
    provider.add_span_processor(AgentTraceSpanProcessor())
    return provider.get_tracer("some.instrumentation")


@contextmanager
def span(tracer: trace_api.Tracer, name: str, attributes: dict[str, Any] | None = None) -> Iterator[Span]:
    with tracer.start_as_current_span(name, attributes=attributes) as started:
        yield started


def types(recorded: Recorded, session_id: str | None = None) -> list[str]:
    return [event.event_type for event in recorded.events(session_id)]


def names(recorded: Recorded, session_id: str | None = None) -> list[str]:
    return sorted(found.name for found in recorded.spans(session_id))


def trace_hex(started: Any) -> str:
    return f"{started.get_span_context().trace_id:032x}"


# -- which spans become events -----------------------------------------------------------------------------------


def test_a_foreign_span_known_at_its_start_opens_its_event_then(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with span(tracer, "tool", {**TOOL, "gen_ai.tool.call.arguments": '{"q": 1}'}) as started:
        assert types(recorded) == ["session_start", "tool_call"]
        started.set_attribute("gen_ai.tool.call.result", "found")
    assert types(recorded) == ["session_start", "tool_call", "tool_result"]
    assert recorded.events()[1].data["arguments"] == {"q": 1}
    assert recorded.events()[2].data["result"] == "found"


def test_a_foreign_span_known_only_at_its_end_opens_with_its_start_time(
    recorded: Recorded, tracer: trace_api.Tracer
) -> None:
    with span(tracer, "llm") as started:
        assert recorded.sessions() == []
        started.set_attributes(CHAT | {"gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 4})
    (ended,) = recorded.spans()
    start, request, response = recorded.events()
    assert (start.event_type, request.event_type, response.event_type) == (
        "session_start",
        "llm_request",
        "llm_response",
    )
    assert request.timestamp == ended.start_time / 1e9
    assert request.event_id == response.parent_id
    assert response.data["total_tokens"] == 7


def test_a_late_tool_call_without_a_session_is_told_whole(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with span(tracer, "tool") as started:
        started.set_attributes(TOOL | {"gen_ai.tool.call.arguments": '{"q":1}', "gen_ai.tool.call.result": "r"})
    assert types(recorded) == ["session_start", "tool_call", "tool_result"]


def test_generic_spans_stand_in_the_span_log_only(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with span(tracer, "agent", AGENT), span(tracer, "GET /", {"http.request.method": "GET", "session.id": "browser-1"}):
        pass
    assert names(recorded) == ["GET /", "agent"]
    assert types(recorded) == ["session_start"]


def test_a_trace_without_agent_spans_makes_no_folder(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with span(tracer, "GET /", {"session.id": "browser-1"}), span(tracer, "SELECT"):
        pass
    assert recorded.sessions() == []


def test_a_failed_call_is_closed_by_an_error_alone(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    failure = LookupError("no luck")
    with pytest.raises(LookupError), span(tracer, "tool", TOOL):
        raise failure
    start, call, error = recorded.events()
    assert (start.event_type, call.event_type, error.event_type) == ("session_start", "tool_call", "error")
    assert error.parent_id == call.event_id
    assert (error.data["error"], error.data["message"], error.data["exception_type"]) == (
        "LookupError",
        "no luck",
        "LookupError",
    )


def test_every_call_has_exactly_one_closing_event(recorded: Recorded) -> None:
    @trace_tool
    def tool(fail: bool) -> int:
        return 1 // (not fail)

    @trace_llm_call(model="m")
    def model(fail: bool) -> str:
        return ["text"][fail]

    with session("agent"):
        for call in (tool, model):
            call(False)
            with pytest.raises((ZeroDivisionError, IndexError)):
                call(True)
    closings = [event for event in recorded.events() if event.parent_id]
    openings = [event for event in recorded.events() if event.event_type in ("tool_call", "llm_request")]
    assert [event.event_type for event in closings] == ["tool_result", "error", "llm_response", "error"]
    assert [event.parent_id for event in closings] == [event.event_id for event in openings]


def test_sub_agents_and_turns_make_no_event_but_name_themselves(recorded: Recorded) -> None:
    @trace_agent(name="helper")
    def helper() -> None:
        trace_tool(abs)(-1)

    with session("main"):
        helper()
    assert types(recorded) == ["session_start", "tool_call", "tool_result", "session_end"]
    start, call, result, _ = recorded.events()
    assert "agent" not in start.data
    assert (call.data["agent"], result.data["agent"]) == ("helper", "helper")
    assert names(recorded) == ["execute_tool abs", "invoke_agent helper", "invoke_agent main"]


def test_every_event_says_where_it_stands(recorded: Recorded) -> None:
    with session("agent") as opened:
        trace_tool(abs)(-1)
        log_decision("a", reason="b", alternatives=["c"])
    root = opened.root.get_span_context()  # type: ignore[union-attr]
    for event in recorded.events():
        assert event.data["trace_id"] == f"{root.trace_id:032x}"
        is_roots = event.event_type in ("session_start", "session_end", "decision")
        assert (event.data["span_id"] == f"{root.span_id:016x}") is is_roots
        assert event.data.get("parent_span_id") == (None if is_roots else f"{root.span_id:016x}")


@pytest.mark.parametrize("late", [False, True], ids=["known at start", "known late"])
def test_a_model_call_inside_a_model_call_writes_no_timeline_event(
    recorded: Recorded, tracer: trace_api.Tracer, late: bool
) -> None:
    with span(tracer, "outer", CHAT), span(tracer, "between"), span(tracer, "inner", None if late else CHAT) as inner:
        inner.set_attributes(CHAT)
    assert types(recorded) == ["session_start", "llm_request", "llm_response"]
    assert names(recorded) == ["between", "inner", "outer"]


def test_a_model_call_inside_a_tool_call_is_told(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with span(tracer, "tool", TOOL), span(tracer, "chat", CHAT):
        pass
    assert types(recorded) == ["session_start", "tool_call", "llm_request", "llm_response", "tool_result"]


def test_an_mcp_call_inside_the_tool_call_it_serves_is_counted_once(
    recorded: Recorded, tracer: trace_api.Tracer
) -> None:
    mcp = {"mcp.method.name": "tools/call", "gen_ai.tool.name": "search"}
    with span(tracer, "execute_tool search", TOOL), span(tracer, "tools/call search", mcp):
        pass
    assert types(recorded) == ["session_start", "tool_call", "tool_result"]
    with span(tracer, "tools/call search", {**mcp, "session.id": "alone"}):
        pass
    assert types(recorded, "alone") == ["session_start", "tool_call", "tool_result"]


# -- which session -----------------------------------------------------------------------------------------------


def test_a_conversation_id_names_the_session(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    for _ in range(2):
        with span(tracer, "agent", {**AGENT, "gen_ai.conversation.id": "conv-1"}), span(tracer, "tool", TOOL):
            pass
    assert recorded.sessions() == ["conv-1"]
    assert types(recorded).count("session_start") == 1
    assert types(recorded).count("tool_call") == 2
    assert types(recorded).count("session_end") == 0
    assert recorded.meta().ended_at is None
    assert recorded.events()[0].data["agent_name"] == "planner"


def test_session_id_names_it_where_there_is_no_conversation_id(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with span(tracer, "agent", {**AGENT, "session.id": "web-1"}):
        pass
    with span(tracer, "agent", {**AGENT, "session.id": "web-1", "gen_ai.conversation.id": "conv-1"}):
        pass
    assert recorded.sessions() == ["conv-1", "web-1"]


def test_a_hostile_conversation_id_is_hashed(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with span(tracer, "tool", {**TOOL, "gen_ai.conversation.id": "../../x"}):
        pass
    (name,) = recorded.sessions()
    assert len(name) == 32
    assert recorded.spans()[0].attributes["gen_ai.conversation.id"] == "../../x"


def test_baggage_names_the_session(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    token = context_api.attach(baggage.set_baggage("gen_ai.conversation.id", "conv-7"))
    with span(tracer, "tool", TOOL):
        pass
    context_api.detach(token)
    assert recorded.sessions() == ["conv-7"]


def test_the_spans_own_conversation_wins_over_its_parents(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with (
        span(tracer, "agent", {**AGENT, "session.id": "outer"}),
        span(tracer, "inner", {**AGENT, "session.id": "inner"}),
        span(tracer, "tool", TOOL),
    ):
        pass
    assert names(recorded, "outer") == ["agent"]
    assert names(recorded, "inner") == ["inner", "tool"]


def test_the_trace_is_the_session_where_nothing_names_one(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with span(tracer, "request") as request, span(tracer, "tool", TOOL), span(tracer, "chat", CHAT):
        pass
    assert recorded.sessions() == [trace_hex(request)]
    assert names(recorded) == ["chat", "request", "tool"]


def test_the_explicit_session_wins_over_a_conversation_id(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with session("agent") as opened, span(tracer, "tool", {**TOOL, "gen_ai.conversation.id": "conv-1"}):
        pass
    assert recorded.sessions() == [opened.id]


def test_a_conversation_id_wins_over_the_processs_session(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with session("agent") as opened:
        token = context_api.attach(context_api.Context())  # as in a thread that got no context
        with span(tracer, "named", {**TOOL, "gen_ai.conversation.id": "conv-1"}):
            pass
        with span(tracer, "unnamed", TOOL):
            pass
        context_api.detach(token)
    assert names(recorded, "conv-1") == ["named"]
    assert names(recorded, opened.id) == ["invoke_agent agent", "unnamed"]


def test_a_generic_span_never_chooses_a_folder(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with (
        span(tracer, "agent", AGENT) as agent,
        span(tracer, "GET", {"session.id": "browser"}),
        span(tracer, "tool", TOOL),
    ):
        pass
    assert recorded.sessions() == [trace_hex(agent)]
    assert names(recorded) == ["GET", "agent", "tool"]


def test_a_spans_session_is_stamped_on_it(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with span(tracer, "tool", {**TOOL, "gen_ai.conversation.id": "conv-1"}), span(tracer, "SELECT"):
        pass
    assert [found.attributes["session.id"] for found in recorded.spans("conv-1")] == ["conv-1", "conv-1"]


def test_an_implicit_session_has_its_agents_name_or_that_of_the_service(recorded: Recorded) -> None:
    from opentelemetry.sdk.resources import Resource

    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(AgentTraceSpanProcessor())
    with span(provider.get_tracer("x"), "tool", {**TOOL, "session.id": "s"}):
        pass
    start = recorded.events("s")[0]
    assert (start.data["agent_name"], start.data["command"]) == ("shop", [])
    assert recorded.meta("s").agent_name == "shop"


# -- spans that come before their session ------------------------------------------------------------------------


def test_spans_that_ended_before_their_trace_had_an_agent_span_are_written_when_it_gets_one(
    recorded: Recorded, tracer: trace_api.Tracer
) -> None:
    with span(tracer, "request"):
        with span(tracer, "SELECT"):
            pass
        assert recorded.sessions() == []
        with span(tracer, "tool", TOOL):
            assert names(recorded) == ["SELECT"]
    assert names(recorded) == ["SELECT", "request", "tool"]


def test_at_most_256_such_spans_are_kept_for_a_trace(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    with span(tracer, "request"):
        for number in range(300):
            with span(tracer, f"q{number}"):
                pass
        with span(tracer, "tool", TOOL):
            pass
    assert len([name for name in names(recorded) if name.startswith("q")]) == 256


def test_at_most_10000_such_spans_are_kept_in_all(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    first, *_, last = requests = [tracer.start_span(f"request{number}") for number in range(101)]
    for request in requests:
        with trace_api.use_span(request):
            for _ in range(100):
                tracer.start_span("query").end()
    for request in (first, last):
        with trace_api.use_span(request):
            tracer.start_span("tool", attributes=TOOL).end()
    assert names(recorded, trace_hex(first)) == ["tool"]  # the oldest trace made room
    assert names(recorded, trace_hex(last)) == ["query"] * 100 + ["tool"]


def test_such_spans_are_kept_for_five_minutes(recorded: Recorded, tracer: trace_api.Tracer) -> None:
    old, recent = tracer.start_span("old"), tracer.start_span("recent")
    assert span_sessions.PENDING_NS == 300 * SECOND
    for request, ended in ((old, 1000 * SECOND), (recent, 1299 * SECOND), (recent, 1301 * SECOND)):
        tracer.start_span("query", trace_api.set_span_in_context(request), start_time=ended).end(ended)
    for request in (old, recent):
        tracer.start_span("tool", trace_api.set_span_in_context(request), attributes=TOOL).end()
    assert names(recorded, trace_hex(old)) == ["tool"]
    assert names(recorded, trace_hex(recent)) == ["query", "query", "tool"]


# -- point events ------------------------------------------------------------------------------------------------


def test_points_are_written_the_moment_they_are_logged_and_once(recorded: Recorded) -> None:
    @trace_tool
    def work() -> None:
        before = len(recorded.events())
        for count, (log, value) in enumerate(
            [
                (log_user_prompt, "hi"),
                (log_assistant_response, "hello"),
                (log_decision, "left"),
                (log_file_read, "/a"),
                (log_file_write, "https://x/y"),
            ],
            1,
        ):
            log(value)
            assert len(recorded.events()) == before + count

    with session("agent"):
        work()
    events = recorded.events()
    assert [event.event_type for event in events] == [
        "session_start", "tool_call", "user_prompt", "assistant_response", "decision", "file_read", "file_write",
        "tool_result", "session_end",
    ]  # fmt: skip
    assert [events[2].data["prompt"], events[3].data["text"], events[4].data["choice"]] == ["hi", "hello", "left"]
    assert [events[5].data["uri"], events[6].data["uri"]] == ["/a", "https://x/y"]
    call = recorded.spans()[0]
    assert [event.name for event in call.events] == [
        "agent_trace.decision", "agent_trace.file_read", "agent_trace.file_write",
    ]  # fmt: skip
    root = recorded.spans()[-1]
    assert [event.name for event in root.events] == ["agent_trace.user_prompt", "agent_trace.assistant_response"]


def test_a_point_outside_any_call_stands_on_the_session(recorded: Recorded) -> None:
    import threading

    with session("agent"):
        thread = threading.Thread(target=log_decision, args=("in a bare thread",))
        thread.start()
        thread.join()
    assert types(recorded) == ["session_start", "decision", "session_end"]
    assert recorded.spans()[0].events[0].name == "agent_trace.decision"


def test_a_point_after_the_session_has_ended_is_dropped_in_silence(recorded: Recorded, caplog: Any) -> None:
    with session("agent") as opened:
        late = opened.context()
    context_api.attach(late)
    log_decision("too late")
    assert types(recorded) == ["session_start", "session_end"]
    assert caplog.records == []


def test_equal_points_at_different_times_are_two_events(recorded: Recorded) -> None:
    with session("agent"):
        for _ in range(100):
            log_decision("same")
    decisions = [event for event in recorded.events() if event.event_type == "decision"]
    assert len({event.event_id for event in decisions}) == 100


def test_a_span_that_a_processor_starts_meanwhile_gets_ids_of_its_own(recorded: Recorded) -> None:
    class Starting(SpanProcessor):
        def on_start(self, span: Span, parent_context: object = None) -> None:
            if span.name.startswith("invoke_agent"):
                provider.get_tracer("x").start_span("beside", attributes={**TOOL, "session.id": "s"}).end()

    provider = configure()
    provider.add_span_processor(Starting())
    with session("agent") as opened:
        pass
    (root,) = recorded.spans(opened.id)
    (beside,) = recorded.spans("s")
    assert beside.context.span_id != root.context.span_id
    assert beside.context.trace_id != root.context.trace_id


# -- redaction and content ---------------------------------------------------------------------------------------

SECRET = "sk-" + "proj-Zx81kQpLm20aVbNc93Td"


def test_no_way_that_a_secret_comes_leads_to_the_folder(recorded: Recorded) -> None:
    @trace_tool(name=f"tool {SECRET}")
    def tool(argument: str, *, password: str) -> str:
        log_decision(SECRET, reason=SECRET, alternatives=[SECRET])
        log_user_prompt(f"my key is {SECRET}")
        log_file_read(f"/home/{SECRET}")
        msg = f"bad {argument}"
        raise ValueError(msg)

    with session(f"agent {SECRET}"):
        with pytest.raises(ValueError, match="bad"):
            tool(SECRET, password="correct-horse-battery")
        echo({"nested": {"api_key": SECRET}})
        trace_llm_call(lambda messages: SECRET)(messages=[{"role": "user", "content": SECRET}])
    text = recorded.text()
    assert SECRET not in text
    assert "correct-horse-battery" not in text
    assert len(recorded.spans()) == 4


def test_a_redactor_that_raises_withholds_the_value_and_loses_nothing_else(recorded: Recorded) -> None:
    def rule(text: str) -> str:
        if "bomb" in text:
            raise RuntimeError
        return text

    provider = TracerProvider()
    provider.add_span_processor(AgentTraceSpanProcessor(redact=Redactor(rule=rule)))
    arguments = json.dumps({"a": "a bomb", "b": "harmless"})
    with span(provider.get_tracer("x"), "tool", {**TOOL, "session.id": "s", "gen_ai.tool.call.arguments": arguments}):
        pass
    assert types(recorded) == ["session_start", "tool_call", "tool_result"]
    assert "bomb" not in recorded.text()


def test_a_redactor_of_another_kind_that_raises_withholds_all_it_was_asked(recorded: Recorded) -> None:
    class Broken(Redactor):
        def pair(self, key: str, value: object) -> object:
            if "arguments" in key:
                raise RuntimeError
            return super().pair(key, value)

        def text(self, text: str) -> str:
            raise RuntimeError

    provider = TracerProvider()
    provider.add_span_processor(AgentTraceSpanProcessor(redact=Broken()))
    with span(
        provider.get_tracer("x"), "a name", {**TOOL, "session.id": "s", "gen_ai.tool.call.arguments": '{"a":"bomb"}'}
    ):
        pass
    assert types(recorded) == ["session_start", "tool_call", "tool_result"]
    assert "bomb" not in recorded.text()
    assert "a name" not in recorded.text()


def test_content_is_left_out_where_it_is_not_wanted(tmp_path: Any) -> None:
    for number, variables in enumerate(
        (
            {"AGENT_TRACE_CAPTURE_CONTENT": "false"},
            {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "NO_CONTENT"},
        )
    ):
        with recording(tmp_path / str(number), **variables) as recorded:
            provider = TracerProvider()
            provider.add_span_processor(AgentTraceSpanProcessor())
            foreign = provider.get_tracer("x")
            with session("agent"):
                echo("the-content")
                log_user_prompt("the-content")
                with span(foreign, "tool", {**TOOL, "gen_ai.tool.call.arguments": '{"a":"the-content"}'}):
                    pass
                with span(foreign, "chat", {**CHAT, "gen_ai.input.messages": '[{"content":"the-content"}]'}):
                    pass
            assert "the-content" not in recorded.text()
            assert types(recorded).count("tool_call") == 2


# -- long and odd ------------------------------------------------------------------------------------------------


def test_long_values_are_cut_in_the_timeline_and_whole_in_the_span_log(recorded: Recorded) -> None:
    text = "x" * 100_000
    with session("agent"):
        echo(text)
    call, result = recorded.events()[1:3]
    assert len(json.dumps(call.data)) < 17_000
    assert len(json.dumps(result.data)) < 17_000
    assert "[cut: " in call.data["arguments"]["value"]
    assert "[cut: " in result.data["result"]
    assert text in recorded.spans()[0].attributes["gen_ai.tool.call.arguments"]
    assert recorded.spans()[0].attributes["gen_ai.tool.call.result"] == text


def test_more_than_a_hundred_thousand_open_spans_are_not_remembered(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, tracer: trace_api.Tracer
) -> None:
    monkeypatch.setattr("agent_trace_otel.processor.session_processor.MAX_OPEN_SPANS", 10)
    started = [tracer.start_span("tool", attributes=TOOL | {"session.id": "s"}) for _ in range(20)]
    for one in started:
        one.end()
    assert len(recorded.spans("s")) == 20
    closings = [event for event in recorded.events("s") if event.event_type == "tool_result"]
    assert len({event.event_id for event in closings}) == len(closings) == 20


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.usage.input_tokens": float("nan")},
        {"gen_ai.usage.output_tokens": float("inf")},
        {"gen_ai.response.model": b"x"},
    ],
)
def test_odd_values_lose_neither_the_end_of_a_call_nor_the_span(recorded: Recorded, attributes: dict[str, Any]) -> None:
    provider = TracerProvider()
    exporter = InMemorySpanExporter()
    provider.add_span_processor(AgentTraceSpanProcessor(delivery=SimpleSpanProcessor(exporter)))
    tracer = provider.get_tracer(
        "theirs", attributes={"api_key": "sk-" + "ant-api03-" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4"}
    )
    with tracer.start_as_current_span("chat m", attributes={"gen_ai.operation.name": "chat", **attributes}) as span:
        span.add_event("agent_trace.decision", {"agent_trace.decision.alternatives": 5})
    assert [event.event_type for event in recorded.events()] == [
        "session_start",
        "llm_request",
        "decision",
        "llm_response",
    ]
    assert len(exporter.get_finished_spans()) == 1
    assert "a1B2c3D4" not in recorded.text()


def test_a_call_in_a_thread_under_a_foreign_span_obeys_its_session(tmp_path: Path) -> None:
    with recording(tmp_path / "default", AGENT_TRACE_REDACT="0") as found:
        trace_api.set_tracer_provider(TracerProvider())
        start_session("one", trace_dir=tmp_path / "own", redact=True)

        @trace_tool
        def tool(key: str) -> None: ...

        def work() -> None:
            with trace_api.get_tracer("theirs").start_as_current_span("GET /"):
                tool("ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8")

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        end_session()
        assert found.sessions() == []
    own = Recorded(tmp_path / "own")
    assert [event.event_type for event in own.events()].count("session_start") == 1
    assert "a1B2c3D4" not in own.text()


def test_a_secret_as_an_attributes_name_is_withheld(recorded: Recorded) -> None:
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"
    trace_api.set_tracer_provider(TracerProvider())
    with session("one"), trace_api.get_tracer("theirs").start_as_current_span("GET /", attributes={secret: 1}) as span:
        span.add_event("log", {secret: "x"})
    assert secret not in recorded.text()
    assert "[REDACTED:github]" in recorded.text()
