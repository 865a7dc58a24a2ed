"""The real clients from npm: which version, how each is asked one thing and led to the scripted model.

Called by ``workspace``. npm is asked once; what it installs stays in AGENT_TRACE_E2E_CACHE. None of them needs an
account: each takes a model provider of one's own, with any key.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packages import NPM_PLATFORM, cache_dir, node_modules

API_KEY = "planted-api-key-77c0de"


@dataclass(frozen=True, slots=True)
class Client:
    """One agent's program."""

    package: str
    """With its version."""
    program: str
    """Below node_modules."""
    runner: tuple[str, ...]
    """What runs it, empty if it runs by itself."""
    scope: str
    """Option of `agent-trace setup`: whose settings it reads here."""
    asked: Callable[[str], list[str]]
    """Prompt -> arguments."""
    configure: Callable[[Path, int], Mapping[str, str]]
    """(home, port of the model) -> variables, with settings written into the home."""

    def command(self, prompt: str) -> list[str]:
        """Return the command line for one prompt, installing the program on first use.

        Raises:
            UnavailableError: npm is missing or can't reach its registry, or there is nothing for this machine.
        """
        program = node_modules(self.package, self.program) / self.program
        return [*self.runner, str(program), *self.asked(prompt)]


_CODEX_CONFIG = """
model_provider = "scripted"

[model_providers.scripted]
name = "scripted"
base_url = "http://127.0.0.1:{port}/v1"
wire_api = "responses"
env_key = "SCRIPTED_API_KEY"
request_max_retries = 0
stream_max_retries = 0

[mcp_servers.demo]
command = "{python}"
args = ["-m", "claude_code.mcp_server"]
env = {{ PYTHONPATH = "{tests}" }}
"""


def _codex(home: Path, port: int) -> Mapping[str, str]:
    tests = Path(__file__).parents[1]
    config = _CODEX_CONFIG.format(port=port, python=shutil.which("python3"), tests=tests)
    (home / ".codex").mkdir(exist_ok=True)
    (home / ".codex" / "config.toml").write_text(config, encoding="utf-8")
    return {"SCRIPTED_API_KEY": API_KEY}


def _ask_codex(prompt: str) -> list[str]:
    # a model that the client knows has a tool for patches, one that it does not know has those for sub-agents
    model = "gpt-6.1-sol" if "edit" in prompt else "some-model"
    sandbox = "workspace-write" if "denied" in prompt else "danger-full-access"
    # the hooks were reviewed by nobody but this test
    flags = ["--skip-git-repo-check", "--dangerously-bypass-hook-trust", "-m", model, "-s", sandbox]
    return ["exec", *flags, prompt]


def _copilot(home: Path, port: int) -> Mapping[str, str]:
    (home / ".cache").mkdir(exist_ok=True)
    return {
        "COPILOT_OFFLINE": "true",
        "COPILOT_AUTO_UPDATE": "false",
        "COPILOT_CACHE_HOME": str(cache_dir() / "copilot-unpacked"),
        "COPILOT_PROVIDER_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "COPILOT_PROVIDER_API_KEY": API_KEY,
        "COPILOT_MODEL": "gpt-5.2",
    }


def _gemini(home: Path, port: int) -> Mapping[str, str]:
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "general": {"enableAutoUpdate": False},
        "privacy": {"usageStatisticsEnabled": False},
    }
    (home / ".gemini").mkdir(exist_ok=True)
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return {
        "GEMINI_API_KEY": API_KEY,
        "GOOGLE_GEMINI_BASE_URL": f"http://127.0.0.1:{port}",
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }


CLIENTS: Mapping[str, Client] = {
    "codex": Client(
        "@openai/codex@0.169.0",
        f"@openai/codex-{NPM_PLATFORM}/vendor/{platform.machine()}-unknown-linux-musl/bin/codex",
        (),
        "--global",
        _ask_codex,
        _codex,
    ),
    "copilot": Client(
        "@github/copilot@1.0.102",
        f"@github/copilot-{NPM_PLATFORM}/copilot",
        (),
        "",
        lambda prompt: [
            "--trust-folder",
            "--allow-all-tools",
            "--allow-all-paths",
            "--deny-tool=shell(git push)",
            "-p",
            prompt,
        ],
        _copilot,
    ),
    "gemini": Client(
        "@google/gemini-cli@0.61.0",
        "@google/gemini-cli/bundle/gemini.js",
        (shutil.which("node") or "node",),
        "",
        lambda prompt: ["--yolo", "-m", "gemini-2.5-pro", "-p", prompt],
        _gemini,
    ),
}
