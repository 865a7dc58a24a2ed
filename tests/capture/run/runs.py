"""A program run directly and by ``agent-trace run``, and what both left; for the tests of run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from programs import environment

from agent_trace_otel.capture.hooks import state
from agent_trace_otel.capture.run import problems
from agent_trace_otel.testing import Recorded

RUN = [sys.executable, "-m", "agent_trace_otel", "run"]
PYTHON = sys.executable


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program left."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Place:
    """A directory with programs in it, where sessions are recorded."""

    path: Path

    @property
    def recorded(self) -> Recorded:
        """What was recorded."""
        return Recorded(self.path / "traces")

    def write(self, name: str, text: str) -> Path:
        """Put a file there."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def environment(self, **variables: str) -> dict[str, str]:
        return environment(self.path, XDG_STATE_HOME=str(self.path / "state"), **variables)

    def direct(self, *command: str, stdin: str = "", **variables: str) -> Ended:
        """Run a command line as it is."""
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.environment(**variables),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def run(self, *command: str, options: Sequence[str] = (), stdin: str = "", **variables: str) -> Ended:
        """Run a command line by ``agent-trace run``."""
        return self.direct(*RUN, *options, "--", *command, stdin=stdin, **variables)

    def start(self, *command: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command line by ``agent-trace run``."""
        return subprocess.Popen(
            [*RUN, "--", *command],
            cwd=self.path,
            env=self.environment(**variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def types(self) -> list[str]:
        """Return the types of the only session's events."""
        return [event.event_type for event in self.recorded.events()]

    def end(self) -> dict[str, object]:
        """Return what the only session's end tells."""
        (ended,) = [event.data for event in self.recorded.events() if event.event_type == "session_end"]
        return dict(ended)

    def problems(self) -> list[problems.Problem]:
        return problems.problems({"XDG_STATE_HOME": str(self.path / "state")})

    @property
    def problems_file(self) -> Path:
        return Path(state.directory({"XDG_STATE_HOME": str(self.path / "state")}), problems.FILE)
