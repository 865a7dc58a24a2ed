"""A relay over stdio that writes down every line: what the recording is held against.

usage: witness.py FILE COMMAND... Each line of FILE is ``<`` (from the client) or ``>`` (from the server) and the line.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path


def main() -> None:
    """Relay until the server has ended."""
    path, *command = sys.argv[1:]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert server.stdin is not None
    assert server.stdout is not None
    with Path(path).open("ab", buffering=0) as log:

        def pass_on(source: int, target: int, mark: bytes) -> None:
            waiting = b""
            while chunk := os.read(source, 1 << 16):
                *lines, waiting = (waiting + chunk).split(b"\n")
                log.writelines(mark + line + b"\n" for line in lines)
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(target, rest) :]
            os.close(target)

        threading.Thread(target=pass_on, args=(0, os.dup(server.stdin.fileno()), b"<"), daemon=True).start()
        server.stdin.close()
        pass_on(server.stdout.fileno(), 1, b">")
    os._exit(server.wait())


if __name__ == "__main__":
    main()
