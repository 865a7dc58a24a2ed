"""FileSpanExporter: ended spans, in batches, become the same folders."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult

from agent_trace_otel import AgentTraceSpanProcessor, FileSpanExporter, session, trace_tool
from agent_trace_otel.testing import Recorded, recording

if TYPE_CHECKING:
    import pytest

TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1"}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner", "gen_ai.conversation.id": "conv-1"}


@trace_tool
def echo(text: str) -> str:
    return text


def provider_with(exporter: SpanExporter, *, batch: bool = True) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter) if batch else SimpleSpanProcessor(exporter))
    return provider


def record_conversation(provider: TracerProvider) -> None:
    tracer = provider.get_tracer("foreign")
    with (
        tracer.start_as_current_span("agent", attributes=AGENT),
        tracer.start_as_current_span("GET"),
        tracer.start_as_current_span("tool", attributes={**TOOL, "gen_ai.tool.call.arguments": '{"q": 1}'}) as tool,
    ):
        tool.add_event("agent_trace.decision", {"agent_trace.decision.choice": "left"})
        tool.set_attribute("gen_ai.tool.call.result", "found")


def test_a_conversation_is_written(recorded: Recorded) -> None:
    provider = provider_with(FileSpanExporter())
    record_conversation(provider)
    provider.shutdown()
    events = {event.event_type: event for event in recorded.events("conv-1")}
    assert sorted(events) == ["decision", "session_start", "tool_call", "tool_result"]
    tool = next(span for span in recorded.spans("conv-1") if span.name == "tool")
    assert events["tool_call"].timestamp == tool.start_time / 1e9
    assert events["tool_result"].timestamp == tool.end_time / 1e9
    assert events["tool_call"].data["arguments"] == {"q": 1}
    assert events["tool_result"].parent_id == events["tool_call"].event_id == f"{tool.context.span_id:016x}"


def test_a_batch_lands_in_one_folder_whatever_its_order(recorded: Recorded) -> None:
    provider = provider_with(FileSpanExporter())
    record_conversation(provider)
    provider.shutdown()
    assert recorded.sessions() == ["conv-1"]
    assert sorted(span.name for span in recorded.spans()) == ["GET", "agent", "tool"]


def test_a_model_call_inside_a_model_call_writes_no_timeline_event(recorded: Recorded) -> None:
    provider = provider_with(FileSpanExporter())
    tracer = provider.get_tracer("foreign")
    with tracer.start_as_current_span("outer", attributes=CHAT), tracer.start_as_current_span("inner", attributes=CHAT):
        pass
    provider.shutdown()
    assert [event.event_type for event in recorded.events()] == ["session_start", "llm_request", "llm_response"]
    assert len(recorded.spans()) == 2


def test_spans_that_come_one_by_one_find_their_conversation_by_their_own_attribute(recorded: Recorded) -> None:
    provider = provider_with(FileSpanExporter(), batch=False)
    tracer = provider.get_tracer("foreign")
    conversation = {"gen_ai.conversation.id": "conv-1"}
    with (
        tracer.start_as_current_span("agent", attributes=AGENT),
        tracer.start_as_current_span("tool", attributes=TOOL | conversation),
    ):
        pass
    assert [event.event_type for event in recorded.events("conv-1")] == ["session_start", "tool_call", "tool_result"]
    assert recorded.sessions() == ["conv-1"]


def test_secrets_are_withheld(recorded: Recorded) -> None:
    secret = "sk-" + "proj-Zx81kQpLm20aVbNc93Td"
    provider = provider_with(FileSpanExporter())
    with provider.get_tracer("x").start_as_current_span("t", attributes={**TOOL, "gen_ai.tool.call.result": secret}):
        pass
    provider.shutdown()
    assert len(recorded.spans()) == 1
    assert secret not in recorded.text()


def test_it_stands_back_where_our_processor_writes_the_same_folders(recorded: Recorded) -> None:
    provider = provider_with(FileSpanExporter())
    provider.add_span_processor(AgentTraceSpanProcessor())
    record_conversation(provider)
    provider.shutdown()
    assert len(recorded.spans()) == 3
    assert len(recorded.events()) == 4


def test_it_stands_back_where_decorators_joined_the_provider(recorded: Recorded) -> None:
    trace_api.set_tracer_provider(provider := provider_with(FileSpanExporter()))
    with session("agent"):
        echo("x")
    provider.shutdown()
    assert [span.name for span in recorded.spans()] == ["execute_tool echo", "invoke_agent agent"]


def test_it_writes_beside_a_processor_of_another_directory(recorded: Recorded, tmp_path: Path) -> None:
    provider = provider_with(FileSpanExporter(tmp_path / "exported"))
    provider.add_span_processor(AgentTraceSpanProcessor())
    record_conversation(provider)
    provider.shutdown()
    assert len(recorded.spans("conv-1")) == len(Recorded(tmp_path / "exported").spans("conv-1")) == 3


def test_a_directory_that_cant_be_written_is_told_as_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with recording(tmp_path / "file"):
        exporter = FileSpanExporter()
        provider = TracerProvider()
        span = provider.get_tracer("x").start_span("tool", attributes=TOOL)
        span.end()
        assert exporter.export([span]) is SpanExportResult.FAILURE  # type: ignore[list-item]
        assert exporter.force_flush()


def test_bad_variables_do_not_stop_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with recording(tmp_path / "traces", AGENT_TRACE_REDACT="maybe") as recorded:
        provider = provider_with(FileSpanExporter())
        record_conversation(provider)
        provider.shutdown()
        assert recorded.sessions() == ["conv-1"]
        assert len(caplog.records) == 1


def test_the_entry_point_names_it() -> None:
    pyproject = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(
        r'\[project.entry-points.opentelemetry_traces_exporter\]\nagent_traces = "([\w.]+):(\w+)"', pyproject
    )
    assert found is not None
    assert getattr(import_module(found[1]), found[2]) is FileSpanExporter


def test_the_installed_entry_point_names_the_exporter() -> None:
    (found,) = entry_points(group="opentelemetry_traces_exporter", name="agent_traces")
    assert found.load() is FileSpanExporter


def test_spans_that_no_processor_saw_are_written_while_one_is_live(recorded: Recorded) -> None:
    provider = TracerProvider()  # not the global one
    provider.add_span_processor(SimpleSpanProcessor(FileSpanExporter()))
    with session("ours"):
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "theirs"}
        provider.get_tracer("theirs").start_span("execute_tool theirs", attributes=attributes).end()
    assert "execute_tool theirs" in [span.name for found in recorded.sessions() for span in recorded.spans(found)]
