"""A scratch home and project for an agent's real client, with the scripted model beside it on a network of its own.

Called by ``test_other_agents``, which has our hooks registered before the client runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from lonely_model import serving, wait_for_call
from other_agents.scripts import STARTED

if TYPE_CHECKING:
    from lonely_model import Beside
    from other_agents.clients import Client

_RUN_SECONDS = 120


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
        self, prompt: str, environment: Mapping[str, str], *, stop: bool = False, beside: Beside | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Ask the client one thing; with ``stop``, interrupt it (SIGINT) once its slow command has begun."""
        arguments = ["--project", str(self.project)]
        with ExitStack() as around:
            prefix, port = around.enter_context(serving("other_agents.model_api", arguments, os.environ))
            if beside is not None:
                around.enter_context(beside(prefix))
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
                    wait_for_call(process, self.project / STARTED)
                    process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=_RUN_SECONDS)
            finally:
                process.kill()
        return subprocess.CompletedProcess(prompt, process.returncode, out, err)
