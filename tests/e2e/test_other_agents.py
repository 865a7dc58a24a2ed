"""The real Codex, Copilot CLI and Gemini CLI, offline, with the hooks that `agent-trace setup` writes: start to end.

    pytest -m e2e tests/e2e/test_other_agents.py

The clients come from npm (AGENT_TRACE_E2E_CACHE keeps them), the model is scripted, the network is 127.0.0.1 alone
where this user may have that. What a session must become stands in other_agents/trees, reviewed by eye.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from claude_code import story, tree
from other_agents.clients import API_KEY, CLIENTS
from other_agents.scripts import ERRANDS, SCRIPTS
from other_agents.workspace import Workspace

if TYPE_CHECKING:
    from claude_code.story import Installed

pytestmark = pytest.mark.e2e

_TREES = Path(__file__).parent / "other_agents" / "trees"
_REPLAYED = re.compile(r"^\+ *[\dm.]+s +\S+ (\w+)", re.MULTILINE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return story.install_checkout(tmp_path_factory.mktemp("clone"), "agent-trace-otel-others")


@dataclass(frozen=True, slots=True)
class Told:
    """A scenario that was run with our hooks, and its recorder gone."""

    agent: str
    name: str
    workspace: Workspace
    code: int
    out: str

    @property
    def trace_dir(self) -> Path:
        return self.workspace.project / ".agent-traces"


_SCENARIOS = [(agent, name) for agent, scripts in SCRIPTS.items() for name in scripts if name not in ERRANDS]


@pytest.fixture(scope="module", params=_SCENARIOS, ids="-".join)
def told(request: pytest.FixtureRequest, installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Told:
    agent, name = request.param
    client = CLIENTS[agent]
    workspace = Workspace(tmp_path_factory.mktemp(agent) / name, client)
    scope = [client.scope] if client.scope else []
    installed.must(workspace, "setup", agent, "--write", *scope)
    prompt = f"Please do the test. SCENARIO:{agent}_{name}"
    ran = workspace.run(prompt, installed.environment(workspace), stop=name == "interrupt")
    story.wait_until_settled(workspace.project / ".agent-traces", starts=1)
    installed.must(workspace, "setup", agent, "--remove", *scope)
    return Told(agent, name, workspace, ran.returncode, ran.stdout)


def test_the_spans_are_the_reviewed_tree(told: Told) -> None:
    expected = (_TREES / told.agent / f"{told.name}.txt").read_text(encoding="utf-8")
    assert tree.text_of(told.trace_dir) == expected


def test_replay_tells_the_story(told: Told, installed: Installed) -> None:
    (folder,) = tree.sessions_in_order(told.trace_dir)
    shown = Counter(_REPLAYED.findall(installed.must(told.workspace, "replay", folder.name)))
    events = (folder / "events.ndjson").read_text(encoding="utf-8").splitlines()
    assert shown == Counter(json.loads(line)["event_type"] for line in events)
    assert (shown["session_start"], shown["user_prompt"], shown["session_end"]) == (1, 1, 1)


def test_the_client_said_what_the_model_said(told: Told) -> None:
    *_, last = SCRIPTS[told.agent][told.name]
    if told.name != "interrupt":
        assert (told.code, last.text in told.out) == (0, True)


def test_no_hook_is_left_behind_and_no_key_anywhere(told: Told) -> None:
    state = told.workspace.home / ".local" / "state" / "agent-trace"
    assert not [str(path) for path in state.rglob("*.hook")]
    recorded = [*state.rglob("*"), *told.trace_dir.rglob("*")]
    assert not [str(path) for path in recorded if path.is_file() and API_KEY.encode() in path.read_bytes()]
