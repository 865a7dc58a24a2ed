"""An independent OTLP receiver gets the spans of spans.jsonl, sent live and sent from the file."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from programs import environment
from scripted_backend import make_span

from agent_trace_otel.delivery.live import live_processor
from agent_trace_otel.delivery.otlp import send_file, traces_url
from agent_trace_otel.delivery.protobuf import items_of_request
from agent_trace_otel.store.spans_file import encode_line, requests_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

oteltap = pytest.importorskip("oteltap", reason="oteltap needs opentelemetry-proto 1.30 or newer")

SPANS = [make_span(number, attributes={"text": "é\u2028", "one": 1.0, "list": (1, 2)}) for number in range(20)]


def received_by_oteltap(send: Callable[[str], object], count: int = len(SPANS)) -> list[Any]:
    """Return the first ``count`` spans that arrive while ``send`` runs with the receiver's base URL."""

    async def receive() -> list[Any]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = oteltap.OtelTapHttpProtobufReceiverSettings(http_port=port)
        async with oteltap.OtelTapHttpProtobufReceiver(settings) as receiver:
            stream = receiver.stream_traces()
            sending = asyncio.create_task(asyncio.to_thread(send, f"http://127.0.0.1:{port}"))
            found = [await asyncio.wait_for(anext(stream), 20) for _ in range(count)]
            await sending
            return found

    return asyncio.run(receive())


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "spans.jsonl"
    path.write_bytes(b"".join(map(encode_line, SPANS)))
    return path


def spans_in(path: Path) -> list[Any]:
    return [item.span for request in requests_of(path) for item in items_of_request(request)]


def test_a_file_sent_arrives_span_for_span(kept: Path) -> None:
    found = received_by_oteltap(lambda base: send_file(kept, traces_url(base)))
    assert sorted(found, key=str) == sorted(spans_in(kept), key=str)


def test_spans_sent_live_are_those_of_the_file(kept: Path) -> None:
    def send(base: str) -> None:
        processor = live_processor(traces_url(base))
        for span in SPANS:
            processor.on_end(span)
        processor.shutdown()

    expected = spans_in(kept)
    for span in expected:
        span.flags &= ~0xFF  # the SDK's encoder leaves the trace flags out
    assert sorted(received_by_oteltap(send), key=str) == sorted(expected, key=str)


def test_the_demo_arrives_as_it_is_in_its_folder(tmp_path: Path) -> None:
    def run_demo(base: str) -> None:
        variables = environment(tmp_path, AGENT_TRACE_OTLP_ENDPOINT=base)
        subprocess.run(
            [sys.executable, "-m", "agent_trace_otel", "demo"], env=variables, check=True, capture_output=True
        )

    found = received_by_oteltap(run_demo, 13)  # the session, the scout, four model calls, seven tool calls
    (folder,) = (path for path in (tmp_path / "traces").iterdir() if path.is_dir())
    expected = spans_in(folder / "spans.jsonl")
    for span in expected:
        span.flags &= ~0xFF  # as above
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert {span.name for span in found} >= {"invoke_agent demo-agent", "chat demo-model-1", "execute_tool Bash"}
