"""The least that a stdio proxy can be: two threads that read and write, and nothing recorded.

usage: bare_relay.py COMMAND... ; what `mcp_stdio` compares `agent-trace record` with.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading

CHUNK = 1 << 16


def pump(source: int, target: int) -> None:
    """Pass on until the source ends."""
    while chunk := os.read(source, CHUNK):
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(target, rest) :]


def main() -> None:
    """Relay until the server has ended."""
    server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert server.stdin is not None
    assert server.stdout is not None
    into, out = os.dup(server.stdin.fileno()), server.stdout.fileno()
    server.stdin.close()

    def up() -> None:
        pump(0, into)
        os.close(into)

    threading.Thread(target=up, daemon=True).start()
    pump(out, 1)
    os._exit(server.wait())


if __name__ == "__main__":
    main()
