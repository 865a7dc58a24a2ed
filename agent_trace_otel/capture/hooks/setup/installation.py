"""What a registered hook runs: our copy of the client, and the command line that calls it.

Called by `setup`. A command in a user's own settings names an interpreter and a file that stay where they are; one in
settings that people share through git can name only what is on everybody's PATH. Whatever is missing when it runs, its
exit code is 0: with a 2 the agent would refuse its tools.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import agent_trace_otel
from agent_trace_otel.capture.hooks import client
from agent_trace_otel.capture.hooks.setup.agents import AGENTS, Agent
from agent_trace_otel.errors import SettingsError, UsageError

_NEVER_FAIL = "|| exit 0"
_PACKAGE = Path(agent_trace_otel.__file__).absolute().parent
# uv: archive-v0 (uvx), environments-v2, builds-v0 in its cache; pipx run: .cache in its home, or in the user's cache
_EPHEMERAL = re.compile(
    r"[/\\](?:(?:archive|environments|builds)-v\d+|pipx[/\\]\.cache|\.?[Cc]aches?[/\\](?:uv|pipx))[/\\]"
)


def script_path(environ: Mapping[str, str]) -> Path:
    """Return where our copy of the client belongs (XDG Base Directory Specification).

    Raises:
        SettingsError: nobody's home is known.
    """
    named = Path(environ.get("XDG_DATA_HOME", ""))
    return (named if named.is_absolute() else home(environ) / ".local" / "share") / "agent-trace" / "hook.py"


def home(environ: Mapping[str, str]) -> Path:
    """Return the user's home directory.

    Raises:
        SettingsError: nobody knows it.
    """
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError as error:
        msg = f"no home directory: {error}"
        raise SettingsError(msg) from error


def script() -> str:
    """Return the client's source as it is copied: it knows this package's version and place."""
    source = Path(client.__file__).read_text(encoding="utf-8")
    for name, value in (("VERSION", agent_trace_otel.__version__), ("PACKAGE_PARENT", str(_PACKAGE.parent))):
        source = source.replace(f'{name} = ""\n', f"{name} = {value!r}\n", 1)
    return source


def absolute_command(path: Path, agent: Agent, event: str) -> str:
    """Return a command line for this interpreter and our copy, quoted for the shell that hooks run in."""
    words = [sys.executable, "-I", "-S", str(path), *_arguments(agent, event)]
    if sys.platform == "win32":
        # Git's bash, or cmd.exe: both take double quotes, and slashes within them
        places = (0, 3)
        words = [f'"{word}"'.replace("\\", "/") if at in places else word for at, word in enumerate(words)]
        return " ".join((*words, _NEVER_FAIL))
    return f"{shlex.join(words)} {_NEVER_FAIL}"


def portable_command(agent: Agent, event: str) -> str:
    """Return a command line for whoever has agent-trace on the PATH; for all others it does nothing."""
    return " ".join(("agent-trace hook", *_arguments(agent, event), _NEVER_FAIL))


def check_lasting() -> None:
    """Refuse to register an interpreter, or a package, that will be gone when the hooks run.

    Raises:
        UsageError: it lies in a cache or a temporary directory; says what to do.
    """
    temporary = Path(tempfile.gettempdir())
    for place in (Path(sys.executable), Path(sys.prefix), _PACKAGE):
        if _EPHEMERAL.search(f"{place}{os.sep}") or temporary in place.parents:
            msg = (
                f"{place} is temporary and will be gone when the hooks run: install agent-trace first "
                "(uv tool install agent-trace-otel, or pipx install agent-trace-otel), then run setup again"
            )
            raise UsageError(msg)


def _arguments(agent: Agent, event: str) -> list[str]:
    # what the client takes for granted is left out: `AGENTS` begins with it
    return [event] if agent.name == next(iter(AGENTS)) else [event, agent.name]
