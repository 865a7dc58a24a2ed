"""The hook process: one event of a coding agent on stdin -> the recorder; exit code 0 and no output, come what may.

Run as ``python -I -S client.py EVENT [AGENT]`` (the copy that `agent-trace setup` makes) or by ``agent-trace hook``.
The agent waits for this process at every tool call, so it imports what is built into the interpreter, and no more: not
even ``__future__``. Who answers within the time gets the payload as it is, over a socket that only this user can open;
else `spooling`, which may import what it needs, leaves it redacted in the spool.
"""

import sys
import time

BEGAN = time.time_ns()
"""Unix ns when this process began: the only clock that a hook event has."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os as system
    import signal as _signal
    import socket as _socket
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn
else:
    import _signal
    import _socket

    try:
        import posix as system
    except ImportError:
        import nt as system

VERSION = ""
PACKAGE_PARENT = ""
"""What `agent-trace setup` writes into its copy: the package's version and the folder that holds the package."""

MAGIC = b"agent-trace-hook 1\n"
SOCKET, PORT = "recorder.sock", "recorder.port"
ACKNOWLEDGED = b"\x06"
PID_NAMESPACE = b"/proc/self/ns/pid"
"""Where pids mean the same (pid_namespaces(7)): a client in a container of its own is none of the recorder's."""
_FORWARDED = {b"TRACEPARENT", b"TRACESTATE", b"CLAUDE_PID", b"CLAUDE_PROJECT_DIR", b"CLAUDE_CODE_ENTRYPOINT"}
_STDIN_SECONDS = 1.0
_PATIENCE, _PATIENCE_A_MB, _MOST_PATIENCE = 0.3, 0.04, 1.0  # seconds until the acknowledgement
_MOST_PAYLOAD = 64 << 20  # the recorder takes no more
_FULL_BACKLOG_PAUSE = 0.002  # seconds


def main(arguments: "Sequence[str]", version: str, package_parent: str) -> "NoReturn":
    """Hand one event over and leave the process; nothing gets out of here but the exit code 0.

    Args:
        arguments: the event as the agent's settings name it, and the agent ("claude-code" by default).
        version: of this package.
        package_parent: the folder that holds the package, for what only the slow path needs.
    """
    try:
        # Ctrl-C goes to the whole group: what the agent was doing then is what is wanted most
        _signal.signal(_signal.SIGINT, _go_on)
        environ = _environment()
        payload = _standard_input()
        event, agent = (*arguments[:2], *("", "claude-code")[len(arguments) :])
        fields = fields_of(event, agent, version, environ)
        if not (enter(state_directory(environ)) and _is_handed_over(fields, payload)):
            _be_silent()
            sys.path.append(package_parent)
            try:
                from agent_trace_otel.capture.hooks.spooling import spool
            except ImportError:  # the interpreter of an environment was upgraded, and its packages have moved
                import site

                site.main()
                from agent_trace_otel.capture.hooks.spooling import spool
            spool(fields, payload, environ)
    finally:
        # the interpreter's own way out takes a fifth of its life, and would tell of an exception
        system._exit(0)  # noqa: SLF001 - its name


def state_directory(environ: "Mapping[bytes, bytes]") -> bytes:
    """Return where the recorder of this user and host lives (XDG Base Directory Specification: absolute paths only)."""
    state, home = environ.get(b"XDG_STATE_HOME", b""), environ.get(b"HOME") or environ.get(b"USERPROFILE")
    if not _is_absolute(state):
        state = home + b"/.local/state" if home else b"/tmp/agent-trace-%d" % system.getuid()
    return b"%s/agent-trace/%s" % (state, _socket.gethostname().encode())


def enter(directory: bytes) -> bool:
    """Go to the state directory, so that names in it are short enough for a socket; False if it is not this user's."""
    try:
        if not hasattr(system, "fchdir"):
            system.chdir(directory)
            return True
        fd = system.open(directory, system.O_RDONLY | system.O_DIRECTORY | system.O_NOFOLLOW | system.O_CLOEXEC)
    except OSError:
        return False
    is_mine = system.fstat(fd).st_uid == system.getuid()
    if is_mine:
        system.fchdir(fd)
    system.close(fd)
    return is_mine


def fields_of(event: str, agent: str, version: str, environ: "Mapping[bytes, bytes]") -> "dict[bytes, bytes]":
    """Return a frame's fields. Of the environment only what is on the list leaves: the rest holds keys."""
    fields = {
        b"v": version.encode(),
        b"id": b"%d-%d" % (system.getpid(), BEGAN),
        b"at": b"%d" % BEGAN,
        b"event": event.encode("utf-8", "replace"),
        b"agent": agent.encode("utf-8", "replace"),
    }
    for name, value in environ.items():
        if name in _FORWARDED or name.startswith(b"AGENT_TRACE_"):
            fields[b"env." + name] = value
    fields[b"env.PPID"] = b"%d" % system.getppid()
    try:  # noqa: SIM105 - contextlib is not built in
        fields[b"env.PIDNS"] = system.readlink(PID_NAMESPACE)
    except OSError:  # only Linux has it
        pass
    return fields


def frame(fields: "Mapping[bytes, bytes]", payload: bytes) -> bytes:
    """Return the bytes of one delivery, on a connection or in a spool file."""
    return MAGIC + b"\0".join([b"%s=%s" % field for field in fields.items()]) + b"\0\0" + payload


def connect(deadline: float) -> "tuple[_socket.socket, dict[bytes, bytes]]":
    """Return a connection to this user's recorder in the working directory, and the fields that must come first.

    Args:
        deadline: as time.monotonic() counts.

    Raises:
        OSError: nobody listens, or somebody else, or nobody takes the connection in time.
    """
    if not hasattr(_socket, "AF_UNIX") or not _exists(SOCKET):
        fd = system.open(PORT, system.O_RDONLY)
        port, token = system.read(fd, 1024).split()
        connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        connection.settimeout(_left(deadline))
        connection.connect(("127.0.0.1", int(port)))
        return connection, {b"token": token}
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    while True:
        connection.settimeout(_left(deadline))
        try:
            connection.connect(SOCKET)
        except BlockingIOError:  # Linux, unix(7): more clients at once than the recorder's backlog holds
            time.sleep(_FULL_BACKLOG_PAUSE)
        else:
            break
    if _peer(connection) not in (None, system.getuid()):
        raise PermissionError
    return connection, {}


def send(connection: "_socket.socket", frame: bytes, deadline: float) -> None:
    """Send a whole frame and say that it was all; raises OSError."""
    connection.settimeout(_left(deadline))
    connection.sendall(frame)
    connection.shutdown(_socket.SHUT_WR)
    connection.settimeout(_left(deadline))


def _is_handed_over(fields: "Mapping[bytes, bytes]", payload: bytes) -> bool:
    patience = _PATIENCE + _PATIENCE_A_MB * len(payload) / 1e6
    deadline = time.monotonic() + min(patience, _MOST_PATIENCE)
    try:
        connection, first = connect(deadline)
        send(connection, frame({**first, **fields}, payload), deadline)
        return connection.recv(1) == ACKNOWLEDGED
    except Exception:  # noqa: BLE001 - whatever it was, the spool is there
        return False


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _peer(connection: "_socket.socket") -> "int | None":
    """Return the uid of who listens, None where the system tells in no way known here."""
    if sys.platform == "linux":  # unix(7), SO_PEERCRED: pid, uid, gid
        credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
    elif sys.platform == "darwin":  # unix(4), LOCAL_PEERCRED: version, uid, groups
        credentials = connection.getsockopt(0, 1, 76)
    else:
        return None
    return int.from_bytes(credentials[4:8], sys.byteorder)


def _standard_input() -> bytes:
    """Return what is on stdin, at the latest after a second, be it closed or not."""
    if hasattr(_signal, "setitimer"):
        # an interrupted read() is begun anew (PEP 475), and then finds the end of /dev/null: no exception to race with
        _signal.signal(_signal.SIGALRM, _end_input)
        _signal.setitimer(_signal.ITIMER_REAL, _STDIN_SECONDS)
    pieces: list[bytes] = []
    size = 0
    try:
        while piece := system.read(0, 65536):
            size += len(piece)
            if size <= _MOST_PAYLOAD:
                pieces.append(piece)
    except OSError:  # stdin is closed, or a terminal that went away: what there is must do
        pass
    return b"".join(pieces)


def _go_on(*_: object) -> None:
    """Be interrupted, and go on."""


def _end_input(*_: object) -> None:
    system.dup2(system.open("/dev/null", system.O_RDONLY), 0)


def _environment() -> "Mapping[bytes, bytes]":
    environ: Any = system.environ
    if system.__name__ == "posix":
        found: Mapping[bytes, bytes] = environ
        return found
    return {name.encode(): value.encode("utf-8", "replace") for name, value in environ.items()}


def _is_absolute(path: bytes) -> bool:
    return path[:1] == b"/" or path[1:2] == b":"


def _exists(name: str) -> bool:
    try:
        system.lstat(name)
    except OSError:
        return False
    return True


def _be_silent() -> None:
    """Whatever the slow path imports may warn: nobody shall hear it."""
    null = system.open("/dev/null" if system.__name__ == "posix" else "NUL", system.O_RDWR)
    for fd in (1, 2):
        system.dup2(null, fd)


if __name__ == "__main__":
    main(sys.argv[1:], VERSION, PACKAGE_PARENT)
