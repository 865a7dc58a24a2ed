"""Record scenarios with the plain logging hook: what the client gives its hooks, and its transcripts, for unit tests.

``PYTHONPATH=tests/support:tests/e2e python -m claude_code.record --only resume,fork`` in the repository. Written into
tests/data/claude_code, paths and vendor texts taken out: NAME.ndjson (each hook's stdin, one a line, in start order),
NAME.calls.ndjson (when it ran, what of its environment a hook may tell, how far the transcript was),
transcript_NAME_<session>.jsonl and transcript_NAME_sub_agent-<id>.jsonl with its .meta.json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from claude_code import client
from claude_code.scenarios import SCENARIOS
from claude_code.workspace import Workspace
from packages import REPOSITORY

RECORDINGS = REPOSITORY / "tests" / "data" / "claude_code"
EVENTS = (
    *("SessionStart", "SessionEnd", "Setup", "UserPromptSubmit", "UserPromptExpansion", "Stop", "StopFailure"),
    *("PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch", "PermissionRequest", "PermissionDenied"),
    *("SubagentStart", "SubagentStop", "PreCompact", "PostCompact", "PreModelSwitch", "PostModelSwitch"),
    *("Notification", "Elicitation", "ElicitationResult", "InstructionsLoaded", "ConfigChange", "CwdChanged"),
    *("FileChanged", "DirectoryAdded", "TaskCreated", "TaskCompleted", "TeammateIdle", "MessageDisplay"),
)  # not WorktreeCreate and WorktreeRemove: a hook there replaces what git does
_LOGGER = Path(__file__).with_name("logging_hook.py")
_HOOK_SECONDS = 30
_LONGEST_KEPT = 200  # characters; vendor texts are longer
_PLACE = ("type", "uuid", "parentUuid", "isSidechain", "agentId", "timestamp", "sessionId", "version")
_ENVIRONMENT = re.compile(
    r"(CLAUDE_PID|CLAUDE_PROJECT_DIR|CLAUDE_CODE_ENTRYPOINT|TRACEPARENT|TRACESTATE|AGENT_TRACE_.*)$"
)


def _is_short(value: Any) -> bool:
    return not isinstance(value, (dict, list)) and len(str(value)) <= _LONGEST_KEPT


def slim(line: dict[str, Any]) -> dict[str, Any]:
    """Return a transcript line without the vendor's prompts and tool texts, its type and place kept."""
    kind = line.get("type")
    if kind == "attachment" and line["attachment"]["type"] != "queued_command":  # that one holds a person's prompt
        attachment = {name: value for name, value in line["attachment"].items() if _is_short(value)}
        return {**{name: line[name] for name in _PLACE if name in line}, "attachment": attachment}
    if kind == "attachment":
        line.pop("rendered", None)
    elif kind == "api-request-shape":
        line["shape"] = {}
    elif kind == "api-request-blob":
        line["message"] = {name: value for name, value in line["message"].items() if _is_short(value)}
    elif kind == "api-request":
        line["params"].pop("betas", None)
    return line


class Paths:
    """This machine's paths -> the ones of a recording, in any text."""

    def __init__(self, workspace: Workspace) -> None:
        project, home, root = str(workspace.project), str(workspace.home), str(workspace.root)
        self._known = {
            project: "/home/user/project",
            _slug(project): "-home-user-project",
            home: "/home/user",
            _slug(home): "-home-user",
            root: "/home/user/scratch",
            _slug(root): "-home-user-scratch",
            str(_LOGGER.parent): "/opt/harness",
            str(client.executable()): "/opt/claude-code/claude",
            sys.executable: "/usr/bin/python3",
            f"/claude-{os.getuid()}/": "/claude-1000/",
        }

    def taken_out(self, value: Any) -> str:
        """Return a value as JSON, with none of this machine's paths in it."""
        text = json.dumps(value, ensure_ascii=False)
        for here, there in self._known.items():
            text = text.replace(here, there)
        return text


def _slug(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "-", path)


def _calls(records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield when and where each hook ran; names of environment variables where they are others than so far."""
    seen: list[list[str]] = []
    for record in records:
        payload, names = record["stdin"], record["env_names"]
        yield {
            "start_ms": round((record["t0"] - records[0]["t0"]) * 1000, 1),
            "end_ms": round((record["t1"] - records[0]["t0"]) * 1000, 1),
            "event": payload.get("hook_event_name"),
            "tool_use_id": payload.get("tool_use_id"),
            "agent_id": payload.get("agent_id"),
            "transcript": record["transcript"],
            "pid_seq": record["pid"],
            "ppid": record["ppid"],
            "env": {name: value for name, value in record["env"].items() if _ENVIRONMENT.match(name)},
            **({} if names in seen else {"env_names": names}),
        }
        seen.append(names)


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_recording(name: str, workspace: Workspace, log: Path, into: Path) -> list[str]:
    """Write the files of one scenario in place of the ones that are there; returns the names of its events."""
    transcript = re.compile(f"transcript_{name}_(sub_agent-)?[0-9a-f-]+\\.")
    for old in [path for path in into.iterdir() if transcript.match(path.name)]:
        old.unlink()
    paths = Paths(workspace)
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    records.sort(key=lambda record: record["t0"])
    _write(into / f"{name}.ndjson", [paths.taken_out(record["stdin"]) for record in records])
    _write(into / f"{name}.calls.ndjson", [paths.taken_out(call) for call in _calls(records)])
    for path in sorted((workspace.home / ".claude" / "projects").rglob("*.json*")):
        place = "sub_" if path.parent.name == "subagents" else ""
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        slimmed = lines if path.name.endswith(".meta.json") else [slim(line) for line in lines]
        _write(into / f"transcript_{name}_{place}{path.name}", [paths.taken_out(line) for line in slimmed])
    return [record["stdin"]["hook_event_name"] for record in records]


def record(name: str, root: Path, into: Path) -> None:
    """Run one scenario with the logging hook and keep what it saw."""
    workspace = Workspace(root / name)
    log = workspace.root / "hooks.ndjson"
    hook = {"type": "command", "command": f"{sys.executable} {_LOGGER} {log}", "timeout": _HOOK_SECONDS}
    workspace.write_settings("settings.json", {"hooks": {event: [{"hooks": [hook]}] for event in EVENTS}})
    ran = workspace.play(SCENARIOS[name])
    events = write_recording(name, workspace, log, into)
    print(name, [(one.pid, one.code) for one in ran], *events)  # noqa: T201 - what was recorded
    for one in ran:
        if one.code:
            print("  ", one.out[-300:], one.err[-300:])  # noqa: T201 - why a run ended as it did


def main() -> None:
    """Record the scenarios that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(SCENARIOS), help="names, separated by commas")
    parser.add_argument("--into", type=Path, default=RECORDINGS, help="folder of the recordings")
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="claude-code-") as root:
        for name in arguments.only.split(","):
            record(name, Path(root), arguments.into)


if __name__ == "__main__":
    main()
