"""``agent-trace record -- COMMAND``: an MCP server's standard streams, passed on byte for byte and recorded beside.

Comes in: the server's command line. Goes out: its bytes, signals and exit code, as if it had been started directly; and
copies of what passed to the recording child. Called by the command line.

A thread for each direction passes bytes on; the main thread waits for the server, so that signals find it awake. The
client waits for the server to start, so the server is started before anything is imported that it does not need.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import NoReturn

    from agent_trace_otel.capture.mcp.copies import CopySender
    from agent_trace_otel.capture.mcp.relaying import Relay

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_NOT_EXECUTABLE, _NOT_FOUND, _KILLED = 126, 127, 128  # as shells say it; _KILLED and the signal's number
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
    server = _started(command)
    for number in _FORWARDED:
        signal.signal(number, _forward_to(server))
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
    code = server.wait()
    down.drain()
    code = code if code >= 0 else _KILLED - code
    sender.send(copies.META, copies.SESSION, content=f'{{"exit_code":{code}}}'.encode())
    is_written = sender.finish(_LAST_WRITES)
    if is_verbose:
        _say(f"{'recorded' if is_written else 'not all is written yet'}; {sender.dropped} copies were dropped")
    os._exit(code)  # a thread may still wait for the client's next byte


def _started(command: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - what the user asked to run
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            preexec_fn=_dies_with_us(),  # noqa: PLW1509 - there is one thread as yet
        )
    except (OSError, ValueError) as error:
        _say(f"can't run {command[0]}: {(error.strerror if isinstance(error, OSError) else None) or error}")
        sys.exit(_NOT_EXECUTABLE if isinstance(error, PermissionError) else _NOT_FOUND)


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


def _forward_to(server: subprocess.Popen[bytes]) -> Callable[[int, FrameType | None], None]:
    def forward(number: int, _: FrameType | None) -> None:
        if server.returncode is not None:  # nothing but the last bytes and copies is waited for
            os._exit(_KILLED + number)
        server.send_signal(number)

    return forward


def _say(message: str) -> None:
    sys.stderr.write(f"agent-trace: {message}\n")
