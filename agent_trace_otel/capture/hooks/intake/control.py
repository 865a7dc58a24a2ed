"""The recorder's address, and what is said to a running recorder beside hooks: status and stop.

Called by `recorder` (to listen), by doctor and by ``setup --remove`` (to ask).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any, Final, cast

from agent_trace_otel import open_flags
from agent_trace_otel.capture.hooks import client, state
from agent_trace_otel.capture.hooks.intake.receiver import BACKLOG

AGENT: Final = "recorder"
"""The agent that control messages name; no hook does."""
STATUS: Final = "status"
STOP: Final = "stop"
_TIMEOUT: Final = 2.0


def listen() -> tuple[socket.socket, str]:
    """Return a socket that listens in the working directory, and the token that clients must bring, if any.

    Whoever holds the lock may call it; what an earlier recorder left behind is replaced.

    Raises:
        OSError: the directory can't be written.
    """
    if hasattr(socket, "AF_UNIX"):
        _unlink(state.PORT)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        new = f".{state.SOCKET}"  # renamed when it listens, so that no client meets a deaf one
        _unlink(new)
        listener.bind(new)
        listener.listen(BACKLOG)
        os.replace(new, state.SOCKET)  # noqa: PTH105 - pathlib would double what starting up takes
        return listener, ""
    import secrets

    token = secrets.token_hex(16)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(BACKLOG)
    _unlink(state.SOCKET)
    new = f".{state.PORT}"
    _unlink(new)
    with open(os.open(new, open_flags.CREATE, 0o600), "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
        file.write(f"{listener.getsockname()[1]} {token}")
    os.replace(new, state.PORT)  # noqa: PTH105 - as above
    return listener, token


def address() -> os.stat_result | None:
    """Return what clients find in the working directory, None when there is nothing."""
    for name in (state.SOCKET, state.PORT):
        with contextlib.suppress(OSError):
            return os.stat(name)  # noqa: PTH116 - as above
    return None


def remove_address() -> None:
    """Take the address away, so that clients know at once that nobody is there."""
    _unlink(state.SOCKET)
    _unlink(state.PORT)


def ask(directory: str, event: str) -> dict[str, Any] | None:
    """Say something to the recorder of a state directory.

    Args:
        directory: as `state.directory` returns it.
        event: STATUS or STOP.

    Returns:
        What it answered to STATUS, an empty dict for STOP; None when nobody answers.
    """
    here = os.getcwd()  # noqa: PTH109 - as above
    try:
        if not client.enter(os.fsencode(directory)):
            return None
        connection, first = _connect()
        with connection:
            fields = {**first, b"event": event.encode(), b"agent": AGENT.encode()}
            connection.sendall(client.frame(fields, b""))
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        found = cast("dict[str, Any]", json.loads(answer)) if event == STATUS else {} if answer else None
    except (OSError, ValueError):
        return None
    else:
        return found
    finally:
        os.chdir(here)


def _connect() -> tuple[socket.socket, dict[bytes, bytes]]:
    """Return a connection to the recorder of the working directory, and the fields that must come first."""
    is_unix = hasattr(socket, "AF_UNIX") and address() is not None and not os.path.lexists(state.PORT)
    connection = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET, socket.SOCK_STREAM)
    connection.settimeout(_TIMEOUT)
    first: dict[bytes, bytes] = {}
    try:
        if is_unix:
            connection.connect(state.SOCKET)
        else:
            with open(state.PORT, encoding="ascii") as file:  # noqa: PTH123 - as above
                port, token = file.read().split()
            first[b"token"] = token.encode()
            connection.connect(("127.0.0.1", int(port)))
    except (OSError, ValueError):
        connection.close()
        raise
    return connection, first


def _unlink(name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)  # noqa: PTH108 - as above
