"""Programs that listen on a port of this machine, started for a test module and stopped after it.

Called by ``back_ends``. Everything a server says goes to a log file, which is shown when it doesn't come up.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_START_SECONDS = 300  # the big ones import for minutes on a busy machine
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy can't see this machine's loopback


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def get(url: str, data: bytes | None = None) -> bytes:
    """Return the body of an answer; POST as JSON if there is something to send.

    Raises:
        OSError: no answer, or not a good one.
    """
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with _DIRECT.open(request, timeout=60) as answer:
        body: bytes = answer.read()
        return body


@contextmanager
def serving(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, port: int, path: str
) -> Iterator[str]:
    """Run a server; yields its base URL once GET ``path``, or if that is empty the port, answers."""
    url = f"http://127.0.0.1:{port}"
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(url, port, path):
            assert process.poll() is None, f"{command[0]} ended:\n{log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"{command[0]} does not come up:\n{log.read_text()[-2000:]}"
            time.sleep(0.25)
        yield url
    finally:
        _stop(process)


def _answers(url: str, port: int, path: str) -> bool:
    try:
        if path:
            get(url + path)
        else:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and the workers it started: they share its process group, which is of its own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, number)
            process.wait(timeout=20)
