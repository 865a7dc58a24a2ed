"""A whole session of each capture path, recorded by the real programs, live to a back end: the session's folder.

Called by ``test_back_ends``. Every function takes an empty directory and the variables that name the back end.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import collected
import packages
from hook_feed import are_over, feed, recorder_of
from hook_processes import Hooks
from programs import wait_for
from recordings import Recording
from servers import free_port

Variables = Mapping[str, str]
CapturePath = Callable[[Path, Variables], Path]

_REPOSITORY = packages.REPOSITORY
_PEER = _REPOSITORY / "tests" / "capture" / "mcp" / "peer.py"
_CALLS = (
    b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}\n'
    b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"add","arguments":{"a":1}}}\n'
    b'{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"boom","arguments":{}}}\n'
)


def _environment(directory: Path, variables: Variables) -> dict[str, str]:
    return packages.plain_environment(
        AGENT_TRACE_DIR=str(directory / "traces"),
        PYTHONPATH=str(_REPOSITORY),
        XDG_CONFIG_HOME=str(directory),
        no_proxy="127.0.0.1",
        **variables,
    )


def _only_session(trace_dir: Path) -> Path:
    (folder,) = (path.parent for path in trace_dir.glob("*/spans.jsonl"))
    return folder


def _run(directory: Path, variables: Variables, *command: str, stdin: bytes = b"") -> Path:
    environment = _environment(directory, variables)
    done = subprocess.run(command, env=environment, cwd=directory, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return _only_session(directory / "traces")


def decorators(directory: Path, variables: Variables) -> Path:
    """Run the demo agent: decorated functions, sub-agents, model calls, decisions, a failure."""
    return _run(directory, variables, sys.executable, "-m", "agent_trace_otel", "demo")


def instrumentor(directory: Path, variables: Variables) -> Path:
    """Run an agent whose MCP client is instrumented."""
    return _run(directory, variables, sys.executable, str(_REPOSITORY / "examples" / "mcp_agent.py"))


def mcp_proxy(directory: Path, variables: Variables) -> Path:
    """Speak to an MCP server through ``agent-trace record``."""
    record = [sys.executable, "-m", "agent_trace_otel", "record", "--name", "proxied", "--"]
    return _run(directory, variables, *record, sys.executable, str(_PEER), "answer", "boom", stdin=_CALLS)


def hooks(directory: Path, variables: Variables) -> Path:
    """Play a recording of Claude Code, transcript and sub-agents included, to hook processes and their recorder."""
    played = Recording("subagent", directory)
    (directory / "project").mkdir(exist_ok=True)
    fed = Hooks(directory / "home")
    fed.environ |= {**variables, "no_proxy": "127.0.0.1"}
    with recorder_of(fed):
        feed(played, fed)
        wait_for(lambda: are_over(fed), "the end of the session", seconds=120)
        # what is over is sent; the recorder, told to stop, waits for that
    return _only_session(played.store)


def collect(directory: Path, variables: Variables) -> Path:
    """Send the spans of a process that knows nothing of us to ``agent-trace collect``, which passes them on."""
    trace_dir = directory / "traces"
    with collected.collector(trace_dir, free_port(), variables=variables) as url:
        environment = packages.plain_environment(OTEL_EXPORTER_OTLP_ENDPOINT=url, no_proxy="127.0.0.1")
        agent = Path(__file__).with_name("collect_clients") / "stock_agent.py"
        subprocess.run([sys.executable, str(agent)], env=environment, check=True, timeout=120)
    return _only_session(trace_dir)


PATHS: tuple[CapturePath, ...] = (decorators, instrumentor, mcp_proxy, hooks, collect)
