"""`agent-trace collect`: an OTLP/HTTP receiver on this machine, until a signal ends it.

Comes in: what the command line says. Goes out: an exit code; spans go to session folders and on to the back end. Called
by `commands`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agent_trace_otel.capture.mcp.http.access import LOOPBACK, access
from agent_trace_otel.errors import AgentTraceError, UsageError

if TYPE_CHECKING:
    from agent_trace_otel import config

DEFAULT_PORT: Final = 4318
DEFAULT_BIND: Final = "127.0.0.1"
_HIGHEST_PORT: Final = 65535
_BACKLOG: Final = 512
_LONGEST_WAIT: Final = 1.0 if sys.platform == "win32" else 3600.0  # seconds; there Ctrl-C interrupts no wait
_INTERRUPTED: Final = 128 + signal.SIGINT
_STOPPING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says, beside how spans are recorded and where they go."""

    port: int = DEFAULT_PORT
    """Port to listen on; 0 takes any."""
    bind: str = DEFAULT_BIND
    """Address to listen on."""
    allow_hosts: Sequence[str] = ()
    allow_origins: Sequence[str] = ()


def collect(settings: config.Settings, target: str, options: Options) -> int:
    """Receive spans until SIGINT, SIGTERM or SIGHUP comes.

    Args:
        settings: how spans are recorded and where they are sent.
        target: the final URL they are sent to, empty for none.
        options: what else the command line says.

    Returns:
        0, or 130 after SIGINT.

    Raises:
        UsageError: the port is none, or spans would be sent back to it.
        AgentTraceError: the port is taken, or the address is none of this machine's.
    """
    with _listener(options) as listener:
        port: int = listener.getsockname()[1]
        if is_itself(target, options.bind, port):
            msg = f"{_without_secrets(target)} is this collector itself; spans are passed on to somebody else, or not"
            raise UsageError(msg)

        from agent_trace_otel.capture.collect.bodies import Memory
        from agent_trace_otel.capture.collect.intake import Intake
        from agent_trace_otel.capture.collect.serving import Server, Serving

        intake = Intake(settings)
        shown = f"http://{f'[{options.bind}]' if ':' in options.bind else options.bind}:{port}"
        goes_to = f"{settings.trace_dir}" + (f" and on to {_without_secrets(target)}" if intake.sends else "")

        def greeting() -> str:
            counts = intake.counts
            return (
                f"agent-trace collect: OTLP over HTTP. Spans posted to {shown}/v1/traces (protobuf or JSON) go to "
                f"{goes_to}.\n{counts.spans} spans taken, {counts.repeated} came twice, {counts.rejected} rejected."
            )

        who = access(options.bind, port, options.allow_hosts, options.allow_origins)
        server = Server(listener, Serving(intake, who, greeting, Memory()))
        stopped_by = _until_stopped(server, f"collecting on {shown} into {goes_to}")
        server.stop()
        intake.close()
    return _INTERRUPTED if stopped_by == signal.SIGINT else 0


def _until_stopped(server: object, announcement: str) -> int:
    from agent_trace_otel.capture.collect.serving import Server

    assert isinstance(server, Server)  # noqa: S101 - loaded late, for the sake of the command's start
    stopped = threading.Event()
    seen: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        seen.append(number)
        stopped.set()

    for number in _STOPPING:
        signal.signal(number, stop)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.5}, daemon=True).start()
    _say(announcement)
    while not stopped.wait(_LONGEST_WAIT):
        pass
    return seen[0]


def _listener(options: Options) -> socket.socket:
    if not 0 <= options.port <= _HIGHEST_PORT:
        msg = f"--port: {options.port} is no port; there are 0 to {_HIGHEST_PORT}, and 0 takes any"
        raise UsageError(msg)
    family = socket.AF_INET6 if ":" in options.bind else socket.AF_INET
    try:
        return socket.create_server((options.bind, options.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        where = f"{options.bind} port {options.port}"
        if error.errno == errno.EADDRINUSE:
            msg = f"{where} is taken, by another collector perhaps; --port N takes another one, --port 0 any"
        else:
            msg = f"can't listen on {where}: {error.strerror or error}"
        raise AgentTraceError(msg) from None


def is_itself(url: str, bind: str, port: int) -> bool:
    """Tell whether spans that are sent there would come back to the collector that listens here."""
    parts = urlsplit(url)
    meant = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return meant == port and (parts.hostname or "") in (*LOOPBACK, bind)


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _say(message: str) -> None:
    line = "".join(char if char.isprintable() else "?" for char in message)
    with contextlib.suppress(OSError, ValueError):  # nobody has to listen
        sys.stderr.write(f"agent-trace: {line}{os.linesep}")
        sys.stderr.flush()
