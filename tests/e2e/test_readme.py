"""Every command and program of the README, typed as written, in an empty environment that the README's first one fills.

Only what needs somebody's account is led elsewhere, by variables that the README's reader might set: a back end is a
server of the test's own. The test command itself is the project's check (.ci/run).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import packages
import pytest
from scripted_backend import Backend

pytestmark = pytest.mark.e2e

README = (packages.REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"^```(console|python)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
_NOT_IN_A_CLONE = (".git", ".venv*", ".ci", "__pycache__", ".*_cache", ".hypothesis", "dist", ".agent-traces")
AGENT = """
import agent_trace_otel as at

@at.trace_tool
def add(a, b):
    return a + b

with at.session("my-agent"):
    print(add(1, 2))
"""
STOCK_AGENT = """
from opentelemetry import trace

about = {"gen_ai.operation.name": "invoke_agent", "gen_ai.conversation.id": "c-1"}
with trace.get_tracer("mine").start_as_current_span("invoke_agent mine", attributes=about):
    print("stock")
"""
OWN_PROVIDER = """
import agent_trace_otel as at
from opentelemetry.sdk.trace import TracerProvider
provider = TracerProvider()
{}
about = {{"gen_ai.operation.name": "execute_tool"}}
provider.get_tracer("mine").start_span("execute_tool x", attributes=about).end()
"""


class Reader:
    """Somebody who reads the README with a terminal beside it."""

    def __init__(self, folder: Path, backend: Backend) -> None:
        self.backend = backend
        self.clone, self.home = folder / "agent-trace-otel", folder / "home"
        shutil.copytree(packages.REPOSITORY, self.clone, ignore=shutil.ignore_patterns(*_NOT_IN_A_CLONE))
        self.home.mkdir()
        environment = packages.cache_dir() / "readme"  # setup refuses to register what lies in a temporary folder
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        self.programs = environment / "bin"
        self.variables = packages.plain_environment(HOME=str(self.home), XDG_CONFIG_HOME=str(self.home / ".config"))
        self.variables["PATH"] = f"{self.programs}{os.pathsep}{self.variables['PATH']}"
        self.variables["HONEYCOMB_API_ENDPOINT"] = backend.url

    def types(self, block: str, **variables: str) -> str:
        """Type a block and return what it printed."""
        done = subprocess.run(
            ["bash", "-e", "-c", block],
            cwd=self.clone, env=self.variables | variables, capture_output=True, text=True, check=False, timeout=600,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout

    def starts(self, line: str, port: int | None = None, **variables: str) -> None:
        """Type a line that runs on, see that it does, and end it as Ctrl-C would."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=self.clone, env=self.variables | variables, stderr=subprocess.PIPE
        )
        try:
            for _ in range(300):
                assert process.poll() is None, process.stderr.read() if process.stderr else b""
                if port is None or _listens(port):
                    break
                time.sleep(0.1)
            time.sleep(0 if port else 3)
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=20)
            process.kill()
            process.communicate()

    def sessions(self) -> list[dict[str, str]]:
        """Return what `agent-trace list` knows."""
        found: list[dict[str, str]] = json.loads(self.types("agent-trace list --json"))
        return found


def _listens(port: int) -> bool:
    with socket.socket() as trying:
        return trying.connect_ex(("127.0.0.1", port)) == 0


def _install(reader: Reader, block: str) -> None:
    assert "Session Summary" in reader.types(block)


def _test(_: Reader, block: str) -> None:
    assert block.strip() in (packages.REPOSITORY / ".ci" / "run").read_text().replace(" --quiet", "")


def _setup(reader: Reader, block: str) -> None:
    reader.types(block)
    assert "hook.py" in (reader.home / ".claude" / "settings.json").read_text()


def _run(reader: Reader, block: str) -> None:
    (reader.clone / "my_agent.py").write_text(AGENT)
    assert reader.types(block) == "3\n"
    assert reader.sessions()[0]["agent_name"]


def _proxies(reader: Reader, block: str) -> None:
    over_streams, over_http = block.strip().splitlines()
    reader.types("pip install --quiet '.[http]'")
    reader.types(over_streams)
    reader.starts(over_http, port=3100)


def _send(reader: Reader, block: str) -> None:
    before = len(reader.backend.received)
    reader.types(block)
    received = reader.backend.received[before:]
    assert sum(one.span_count for one in received) == 2
    assert {one.headers.get("x-honeycomb-team") for one in received} == {"..."}


def _distribution(reader: Reader, block: str) -> None:
    (reader.clone / "my_agent.py").write_text(STOCK_AGENT)
    assert reader.types(block).endswith("\nstock\n")  # after what pip says
    assert any(found["session_id"] == "c-1" for found in reader.sessions())


def _collect(reader: Reader, block: str) -> None:
    reader.starts(block.strip(), port=4318)


def _ship(reader: Reader, block: str) -> None:
    once, follow, failed = (line.partition("#")[0].strip() for line in block.strip().splitlines())
    to = {"AGENT_TRACE_OTLP_ENDPOINT": reader.backend.url}
    before = len(reader.backend.received)
    reader.types(once, **to)
    assert sum(one.span_count for one in reader.backend.received[before:]) > 0
    sent = len(reader.backend.received)
    reader.types(once, **to)
    assert len(reader.backend.received) == sent
    reader.starts(follow, **to)
    reader.types(failed, **to)


def _decorated(reader: Reader, block: str) -> None:
    stub = "class client:\n    class messages:\n        @staticmethod\n        def create(**asked): ...\n"
    (reader.clone / "decorated.py").write_text(stub + block)
    reader.types("python decorated.py")
    assert reader.sessions()[0]["agent_name"] == "my-agent"


def _own_provider(reader: Reader, block: str) -> None:
    (reader.clone / "own.py").write_text(OWN_PROVIDER.format(block))
    reader.types("python own.py")


TYPED: dict[str, Callable[[Reader, str], None]] = {
    "pip install . && agent-trace demo": _install,
    "pip install -e '.[test]' && pytest": _test,
    "agent-trace setup claude-code --write --global": _setup,
    "agent-trace run -- python my_agent.py": _run,
    "agent-trace record -- npx": _proxies,
    "import agent_trace_otel as at": _decorated,
    "export HONEYCOMB_API_KEY=...": _send,
    "provider.add_span_processor": _own_provider,
    "pip install opentelemetry-distro": _distribution,
    "agent-trace collect": _collect,
    "agent-trace ship --all": _ship,
}
"""What each block begins with, and what typing it must do."""


def test_the_readme_from_top_to_bottom(tmp_path: Path) -> None:
    assert len(BLOCKS) == len(TYPED)
    backend = Backend()
    with contextlib.closing(contextlib.ExitStack()) as left:
        left.callback(backend.stop)
        reader = Reader(tmp_path, backend)
        for _, block in BLOCKS:
            typed = next((type_it for begun, type_it in TYPED.items() if block.startswith(begun)), None)
            assert typed is not None, f"nobody types:\n{block}"
            typed(reader, block)
