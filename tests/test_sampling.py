"""Sampling decides what is sent, never what is written."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

import pytest
from collecting_posting import CollectingPosting, collect
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, TraceIdRatioBased

from agent_trace_otel import pipeline, session, trace_tool
from agent_trace_otel.provider import RecordingSampler
from agent_trace_otel.testing import Recorded, recording

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}


@pytest.fixture
def exporters(monkeypatch: pytest.MonkeyPatch) -> list[CollectingPosting]:
    """Keep what would be sent."""
    return collect(monkeypatch)


@trace_tool
def echo(text: str) -> str:
    return text


def sampled(spans: list[ReadableSpan]) -> list[bool]:
    return [span.context.trace_flags.sampled for span in spans]


@pytest.mark.parametrize(
    ("variables", "is_sent"),
    [
        ({}, True),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, False),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, False),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, False),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1"}, True),
        ({"TRACEPARENT": f"{PARENT}-00"}, False),
        ({"TRACEPARENT": f"{PARENT}-01"}, True),
        ({"TRACEPARENT": f"{PARENT}-00", "OTEL_TRACES_SAMPLER": "always_on"}, True),
    ],
    ids=str,
)
def test_the_folder_has_everything_and_only_sampled_spans_are_sent(
    tmp_path: Path, exporters: list[CollectingPosting], variables: dict[str, str], is_sent: bool
) -> None:
    with recording(tmp_path / "traces", **ENDPOINT, **variables) as recorded:
        with session("agent"):
            assert echo("x") == "x"
        assert pipeline.force_flush()
        assert [event.event_type for event in recorded.events()] == [
            "session_start", "tool_call", "tool_result", "session_end",
        ]  # fmt: skip
        assert sampled(recorded.spans()) == [is_sent, is_sent]
        sent = [span.name for exporter in exporters for span in exporter.get_finished_spans()]
        assert sent == (["execute_tool echo", "invoke_agent agent"] if is_sent else [])


@pytest.mark.parametrize("name", ["traceidratio", "parentbased_traceidratio"])
def test_a_ratio_decides_by_the_hash_of_the_trace_id_for_whole_sessions(
    tmp_path: Path, exporters: list[CollectingPosting], name: str
) -> None:
    variables = {"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": "0.5"}
    with recording(tmp_path / "traces", **ENDPOINT, **variables) as recorded:
        expected: list[str] = []
        for number in range(40):
            session_id = str(uuid.UUID(int=uuid.UUID(hashlib.md5(bytes([number])).hexdigest()).int, version=4))
            with session("agent", session_id=session_id):
                echo("x")
            digest = hashlib.sha256(uuid.UUID(session_id).bytes).digest()[:16]
            is_sampled = int.from_bytes(digest[8:], "big") < 1 << 63
            assert sampled(recorded.spans(session_id)) == [is_sampled, is_sampled]
            expected += [session_id, session_id] if is_sampled else []
        assert pipeline.force_flush()
        sent = [span for exporter in exporters for span in exporter.get_finished_spans()]
        assert [span.attributes["session.id"] for span in sent] == expected
        assert 0 < len(sent) < 80


def test_about_one_in_ten_uuids_is_sampled_at_a_ratio_of_a_tenth() -> None:
    stock = TraceIdRatioBased(0.1)
    ours = RecordingSampler(stock)
    ids = [
        uuid.UUID(int=int.from_bytes(hashlib.sha512(b"%d" % n).digest()[:16], "big"), version=4).int
        for n in range(2000)
    ]
    decisions = [ours.should_sample(None, trace_id, "x").decision for trace_id in ids]
    assert set(decisions) == {Decision.RECORD_AND_SAMPLE, Decision.RECORD_ONLY}
    assert 150 < decisions.count(Decision.RECORD_AND_SAMPLE) < 250
    # what it is good for: shown the UUIDs themselves, the SDK's sampler takes none
    assert sum(stock.should_sample(None, trace_id, "x").decision is Decision.RECORD_AND_SAMPLE for trace_id in ids) == 0


def test_in_a_foreign_provider_what_its_sampler_drops_is_not_seen(recorded: Recorded) -> None:
    trace_api.set_tracer_provider(TracerProvider(sampler=ALWAYS_OFF))
    with session("agent"):
        assert echo("x") == "x"
    assert recorded.sessions() == []
