"""MCP programs from npm, and a Node that runs them: installed on first use, kept in AGENT_TRACE_E2E_CACHE.

Called by the end-to-end tests of the MCP proxies. The conformance suite needs Node 22, which npm has as a package of
its own for each platform.
"""

from __future__ import annotations

from pathlib import Path

from packages import NPM_PLATFORM, node_modules

EVERYTHING = "@modelcontextprotocol/server-everything@2026.8.31"
FILESYSTEM = "@modelcontextprotocol/server-filesystem@2026.8.31"
MEMORY = "@modelcontextprotocol/server-memory@2026.8.31"
SDK = "@modelcontextprotocol/sdk@1.32.2"
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
CONFORMANCE = "@modelcontextprotocol/conformance@0.1.16"
CONFORMANCE_NEXT = "@modelcontextprotocol/conformance@0.2.0-alpha.12"

_NODE = "22"


def node() -> Path:
    """Return a Node 22.

    Raises:
        UnavailableError: npm is missing, can't reach its registry, or has none for this machine.
    """
    return modules(f"node-{NPM_PLATFORM}@{_NODE}") / "bin" / "node"


def modules(package: str) -> Path:
    """Return the folder of a package, beside what it depends on.

    Args:
        package: its name, ``@`` and its version.

    Raises:
        UnavailableError: npm is missing, or can't reach its registry.
    """
    return node_modules(package) / package.rpartition("@")[0]


def everything(transport: str) -> list[str]:
    """Return the command of server-everything: ``stdio``, or ``streamableHttp`` or ``sse`` on the port in PORT."""
    return [str(node()), str(modules(EVERYTHING) / "dist" / "index.js"), transport]
