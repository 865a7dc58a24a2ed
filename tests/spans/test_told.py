"""Sessions that another program reports: their spans, their settings, and their story told anew after a kill."""

from __future__ import annotations

from pathlib import Path

from opentelemetry import trace as trace_api

from agent_trace_otel import config, identity, pipeline, semconv, spans
from agent_trace_otel.process import ProcessIdentity
from agent_trace_otel.processor.span_sessions import writer_for
from agent_trace_otel.spans import point_events
from agent_trace_otel.spans.told import Told
from agent_trace_otel.testing import Recorded, recording

SESSION_ID = "5e551017-0000-4000-8000-000000000001"
SECOND = 1_000_000_000
AGENT = ProcessIdentity(4711, "17", "boot", "host")


def _tell(trace_dir: Path, *, to_the_end: bool) -> None:
    """Report a session of one turn with one call, all a second long."""
    opened = identity.Session(SESSION_ID, "claude-code", trace_dir, started_ns=1 * SECOND, is_reported=True)
    spans.start_session(opened, run=1, of=AGENT)
    turn = spans.start_turn("claude-code", "do it", key="p", told=Told(opened, 2 * SECOND, ("turn", "p")))
    assert turn is not None
    point_events.log_told(opened.root, semconv.USER_PROMPT_EVENT, {semconv.TEXT: "do it"}, 2 * SECOND)
    call = Told(opened, 3 * SECOND, ("tool", "t"), parent=turn.get_span_context())
    tool = spans.start_tool("Bash", {"command": "false"}, call_id="t", told=call)
    if not to_the_end:
        return
    spans.end(tool, {semconv.ERROR_TYPE: "tool_error"}, outcome="error", message="Exit code 1", end_ns=4 * SECOND)
    spans.end(turn, end_ns=5 * SECOND)
    spans.end(opened.root, end_ns=6 * SECOND)


def _separate(trace_dir: Path) -> pipeline.SeparatePipeline:
    return pipeline.SeparatePipeline(config.load({}, trace_dir=trace_dir), "claude-code")


def test_a_reported_session_has_the_ids_times_and_process_it_was_told_with(tmp_path: Path) -> None:
    with recording(tmp_path / "own"), _separate(tmp_path / "theirs"):
        _tell(tmp_path / "theirs", to_the_end=True)

    recorded = Recorded(tmp_path / "theirs")
    tool, turn, root = recorded.spans()
    assert [(span.name, span.start_time, span.end_time) for span in (root, turn, tool)] == [
        ("invoke_agent claude-code", 1 * SECOND, 6 * SECOND),
        ("invoke_agent claude-code", 2 * SECOND, 5 * SECOND),
        ("execute_tool Bash", 3 * SECOND, 4 * SECOND),
    ]
    assert tool.context is not None
    assert tool.context.span_id == identity.derived_span_id(SESSION_ID, "tool", "t")
    assert tool.context.trace_id == identity.trace_id_of(SESSION_ID)
    assert tool.parent is not None
    assert turn.context is not None
    assert tool.parent.span_id == turn.context.span_id
    assert root.attributes is not None
    assert (root.attributes[semconv.PROCESS_PID], root.attributes[semconv.PROCESS_START]) == (4711, "17")
    assert semconv.PROCESS_COMMAND_ARGS not in root.attributes
    (exception,) = tool.events
    assert exception.attributes == {
        semconv.EXCEPTION_TYPE: "tool_error",
        semconv.EXCEPTION_MESSAGE: "Exit code 1",
    }
    assert [event.event_type for event in recorded.events()] == [
        "session_start",
        "user_prompt",
        "tool_call",
        "error",
        "session_end",
    ]


def test_it_is_no_session_of_the_reporting_process(tmp_path: Path) -> None:
    with recording(tmp_path / "own") as own:
        with _separate(tmp_path / "theirs"):
            _tell(tmp_path / "theirs", to_the_end=False)
            assert identity.of_process() is None
            assert identity.current() is None
        assert pipeline.tracer() is None
        assert not trace_api.get_current_span().is_recording()
    assert own.sessions() == []
    assert "session_end" not in [event.event_type for event in Recorded(tmp_path / "theirs").events()]


def test_a_story_told_anew_adds_only_what_the_folder_has_not(tmp_path: Path) -> None:
    with recording(tmp_path / "own"):
        with _separate(tmp_path / "cut"):
            _tell(tmp_path / "cut", to_the_end=False)
            writer = writer_for(tmp_path / "cut", SESSION_ID)
            writer.skip_written()
            _tell(tmp_path / "cut", to_the_end=True)
            writer.skip_written()
            _tell(tmp_path / "cut", to_the_end=True)
        with _separate(tmp_path / "whole"):
            _tell(tmp_path / "whole", to_the_end=True)

    for name in ("events.ndjson", "spans.jsonl"):
        cut, whole = (tmp_path / folder / SESSION_ID / name for folder in ("cut", "whole"))
        assert cut.read_bytes() == whole.read_bytes()
