"""The real Claude Code client from npm: installed on first use, its native program returned.

Called by ``workspace``. The package for this machine holds one program that needs no node to run; npm is asked once,
and the copy stays in AGENT_TRACE_E2E_CACHE for the next run.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

from packages import UnavailableError, cache_dir

VERSION = "2.1.330"
_MACHINES = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}


def executable() -> Path:
    """Return the client's program, installing it on first use.

    Raises:
        UnavailableError: npm is missing or can't reach its registry, or there is no client for this machine.
    """
    folder = cache_dir() / f"claude-code-{VERSION}"
    machine = _MACHINES.get(platform.machine().lower(), platform.machine())
    package = f"claude-code-{platform.system().lower()}-{machine}"
    program = folder / "node_modules" / "@anthropic-ai" / package / "claude"
    ready = folder / "installed"  # written last: an interrupted installation starts anew
    if not ready.exists():
        _install(folder)
        if not program.exists():
            message = f"@anthropic-ai/claude-code {VERSION} has no program for this machine ({package})"
            raise UnavailableError(message)
        ready.touch()
    return program


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        message = "can't install the Claude Code client: npm is not there"
        raise UnavailableError(message)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts"]
    requirement = f"@anthropic-ai/claude-code@{VERSION}"
    done = subprocess.run([*command, requirement], capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"npm exited with {done.returncode}"])[-1]
        message = f"can't install {requirement}: {why}"
        raise UnavailableError(message)
