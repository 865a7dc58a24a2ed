"""A scripted model on a network of its own, for one real client beside it: it sees 127.0.0.1 and nothing else.

Called by the workspaces of real clients.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

Beside = Callable[[Sequence[str]], AbstractContextManager[object]]
"""Runs something on the model's network while the client runs; takes what puts a command there."""

_HERE = Path(__file__).parent
_RUN_SECONDS = 180


@functools.cache
def _may_be_alone() -> bool:
    """Return whether this user may make network namespaces."""
    if not (shutil.which("unshare") and shutil.which("nsenter")):
        return False
    return subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0


@contextmanager
def serving(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Generator[tuple[list[str], int]]:
    """Run a server, a module that prints its port; yields what puts a command beside it, and the port."""
    alone = ["unshare", "-n"] if _may_be_alone() else []
    command = [*alone, sys.executable, "-m", module, *arguments, *(["--lo"] if alone else [])]
    server = subprocess.Popen(command, env={**environment, "PYTHONPATH": str(_HERE)}, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline())
        yield (["nsenter", f"--net=/proc/{server.pid}/ns/net", "--"] if alone else []), port
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def wait_for_call(process: subprocess.Popen[str], started: Path) -> None:
    """Wait until the client has begun its slow command, which makes a file."""
    deadline = time.monotonic() + _RUN_SECONDS
    while not started.exists():
        assert process.poll() is None, "the client ended before its slow call"
        assert time.monotonic() < deadline, "the slow call does not begin"
        time.sleep(0.02)
    time.sleep(0.5)  # the client has started the command; let it note that
