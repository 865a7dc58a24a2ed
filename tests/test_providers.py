"""Which provider our spans come from, who gets which copy, and what of the user's set-up is never touched."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from collecting_posting import CollectingPosting, collect
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from programs import run

from agent_trace_otel import (
    AgentTraceSpanProcessor,
    configure,
    end_session,
    pipeline,
    session,
    start_session,
    trace_tool,
)
from agent_trace_otel.delivery import live
from agent_trace_otel.testing import Recorded, recording

SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8"


@trace_tool
def echo(text: str) -> str:
    return text


@pytest.fixture
def exporters(monkeypatch: pytest.MonkeyPatch) -> list[CollectingPosting]:
    """Keep what would be sent; return the back ends that it would go to."""
    return collect(monkeypatch)


@pytest.fixture
def users() -> tuple[TracerProvider, InMemorySpanExporter]:
    """Return a provider of the user's own with an exporter; not global yet."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def names(spans: Sequence[ReadableSpan]) -> list[str]:
    return [span.name for span in spans]


def told(span: ReadableSpan) -> tuple[object, ...]:
    """Return all that a span tells, for comparison; the order of attributes tells nothing."""
    context, parent = span.context, span.parent
    return (
        (span.name, span.kind, span.start_time, span.end_time, span.status.status_code, span.status.description),
        (context.trace_id, context.span_id, context.trace_flags, parent and parent.span_id),
        (dict(span.attributes), dict(span.resource.attributes), span.instrumentation_scope),
        [(event.name, event.timestamp, dict(event.attributes)) for event in span.events],
    )


def ours(provider: TracerProvider) -> list[AgentTraceSpanProcessor]:
    found = provider._active_span_processor._span_processors
    return [processor for processor in found if isinstance(processor, AgentTraceSpanProcessor)]


# -- nobody asked for anything -----------------------------------------------------------------------------------


def test_without_session_and_provider_a_call_passes_through(tmp_path: Path) -> None:
    source = """
import sys
import agent_trace_otel
from agent_trace_otel import log_decision, log_user_prompt, trace_agent, trace_llm_call, trace_tool
assert "opentelemetry.sdk" not in sys.modules, "the decorators load the SDK"
for decorate in (trace_tool, trace_agent, trace_llm_call):
    assert decorate(lambda x: x + 1)(1) == 2
assert list(trace_tool(range)(3)) == [0, 1, 2]
log_decision("a"); log_user_prompt("b")
assert agent_trace_otel.end_session() is None
assert agent_trace_otel.force_flush()
assert "opentelemetry.sdk" not in sys.modules, "a call loads the SDK"
from opentelemetry import trace
assert trace._TRACER_PROVIDER is None
"""
    ran = run(source, tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert not (tmp_path / "traces").exists()
    assert not (tmp_path / ".agent-traces").exists()


def test_importing_the_package_loads_no_sdk(tmp_path: Path) -> None:
    source = """
import sys, agent_trace_otel
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""
    assert run(source, tmp_path).err == ""


# -- a session, no provider --------------------------------------------------------------------------------------


def test_a_session_alone_never_sets_the_global_provider(
    recorded: Recorded, users: tuple[TracerProvider, InMemorySpanExporter], caplog: pytest.LogCaptureFixture
) -> None:
    start_session("agent")
    echo("before")
    assert trace_api._TRACER_PROVIDER is None
    end_session()
    provider, exporter = users
    trace_api.set_tracer_provider(provider)
    assert trace_api.get_tracer_provider() is provider
    assert caplog.records == []  # the API warns when it refuses one
    with session("second"):
        echo("after")
    assert names(exporter.get_finished_spans()) == ["execute_tool echo", "invoke_agent second"]


def test_a_provider_that_appears_in_the_middle_of_a_session_gets_the_calls_from_then_on(
    recorded: Recorded, users: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    provider, exporter = users
    opened = start_session("agent")
    echo("before")
    trace_api.set_tracer_provider(provider)
    echo("after")
    end_session()
    assert names(exporter.get_finished_spans()) == ["execute_tool echo"]
    before, after, root = recorded.spans(opened.id)
    assert before.parent.span_id == after.parent.span_id == root.context.span_id
    assert before.context.trace_id == after.context.trace_id == root.context.trace_id
    assert [event.event_type for event in recorded.events()] == [
        "session_start", "tool_call", "tool_result", "tool_call", "tool_result", "session_end",
    ]  # fmt: skip


# -- a provider of the user's ------------------------------------------------------------------------------------


def test_a_global_provider_gets_our_processor_once_and_is_never_replaced(
    recorded: Recorded, users: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    provider, exporter = users
    trace_api.set_tracer_provider(provider)
    for _ in range(2):
        with session("agent"):
            echo("x")
        assert configure() is provider
    assert trace_api.get_tracer_provider() is provider
    assert len(ours(provider)) == 1
    assert len(exporter.get_finished_spans()) == 4
    assert [len(recorded.spans(session_id)) for session_id in recorded.sessions()] == [2, 2]


def test_the_processor_that_the_user_added_is_the_one(
    recorded: Recorded, users: tuple[TracerProvider, InMemorySpanExporter], tmp_path: Path
) -> None:
    provider, _ = users
    provider.add_span_processor(AgentTraceSpanProcessor(tmp_path / "theirs"))
    trace_api.set_tracer_provider(provider)
    echo("no session")
    assert len(ours(provider)) == 1
    assert recorded.sessions() == []
    theirs = Recorded(tmp_path / "theirs")
    assert [event.event_type for event in theirs.events()] == ["session_start", "tool_call", "tool_result"]


def test_a_provider_that_is_not_the_sdks_is_left_alone(recorded: Recorded) -> None:
    trace_api.set_tracer_provider(trace_api.NoOpTracerProvider())
    with session("agent"):
        assert echo("x") == "x"
    assert names(recorded.spans()) == ["execute_tool echo", "invoke_agent agent"]
    assert isinstance(trace_api.get_tracer_provider(), trace_api.NoOpTracerProvider)


def test_the_users_exporters_get_the_original_and_we_write_the_redacted(
    recorded: Recorded, users: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    provider, exporter = users
    trace_api.set_tracer_provider(provider)
    with session("agent"):
        echo(SECRET)
    (call, _) = exporter.get_finished_spans()
    assert SECRET in call.attributes["gen_ai.tool.call.arguments"]
    assert SECRET in call.attributes["gen_ai.tool.call.result"]
    assert SECRET not in recorded.text()
    assert "REDACTED" in recorded.text()


def test_without_redaction_the_value_is_written(tmp_path: Path) -> None:
    with recording(tmp_path / "traces", AGENT_TRACE_REDACT="0") as recorded:
        with session("agent"):
            echo(SECRET)
        assert SECRET in recorded.text()
        with session("agent", redact=True) as opened:
            echo(SECRET)
        assert SECRET not in (recorded.trace_dir / opened.id / "events.ndjson").read_text()
        assert SECRET not in (recorded.trace_dir / opened.id / "spans.jsonl").read_text()


# -- configure ---------------------------------------------------------------------------------------------------


def test_configure_on_a_bare_process_sets_the_global_provider(recorded: Recorded) -> None:
    provider = configure(service_name="shop")
    assert trace_api.get_tracer_provider() is provider
    assert provider.resource.attributes["service.name"] == "shop"
    with session("agent"):
        echo("x")
    assert recorded.spans()[0].resource.attributes["service.name"] == "shop"


def test_configure_applies_its_settings_to_sessions_that_come_after_a_first_one(
    tmp_path: Path, recorded: Recorded, exporters: list[CollectingPosting]
) -> None:
    with session("before"):
        pass
    configure(endpoint="http://127.0.0.1:9/", trace_dir=tmp_path / "other", redact=False)
    with session("after"):
        echo(SECRET)
    assert pipeline.force_flush()
    (exporter,) = exporters
    assert names(exporter.get_finished_spans()) == ["execute_tool echo", "invoke_agent after"]
    assert SECRET in Recorded(tmp_path / "other").text()
    assert len(recorded.sessions()) == 1


def test_configure_again_replaces_what_was_set_before(recorded: Recorded, exporters: list[CollectingPosting]) -> None:
    provider = configure(endpoint="http://127.0.0.1:1")
    with session("first"):
        pass
    assert configure(endpoint="http://127.0.0.1:2") is provider
    with session("second"):
        pass
    assert pipeline.force_flush()
    assert [exporter.endpoint for exporter in exporters] == [
        "http://127.0.0.1:1/v1/traces",
        "http://127.0.0.1:2/v1/traces",
    ]
    assert [names(exporter.get_finished_spans()) for exporter in exporters] == [
        ["invoke_agent first"],
        ["invoke_agent second"],
    ]


def test_otel_service_name_wins_over_the_agents_name(tmp_path: Path) -> None:
    with recording(tmp_path / "traces", OTEL_SERVICE_NAME="from-env") as recorded:
        with session("agent"):
            pass
        assert recorded.spans()[0].resource.attributes["service.name"] == "from-env"


def test_the_agents_name_is_the_service_name_where_none_is_set(recorded: Recorded) -> None:
    with session("agent"):
        pass
    assert recorded.spans()[0].resource.attributes["service.name"] == "agent"


# -- sending -----------------------------------------------------------------------------------------------------


def test_nothing_is_sent_unless_an_endpoint_is_named(recorded: Recorded, exporters: list[CollectingPosting]) -> None:
    configure()
    with session("agent"):
        echo("x")
    assert pipeline.force_flush()
    assert exporters == []


ARGUMENT = "http://argument:1"
OURS = {"AGENT_TRACE_OTLP_ENDPOINT": "http://ours:2"}
TRACES = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://otel-traces:3/custom"}
GENERAL = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4/base/"}


@pytest.mark.parametrize(
    ("argument", "variables", "url"),
    [
        (ARGUMENT, OURS | TRACES | GENERAL, "http://argument:1/v1/traces"),
        (None, OURS | TRACES | GENERAL, "http://ours:2/v1/traces"),
        (None, TRACES | GENERAL, "http://otel-traces:3/custom"),
        (None, GENERAL, "http://otel:4/base/v1/traces"),
        (None, GENERAL | {"OTEL_TRACES_EXPORTER": "console,otlp"}, "http://otel:4/base/v1/traces"),
        (ARGUMENT + "/v2/trace/otlp", {}, "http://argument:1/v2/trace/otlp"),
    ],
)
def test_which_endpoint_is_meant(
    tmp_path: Path, exporters: list[CollectingPosting], argument: str | None, variables: dict[str, str], url: str
) -> None:
    with recording(tmp_path / "traces", **variables):
        configure(endpoint=argument)
        with session("agent"):
            pass
        assert pipeline.force_flush()
        assert [exporter.endpoint for exporter in exporters] == [url]


@pytest.mark.parametrize(
    "variables",
    [{"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_TRACES_EXPORTER": "console"}, {"AGENT_TRACE_OTLP_ENDPOINT": "nonsense"}],
    ids=str,
)
def test_what_turns_sending_off_leaves_the_folder(
    tmp_path: Path, exporters: list[CollectingPosting], variables: dict[str, str]
) -> None:
    with recording(tmp_path / "traces", **(GENERAL | variables)) as recorded:
        configure()
        with session("agent"):
            echo("x")
        assert pipeline.force_flush()
        assert exporters == []
        assert names(recorded.spans()) == ["execute_tool echo", "invoke_agent agent"]


def test_otel_sdk_disabled_turns_recording_off_too(tmp_path: Path, exporters: list[CollectingPosting]) -> None:
    with recording(tmp_path / "traces", OTEL_SDK_DISABLED="true", **GENERAL) as recorded:
        configure()
        with session("agent"):
            assert echo("x") == "x"
        assert recorded.sessions() == []
        assert exporters == []


@pytest.mark.parametrize("variables", [{}, TRACES, GENERAL], ids=str)
def test_in_a_users_provider_nothing_is_sent_unless_asked(
    tmp_path: Path,
    exporters: list[CollectingPosting],
    users: tuple[TracerProvider, InMemorySpanExporter],
    variables: dict[str, str],
) -> None:
    with recording(tmp_path / "traces", **variables):
        trace_api.set_tracer_provider(users[0])
        configure()
        with session("agent"):
            echo("x")
        assert users[0].force_flush()
        assert exporters == []


def test_in_a_users_provider_an_endpoint_of_ours_gets_the_redacted_copies(
    tmp_path: Path, exporters: list[CollectingPosting], users: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    with recording(tmp_path / "traces", **OURS) as recorded:
        trace_api.set_tracer_provider(users[0])
        with session("agent"):
            echo(SECRET)
        assert users[0].force_flush()
        (exporter,) = exporters
        sent, written = exporter.get_finished_spans(), recorded.spans()
        assert SECRET not in str([dict(span.attributes) for span in sent])
        assert [told(span) for span in sent] == [told(span) for span in written]


def test_what_is_sent_is_what_is_written(recorded: Recorded, exporters: list[CollectingPosting]) -> None:
    configure(endpoint=ARGUMENT, headers={"x-api-key": "k"})
    with session("agent"):
        echo(SECRET)
    assert pipeline.force_flush()
    (exporter,) = exporters
    assert exporter.headers == {"x-api-key": "k"}
    assert [told(span) for span in exporter.get_finished_spans()] == [told(span) for span in recorded.spans()]


@pytest.mark.parametrize(
    ("variables", "hint"),
    [({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc"), ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:4317"}, "4317")],
)
def test_grpc_is_warned_about_once_and_http_is_spoken(
    tmp_path: Path,
    exporters: list[CollectingPosting],
    caplog: pytest.LogCaptureFixture,
    variables: dict[str, str],
    hint: str,
) -> None:
    with recording(tmp_path / "traces", **(GENERAL | variables)), caplog.at_level(logging.WARNING):
        for _ in range(2):
            with session("agent"):
                echo("x")
        assert pipeline.force_flush()
        assert len(exporters) == 1
        (warning,) = caplog.records
        assert hint in warning.message


def test_a_sender_that_cant_be_set_up_leaves_the_folder(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100")
    configure(endpoint=ARGUMENT)
    with session("agent"):
        echo("x")
    assert names(recorded.spans()) == ["execute_tool echo", "invoke_agent agent"]
    assert len(caplog.records) == 1


# -- the environment does not leak -------------------------------------------------------------------------------


def test_our_exporter_thread_is_not_started_without_an_endpoint(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a sender was made")

    monkeypatch.setattr(live, "live_processor", refuse)
    monkeypatch.setattr(BatchSpanProcessor, "__init__", refuse)
    with session("agent"):
        echo("x")
    assert names(recorded.spans()) == ["execute_tool echo", "invoke_agent agent"]
    assert "AGENT_TRACE_SESSION_ID" not in os.environ


@trace_tool
def tool() -> int:
    """A tool of the tests below."""
    return 1


def test_calls_after_the_last_session_pass_through(recorded: Recorded) -> None:
    start_session("one")
    tool()
    end_session()
    assert tool() is not None
    assert len(recorded.sessions()) == 1
    assert [event.event_type for event in recorded.events()].count("tool_call") == 1


def test_a_processor_that_the_user_adds_beside_ours_doubles_nothing(recorded: Recorded) -> None:
    provider = TracerProvider()
    trace_api.set_tracer_provider(provider)
    start_session("one")
    provider.add_span_processor(AgentTraceSpanProcessor())
    tool()
    end_session()
    assert [event.event_type for event in recorded.events()].count("tool_call") == 1
    assert [span.name for span in recorded.spans()].count("execute_tool tool") == 1


def test_configure_lets_the_users_own_processor_send_when_asked(recorded: Recorded) -> None:
    provider, ours = TracerProvider(), AgentTraceSpanProcessor()
    provider.add_span_processor(ours)
    trace_api.set_tracer_provider(provider)
    configure(endpoint="http://127.0.0.1:9")
    assert ours.delivery is not None
    ours.shutdown()
