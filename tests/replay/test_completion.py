"""What a shell offers next, asked of the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from session_folders import SESSION_ID, agent_trace, session_start, write_session

from agent_trace_otel.commands import grammar
from agent_trace_otel.replay.completion import candidates

SESSIONS = [SESSION_ID, "5e55-other", "aa"]


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    for name in SESSIONS:
        write_session(tmp_path / ".agent-traces", session_start(), session_id=name)
    return tmp_path / ".agent-traces"


def words(*typed: str) -> list[str]:
    return [word for word, _ in candidates(grammar.parser(typed), typed)]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["repl"], ["replay"]),
        (["--tr"], ["--trace-dir"]),
        (["--trace-dir", ""], []),
        (["replay", "--f"], ["--filter", "--from", "--follow", "--full"]),
        (["replay", "--full", "--fu"], []),
        (["replay", "--tool", ""], []),
        (["export", "--format", "nd"], ["ndjson"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["record", "--", ""], []),
        (["nonsense", ""], []),
        (["redact", ""], []),
    ],
)
def test_what_may_come_next_is_offered(typed: list[str], offered: list[str]) -> None:
    assert words(*typed) == offered


def test_ids_are_those_of_the_trace_directory(traces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENT_TRACE_DIR", raising=False)
    monkeypatch.chdir(traces.parent)
    assert words("replay", "") == sorted(SESSIONS)
    assert words("stats", "5e55-") == ["5e55-other"]
    monkeypatch.chdir("/")
    assert words("--trace-dir", str(traces), "replay", "a") == ["aa"]
    assert words(f"--trace-dir={traces}", "replay", "--errors", "a") == ["aa"]
    assert words("--trace-dir", str(traces / "no"), "replay", "") == []


def test_every_command_is_offered_with_what_it_does() -> None:
    offered = dict(candidates(grammar.parser([""]), [""]))
    assert offered["replay"] == "Show a session as it happened."
    assert all(offered.values())


def test_every_command_has_an_example_in_its_help() -> None:
    for command in words(""):
        shown = agent_trace(command, "--help")
        assert (shown.returncode, f"Example: agent-trace {command}" in shown.stdout) == (0, True), command


def _in_path(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which `agent-trace` is this one."""
    program = tmp_path / "bin" / "agent-trace"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m agent_trace_otel "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_TRACE_")}
    return {**kept, "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "PYTHONUTF8": "1"}


BASH = """
source <(agent-trace completion bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _agent_trace; printf '%s\\n' "${COMPREPLY[@]}"
"""
# what the function hands to zsh, which has no words to complete outside its line editor
ZSH = """
compdef() { : }; _files() { print files }
_describe() { for word in "${(@P)2}"; print -r -- "${word%%:*}" }
source <(agent-trace completion zsh)
words=("$@"); CURRENT=$#; _agent_trace
"""
FISH = 'agent-trace completion fish | source; complete -C "$argv" | string split -f1 \\t'
SHELLS = {
    "bash": ["bash", "--norc", "-c", BASH, "bash"],
    "zsh": ["zsh", "-f", "-c", ZSH, "zsh"],
    "fish": ["fish", "--no-config", "-c", FISH],
}


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_shells_offer_it(shell: str, traces: Path, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    environment = _in_path(tmp_path)
    for typed, offered in (
        (["replay", "--fol"], ["--follow"]),
        (["replay", "--errors", "5e55"], ["5e55-other", SESSION_ID]),
        (["insp"], ["inspect"]),
    ):
        done = subprocess.run(
            [*SHELLS[shell], "agent-trace", *typed],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert (sorted(done.stdout.split()), done.stderr) == (sorted(offered), ""), typed


def test_an_unknown_shell_is_refused() -> None:
    done = agent_trace("completion", "tcsh")
    assert (done.returncode, done.stdout) == (2, "")


def test_back_ends_are_offered_by_name_and_region() -> None:
    def offered(*typed: str) -> list[str]:
        done = agent_trace("completion", "bash", "--", *typed)
        return [line.partition("\t")[0] for line in done.stdout.splitlines()]

    assert offered("ship", "--to", "honey") == ["honeycomb", "honeycomb:us", "honeycomb:eu"]
    assert "datadog" in offered("setup", "--write", "--to", "")
    assert offered("ship", "--t") == ["--to"]
