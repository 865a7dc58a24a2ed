"""What `collect` takes: spans a second to disk, the memory that it needs for many of them, and their size.

One client, which posts what is ready on one connection and waits for each answer, so that the collector is what is
measured: spans a second of its own processor time. A quarter of the spans are model calls, half tool calls, a quarter
HTTP, as agents send them.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median, quantiles

import packages
from results import Row, SkippedError

from agent_trace_otel.delivery.protobuf import items_of_request, request_of

_SPANS_A_REQUEST, _SESSIONS = 512, 20
_ROUNDS, _REQUESTS = 5, 20
_MANY = 200_000
_BUDGET = 1 / 2000  # seconds a span
_GROWTH_BUDGET = 64  # MiB
_MICRO = 1e6


def collecting() -> Iterable[Row]:
    """Measure a span's cost, and memory over many spans."""
    if sys.platform != "linux":
        message = "reads /proc"
        raise SkippedError(message)
    numbers = random.Random(4318)
    with tempfile.TemporaryDirectory(prefix="agent-trace-bench-") as folder, _collector(folder) as (pid, port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        bodies = [_body(numbers) for _ in range(_REQUESTS)]
        _post(connection, _body(numbers))
        costs: list[float] = []
        for _ in range(_ROUNDS):
            before = _processor_seconds(pid)
            for body in bodies:
                _post(connection, body)
            costs.append((_processor_seconds(pid) - before) / (_REQUESTS * _SPANS_A_REQUEST))
            bodies = [_body(numbers) for _ in range(_REQUESTS)]
        low, _, high = quantiles(costs, n=4)
        cost = median(costs)
        yield Row(
            "collect, a span to disk",
            cost * _MICRO,
            _BUDGET * _MICRO,
            low * _MICRO,
            high * _MICRO,
            unit="µs",
            detail=f"{1 / cost:,.0f} spans a second and core",
        )
        yield _on_the_wire(bodies[0], Path(folder))
        warm = _most_memory(pid)
        began = time.perf_counter()
        for _ in range(_MANY // _SPANS_A_REQUEST):
            _post(connection, _body(numbers))
        seconds = time.perf_counter() - began
        growth = _most_memory(pid) - warm
        yield Row(
            f"  memory over {_MANY:,} spans",
            growth,
            _GROWTH_BUDGET,
            unit="MiB",
            detail=f"from {warm:.0f} MiB, in {seconds:.0f} s with the client",
        )


def _on_the_wire(body: bytes, folder: Path) -> Row:
    lines = events = spans = 0
    for path in folder.glob("*/spans.jsonl"):
        content = path.read_bytes()
        lines, spans = lines + len(content), spans + content.count(b"\n")
        events += path.with_name("events.ndjson").stat().st_size
    packed = len(gzip.compress(body)) / _SPANS_A_REQUEST
    return Row(
        "  bytes a span on disk",
        (lines + events) / spans,
        unit="B",
        detail=f"{len(body) / _SPANS_A_REQUEST:.0f} on the wire, {packed:.0f} gzip",
    )


def _body(numbers: random.Random) -> bytes:
    """Return a request as protobuf."""
    trace_id = f"{numbers.getrandbits(128):032x}"
    session = f"session-{numbers.randrange(_SESSIONS)}"
    spans = [_span(numbers, trace_id, session, at) for at in range(_SPANS_A_REQUEST)]
    resource = {"attributes": [_attribute("service.name", "bench"), _attribute("host.name", "vm")]}
    scope_spans = [{"scope": {"name": "bench"}, "spans": spans}]
    request = {"resourceSpans": [{"resource": resource, "scopeSpans": scope_spans}]}
    return request_of(items_of_request(request)).SerializeToString()


def _span(numbers: random.Random, trace_id: str, session: str, at: int) -> dict[str, object]:
    start = 1_800_000_000_000_000_000 + at * 1_000_000
    kind = ("chat", "tool", "tool", "http")[at % 4]
    words = " ".join(f"{numbers.getrandbits(32):08x}" for _ in range(60))
    given: dict[str, str | int] = {"gen_ai.conversation.id": session}
    if kind == "chat":
        said = [{"role": "user", "parts": [{"type": "text", "content": words}]}]
        given |= {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-x"}
        given |= {"gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 90}
        given |= {"gen_ai.input.messages": json.dumps(said), "gen_ai.output.messages": json.dumps(said)}
    elif kind == "tool":
        given |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "read_file"}
        given |= {"gen_ai.tool.call.id": f"call_{at}", "gen_ai.tool.call.result": words}
        given |= {"gen_ai.tool.call.arguments": json.dumps({"path": f"/srv/app/file_{at}.py"})}
    else:
        given |= {"http.request.method": "GET", "url.full": f"https://example.com/{at}"}
        given |= {"http.response.status_code": 200}
    return {
        "traceId": trace_id,
        "spanId": f"{numbers.getrandbits(64):016x}",
        "name": kind,
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 900_000),
        "attributes": [_attribute(name, value) for name, value in given.items()],
        "status": {},
    }


def _attribute(key: str, value: str | int) -> dict[str, object]:
    return {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}


def _post(connection: http.client.HTTPConnection, body: bytes) -> None:
    connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == http.client.OK


@contextlib.contextmanager
def _collector(folder: str) -> Iterator[tuple[int, int]]:
    """Yield the collector's process id and port."""
    command = [sys.executable, "-m", "agent_trace_otel", "--trace-dir", folder, "collect", "--port", "0"]
    environment = packages.plain_environment(PYTHONPATH=str(packages.REPOSITORY), XDG_CONFIG_HOME=folder)
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            listening = re.search(r" collecting on http://[^ ]*:(\d+) ", said)
            if listening is None:
                raise SkippedError(said.strip())
            yield process.pid, int(listening[1])
        finally:
            process.terminate()


def _processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used; fields 14 and 15 of proc(5), stat."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _most_memory(pid: int) -> float:
    """Return the most memory that a process has held, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
