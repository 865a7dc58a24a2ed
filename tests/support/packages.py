"""Packages from PyPI and npm, each in a folder of its own: what the benchmarks and the e2e tests compare with.

Comes in: a requirement such as ``agent-strace==0.4.0``. Goes out: the environment's folder of programs, made on first
use with the standard ``venv`` and pip and kept for the next run in AGENT_TRACE_E2E_CACHE, by default in the user's
cache (programs in a shared temporary directory could be somebody else's).
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
_MACHINES = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}
NPM_PLATFORM = f"{platform.system().lower()}-{_MACHINES.get(platform.machine().lower(), platform.machine())}"
"""This machine, as packages with native programs are named."""
_TELEMETRY_OFF = {"DO_NOT_TRACK": "1", "AGENT_STRACE_TELEMETRY": "0"}


class UnavailableError(Exception):
    """A package could not be installed; the text says why in one line."""


def cache_dir() -> Path:
    """Return where the environments are kept."""
    named = os.environ.get("AGENT_TRACE_E2E_CACHE")
    if named:
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agent-trace-e2e"


def programs_of(requirement: str, *more: str) -> Path:
    """Return the ``bin`` folder of an environment that holds the package, installing it, and ``more``, on first use.

    Raises:
        UnavailableError: PyPI can't be reached, or has no such package for this interpreter.
    """
    interpreter = f"{sys.implementation.cache_tag}-{hashlib.sha256(sys.prefix.encode()).hexdigest()[:8]}"
    folder = cache_dir() / f"{requirement.replace('==', '-')}-{interpreter}"
    ready = folder / "installed"  # written last: an interrupted installation starts anew
    if not ready.exists():
        install(folder, requirement, *more)
        ready.touch()
    return folder / "bin"


def install(folder: Path, *requirements: str) -> Path:
    """Make an empty environment, install into it and return its ``bin`` folder.

    Raises:
        UnavailableError: pip failed.
    """
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *requirements], capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"pip exited with {done.returncode}"])[-1]
        message = f"can't install {' '.join(requirements)}: {why}"
        raise UnavailableError(message)
    return folder / "bin"


def python_with(kind: str, *requirements: str) -> Path:
    """Return the interpreter of an environment that holds this checkout, pytest and some packages, made on first use.

    Args:
        kind: what the environment's folder is called, before what tells environments apart.
        requirements: the packages.

    Raises:
        UnavailableError: pip failed.
    """
    wanted = [*requirements, "pytest>=8", "hypothesis>=6.100", "-e", str(REPOSITORY)]
    key = hashlib.sha256(" ".join([*wanted, sys.prefix]).encode()).hexdigest()[:12]
    folder = cache_dir() / f"{kind}-{key}"
    ready = folder / "installed"  # written last: an interrupted installation starts anew
    if not ready.exists():
        install(folder, *wanted)
        ready.touch()
    return folder / "bin" / "python"


def node_modules(requirement: str, program: str = "", *, beside: Sequence[str] = ()) -> Path:
    """Return the ``node_modules`` folder of an npm package and what it depends on, installing it on first use.

    Args:
        requirement: its name, ``@`` and its version.
        program: what must be there, below that folder: npm skips a program that is not for this machine.
        beside: further packages in the same folder.

    Raises:
        UnavailableError: npm is missing or can't reach its registry, or there is no program for this machine.
    """
    named = "+".join([requirement, *beside])
    folder = cache_dir() / named.replace("/", "-").replace("@", "-").strip("-")
    modules = folder / "node_modules"
    ready = folder / "installed"  # written last: an interrupted installation starts anew
    if not ready.exists():
        _npm_install(folder, requirement, *beside)
        if not (modules / program).exists():
            message = f"{requirement} has no program for this machine ({NPM_PLATFORM})"
            raise UnavailableError(message)
        ready.touch()
    return modules


def _npm_install(folder: Path, *requirements: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        message = f"can't install {' '.join(requirements)}: npm is not there"
        raise UnavailableError(message)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"npm exited with {done.returncode}"])[-1]
        message = f"can't install {' '.join(requirements)}: {why}"
        raise UnavailableError(message)


def plain_environment(**variables: str) -> dict[str, str]:
    """Return this process's variables without what steers tracing or Python, and with the telemetry of others off."""
    hidden = ("AGENT_TRACE_", "OTEL_", "TRACEPARENT", "TRACESTATE", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return {**kept, **_TELEMETRY_OFF, "PYTHONUTF8": "1", **variables}
