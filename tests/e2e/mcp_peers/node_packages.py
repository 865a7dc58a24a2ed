"""MCP programs from npm, and a Node that runs them: installed on first use, kept in AGENT_TRACE_E2E_CACHE.

Called by the end-to-end tests of the MCP proxies. The conformance suite needs Node 22, which npm has as a package of
its own for each platform.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

from packages import UnavailableError, cache_dir

EVERYTHING = "@modelcontextprotocol/server-everything@2026.8.31"
FILESYSTEM = "@modelcontextprotocol/server-filesystem@2026.8.31"
MEMORY = "@modelcontextprotocol/server-memory@2026.8.31"
SDK = "@modelcontextprotocol/sdk@1.32.2"
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
CONFORMANCE = "@modelcontextprotocol/conformance@0.1.16"
CONFORMANCE_NEXT = "@modelcontextprotocol/conformance@0.2.0-alpha.12"

_NODE = "22"
_MACHINES = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}


def node() -> Path:
    """Return a Node 22.

    Raises:
        UnavailableError: npm is missing, can't reach its registry, or has none for this machine.
    """
    machine = _MACHINES.get(platform.machine().lower(), platform.machine())
    return modules(f"node-{platform.system().lower()}-{machine}@{_NODE}") / "bin" / "node"


def modules(package: str) -> Path:
    """Return the folder of a package, beside what it depends on.

    Args:
        package: its name, ``@`` and its version.

    Raises:
        UnavailableError: npm is missing, or can't reach its registry.
    """
    name = package.rpartition("@")[0]
    folder = cache_dir() / package.replace("/", "-").replace("@", "-").strip("-")
    ready = folder / "installed"  # written last: an interrupted installation starts anew
    if not ready.exists():
        npm = shutil.which("npm")
        if npm is None:
            message = f"can't install {package}: npm is not there"
            raise UnavailableError(message)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or [f"npm exited with {done.returncode}"])[-1]
            message = f"can't install {package}: {why}"
            raise UnavailableError(message)
        ready.touch()
    return folder / "node_modules" / name


def everything(transport: str) -> list[str]:
    """Return the command of server-everything: ``stdio``, or ``streamableHttp`` or ``sse`` on the port in PORT."""
    return [str(node()), str(modules(EVERYTHING) / "dist" / "index.js"), transport]
