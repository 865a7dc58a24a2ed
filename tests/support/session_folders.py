"""Session folders for tests of readers: copies of recorded ones, and small ones made of events."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent_trace_otel import process
from agent_trace_otel.store.events import TraceEvent

RECORDED = Path(__file__).parents[1] / "data" / "folders"
START = 1773562735.0
SESSION_ID = "5e551017-0000-4000-8000-000000000001"
ROOT = "00f067aa0ba902b7"


def recorded_folder(name: str, into: Path) -> Path:
    """Return a copy of a recorded trace directory, owned by whoever runs the tests."""
    return Path(shutil.copytree(RECORDED / name, into / ".agent-traces"))


def event(  # noqa: PLR0913 - an event's keys
    event_type: str,
    after: float,
    data: Mapping[str, Any] | None = None,
    *,
    event_id: str = "",
    parent_id: str = "",
    duration_ms: float | None = None,
    span: str = ROOT,
) -> bytes:
    """Return the line of an event ``after`` seconds from the start."""
    place = {"trace_id": SESSION_ID.replace("-", ""), "span_id": span}
    name = event_id or f"{event_type}-{after}"
    return TraceEvent(
        event_type, START + after, name, SESSION_ID, parent_id, duration_ms, {**(data or {}), **place}
    ).to_line()


def session_start(identity: process.ProcessIdentity | None = None, **data: object) -> bytes:
    """Return the line of a session_start, of this process unless another is named."""
    identity = identity or process.current()
    known = {"agent_name": "agent", "command": ["python", "agent.py"], "pid": identity.pid}
    where = {"pid_start": identity.pid_start, "boot_id": identity.boot_id, "host": identity.host}
    return event("session_start", 0, {**known, **where, **data})


def gone() -> process.ProcessIdentity:
    """Return the identity of a process that has ended."""
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    here = process.current()
    return process.ProcessIdentity(int(child.stdout), here.pid_start, here.boot_id, here.host)


def write_session(
    trace_dir: Path, *lines: bytes, meta: Mapping[str, Any] | str | None = None, session_id: str = SESSION_ID
) -> Path:
    """Write a session folder and return it; ``meta`` None writes no meta.json, a string is written as it is."""
    folder = trace_dir / session_id
    folder.mkdir(parents=True)
    (folder / "events.ndjson").write_bytes(b"".join(lines))
    if meta is not None:
        text = meta if isinstance(meta, str) else json.dumps({"session_id": session_id, **meta})
        (folder / "meta.json").write_text(text, encoding="utf-8")
    return folder


def loaded_by_argparse() -> set[str]:
    """Return the modules that a parser loads by itself: since Python 3.14 it knows colours, and they dataclasses."""
    script = "import argparse, sys; argparse.ArgumentParser().add_argument('any'); print(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def agent_trace(
    *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with a plain environment and its output in pipes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENT_TRACE_", "OTEL_"))}
    return subprocess.run(
        [sys.executable, "-m", "agent_trace_otel", *arguments],
        cwd=cwd,
        env={**kept, "PYTHONUTF8": "1", **(env or {})},
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
