"""Hook processes as an agent starts them, and who stands in for the recorder they talk to; for tests and benchmarks."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent_trace_otel.capture.hooks import client, state
from agent_trace_otel.capture.hooks.intake import frames
from agent_trace_otel.capture.hooks.setup import installation

Answer = Callable[[socket.socket], None]
"""What a scripted recorder does with a connection once it has read the whole frame."""


def acknowledge(connection: socket.socket) -> None:
    connection.sendall(client.ACKNOWLEDGED)


def hang_up(connection: socket.socket) -> None:
    """End without an answer."""


def be_silent(connection: socket.socket) -> None:
    """Answer nothing for as long as the client waits."""
    connection.recv(1)


@dataclass
class Hooks:
    """One user's hooks: their own home, no recorder but what a test puts there."""

    home: Path
    environ: dict[str, str] = field(default_factory=dict[str, str])
    script: Path = field(init=False)

    def __post_init__(self) -> None:
        self.home.mkdir(exist_ok=True)
        self.environ = {"HOME": str(self.home), "PATH": os.defpath, **self.environ}
        self.script = self.home / "hook.py"
        self.script.write_text(installation.script(), encoding="utf-8")

    @property
    def state(self) -> Path:
        """The state directory, be it there or not."""
        return Path(state.directory(self.environ))

    @property
    def spool(self) -> list[frames.Frame]:
        """What was spooled, oldest first."""
        return [frames.parse(path.read_bytes()) for path in sorted(self.state.glob(f"{state.SPOOL}/*.hook"))]

    def let_none_start(self) -> None:
        """Make the state directory say that somebody is starting a recorder already."""
        self.state.mkdir(mode=0o700, parents=True)
        (self.state / state.STARTING).touch()

    def command(self, *arguments: str) -> list[str]:
        """Return what an agent runs for an event."""
        return [sys.executable, "-I", "-S", str(self.script), *arguments]

    def run(self, payload: bytes, *arguments: str, **environ: str) -> None:
        """Run one hook to its end, which must be silent and good."""
        done = self.run_command(self.command(*arguments), payload, **environ)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    def run_command(
        self, command: Sequence[str] | str, payload: bytes, **environ: str
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            shell=isinstance(command, str),
            input=payload,
            env=self.environ | environ,
            capture_output=True,
            check=False,
            timeout=60,
        )

    @contextlib.contextmanager
    def recorder(self, answer: Answer = acknowledge) -> Iterator[list[bytes]]:
        """Listen like a recorder; yields the frames it got."""
        got: list[bytes] = []
        listener = socket.socket(socket.AF_UNIX)
        here = Path.cwd()
        os.chdir(self.state)  # a path may be longer than the address of a socket
        listener.bind(state.SOCKET)
        os.chdir(here)
        listener.listen(64)
        serving = threading.Thread(target=_serve, args=(listener, answer, got), daemon=True)
        serving.start()
        try:
            yield got
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()
            listener.close()
            (self.state / state.SOCKET).unlink(missing_ok=True)


def _serve(listener: socket.socket, answer: Answer, got: list[bytes]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # the test is over
            return
        with connection, contextlib.suppress(OSError):
            got.append(connection.makefile("rb").read())
            answer(connection)
