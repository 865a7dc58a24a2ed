"""`agent-trace record-http URL`: a proxy on this machine that an MCP client speaks to instead of the server.

Comes in: what the command line says. Goes out: an exit code; requests and answers pass through, and the recording child
gets copies. Called by `cli`. Needs aiohttp, which the extra ``http`` brings; `http_serving` and what it uses are
imported here only after it was found.
"""

from __future__ import annotations

import importlib.util
import signal
import socket
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent_trace_otel.capture.mcp import copies
from agent_trace_otel.capture.mcp.http.access import LOOPBACK, access
from agent_trace_otel.capture.mcp.http.upstream import Upstream, parse
from agent_trace_otel.errors import AgentTraceError, UsageError

DEFAULT_PORT: Final = 3100
DEFAULT_BIND: Final = "127.0.0.1"
_HIGHEST_PORT = 65535
_BACKLOG = 1024
_LAST_WRITES = 5.0  # seconds that the recording child has at the end
_INTERRUPTED = 128 + signal.SIGINT


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says, beside the server's URL."""

    port: int = DEFAULT_PORT
    """Port to listen on; 0 takes any."""
    bind: str = DEFAULT_BIND
    """Address to listen on."""
    name: str = ""
    """The session's name, by default the server's host."""
    redact: bool | None = None
    """False records values as they are; None is as the settings say."""
    trace_dir: str = ""
    """Where the session goes, by default as the settings say."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Headers for the server alone."""
    allow_hosts: Sequence[str] = ()
    allow_origins: Sequence[str] = ()
    rewrites_oauth: bool = False
    injects_traceparent: bool = False


def record_http(url: str, options: Options) -> int:
    """Pass on and record what is said to an MCP server, until SIGINT, SIGTERM or SIGHUP comes.

    Args:
        url: the server's URL.
        options: what else the command line says.

    Returns:
        0, or 130 after SIGINT.

    Raises:
        UsageError: the URL or the port is none.
        AgentTraceError: aiohttp is not installed.
        OSError: the port is taken, or the address is none of this machine's.
    """
    upstream = parse(url)
    if not 0 <= options.port <= _HIGHEST_PORT:
        msg = f"--port: {options.port} is no port; there are 0 to {_HIGHEST_PORT}, and 0 takes any"
        raise UsageError(msg)
    if importlib.util.find_spec("aiohttp") is None:
        msg = "record-http needs aiohttp: pip install 'agent-trace-otel[http]'"
        raise AgentTraceError(msg)
    family = socket.AF_INET6 if ":" in options.bind else socket.AF_INET
    with socket.create_server((options.bind, options.port), family=family, backlog=_BACKLOG) as listener:
        from agent_trace_otel.capture.mcp.http.exchange import Forwarding
        from agent_trace_otel.capture.mcp.http.serving import serve
        from agent_trace_otel.capture.mcp.injection import Injector

        port: int = listener.getsockname()[1]
        how = Forwarding(
            upstream,
            access(options.bind, port, options.allow_hosts, options.allow_origins),
            tuple(options.headers.items()),
            rewrites_oauth=options.rewrites_oauth,
            injector=Injector() if options.injects_traceparent else None,
            proxy=_proxy_for(upstream),
        )
        sender = copies.CopySender()
        is_recorded = sender.start_recorder(
            [upstream.shown], transport="tcp", name=options.name, redact=options.redact, trace_dir=options.trace_dir
        )
        stopped_by = serve(listener, how, sender, is_recorded=is_recorded)
    sender.send(copies.META, copies.SESSION, content=b'{"exit_code": 0}')
    sender.finish(_LAST_WRITES)
    return _INTERRUPTED if stopped_by == signal.SIGINT else 0


def _proxy_for(upstream: Upstream) -> str | None:
    """Return the HTTP proxy that the environment names for a server, if any; one of this machine needs none."""
    if upstream.host in LOOPBACK or urllib.request.proxy_bypass(upstream.host):
        return None
    named = urllib.request.getproxies().get(upstream.origin.partition(":")[0], "")
    return named if named.startswith(("http://", "https://")) else None
