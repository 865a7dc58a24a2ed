"""``agent-trace setup`` for the other agents: each one's own file, form, events and units."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from session_folders import agent_trace

from agent_trace_otel.capture.hooks.dialects.registry import DIALECTS
from agent_trace_otel.capture.hooks.setup.agents import AGENTS

OTHERS = ("codex", "copilot", "gemini", "cursor")
FILES = {
    "codex": ".codex/hooks.json",
    "copilot": ".github/hooks/agent-trace.json",
    "gemini": ".gemini/settings.json",
    "cursor": ".cursor/hooks.json",
}
FOREIGN: dict[str, tuple[str, dict[str, Any]]] = {
    "codex": ("Stop", {"hooks": [{"type": "command", "command": "say done"}]}),
    "copilot": ("Stop", {"type": "command", "bash": "say done", "timeoutSec": 3}),
    "gemini": ("AfterAgent", {"matcher": "*", "hooks": [{"type": "command", "command": "say done"}]}),
    "cursor": ("stop", {"command": "say done"}),
}
EXAMPLE = Path(__file__).parents[3] / "examples" / "other_agents.md"

Setup = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    for name in ("home", "project", "tmp"):
        (tmp_path / name).mkdir()
    # wherever these tests run, the interpreter is to count as one that stays
    cleared = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "CODEX_HOME", "COPILOT_HOME")
    own = {**dict.fromkeys(cleared, ""), "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return agent_trace("setup", *arguments, cwd=tmp_path / "project", env=own | environ)

    return run


def _handlers(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the one handler of every event, be it in a group or not."""
    found: dict[str, dict[str, Any]] = {}
    for event, (entry,) in document["hooks"].items():
        (handler,) = entry.get("hooks", [entry])
        found[event] = handler
    return found


def test_every_agent_that_is_set_up_is_understood() -> None:
    assert AGENTS.keys() == DIALECTS.keys()


@pytest.mark.parametrize("agent", OTHERS)
def test_write_again_and_remove(agent: str, setup: Setup, tmp_path: Path) -> None:
    path = tmp_path / "project" / FILES[agent]
    path.parent.mkdir(parents=True)
    event, foreign = FOREIGN[agent]
    before = json.dumps({"version": 1, "mine": {"a": [1]}, "hooks": {event: [foreign]}}, indent=4) + "\n"
    path.write_text(before)
    done = setup(agent, "--write")
    assert (done.returncode, done.stdout) == (
        0,
        f"registered {len(AGENTS[agent].events)} hooks of {AGENTS[agent].title} in {path}\n",
    )
    written = path.read_text()
    document = json.loads(written)
    assert document["hooks"].keys() == AGENTS[agent].events.keys()
    assert document["hooks"][event][0] == foreign
    assert setup(agent, "--write").stdout == f"{path} has the hooks already\n"
    assert path.read_text() == written
    assert setup(agent, "--remove").stdout == f"removed our hooks from {path}\n"
    assert path.read_text() == before


@pytest.mark.parametrize("agent", OTHERS)
def test_the_users_own_file_names_the_interpreter(agent: str, setup: Setup, tmp_path: Path) -> None:
    assert setup(agent, "--global", "--write").returncode == 0
    names = {**FILES, "copilot": ".copilot/hooks/agent-trace.json"}
    handlers = _handlers(json.loads((tmp_path / "home" / names[agent]).read_text()))
    script = tmp_path / "home" / ".local" / "share" / "agent-trace" / "hook.py"
    for event, handler in handlers.items():
        command = handler.get("command") or handler["bash"]
        assert command == f"{sys.executable} -I -S {script} {event} {agent} || exit 0"


@pytest.mark.parametrize("agent", OTHERS)
def test_there_are_no_settings_of_one_user_in_one_project(agent: str, setup: Setup) -> None:
    done = setup(agent, "--local", "--write")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "has no local settings, only project and user" in done.stderr


@pytest.mark.parametrize(("agent", "variable"), [("codex", "CODEX_HOME"), ("copilot", "COPILOT_HOME")])
def test_a_moved_home_of_the_agent_is_followed(agent: str, variable: str, setup: Setup, tmp_path: Path) -> None:
    setup(agent, "--global", "--write", **{variable: str(tmp_path / "moved")})
    assert [path.name for path in (tmp_path / "moved").rglob("*.json")] == [Path(FILES[agent]).name]


def test_codex_has_short_ends_and_must_be_told_to_trust(setup: Setup) -> None:
    shown = setup("codex")
    handlers = _handlers(json.loads(shown.stdout))
    assert {event for event, handler in handlers.items() if handler["timeout"] == 3} == {"SessionEnd", "Interrupt"}
    assert "Codex runs a hook only after you have trusted it" in shown.stderr


def test_copilot_has_a_command_for_each_shell_and_seconds(setup: Setup) -> None:
    document = json.loads(setup("copilot").stdout)
    assert document["version"] == 1
    assert "PermissionRequest" not in document["hooks"]
    assert document["hooks"]["PreToolUse"] == [
        {
            "type": "command",
            "bash": "agent-trace hook PreToolUse copilot || exit 0",
            "powershell": "& agent-trace hook PreToolUse copilot; exit 0",
            "timeoutSec": 5,
        }
    ]


def test_gemini_counts_milliseconds_and_asks_for_compactions_that_somebody_wanted(setup: Setup) -> None:
    document = json.loads(setup("gemini").stdout)
    assert document["hooks"]["PreCompress"] == [
        {
            "matcher": "manual",
            "hooks": [
                {
                    "type": "command",
                    "name": "agent-trace",
                    "command": "agent-trace hook PreCompress gemini || exit 0",
                    "timeout": 5000,
                }
            ],
        }
    ]
    assert not {"BeforeModel", "AfterModel", "BeforeToolSelection"} & document["hooks"].keys()


def test_cursor_has_flat_entries_and_no_event_that_tells_a_call_twice(setup: Setup) -> None:
    document = json.loads(setup("cursor").stdout)
    assert document["version"] == 1
    assert document["hooks"]["stop"] == [{"command": "agent-trace hook stop cursor || exit 0", "timeout": 5}]
    assert not {event for event in document["hooks"] if event.endswith(("Execution", "ReadFile", "FileEdit"))}


def test_the_example_holds_what_setup_prints(setup: Setup) -> None:
    shown = re.findall(r"^```json\n(.*?)^```", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert shown == [setup(agent).stdout for agent in OTHERS]
