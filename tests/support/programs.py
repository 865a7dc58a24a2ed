"""Small programs run as processes of their own, and what they left behind; for tests of processes, exits and kills."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import agent_trace_otel
from agent_trace_otel.testing import Recorded

_HIDDEN = ("AGENT_TRACE_", "OTEL_", "TRACEPARENT", "TRACESTATE", "PYTHON")


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that has ended."""

    code: int
    out: str
    err: str
    seconds: float
    recorded: Recorded

    @property
    def warnings(self) -> list[str]:
        """The lines it wrote to stderr."""
        return self.err.splitlines()


def environment(directory: Path, **variables: str) -> dict[str, str]:
    """Return the variables of a program that records into ``directory``/traces, with nothing of the tester's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)}
    source = str(Path(agent_trace_otel.__file__).parents[1])
    mine = {"PYTHONPATH": source, "AGENT_TRACE_DIR": str(directory / "traces"), "XDG_CONFIG_HOME": str(directory)}
    return {**kept, **mine, "no_proxy": "127.0.0.1", **variables}


def start(source: str, directory: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start a Python program; its text is written to a file, as multiprocessing's spawn wants."""
    program = directory / "program.py"
    program.write_text(source, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(program), *arguments],
        cwd=directory,
        env=environment(directory, **variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(source: str, directory: Path, *arguments: str, **variables: str) -> Ran:
    """Run a Python program to its end."""
    began = time.monotonic()
    process = start(source, directory, *arguments, **variables)
    return finish(process, directory, began)


def finish(process: subprocess.Popen[str], directory: Path, began: float | None = None) -> Ran:
    """Wait for a program that was started; one that hangs is killed and fails the test."""
    began = time.monotonic() if began is None else began
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ran(process.returncode, out, err, time.monotonic() - began, Recorded(directory / "traces"))


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float = 30.0) -> None:
    """Wait until something is so; fail after a time that no slow machine takes."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.01)
