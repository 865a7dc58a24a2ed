"""``agent-trace record -- COMMAND``: an MCP server's standard streams, passed on byte for byte and recorded beside.

Comes in: the server's command line. Goes out: its bytes, signals and exit code, as if it had been started directly; and
copies of what passed to the recording child. Called by the command line.

A thread for each direction passes bytes on; the main thread waits for the server's end and for signals. The client
waits for the server to start, so the server is started before anything is imported that it does not need.

The server stays in the client's process group and terminal: Ctrl-C and Ctrl-Z, and a client that kills the group, reach
it and what it started as they would without a proxy. So what a terminal sends to the whole group is not passed on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

from agent_trace_otel.capture.signals import (
    AWAITED,
    FORWARDED,
    KILLED,
    NOT_EXECUTABLE,
    NOT_FOUND,
    next_signal,
    take_no_notice,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from agent_trace_otel.capture.mcp.copies import CopySender
    from agent_trace_otel.capture.mcp.relaying import Relay

_LAST_WRITES = 1.0  # seconds that the recording child may take to write the end
_PR_SET_PDEATHSIG = 1  # prctl(2)


def record(  # noqa: PLR0913 - the options of the command
    command: Sequence[str],
    *,
    name: str = "",
    redact: bool | None = None,
    trace_dir: str = "",
    injects: bool = False,
    is_verbose: bool = False,
) -> NoReturn:
    """Run a server between this process's standard streams, record what passes, and end as the server does.

    The exit code is the server's, 128 + n if signal n ended it; 127 or 126 if there is no such command, as in a shell.

    Args:
        command: the server's command line.
        name: the session's name; by default the server's.
        redact: False records values as they are; None is as the settings say.
        trace_dir: where session folders go; by default as the settings say.
        injects: put the trace context of each request's span into the request.
        is_verbose: say on stderr what becomes of the recording.
    """
    _open_standard_streams()
    server = _started(command)
    signal.signal(signal.SIGCHLD, take_no_notice)  # one that is ignored can't be waited for everywhere
    signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)  # also in the threads to come
    from agent_trace_otel.capture.mcp import copies
    from agent_trace_otel.capture.mcp.relaying import CONNECTION, Relay

    assert server.stdin is not None  # noqa: S101 - as asked for
    assert server.stdout is not None  # noqa: S101 - as asked for
    sender = copies.CopySender()
    sender.send(copies.OPEN, CONNECTION)
    up = _up(server.stdin.fileno(), sender, injects=injects)
    down = Relay(server.stdout.fileno(), 1, copies.FROM_SERVER, sender)
    up.start()
    down.start()
    is_recorded = sender.start_recorder(command, name=name, redact=redact, trace_dir=trace_dir)
    if is_verbose:
        _say(f"recording {command[0]}" if is_recorded else "the recording could not be started")
    code = _wait_for(server)
    for number in FORWARDED:
        signal.signal(number, down.give_up)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, AWAITED)
    down.drain()
    code = code if code >= 0 else KILLED - code
    sender.send(copies.META, copies.SESSION, content=f'{{"exit_code":{code}}}'.encode())
    is_written = sender.finish(_LAST_WRITES)
    if is_verbose:
        _say(f"{'recorded' if is_written else 'not all is written yet'}; {sender.dropped} copies were dropped")
    os._exit(code)  # a thread may still wait for the client's next byte


def _open_standard_streams() -> None:
    """Open what whoever started us had closed: pipes to the server would take the numbers of the client's streams."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # noqa: PERF203 - of three
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _started(command: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - what the user asked to run
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            close_fds=False,  # what the client hands down goes on to the server; what Python opens does not
            preexec_fn=_dies_with_us(),  # noqa: PLW1509 - there is one thread as yet
        )
    except (OSError, ValueError) as error:
        _say(f"can't run {command[0]}: {(error.strerror if isinstance(error, OSError) else None) or error}")
        sys.exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)


def _dies_with_us() -> Callable[[], None] | None:
    """Return what makes a child die when this process is killed, None where the system has no such thing."""
    if sys.platform != "linux":
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    return die_with_parent


def _up(into: int, sender: CopySender, *, injects: bool) -> Relay:
    """Return the client's direction."""
    from agent_trace_otel.capture.mcp.copies import FROM_CLIENT
    from agent_trace_otel.capture.mcp.relaying import InjectingRelay, Relay

    if not injects:
        return Relay(0, into, FROM_CLIENT, sender)
    from agent_trace_otel.capture.mcp.injection import Injector

    return InjectingRelay(0, into, sender, Injector())


def _wait_for(server: subprocess.Popen[bytes]) -> int:
    """Return how the server ended; until then it gets the signals that come."""
    while (code := server.poll()) is None:
        number, is_for_the_group = next_signal()
        if number == signal.SIGCHLD or is_for_the_group:
            continue
        if server.poll() is None:
            server.send_signal(number)
        else:
            signal.raise_signal(number)  # too late for the server: it is meant for us, and waits until we listen
    return code


def _say(message: str) -> None:
    with contextlib.suppress(OSError, AttributeError):  # nobody may listen, and a closed stderr is None
        sys.stderr.write(f"agent-trace: {message}\n")
        sys.stderr.flush()
