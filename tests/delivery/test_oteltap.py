"""An independent OTLP receiver gets the spans of spans.jsonl, sent live and sent from the file."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from oteltap_receiver import received_by_oteltap, spans_in
from programs import environment
from scripted_backend import make_span

from agent_trace_otel.delivery.live import live_processor
from agent_trace_otel.delivery.otlp import send_file, traces_url
from agent_trace_otel.delivery.target import Target
from agent_trace_otel.store.spans_file import encode_line

if TYPE_CHECKING:
    from pathlib import Path

SPANS = [make_span(number, attributes={"text": "é\u2028", "one": 1.0, "list": (1, 2)}) for number in range(20)]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "spans.jsonl"
    path.write_bytes(b"".join(map(encode_line, SPANS)))
    return path


def test_a_file_sent_arrives_span_for_span(kept: Path) -> None:
    found = received_by_oteltap(lambda base: send_file(kept, Target(traces_url(base))), len(SPANS))
    assert sorted(found, key=str) == sorted(spans_in(kept), key=str)


def test_spans_sent_live_are_those_of_the_file(kept: Path) -> None:
    def send(base: str) -> None:
        processor = live_processor(Target(traces_url(base)))
        for span in SPANS:
            processor.on_end(span)
        processor.shutdown()

    expected = spans_in(kept)
    assert sorted(received_by_oteltap(send, len(SPANS)), key=str) == sorted(expected, key=str)


def test_the_demo_arrives_as_it_is_in_its_folder(tmp_path: Path) -> None:
    def run_demo(base: str) -> None:
        variables = environment(tmp_path, AGENT_TRACE_OTLP_ENDPOINT=base)
        subprocess.run(
            [sys.executable, "-m", "agent_trace_otel", "demo"], env=variables, check=True, capture_output=True
        )

    found = received_by_oteltap(run_demo, 13)  # the session, the scout, four model calls, seven tool calls
    (folder,) = (path for path in (tmp_path / "traces").iterdir() if path.is_dir())
    expected = spans_in(folder / "spans.jsonl")
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert {span.name for span in found} >= {"invoke_agent demo-agent", "chat demo-model-1", "execute_tool Bash"}
