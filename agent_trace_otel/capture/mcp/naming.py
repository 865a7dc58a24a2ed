"""What a session is called that nobody named: a server's command line or URL in, its name out.

Called by `session`. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

_LAUNCHERS = ("npx", "uvx", "node", "python", "bunx", "bun", "deno", "uv", "pipx", "npm", "env", "sh", "bash", "docker")
_WORDS = frozenset({"run", "exec", "x", "tool"})
"""What stands between a launcher and what it launches."""
_TAKE_A_VALUE = frozenset(
    {
        *("-e", "--env", "--env-file", "-v", "--volume", "--mount", "--name", "--network", "-w", "--workdir"),
        *("-p", "--package", "--from", "--with", "--python", "--directory", "--project", "--registry"),
        *("-r", "-W", "-X"),
    }
)
"""Options of launchers whose next word is theirs: it may be a variable's or a folder's name."""
_ENDS_OF_NAMES = re.compile(r"[@:;\s]")


def name_of(command: Sequence[str]) -> str:
    """Return the server's name: ``server-filesystem`` for ``npx -y @modelcontextprotocol/server-filesystem@2 .``."""
    first = command[0] if command else ""
    if len(command) == 1 and "://" in first:
        from urllib.parse import urlsplit

        return urlsplit(first).hostname or ""
    is_value = False
    for word in command:
        path = PurePath(word.split(" ")[0])  # a shell's script is one word, and its command the script's first
        is_launcher = path.name.rstrip("0123456789.") in _LAUNCHERS
        is_named = not is_value and path.name and not (is_launcher or word.startswith("-") or "=" in word)
        if is_named and word not in _WORDS:
            return _ENDS_OF_NAMES.split(path.name)[0] or path.name
        is_value = word in _TAKE_A_VALUE
    return PurePath(first).name
