"""A scratch home and project for an agent's real client, with the scripted model beside it on a network of its own.

Called by ``test_other_agents``, which has our hooks registered before the client runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from claude_code.workspace import isolation
from other_agents.scripts import STARTED

if TYPE_CHECKING:
    from other_agents.clients import Client

_RUN_SECONDS = 120
_HERE = Path(__file__).parent


class Workspace:
    """Folders ``home`` and ``project`` below a root that is empty yet."""

    def __init__(self, root: Path, client: Client) -> None:
        self.home, self.project = root / "home", root / "project"
        self._client = client
        for folder in (self.home, self.project):
            folder.mkdir(parents=True)
        (self.project / "hello.txt").write_text("hello world\n", encoding="utf-8")
        subprocess.run(["git", "init", "-q", "-b", "main"], cwd=self.project, check=True)

    def run(
        self, prompt: str, environment: Mapping[str, str], *, stop: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Ask the client one thing; with ``stop``, interrupt it (SIGINT) once its slow command has begun."""
        with self._model() as (prefix, port):
            own = {"TERM": "xterm-256color", "SHELL": "/bin/bash", **self._client.configure(self.home, port)}
            process = subprocess.Popen(
                [*prefix, *self._client.command(prompt)],
                cwd=self.project,
                env={**environment, **own},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
            )
            try:
                if stop:
                    self._wait_for_call(process)
                    process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=_RUN_SECONDS)
            finally:
                process.kill()
        return subprocess.CompletedProcess(prompt, process.returncode, out, err)

    def _wait_for_call(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + _RUN_SECONDS
        while not (self.project / STARTED).exists():
            assert process.poll() is None, "the client ended before its slow call"
            assert time.monotonic() < deadline, "the slow call does not begin"
            time.sleep(0.02)
        time.sleep(0.5)  # the client has started the command; let it note that

    @contextmanager
    def _model(self) -> Generator[tuple[list[str], int]]:
        """Serve the scripted model; yields what puts a command beside it, and its port."""
        alone = ["unshare", "-n"] if isolation() else []
        command = [*alone, sys.executable, "-m", "other_agents.model_api", "--project", str(self.project)]
        environment = {**os.environ, "PYTHONPATH": str(_HERE.parent)}
        server = subprocess.Popen(
            [*command, *(["--lo"] if alone else [])], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            yield (["nsenter", f"--net=/proc/{server.pid}/ns/net", "--"] if alone else []), port
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
