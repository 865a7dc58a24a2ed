"""What `agent-trace run` costs a program: its interpreter's start, the whole command, `open` when files are told."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import packages
from results import Row, ratio_row

from agent_trace_otel import instrumentation
from agent_trace_otel.capture.run.plan import Plan

_SOURCES = os.pathsep.join((str(packages.REPOSITORY), str(packages.REPOSITORY / "instrumentors")))
_ROUNDS = 15
_START_BUDGET = 1.3
_OPEN_BUDGET = 1.2
_OPENS = """
import builtins, os, sys, time
import agent_trace_otel as at

def microseconds():
    opens = builtins.open
    began = time.process_time_ns()
    for _ in range(3000):
        opens("file").close()
    return (time.process_time_ns() - began) / 3e6

open("file", "w").close()
for _ in range(15):
    at.uninstrument("files")
    bare = microseconds()
    at.instrument("files")
    print(bare, microseconds())
"""


def starting() -> Iterable[Row]:
    """Measure the CPU time of ``python -c pass``: bare, with the variables of a run, and with the command before it."""
    bare_environment = packages.plain_environment(PYTHONPATH=_SOURCES)
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(("python",), "run", "python", Path(folder, "traces"), watched=instrumentation.watched())
        in_run = plan.environment(bare_environment)
        program = [sys.executable, "-c", "pass"]
        command = [sys.executable, "-m", "agent_trace_otel", "run", "--", *program]
        recording = bare_environment | {"AGENT_TRACE_DIR": str(plan.trace_dir)}
        bare, inside, whole = [], [], []
        for _ in range(_ROUNDS):
            bare.append(_seconds(program, folder, bare_environment))
            inside.append(_seconds(program, folder, in_run))
            whole.append(_seconds(command, folder, recording))
    yield ratio_row("run: the interpreter of a program that traces nothing", inside, bare, _START_BUDGET, "ms", 1e3)
    yield ratio_row("  the whole command, its session written", whole, bare, None, "ms", 1e3)


def _seconds(command: Sequence[str], folder: str, environment: Mapping[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def opening() -> Iterable[Row]:
    """Measure the CPU time of opening and closing a file outside any session, files being told or not."""
    environment = packages.plain_environment(PYTHONPATH=_SOURCES)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _OPENS]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    rounds = [tuple(map(float, line.split())) for line in done.stdout.splitlines()]
    bare, ours = zip(*rounds, strict=True)
    yield ratio_row("open() and close() with files, no session", ours, bare, _OPEN_BUDGET, "us", 1)
