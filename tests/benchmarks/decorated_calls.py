"""What tracing adds to a tool call: @trace_tool with files, redaction and OTLP on, against a bare SDK span.

CPU time of the calling thread, since that is what the traced program pays; sending happens in a thread of its own, and
its exporter does nothing on both sides. Both sides run in this process, round by round side by side, garbage collection
on. Every call has arguments and a result of its own: nothing may be fast because it has been seen before.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import json
import tempfile
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from results import Row, ratio_row

import agent_trace_otel as at
from agent_trace_otel import guard
from agent_trace_otel.testing import Recorded, recording

_ROUNDS = 60
_CALLS = 200
_THREADS = 8
_MICROSECONDS = 1e-3 / _CALLS
_BUDGET, _BUDGET_IN_THREADS = 2.5, 4.0

_FILE = "\n".join(f"{line:>6}\treturn render(request, title='page {line}')" for line in range(90))

Round = Callable[[], float]
AsyncRound = Callable[[], Coroutine[None, None, float]]
Calls = list[tuple[str, str]]
"""What a round's calls are given and give back."""


class _Drawn:
    """Draws the calls of one round after another, no two alike."""

    def __init__(self, of_result: str) -> None:
        self._numbers = itertools.count()
        self._of_result = of_result

    def calls(self) -> Calls:
        numbers = itertools.islice(self._numbers, _CALLS)
        return [(f"def handler_{n}", f"src/pages_{n}.py:{n}: {self._of_result}") for n in numbers]


_SHORT = "def handler(request):"


class _Nowhere(SpanExporter):
    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


@dataclass(frozen=True)
class _Sides:
    """Both pipelines: rounds run in ``bare`` and ``traced`` have a current span of their side's."""

    bare: contextvars.Context
    traced: contextvars.Context
    provider: TracerProvider
    flush: Callable[[], object]


@contextmanager
def _both_sides(*, redact: bool = True, otlp: bool = True) -> Iterator[_Sides]:
    with tempfile.TemporaryDirectory(prefix="agent-trace-bench-") as folder, recording(Path(folder)) as recorded:
        bare = TracerProvider()
        bare.add_span_processor(BatchSpanProcessor(_Nowhere()))
        ours = at.configure(trace_dir=folder)
        (processor,) = (p for p in ours._active_span_processor._span_processors)
        assert isinstance(processor, at.AgentTraceSpanProcessor)
        processor.delivery = BatchSpanProcessor(_Nowhere()) if otlp else None

        def flush() -> None:
            bare.force_flush()
            ours.force_flush()

        with bare.get_tracer("bare").start_as_current_span("agent"):
            under_bare = contextvars.copy_context()
        under_ours = contextvars.Context()
        under_ours.run(at.start_session, "bench", redact=redact)
        yield _Sides(under_bare, under_ours, bare, flush)
        under_ours.run(at.end_session)
        bare.shutdown()
        _check(recorded)


def _check(recorded: Recorded) -> None:
    """Make sure that everything was written: a pipeline that fails is fast, and silent."""
    (folder,) = (path for path in recorded.trace_dir.iterdir() if path.is_dir())
    events, last_event = _count(folder / "events.ndjson")
    spans, _ = _count(folder / "spans.jsonl")
    if guard.failures or events != 2 * spans or last_event["event_type"] != "session_end":
        message = f"not all was recorded: {events} events of {spans} spans, failures {dict(guard.failures)}"
        raise RuntimeError(message)


def _count(path: Path) -> tuple[int, dict[str, Any]]:
    """Return how many lines there are, and the last one read; in little memory, since there are many."""
    with path.open("rb") as lines:
        ((number, line),) = deque(enumerate(lines, 1), maxlen=1)
    last: dict[str, Any] = json.loads(line)
    return number, last


def sync_calls() -> Iterable[Row]:
    """Measure plain functions: as shipped, then with one thing switched off or another size of result, for scale."""
    yield _sync("@trace_tool call", _BUDGET)
    yield _sync("  the same, redaction off", None, redact=False)
    yield _sync("  the same, OTLP off", None, otlp=False)
    yield _sync("  the same, results of 4 KB", None, of_result=_FILE)


def _sync(what: str, budget: float | None, *, of_result: str = _SHORT, redact: bool = True, otlp: bool = True) -> Row:
    with _both_sides(redact=redact, otlp=otlp) as sides:
        bare, traced = _sync_rounds(sides.provider, of_result)
        base, ours = _interleaved(sides, lambda: sides.bare.run(bare), lambda: sides.traced.run(traced))
    return ratio_row(what, ours, base, budget, "µs", _MICROSECONDS)


def _sync_rounds(provider: TracerProvider, of_result: str) -> tuple[Round, Round]:
    tracer = provider.get_tracer("bare")
    drawn = _Drawn(of_result)

    def bare_round() -> float:
        calls = drawn.calls()
        search = _search(calls)
        began = time.thread_time_ns()
        for query, _ in calls:
            with tracer.start_as_current_span("execute_tool search", attributes=_five_attributes(query)):
                search(query, 10)
        return time.thread_time_ns() - began

    def traced_round() -> float:
        calls = drawn.calls()
        search = at.trace_tool(_search(calls))
        began = time.thread_time_ns()
        for query, _ in calls:
            search(query, 10)
        return time.thread_time_ns() - began

    return bare_round, traced_round


def _search(calls: Calls) -> Callable[[str, int], str]:
    """Return the tool: all it does is to hand out the next result."""
    results = iter([result for _, result in calls])

    def search(query: str, limit: int) -> str:
        return next(results)

    return search


def _five_attributes(query: str) -> dict[str, str]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.type": "function",
        "gen_ai.conversation.id": "5e551017-0000-4000-8000-000000000001",
        "gen_ai.tool.call.arguments": query,
    }


def async_calls() -> Iterable[Row]:
    """Measure coroutine functions, awaited one after the other."""
    with _both_sides() as sides:
        bare, traced = _async_rounds(sides.provider)
        base, ours = _interleaved(
            sides,
            lambda: sides.bare.run(asyncio.run, bare()),
            lambda: sides.traced.run(asyncio.run, traced()),
        )
    yield ratio_row("@trace_tool call, async", ours, base, _BUDGET, "µs", _MICROSECONDS)


def _async_rounds(provider: TracerProvider) -> tuple[AsyncRound, AsyncRound]:
    tracer = provider.get_tracer("bare")
    drawn = _Drawn(_SHORT)

    def coroutine_function(calls: Calls) -> Callable[[str, int], Awaitable[str]]:
        found = _search(calls)

        async def search(query: str, limit: int) -> str:
            return found(query, limit)

        return search

    async def bare_round() -> float:
        calls = drawn.calls()
        search = coroutine_function(calls)
        began = time.thread_time_ns()
        for query, _ in calls:
            with tracer.start_as_current_span("execute_tool search", attributes=_five_attributes(query)):
                await search(query, 10)
        return time.thread_time_ns() - began

    async def traced_round() -> float:
        calls = drawn.calls()
        search = at.trace_tool(coroutine_function(calls))
        began = time.thread_time_ns()
        for query, _ in calls:
            await search(query, 10)
        return time.thread_time_ns() - began

    return bare_round, traced_round


def calls_in_threads() -> Iterable[Row]:
    """Measure plain functions called in eight threads at once; the CPU time of all eight is added up."""
    with _both_sides() as sides, ThreadPoolExecutor(_THREADS) as pool:
        bare, traced = _sync_rounds(sides.provider, _SHORT)
        start = threading.Barrier(_THREADS)

        def at_once(context: contextvars.Context, one_round: Round) -> float:
            def in_thread(own: contextvars.Context) -> float:
                start.wait()
                return own.run(one_round)

            return sum(pool.map(in_thread, [context.copy() for _ in range(_THREADS)])) / _THREADS

        base, ours = _interleaved(sides, lambda: at_once(sides.bare, bare), lambda: at_once(sides.traced, traced))
    yield ratio_row(f"@trace_tool call, {_THREADS} threads", ours, base, _BUDGET_IN_THREADS, "µs", _MICROSECONDS)


def _interleaved(sides: _Sides, bare: Round, traced: Round) -> tuple[list[float], list[float]]:
    """Return the nanoseconds of each round of both sides, after a few that warm up."""
    base: list[float] = []
    ours: list[float] = []
    for number in range(_ROUNDS + 5):
        # whoever runs second finds warmer or colder caches: take turns
        for figures, one_round in ((base, bare), (ours, traced))[:: 1 if number % 2 else -1]:
            figures.append(one_round())
            sides.flush()
    return base[5:], ours[5:]
