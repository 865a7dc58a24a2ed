"""The README's first command, as somebody does who has just cloned: an empty environment, nothing set up."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable

import packages
import pytest

pytestmark = pytest.mark.e2e

_NOT_IN_A_CLONE = (".git", ".venv*", ".ci", "__pycache__", ".*_cache", ".hypothesis", "dist", ".agent-traces")

Run = Callable[..., str]
NO_PRICES = 'agent-trace: no prices, so no cost of single model calls: pip install "agent-trace-otel[cost]"\n'
"""What a base installation says beside tokens."""


@pytest.fixture(scope="module")
def agent_trace(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Install a copy of the repository and return what runs its command in an empty directory."""
    directory = tmp_path_factory.mktemp("clone")
    clone = directory / "agent-trace-otel"
    shutil.copytree(packages.REPOSITORY, clone, ignore=shutil.ignore_patterns(*_NOT_IN_A_CLONE))
    programs = packages.install(directory / "venv", str(clone))
    shutil.rmtree(clone)  # what is installed must not need it
    work = directory / "work"
    work.mkdir()
    environment = packages.plain_environment(XDG_CONFIG_HOME=str(directory), HOME=str(directory))

    def run(*arguments: str, said: str = "") -> str:
        done = subprocess.run(
            [str(programs / "agent-trace"), *arguments],
            cwd=work,
            env=environment,
            capture_output=True,
            check=False,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == said
        return done.stdout

    return run


def test_demo_ends_with_a_replay_and_every_command_works_on_it(agent_trace: Run) -> None:
    shown = agent_trace("demo")
    assert "Session Summary" in shown
    assert shown.index("session_start") < shown.index("✗ error Bash") < shown.index("session_end")
    (listed,) = json.loads(agent_trace("list", "--json"))
    assert listed["agent_name"] == "demo-agent"
    assert listed["state"] == "ended"
    assert "demo-agent" in agent_trace("list")
    assert f"{listed['tool_calls']} tool calls" in agent_trace("stats", said=NO_PRICES)
    inspected = json.loads(agent_trace("inspect"))
    assert inspected["session_id"] == listed["session_id"]
    request = json.loads(agent_trace("export", "--format", "otlp"))
    spans = [span for r in request["resourceSpans"] for s in r["scopeSpans"] for span in s["spans"]]
    names = [span["name"] for span in spans]
    assert len([name for name in names if name.startswith("execute_tool ")]) == listed["tool_calls"]
    assert "invoke_agent demo-agent" in names
