"""What `record-http` adds to a call over a connection that is kept, and what a long body costs it.

Round trips of a raw client to a raw server in a process of its own: direct, through a bare TCP relay, and through the
proxy with its recording child, in turns.
"""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles

import packages
from results import Row, SkippedError

_ROUNDS, _CALLS, _WARM = 8, 200, 100
_ADDED_BUDGET = 1000  # µs
_MIB_OF_BODY = 1024
_GROWTH_BUDGET = 64  # MiB; copies wait in up to 32 MiB for the recording child, though not those of such a body
_CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}'
_HEAD = (
    b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, "
    b"text/event-stream\r\nMcp-Session-Id: 6f1d\r\nMCP-Protocol-Version: 2025-11-25\r\nContent-Length: %d\r\n\r\n"
)
_REQUEST = _HEAD % len(_CALL) + _CALL
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


def round_trips() -> Iterable[Row]:
    """Measure calls on one connection each, in turns."""
    with contextlib.ExitStack() as running:
        server = running.enter_context(_neighbour("server"))
        ports = {
            "direct": server,
            "relay": running.enter_context(_neighbour("relay", str(server))),
            "proxy": running.enter_context(_proxy(server))[1],
        }
        ways = {name: running.enter_context(_connection(port)) for name, port in ports.items()}
        found: dict[str, list[list[float]]] = {name: [] for name in ways}
        for wire in ways.values():
            _microseconds(wire, _WARM)
        for _ in range(_ROUNDS):
            for name, wire in ways.items():
                found[name].append(_microseconds(wire, _CALLS))
    yield _added("record-http, added to a call, p50", found["proxy"], found["direct"], _ADDED_BUDGET)
    yield _added("  for scale: a bare TCP relay in Python", found["relay"], found["direct"], None)


def long_body() -> Iterable[Row]:
    """Measure the proxy's memory and speed over a body of 1 GiB."""
    if sys.platform != "linux":
        message = "reads /proc"
        raise SkippedError(message)
    with _neighbour("server") as server, _proxy(server) as (pid, port):
        with _connection(port) as wire:
            _microseconds(wire, _WARM)
        before = _most_memory(pid)
        ours, bare = _seconds_of_body(port), _seconds_of_body(server)
        growth = _most_memory(pid) - before
    yield Row(
        f"record-http, memory over {_MIB_OF_BODY} MiB",
        growth,
        _GROWTH_BUDGET,
        unit="MiB",
        detail=f"from {before:.0f} MiB",
    )
    yield Row("  the same, time against direct", ours / bare, detail=f"{_MIB_OF_BODY / ours:,.0f} MiB a second")


def _added(what: str, ours: Sequence[Sequence[float]], bare: Sequence[Sequence[float]], budget: float | None) -> Row:
    """Return the row of what a way adds: round i of one ran right beside round i of the other."""
    added = [median(mine) - median(theirs) for mine, theirs in zip(ours, bare, strict=True)]
    low, _, high = quantiles(added, n=4)
    slow, slow_bare = (quantiles([one for part in series for one in part], n=100)[-1] for series in (ours, bare))
    return Row(what, median(added), budget, low, high, unit="µs", detail=f"p99 {slow:,.0f} against {slow_bare:,.0f} µs")


@contextlib.contextmanager
def _neighbour(*arguments: str) -> Iterator[int]:
    program = Path(__file__).with_name("http_neighbours.py")
    command = [sys.executable, str(program), *arguments]
    with _running(subprocess.Popen(command, stdout=subprocess.PIPE, text=True)) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


@contextlib.contextmanager
def _proxy(server: int) -> Iterator[tuple[int, int]]:
    """Yield the proxy's process id and port."""
    with tempfile.TemporaryDirectory(prefix="agent-trace-bench-") as folder:
        command = [sys.executable, "-m", "agent_trace_otel", "--trace-dir", folder, "record-http"]
        environment = packages.plain_environment(PYTHONPATH=str(packages.REPOSITORY), XDG_CONFIG_HOME=folder)
        process = subprocess.Popen(
            [*command, f"http://127.0.0.1:{server}", "--port", "0"], env=environment, stderr=subprocess.PIPE, text=True
        )
        with _running(process):
            assert process.stderr is not None
            said = process.stderr.readline()
            listening = re.search(r" recording http://[^ ]*:(\d+) ", said)
            if listening is None:
                raise SkippedError(said.strip())
            yield process.pid, int(listening[1])


@contextlib.contextmanager
def _running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    with process:
        try:
            yield process
        finally:
            process.terminate()


@contextlib.contextmanager
def _connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield wire


def _microseconds(wire: socket.socket, calls: int) -> list[float]:
    """Return how long each of some calls took."""
    found: list[float] = []
    for _ in range(calls):
        began = time.perf_counter()
        wire.sendall(_REQUEST)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0 or len(received) < end + 4 + _stated(received):
            received += wire.recv(1 << 16)
        found.append((time.perf_counter() - began) * 1e6)
    return found


def _stated(received: bytes) -> int:
    stated = _LENGTH.search(received)
    return int(stated[1]) if stated else 0


def _seconds_of_body(port: int) -> float:
    with _connection(port) as wire:
        began = time.perf_counter()
        wire.sendall(b"GET /body/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % _MIB_OF_BODY)
        left = _MIB_OF_BODY << 20
        while left > 0:
            left -= len(wire.recv(1 << 18))
        return time.perf_counter() - began


def _most_memory(pid: int) -> float:
    """Return the most memory that a process has held, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
