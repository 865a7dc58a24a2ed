"""What a session is called that nobody named: a server's command line or URL in, its name out.

Called by `session`. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from urllib.parse import urlsplit

_LAUNCHERS = ("npx", "uvx", "node", "python", "bunx", "bun", "deno", "uv", "pipx", "npm", "env", "sh", "bash", "docker")
_WORDS = frozenset({"run", "exec", "x", "tool"})
"""What stands between a launcher and what it launches."""


def name_of(command: Sequence[str]) -> str:
    """Return the server's name: ``server-filesystem`` for ``npx -y @modelcontextprotocol/server-filesystem@2 .``."""
    first = command[0] if command else ""
    if len(command) == 1 and "://" in first:
        return urlsplit(first).hostname or ""
    for word in command:
        path = PurePath(word)
        is_launcher = path.name.rstrip("0123456789.") in _LAUNCHERS
        if is_launcher or not path.name or word.startswith("-") or word in _WORDS or "=" in word:
            continue
        return path.name.partition("@")[0] or path.name
    return PurePath(first).name
