"""A scratch home and project for the real client, with the scripted API beside it and nothing else on its network.

Comes in: a `Scenario`. Goes out: `Ran`, one a run: exit code and output, just as the client gave them. Called by
``record`` and ``test_claude_code``; both write hook settings into ``project`` or ``home`` before the runs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from claude_code import client
from claude_code.model_script import STARTED
from lonely_model import serving, wait_for_call

if TYPE_CHECKING:
    from claude_code.scenarios import Run, Scenario
    from lonely_model import Beside

API_KEY = "planted-api-key-1f6b2d"
_RUN_SECONDS = 180
_GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
_FILES = {
    "hello.txt": "hello world\n",
    "other.txt": "other\n",
    "CLAUDE.md": "# Test project\n",
    ".claude/commands/demo.md": "---\ndescription: demo\n---\nDo it. SCENARIO:one_bash $ARGUMENTS\n",
    ".claude/skills/demo-skill/SKILL.md": "---\nname: demo-skill\ndescription: a demo skill\n---\nSay hi.\n",
}


@dataclass(frozen=True, slots=True)
class Ran:
    """What one process of the client left; ``session_id`` is empty when it told none."""

    pid: int
    code: int
    out: str
    err: str

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The JSON objects on its stdout."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    @property
    def session_id(self) -> str:
        """The session that its last message names."""
        named = [message["session_id"] for message in self.messages if "session_id" in message]
        return named[-1] if named else ""


class Workspace:
    """Folders ``home``, ``project`` and ``tmp`` below a root that is made anew."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.home, self.project, self.tmp = self.root / "home", self.root / "project", self.root / "tmp"
        self.requests = self.root / "requests.ndjson"
        shutil.rmtree(self.root, ignore_errors=True)
        for folder in (self.home / ".claude", self.project, self.tmp):
            folder.mkdir(parents=True)
        for name, text in _FILES.items():
            path = self.project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "init"]):
            subprocess.run([*_GIT, *arguments], cwd=self.project, env=self._plain(), check=True)
        trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        known: dict[str, Any] = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "customApiKeyResponses": {"approved": [API_KEY[-20:]], "rejected": []},
            "projects": {str(self.project): trusted},
        }
        (self.home / ".claude.json").write_text(json.dumps(known), encoding="utf-8")

    def write_settings(self, name: str, settings: Mapping[str, Any]) -> None:
        """Write one of the project's settings files."""
        (self.project / ".claude" / name).write_text(json.dumps(settings, indent=1), encoding="utf-8")

    def play(
        self, scenario: Scenario, environment: Mapping[str, str] | None = None, *, beside: Beside | None = None
    ) -> list[Ran]:
        """Run a whole scenario against a scripted API of its own; ``environment`` is added to its own variables."""
        if scenario.local_settings:
            self.write_settings("settings.local.json", scenario.local_settings)
        ran: list[Ran] = []
        arguments = ["--project", str(self.project), "--log", str(self.requests)]
        with ExitStack() as around:
            prefix, port = around.enter_context(serving("claude_code.api_server", arguments, self._plain()))
            if beside is not None:
                around.enter_context(beside(prefix))
            variables = {**self._environment(port), **scenario.environment, **(environment or {})}
            for run in scenario.runs:
                ran.append(self._run(run, ran[-1].session_id if ran else "", prefix, variables))
        return ran

    def _run(self, run: Run, session_id: str, prefix: Sequence[str], environment: Mapping[str, str]) -> Ran:
        process = subprocess.Popen(
            [*prefix, str(client.executable()), *run.command(session_id)],
            cwd=self.project,
            env=dict(environment),
            stdin=subprocess.PIPE if run.stdin() else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        try:
            if run.stop is not None:
                wait_for_call(process, self.project / STARTED)
                process.send_signal(run.stop)
            out, err = process.communicate(run.stdin() or None, timeout=_RUN_SECONDS)
        finally:
            process.kill()
        return Ran(process.pid, process.returncode, out, err)

    def _plain(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.home), "LANG": "C.UTF-8"}

    def _environment(self, port: int) -> dict[str, str]:
        """Return the client's whole environment; its own scratch files stay below the root."""
        return {
            **self._plain(),
            "TERM": "xterm-256color",
            "SHELL": "/bin/bash",
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
            "ANTHROPIC_API_KEY": API_KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "IS_SANDBOX": "1",  # bypassPermissions is refused to root otherwise
            "TMPDIR": str(self.tmp),
            "CLAUDE_CODE_TMPDIR": str(self.tmp),
        }
