"""Recorders as processes of their own, with a scripted worker, and senders that behave like hooks; for tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from programs import environment, wait_for

from agent_trace_otel.capture.hooks import client, state
from agent_trace_otel.capture.hooks.intake import control

ACKNOWLEDGED = client.ACKNOWLEDGED
WORKER = """
import json, os, time
from agent_trace_otel.capture.hooks import recorder
from agent_trace_otel.capture.hooks.intake import service

class Worker:
    '''Notes what it is told, in a file outside the state directory.'''

    def __init__(self, journals):
        self.journals = journals
        self.note("new", keys=[list(key) for key in journals.keys()])

    def note(self, what, **more):
        with open(os.environ["XDG_STATE_HOME"] + "/notes", "a") as notes:
            notes.write(json.dumps({"what": what, **more}) + chr(10))

    def take(self, key, offset, entry):
        self.note("take", key=list(key), offset=offset, data=dict(entry.data))

    def work(self):
        return 60.0

    def finish(self):
        self.note("finish")

    def open_sessions(self):
        return 2
"""


@dataclass(slots=True)
class Home:
    """A user of their own: state directory, config directory, and the recorders that were started there."""

    path: Path
    recorders: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        """The environment of this user's processes."""
        return environment(self.path, XDG_STATE_HOME=str(self.path), HOME=str(self.path))

    @property
    def state(self) -> Path:
        """The state directory."""
        return Path(state.directory(self.environ))

    def start(self, source: str = "", **options: Any) -> subprocess.Popen[str]:
        """Start a recorder without waiting for it; ``source`` may change the worker or the module before it runs."""
        program = f"{WORKER}\n{source}\nrecorder.main(Worker)"
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            **{"env": self.environ, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options},
        )
        self.recorders.append(process)
        return process

    def running(self, source: str = "", **options: Any) -> subprocess.Popen[str]:
        """Start a recorder and wait until it answers."""
        process = self.start(source, **options)
        wait_for(lambda: (self.status() or {}).get("pid") == process.pid or process.poll() is not None, "a recorder")
        assert process.poll() is None, process.communicate()[0]
        return process

    def status(self) -> dict[str, Any] | None:
        return control.ask(str(self.state), control.STATUS) if self.state.exists() else None

    def entries(self) -> list[dict[str, Any]]:
        """What the journals hold, file by file."""
        lines = [
            line for path in sorted(self.state.glob("journals/*.ndjson")) for line in path.read_bytes().split(b"\n")
        ]
        return [data for line in lines if (data := _object(line)) is not None and data["kind"] != "journal"]

    def ids(self) -> list[str]:
        return [data["id"] for data in self.entries()]

    def notes(self, what: str) -> list[dict[str, Any]]:
        """What workers have noted, in order."""
        path = self.path / "notes"
        lines = path.read_text().splitlines() if path.exists() else []
        return [note for note in map(json.loads, lines) if note["what"] == what]

    def log(self) -> str:
        return (self.state / state.LOG).read_text()

    def spool(self, name: str, data: bytes) -> None:
        """Leave a frame as a hook does that nobody answered."""
        folder = self.state / state.SPOOL
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / f".{name}").write_bytes(data)
        (folder / f".{name}").rename(folder / f"{name}.hook")

    def spooled(self) -> list[str]:
        return sorted(path.name for path in (self.state / state.SPOOL).glob("[0-9]*.hook"))

    def connect(self) -> socket.socket:
        """Return a connection to the recorder."""
        with _inside(self.state):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(30)
            connection.connect(state.SOCKET)
            return connection

    def send(self, data: bytes) -> bytes:
        """Deliver bytes as a hook does, and return the answer; empty when there is none."""
        with self.connect() as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                return connection.recv(1)
            except (BrokenPipeError, ConnectionResetError):
                return b""

    def end(self) -> None:
        """Kill what still runs."""
        for process in self.recorders:
            if process.poll() is None:
                process.kill()
            process.communicate()


def frame(number: object, payload: Mapping[str, Any] | bytes, event: str = "PostToolUse", **fields: str) -> bytes:
    """Return a frame with the id ``number``; a field ``env_X`` is the variable X."""
    given = {"v": "0.1.0", "id": str(number), "at": str(time.time_ns()), "event": event, "agent": "claude-code"}
    given |= {name.replace("env_", "env."): value for name, value in fields.items()}
    body = payload if isinstance(payload, bytes) else json.dumps({"session_id": "s1", **payload}).encode()
    return client.frame({name.encode(): value.encode() for name, value in given.items()}, body)


def ended(process: subprocess.Popen[str], number: signal.Signals | None = None) -> tuple[int, str]:
    """Wait for a recorder, after a signal if one is given; return its exit code and all it printed."""
    if number is not None:
        process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


@contextlib.contextmanager
def _inside(directory: Path) -> Iterator[None]:
    # pytest's directories make longer paths than a socket address holds; contextlib.chdir is newer than Python 3.10
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        return json.loads(line)  # type: ignore[no-any-return]
    except ValueError:
        return None
