"""A collector beside real clients, and the sessions that it made of what they sent.

Called by ``test_collect_recipes`` and ``test_back_ends``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import packages


@contextmanager
def collector(
    trace_dir: Path,
    port: int,
    *arguments: str,
    prefix: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Run ``agent-trace collect`` on a port; yields its URL. ``prefix`` puts it on a client's network."""
    command = [*prefix, sys.executable, "-m", "agent_trace_otel", "--trace-dir", str(trace_dir)]
    environment = packages.plain_environment(
        PYTHONPATH=str(packages.REPOSITORY), XDG_CONFIG_HOME=str(trace_dir.parent), no_proxy="127.0.0.1"
    )
    process = subprocess.Popen(
        [*command, "collect", "--port", str(port), *arguments],
        env={**environment, **(variables or {})},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert " collecting on " in said, said
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        _, more = process.communicate(timeout=120)
        assert (process.returncode, more) == (0, ""), more
    finally:
        process.kill()
        process.communicate()


def agent_trace(trace_dir: Path, *arguments: str) -> str:
    """Run a command on the sessions, which must succeed, and return what it prints."""
    command = [sys.executable, "-m", "agent_trace_otel", "--trace-dir", str(trace_dir), *arguments]
    environment = packages.plain_environment(PYTHONPATH=str(packages.REPOSITORY), XDG_CONFIG_HOME=str(trace_dir.parent))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stats(trace_dir: Path, session: str = "") -> dict[str, Any]:
    """Return the numbers of a session, by default the newest."""
    found: dict[str, Any] = json.loads(agent_trace(trace_dir, "stats", *([session] if session else []), "--json"))[
        "session"
    ]
    return found


def sessions(trace_dir: Path) -> list[str]:
    """Return the names of the session folders."""
    return sorted(path.parent.name for path in trace_dir.glob("*/events.ndjson"))
