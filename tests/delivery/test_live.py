"""Spans sent while they end, by a processor that never holds the program up longer than it was told."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from google.protobuf.json_format import MessageToDict
from opentelemetry import context
from opentelemetry.sdk.trace import TracerProvider
from scripted_backend import Reply, make_span

from agent_trace_otel import guard
from agent_trace_otel.delivery.live import live_processor as processor_of
from agent_trace_otel.delivery.protobuf import items_of_request
from agent_trace_otel.delivery.target import Target
from agent_trace_otel.store.spans_file import encode_line, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import SpanProcessor
    from scripted_backend import Backend

    from agent_trace_otel.delivery.live import LiveProcessor

EXPORTER_LIMIT = 10.0  # what the stock exporter takes to give up on a dead endpoint


@pytest.fixture(autouse=True)
def fresh_warnings() -> Iterator[None]:
    guard.failures.clear()
    yield
    guard.failures.clear()


def live_processor(url: str, headers: dict[str, str] | None = None, **options: float) -> LiveProcessor:
    return processor_of(Target(url, headers or {}), **options)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def send(processor: SpanProcessor, count: int, *, sampled: bool = True) -> None:
    for number in range(count):
        processor.on_end(make_span(number, sampled=sampled))


def test_what_is_sent_is_what_the_file_holds(backend: Backend) -> None:
    processor = live_processor(backend.url, {"X-Api-Key": "k"})
    spans = [make_span(number, attributes={"text": "é\u2028", "one": 1.0, "big": 2**63 - 1}) for number in range(3)]
    for span in spans:
        processor.on_end(span)
    assert processor.force_flush(10_000)
    processor.shutdown()
    (received,) = backend.received
    assert received.headers["x-api-key"] == "k"
    sent = [s for resource in received.request.resource_spans for scope in resource.scope_spans for s in scope.spans]
    kept = [item.span for span in spans for item in items_of_request(parse_line(encode_line(span)))]
    assert sorted(map(str, map(MessageToDict, sent))) == sorted(map(str, map(MessageToDict, kept)))


def test_it_serves_a_provider_as_any_processor_does(backend: Backend) -> None:
    provider = TracerProvider()
    provider.add_span_processor(live_processor(backend.url))
    with provider.get_tracer("t").start_as_current_span("outer", context=context.Context()):
        pass
    provider.shutdown()
    assert [received.span_count for received in backend.received] == [1]


def test_spans_that_are_not_sampled_are_not_sent(backend: Backend) -> None:
    processor = live_processor(backend.url)
    send(processor, 3, sampled=False)
    assert processor.force_flush(5_000)
    processor.shutdown()
    assert backend.received == []


def test_the_standard_endpoint_variables_do_not_redirect_it(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/elsewhere")
    processor = live_processor(backend.url)
    send(processor, 1)
    processor.shutdown()
    assert len(backend.received) == 1


def test_compression_of_the_environment_is_honoured(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    processor = live_processor(backend.url)
    send(processor, 1)
    processor.shutdown()
    assert backend.received[0].headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("kind", ["dead", "black hole", "slow"])
def test_shutdown_and_flush_return_in_time_whatever_the_endpoint_does(
    backend: Backend, dead_url: str, kind: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    backend.always = lambda _: Reply(wait=True) if kind == "black hole" else Reply(503, headers={"Retry-After": "5"})
    processor = live_processor(dead_url if kind == "dead" else backend.url, shutdown_timeout=0.5)
    send(processor, 1500)
    started = time.monotonic()
    assert not processor.force_flush(300)
    processor.shutdown()
    assert time.monotonic() - started < EXPORTER_LIMIT / 2
    assert len(warnings(caplog)) <= 1
    assert capfd.readouterr().out == ""


def test_a_failing_endpoint_is_one_warning_that_tells_no_key(dead_url: str, caplog: pytest.LogCaptureFixture) -> None:
    url = dead_url.replace("//", "//user:hunter2@") + "?key=hunter2"
    for _ in range(2):
        processor = live_processor(url, timeout=1, shutdown_timeout=3)
        send(processor, 3)
        assert not processor.force_flush(3_000)
        processor.shutdown()
    (warning,) = warnings(caplog)
    assert dead_url in warning
    assert "hunter2" not in warning


def test_other_exporters_of_the_program_log_as_ever(caplog: pytest.LogCaptureFixture, backend: Backend) -> None:
    live_processor(backend.url).shutdown()
    logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter").warning("the user's own")
    assert warnings(caplog) == ["the user's own"]


def test_an_exporter_that_cannot_be_made_is_one_warning(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/nowhere/ca.pem")
    processor = live_processor(backend.url.replace("http:", "https:"), timeout=1, shutdown_timeout=2)
    send(processor, 2)
    assert not processor.force_flush(5_000)
    processor.shutdown()
    assert len(warnings(caplog)) == 1


def test_after_a_failure_spans_are_sent_again(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    backend.script = [Reply(400)]
    processor = live_processor(backend.url)
    processor.on_end(make_span(1))
    assert not processor.force_flush(5_000)
    processor.on_end(make_span(2))
    assert processor.force_flush(5_000)
    processor.shutdown()
    assert [received.span_count for received in backend.received] == [1, 1]
    assert len(warnings(caplog)) == 1


def test_a_flood_against_a_slow_endpoint_is_bounded_and_never_blocks(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.always = lambda _: Reply(wait=True)
    processor = live_processor(backend.url, shutdown_timeout=0.1)
    started = time.monotonic()
    for _ in range(10):
        send(processor, 512)
        processor.force_flush(50)
    processor.shutdown()
    assert time.monotonic() - started < EXPORTER_LIMIT
    assert [message for message in warnings(caplog) if "too slow" in message]


def test_the_export_is_not_traced_itself(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    post = requests.Session.request

    def spy(*args: object, **kwargs: object) -> requests.Response:
        seen.append(context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY) is True)
        return post(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(requests.Session, "request", spy)
    processor = live_processor(backend.url)
    send(processor, 1)
    processor.shutdown()
    assert seen == [True]


def test_shutting_down_twice_is_harmless(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    processor = live_processor(backend.url)
    processor.shutdown()
    processor.shutdown()
    send(processor, 1)
    assert backend.received == []
    assert not any("Error" in message for message in warnings(caplog))


def test_a_forked_child_sends_its_own_spans_and_only_those(backend: Backend) -> None:
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[1] / "support")!r})
from scripted_backend import make_span
from agent_trace_otel.delivery.live import live_processor
from agent_trace_otel.delivery.target import Target
processor = live_processor(Target({backend.url!r}))
processor.on_end(make_span(1))
pid = os.fork()
if pid == 0:
    processor.on_end(make_span(2))
    processor.shutdown()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
processor.shutdown()
"""
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert sorted(backend.span_ids) == [f"{2:016x}", f"{3:016x}"]


@pytest.mark.parametrize("kind", ["dead", "black hole"])
def test_a_program_with_a_dead_endpoint_exits_in_time(backend: Backend, dead_url: str, kind: str) -> None:
    backend.always = lambda _: Reply(wait=True)
    script = f"""
import sys, time, atexit
sys.path.insert(0, {str(Path(__file__).parents[1] / "support")!r})
from scripted_backend import make_span
from agent_trace_otel.delivery.live import live_processor
from agent_trace_otel.delivery.target import Target
processor = live_processor(Target({dead_url if kind == "dead" else backend.url!r}))
atexit.register(processor.shutdown)
for number in range(1000):
    processor.on_end(make_span(number))
print(time.time(), flush=True)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    took = time.time() - float(ran.stdout)
    assert took < EXPORTER_LIMIT / 2
    assert len(ran.stderr.splitlines()) <= 1  # our one warning, from logging's last resort


def test_threads_do_not_pile_up(backend: Backend) -> None:
    def senders() -> set[threading.Thread]:  # the back end has threads of its own, one a kept-alive connection
        return {thread for thread in threading.enumerate() if thread.name == "agent-trace-sender"}

    before = senders()  # of tests that left an endpoint hanging
    for _ in range(5):
        processor = live_processor(backend.url)
        assert senders() - before
        send(processor, 1)
        processor.shutdown()
    deadline = time.monotonic() + 5
    while senders() - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not senders() - before
