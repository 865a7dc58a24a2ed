"""Frameworks with real clients, each in an environment of its own: the newest version and the oldest that is supported.

What is asked of them stands in tests/e2e/frameworks.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from packages import REPOSITORY, cache_dir, plain_environment, python_with

pytestmark = pytest.mark.e2e

ENVIRONMENTS = {
    "langchain": ("langchain>=1,<2", "langgraph>=1,<2", "langchain-openai>=1,<2"),
    "langchain, oldest": ("langchain-core==0.3.67", "langgraph==0.6.0", "langchain-openai==0.3.27"),
    "openai_agents": ("openai-agents>=0.20",),
    "openai_agents, oldest": ("openai-agents==0.3.0",),
    "claude_agent_sdk": ("claude-agent-sdk>=0.2",),
    "claude_agent_sdk, oldest": ("claude-agent-sdk==0.1.10", "mcp<2"),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_frameworks_are_traced(name: str, tmp_path: Path) -> None:
    library = name.partition(",")[0]
    asked = REPOSITORY / "tests" / "e2e" / "frameworks" / f"test_{library}.py"
    # what other versions warn of is not ours
    quiet = ["-q", "-p", "no:cacheprovider", "-o", "filterwarnings=ignore", "--basetemp", str(tmp_path / "tests")]
    done = subprocess.run(
        [str(python_with("frameworks", *ENVIRONMENTS[name])), "-m", "pytest", "-m", "e2e", *quiet, str(asked)],
        cwd=REPOSITORY,
        env=plain_environment(AGENT_TRACE_E2E_CACHE=str(cache_dir())),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
