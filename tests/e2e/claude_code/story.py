"""One scenario with our hooks registered: the installed command sets them up, the client runs, the recorder settles.

Called by ``test_claude_code``. Each story has a home of its own, so a recorder of its own, which is told to leave when
the session folders are complete.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import packages

if TYPE_CHECKING:
    from claude_code.scenarios import Scenario
    from claude_code.workspace import Ran, Workspace

_SETTLE_SECONDS = 60


_NOT_IN_A_CLONE = (".git", ".venv*", ".ci", "__pycache__", ".*_cache", ".hypothesis", "dist", ".agent-traces")


def install_checkout(scratch: Path, environment: str) -> Installed:
    """Install a copy of the repository where it lasts: setup refuses to register what lies in a temporary folder.

    Args:
        scratch: where the copy lies for as long as it takes.
        environment: the name of the environment in the cache.
    """
    clone = scratch / "agent-trace-otel"
    shutil.copytree(packages.REPOSITORY, clone, ignore=shutil.ignore_patterns(*_NOT_IN_A_CLONE))
    programs = packages.install(packages.cache_dir() / f"{environment}-{sys.implementation.cache_tag}", str(clone))
    shutil.rmtree(clone)  # what is installed must not need it
    return Installed(programs)


@dataclass(frozen=True, slots=True)
class Installed:
    """Our package in an environment of its own, used by whoever lives in a workspace."""

    programs: Path

    def environment(self, workspace: Workspace) -> dict[str, str]:
        """Return what a user's shell knows: our command on the PATH; a recorder that is forgotten leaves by itself."""
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        return {"HOME": str(workspace.home), "PATH": path, "LANG": "C.UTF-8", "AGENT_TRACE_RECORDER_IDLE": "60"}

    def run(self, workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``agent-trace`` in the project."""
        return subprocess.run(
            [str(self.programs / "agent-trace"), *arguments],
            cwd=workspace.project,
            env=self.environment(workspace),
            capture_output=True,
            check=False,
            encoding="utf-8",
        )

    def must(self, workspace: Workspace, *arguments: str) -> str:
        """Run ``agent-trace``, which must succeed, and return what it prints."""
        done = self.run(workspace, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def recorder(self, workspace: Workspace) -> Mapping[str, Any]:
        """Return what doctor says of the recorder; ``status`` is what it says itself, None when it is not there."""
        found: Mapping[str, Any] = json.loads(self.run(workspace, "doctor", "--json").stdout)["recorder"]
        return found


def play(
    installed: Installed,
    workspace: Workspace,
    scenario: Scenario,
    *,
    setup: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> list[Ran]:
    """Register our hooks (``setup`` are more options of the command), run the scenario and wait for its folders.

    The recorder is left running; `leave` ends it.
    """
    installed.must(workspace, "setup", "claude-code", "--write", *setup)
    ran = workspace.play(scenario, {**installed.environment(workspace), **(environment or {})})
    wait_until_settled(workspace.project / ".agent-traces", starts=len(ran))
    return ran


def wait_until_settled(trace_dir: Path, *, starts: int) -> None:
    """Wait until so many runs have started and each one that has is ended."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while (seen := _starts_and_ends(trace_dir)) and not starts <= seen[0] == seen[1]:
        assert time.monotonic() < deadline, f"{seen[0]} of {starts} runs started, {seen[1]} ended"
        time.sleep(0.1)


def leave(installed: Installed, workspace: Workspace) -> None:
    """Take the hooks out again and wait until the recorder is gone."""
    installed.must(workspace, "setup", "claude-code", "--remove")
    deadline = time.monotonic() + _SETTLE_SECONDS
    while installed.recorder(workspace)["is_locked"]:
        assert time.monotonic() < deadline, "the recorder does not leave"
        time.sleep(0.1)


def _starts_and_ends(trace_dir: Path) -> tuple[int, int]:
    lines = (line for path in trace_dir.glob("*/events.ndjson") for line in path.read_bytes().splitlines())
    found = Counter(json.loads(line)["event_type"] for line in lines if line.endswith(b"}"))
    return found["session_start"], found["session_end"]
