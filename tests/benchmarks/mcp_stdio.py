"""What `agent-trace record` costs an MCP server over stdio, beside a bare relay and no relay at all.

All three stand between the same client and the same server, which parses each line as a server must, and take turns
within one round: what else the machine does meets them alike.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median, quantiles

import packages
from results import Row, ratio_row

_HERE = Path(__file__).parent
_BARE = [sys.executable, str(_HERE / "bare_relay.py")]
_OURS = [sys.executable, "-m", "agent_trace_otel", "record", "--"]
_ARMS: dict[str, list[str]] = {"direct": [], "bare": _BARE, "ours": _OURS}
_SERVER = """
import json, os, sys
waiting = []
while chunk := os.read(0, 1 << 16):
    *lines, rest = chunk.split(b"\\n")
    for line in lines:
        waiting.append(line)
        asked = json.loads(b"".join(waiting))
        waiting.clear()
        said = {"content": [{"type": "text", "text": asked["params"]["arguments"]["text"]}]}
        answer = memoryview(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": said}).encode() + b"\\n")
        while answer:
            answer = answer[os.write(1, answer):]
    waiting.append(rest)
"""
_ROUND_TRIPS, _BLOCKS = 60, 40
_BURST, _BURSTS = 20_000, 5
_BIG, _BIGS = 10_000_000, 7
_STARTS = 15
_CATCHING_UP = 60e-3  # seconds that the recording takes for a block of calls, so that it does not slow the next arm


class _Server:
    """A server, behind a relay or not."""

    def __init__(self, relay: list[str], folder: str) -> None:
        variables = packages.plain_environment(
            PYTHONPATH=str(packages.REPOSITORY), AGENT_TRACE_DIR=folder, XDG_CONFIG_HOME=folder
        )
        self.process = subprocess.Popen(
            [*relay, sys.executable, "-S", "-E", "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=variables,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.into, self.out = self.process.stdin.fileno(), self.process.stdout.fileno()

    def call(self, text: str) -> float:
        """Return the seconds until a call is answered."""
        asked = _asked(1, text)
        began = time.perf_counter()
        _write(self.into, asked)
        while not os.read(self.out, 1 << 16).endswith(b"\n"):
            pass
        return time.perf_counter() - began

    def burst(self, count: int) -> float:
        """Return the seconds until so many calls, sent without waiting, are answered."""
        asked = b"".join(_asked(number, "hello") for number in range(count))
        began = time.perf_counter()
        writer = threading.Thread(target=_write, args=(self.into, asked))
        writer.start()
        answered = 0
        while answered < count:
            answered += os.read(self.out, 1 << 16).count(b"\n")
        writer.join()
        return time.perf_counter() - began

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def _asked(number: int, text: str) -> bytes:
    params = {"name": "echo", "arguments": {"text": text}}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode() + b"\n"


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


@contextlib.contextmanager
def _running(arms: Iterable[str]) -> Iterator[dict[str, _Server]]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # a recording may end a little later
        servers = {arm: _Server(_ARMS[arm], folder) for arm in arms}
        try:
            for server in servers.values():
                server.call("warm")
            time.sleep(1.0)  # the recording has started
            yield servers
        finally:
            for server in servers.values():
                server.close()


def round_trip() -> Iterable[Row]:
    """Measure what a relay adds to the round trip of a small call: the median of each block, blocks side by side."""
    found: dict[str, list[float]] = {arm: [] for arm in _ARMS}
    with _running(_ARMS) as servers:
        for block in range(_BLOCKS):
            turn = block % len(_ARMS)
            for arm in [*_ARMS][turn:] + [*_ARMS][:turn]:
                found[arm].append(median(servers[arm].call("hello") for _ in range(_ROUND_TRIPS)))
                time.sleep(_CATCHING_UP)
    # a block is several times slower when the scheduler puts its processes apart, so the quick ones are compared
    quick = {arm: quantiles(figures, n=4)[0] * 1e6 for arm, figures in found.items()}
    ours, bare = quick["ours"] - quick["direct"], quick["bare"] - quick["direct"]
    shown = f"{ours:,.0f} against {bare:,.0f} us, direct {quick['direct']:,.0f}"
    yield Row("stdio proxy, added round trip, against a bare relay", ours / bare, 1.25, detail=shown)


def throughput() -> Iterable[Row]:
    """Measure a burst of small calls."""
    found: dict[str, list[float]] = {"bare": [], "ours": []}
    for _ in range(_BURSTS):
        for arm, figures in found.items():
            with _running([arm]) as servers:
                figures.append(servers[arm].burst(_BURST))
    yield ratio_row("  time for 20,000 small calls at once", found["ours"], found["bare"], 1 / 0.8, "ms", 1e3)


def ten_megabytes() -> Iterable[Row]:
    """Measure one call with ten megabytes in each direction."""
    found: dict[str, list[float]] = {"bare": [], "ours": []}
    text = "x" * _BIG
    for _ in range(_BIGS):
        for arm, figures in found.items():
            with _running([arm]) as servers:
                figures.append(servers[arm].call(text))
    yield ratio_row("  time for 10 MB there and back", found["ours"], found["bare"], 1 / 0.8, "ms", 1e3)


def start() -> Iterable[Row]:
    """Measure from the start of the process to the first answer."""
    found: dict[str, list[float]] = {arm: [] for arm in _ARMS}
    for _ in range(_STARTS):
        for arm, figures in found.items():
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                began = time.perf_counter()
                server = _Server(_ARMS[arm], folder)
                server.call("first")
                figures.append(time.perf_counter() - began)
                server.close()
                time.sleep(0.2 if arm == "ours" else 0)  # its recording ends
    added = [ours - bare for ours, bare in zip(found["ours"], found["bare"], strict=True)]
    low, middle, high = quantiles([seconds * 1e3 for seconds in added], n=4)
    shown = f"{median(found['ours']) * 1e3:,.0f} against {median(found['bare']) * 1e3:,.0f} ms"
    yield Row("  start to first answer, added to a bare relay's", middle, 40, low, high, "ms", shown)
