"""What delivery costs: live export in the thread that makes spans, and `ship` afterwards.

The receiver is a process of its own. Live export is compared with the same pipeline in front of an exporter that does
nothing, round by round side by side in this process; rounds are long enough for requests to go out while spans are
made. CPU time of the calling thread is what the program pays; wall time, for scale, has the sender's share of the
interpreter in it.
"""

from __future__ import annotations

import contextvars
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from chaos import receiver
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from programs import environment
from results import Row, SkippedError, ratio_row

import agent_trace_otel as at
from agent_trace_otel import config, guard
from agent_trace_otel.delivery.live import live_processor
from agent_trace_otel.delivery.standing import standings
from agent_trace_otel.delivery.target import Target
from agent_trace_otel.pipeline import SeparatePipeline
from agent_trace_otel.testing import recording

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

_ROUNDS, _CALLS = 24, 1500
_MICROSECONDS = 1e-3 / _CALLS
_LIVE_BUDGET = 1.10
_SHIPPED = 20_000
_SHIP_BUDGET = 1e6 / 3000
"""Microseconds of CPU a span, so that one core sends 3,000 a second."""


class _Nowhere(SpanExporter):
    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class _Side:
    """One session in a pipeline of its own, which hands its spans to ``delivery``."""

    def __init__(self, folder: Path, delivery: SpanProcessor) -> None:
        self.delivery = delivery
        self._context = contextvars.Context()
        self._context.run(self._begin, folder)
        self._numbers = iter(range(10**9))

    def _begin(self, folder: Path) -> None:
        pipeline = SeparatePipeline(config.load({"AGENT_TRACE_DIR": str(folder)}), "bench")
        pipeline._processor.delivery = self.delivery
        pipeline.__enter__()
        at.start_session("bench")

    def round(self, clock: Callable[[], int]) -> float:
        return self._context.run(self._round, clock)

    def _round(self, clock: Callable[[], int]) -> float:
        found = iter([f"src/pages_{next(self._numbers)}.py: def handler(request):" for _ in range(_CALLS)])

        @at.trace_tool
        def search(query: str, limit: int) -> str:
            return next(found)

        began = clock()
        for number in range(_CALLS):
            search(f"def handler_{number}", 10)
        took = clock() - began
        self.delivery.force_flush(30_000)
        return took

    def end(self) -> None:
        self._context.run(at.end_session)
        self.delivery.shutdown()


def live() -> Iterable[Row]:
    """Measure live export against an exporter that does nothing; for scale the SDK's own exporter as well."""
    with _receiver() as base, tempfile.TemporaryDirectory(prefix="agent-trace-bench-") as folder, recording(folder):
        target = Target(f"{base}/v1/traces")
        sides = {
            "none": _Side(Path(folder) / "none", BatchSpanProcessor(_Nowhere())),
            "live": _Side(Path(folder) / "live", live_processor(target)),
            "stock": _Side(Path(folder) / "stock", BatchSpanProcessor(OTLPSpanExporter(endpoint=target.url))),
        }
        cpu = _interleaved(sides, time.thread_time_ns)
        wall = _interleaved(sides, time.perf_counter_ns)
        for side in sides.values():
            side.end()
        _check(Path(folder) / "live")
    yield ratio_row("live export, @trace_tool call", cpu["live"], cpu["none"], _LIVE_BUDGET, "µs", _MICROSECONDS)
    yield ratio_row("  the SDK's OTLP exporter, for scale", cpu["stock"], cpu["none"], None, "µs", _MICROSECONDS)
    yield ratio_row("  live export, wall time", wall["live"], wall["none"], None, "µs", _MICROSECONDS)
    yield ratio_row("  the SDK's OTLP exporter, wall time", wall["stock"], wall["none"], None, "µs", _MICROSECONDS)


def shipping() -> Iterable[Row]:
    """Measure the CPU time of a whole `agent-trace ship` process for each span of a session it sends."""
    with _receiver() as base, tempfile.TemporaryDirectory(prefix="agent-trace-bench-") as name:
        directory = Path(name)
        with recording(directory / "traces") as recorded:
            at.start_session("bench")
            search = at.trace_tool(lambda query: f"src/pages.py: {query} " * 20)
            for number in range(_SHIPPED):
                search(f"def handler_{number}")
            at.end_session()
            folder = recorded.trace_dir / recorded.sessions()[0]
        figures, bare = [], []
        for _ in range(3):
            for log in folder.glob("delivered-*"):
                log.unlink()
            figures.append(_cpu_of(directory, "ship", "--endpoint", base))
            bare.append(_cpu_of_parsing(folder / "spans.jsonl"))
        _check(folder.parent)
    each = [seconds / _SHIPPED * 1e6 for seconds in figures]
    yield Row(
        f"ship, CPU a span ({_SHIPPED:,} spans)",
        median(each),
        _SHIP_BUDGET,
        min(each),
        max(each),
        unit="µs",
        detail=f"{1e6 / median(each):,.0f} spans a second and core",
    )
    yield ratio_row("  against json.loads of its file", figures, bare, None, "s", 1)


@contextmanager
def _receiver() -> Iterator[str]:
    with ExitStack() as running, tempfile.TemporaryDirectory(prefix="agent-trace-bench-") as folder:
        yield running.enter_context(receiver(Path(folder))).base


def _interleaved(sides: dict[str, _Side], clock: Callable[[], int]) -> dict[str, list[float]]:
    figures: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides)
    for number in range(_ROUNDS + 3):
        # whoever runs second finds warmer or colder caches: take turns
        for name in order[number % len(order) :] + order[: number % len(order)]:
            figures[name].append(sides[name].round(clock))
    return {name: found[3:] for name, found in figures.items()}


def _check(trace_dir: Path) -> None:
    """Make sure that everything arrived: what is lost is sent fast."""
    for folder in (path for path in trace_dir.iterdir() if path.is_dir()):
        if any(found.undelivered for found in standings(folder).values()) or guard.failures:
            message = f"not all was delivered: {standings(folder)}, failures {dict(guard.failures)}"
            raise SkippedError(message)


def _cpu_of(directory: Path, *arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "agent_trace_otel", *arguments]
    subprocess.run(command, env=environment(directory), cwd=directory, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _cpu_of_parsing(path: Path) -> float:
    began = time.process_time()
    with path.open("rb") as lines:
        for line in lines:
            json.loads(line)
    return time.process_time() - began
