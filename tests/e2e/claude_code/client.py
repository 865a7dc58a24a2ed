"""The real Claude Code client from npm: installed on first use, its native program returned.

Called by ``workspace``. The package for this machine holds one program that needs no node to run; npm is asked once,
and the copy stays in AGENT_TRACE_E2E_CACHE for the next run.
"""

from __future__ import annotations

from pathlib import Path

from packages import NPM_PLATFORM, node_modules

VERSION = "2.1.330"


def executable() -> Path:
    """Return the client's program, installing it on first use.

    Raises:
        UnavailableError: npm is missing or can't reach its registry, or there is no client for this machine.
    """
    program = f"@anthropic-ai/claude-code-{NPM_PLATFORM}/claude"
    return node_modules(f"@anthropic-ai/claude-code@{VERSION}", program) / program
