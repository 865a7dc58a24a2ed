"""What looking at a folder costs: replay, stats, export and list, against agent-strace 0.4.0 on the same folder.

Wall time and peak memory of whole processes, run in turns. agent-strace comes from PyPI.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import folders
import packages
from results import Row, SkippedError, ratio_row

PEER = "agent-strace==0.4.0"
_ROUNDS = 5
_EVENTS = 100_000
_SESSIONS = 5_000
_REPLAY_MIB = 60


# a child's ru_maxrss begins with what its parent held at the fork, so the parent is a small one
_LAUNCHER = """
import os, sys, time
began = time.perf_counter()
child = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(child, 0)
print(time.perf_counter() - began, used.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


@dataclass(frozen=True, slots=True)
class _Ran:
    seconds: float
    """From start to exit."""
    mib: float
    """Peak resident memory."""


def replaying() -> Iterable[Row]:
    """Measure replay of one large session."""
    with folders.large_session(_EVENTS) as trace_dir:
        ours, peer = _in_turns(trace_dir, "replay", folders.LARGE)
    what = f"replay of {_EVENTS:,} events"
    yield _time(what, ours, peer, 0.25)
    yield _memory(f"{what}, peak memory", ours, peer, _REPLAY_MIB)


def counting() -> Iterable[Row]:
    """Measure stats of one large session."""
    with folders.large_session(_EVENTS) as trace_dir:
        ours, peer = _in_turns(trace_dir, "stats", folders.LARGE)
    yield _time(f"stats of {_EVENTS:,} events", ours, peer, 0.3)
    yield _memory(f"stats of {_EVENTS:,} events, peak memory", ours, peer, None)


def exporting() -> Iterable[Row]:
    """Measure export of one large session as NDJSON."""
    with folders.large_session(_EVENTS) as trace_dir:
        ours, peer = _in_turns(trace_dir, "export", folders.LARGE, "--format", "ndjson")
    yield _time(f"export ndjson of {_EVENTS:,} events", ours, peer, None)
    yield _memory(f"export ndjson of {_EVENTS:,} events, peak memory", ours, peer, None)


def listing() -> Iterable[Row]:
    """Measure list of many small sessions."""
    with folders.many_sessions(_SESSIONS) as trace_dir:
        ours, peer = _in_turns(trace_dir, "list")
    yield _time(f"list of {_SESSIONS:,} sessions", ours, peer, 0.4)
    yield _memory(f"list of {_SESSIONS:,} sessions, peak memory", ours, peer, None)


def _time(what: str, ours: list[_Ran], peer: list[_Ran], budget: float | None) -> Row:
    return ratio_row(what, [ran.seconds for ran in ours], [ran.seconds for ran in peer], budget, "ms", 1000)


def _memory(what: str, ours: list[_Ran], peer: list[_Ran], budget: float | None) -> Row:
    mine, theirs = max(ran.mib for ran in ours), max(ran.mib for ran in peer)
    return Row(what, mine, budget, unit="MiB", detail=f"against {theirs:.0f} MiB")


def _in_turns(trace_dir: Path, *arguments: str) -> tuple[list[_Ran], list[_Ran]]:
    """Run one command of both programs in turns, after one run each that fills the page cache."""
    try:
        peer = [str(packages.programs_of(PEER) / "agent-strace")]
    except packages.UnavailableError as error:
        raise SkippedError(str(error)) from None
    mine = [sys.executable, "-m", "agent_trace_otel"]
    of_mine: list[_Ran] = []
    of_peer: list[_Ran] = []
    for _ in range(_ROUNDS + 1):
        of_mine.append(_run([*mine, "--trace-dir", str(trace_dir), *arguments]))
        of_peer.append(_run([*peer, "--trace-dir", str(trace_dir), *arguments]))
    return of_mine[1:], of_peer[1:]


def _run(command: list[str]) -> _Ran:
    environment = packages.plain_environment(PYTHONPATH=str(packages.REPOSITORY))
    with tempfile.TemporaryFile() as out:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command],
            env=environment,
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode:
        message = f"{' '.join(command)} exited with {done.returncode}: {done.stderr[-500:]}"
        raise RuntimeError(message)
    seconds, peak = done.stderr.split()[-2:]
    kib = int(peak) / 1024 if sys.platform == "darwin" else int(peak)
    return _Ran(float(seconds), kib / 1024)
