"""Recordings of real coding agents' hooks, played again: the same payloads, clocks and transcripts as then.

A recording is NAME.ndjson (what the hooks got on stdin), NAME.calls.ndjson (when, and with which environment) and the
transcripts that the client wrote meanwhile. Transcripts grow while it is played, by the times that their lines name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data" / "claude_code"
NAMES = sorted(path.name.removesuffix(".calls.ndjson") for path in DATA.glob("*.calls.ndjson"))
_SKIPPED = {"MessageDisplay", "FileChanged"}  # setup registers no hook for them
_HOME = "/home/user"
_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Heard:
    """One hook as it ran."""

    payload: dict[str, Any]
    at: int
    """Unix nanoseconds."""
    env: dict[str, str]


class Recording:
    """One recording, moved to a home directory of its own."""

    def __init__(self, name: str, home: Path) -> None:
        self.name = name
        self.home = home
        self._files: dict[Path, list[tuple[int, str]]] = {}
        """The lines that each transcript still gets, with their times."""
        self._base = 0
        self._read_transcripts()
        payloads = [json.loads(self._moved(line)) for line in (DATA / f"{name}.ndjson").read_text().splitlines()]
        calls = [json.loads(self._moved(line)) for line in (DATA / f"{name}.calls.ndjson").read_text().splitlines()]
        self._calibrate(payloads, calls)
        self.heard = [
            Heard(payload, self._base + int(call["start_ms"] * _MS), _environment(call["env"], payload))
            for payload, call in zip(payloads, calls, strict=True)
            if payload["hook_event_name"] not in _SKIPPED
        ]

    @property
    def store(self) -> Path:
        """Where the sessions go."""
        return self.home / "project" / ".agent-traces"

    def play(self) -> Iterator[Heard]:
        """Yield the hooks in order; before each, the transcripts grow to what they were then."""
        for heard, following in zip(self.heard, [*self.heard[1:], None], strict=True):
            is_last = heard.payload["hook_event_name"] == "SessionEnd"  # the client writes on while its hook runs
            self.write_until((following.at if following else 1 << 63) if is_last else heard.at)
            yield heard
        self.write_until(1 << 63)

    def write_until(self, at: int, later: int = 0) -> None:
        """Let the client write its transcripts up to some time; lines name times that are ``later`` by so many ns."""
        for path, lines in self._files.items():
            count = next((n for n, (time, _) in enumerate(lines) if time > at), len(lines))
            if count:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("a") as file:
                    file.write("".join(f"{_later(line, later)}\n" for _, line in lines[:count]))
                del lines[:count]

    def plant(self, text: str) -> None:
        """Let every prompt and answer of the transcripts hold some text."""
        for path, lines in self._files.items():
            self._files[path] = [(time, line.replace('"content": "', f'"content": "{text} ')) for time, line in lines]
            self._files[path] = [
                (time, line.replace('"type": "text", "text": "', f'"type": "text", "text": "{text} '))
                for time, line in self._files[path]
            ]

    def _read_transcripts(self) -> None:
        pattern = re.compile(rf"transcript_{self.name}_(sub_agent-)?[0-9a-f-]+\.(jsonl|meta\.json)\Z")
        texts = {path.name: path.read_text() for path in DATA.iterdir() if pattern.match(path.name)}
        for name, text in texts.items():
            path = self._path(name, text)
            if name.endswith(".meta.json"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                continue
            latest = 0
            lines = self._files.setdefault(path, [])
            for line in self._moved(text).splitlines():
                found = json.loads(line).get("timestamp")
                latest = max(latest, _ns(found) if found else 0)
                lines.append((latest, line))

    def _path(self, name: str, text: str) -> Path:
        project = self.home / ".claude" / "projects" / "-home-user-project"
        own = name.removeprefix(f"transcript_{self.name}_")
        if not own.startswith("sub_"):
            return project / own
        beside = text
        if name.endswith(".meta.json"):
            beside = (DATA / name.replace(".meta.json", ".jsonl")).read_text()
        session = next(found for line in beside.splitlines() if (found := json.loads(line).get("sessionId")))
        return project / session / "subagents" / own.removeprefix("sub_")

    def _calibrate(self, payloads: list[dict[str, Any]], calls: list[dict[str, Any]]) -> None:
        """Find the time of the first hook: a prompt's hook ran when its line was written."""
        for payload, call in zip(payloads, calls, strict=True):
            prompt = payload.get("prompt")
            for lines in self._files.values() if payload["hook_event_name"] == "UserPromptSubmit" else ():
                for time, line in lines:
                    told = json.loads(line)
                    if told.get("type") == "user" and told["message"].get("content") == prompt:
                        self._base = time - int(call["start_ms"] * _MS)
                        return
        self._base = min((lines[0][0] for lines in self._files.values() if lines[0][0]), default=1_795_377_000 * 10**9)

    def _moved(self, text: str) -> str:
        return text.replace(_HOME, str(self.home))


class Clients:
    """The client processes of recordings."""

    def __init__(self) -> None:
        self.are_alive = True

    def start_of(self, pid: int) -> str | None:
        """Stand in for `process.start_of`."""
        return f"start-of-{pid}" if self.are_alive else None


def shuffled(heard: list[Heard]) -> list[list[Heard]]:
    """Return the other orders in which the client may have run the same hooks.

    Hooks of one moment run side by side: those of a session's start, the beginnings of one response's calls, their ends
    unless one's beginning came between, a sub-agent's start and the result of its launch.
    """
    orders: list[list[Heard]] = []
    for first in range(len(heard) - 1):
        one, other = heard[first], heard[first + 1]
        if _side_by_side(one.payload, other.payload):
            swapped = [*heard[:first], replace(other, at=one.at), replace(one, at=other.at), *heard[first + 2 :]]
            orders.append(swapped)
    return orders


_START = {"SessionStart", "InstructionsLoaded", "UserPromptSubmit"}
_ENDS = {"PostToolUse", "PostToolUseFailure"}


def _side_by_side(one: dict[str, Any], other: dict[str, Any]) -> bool:
    names = (one["hook_event_name"], other["hook_event_name"])
    if one["session_id"] != other["session_id"]:
        return False
    if set(names) <= _START and names[0] != names[1]:
        return one.get("source") != "compact" and other.get("source") != "compact"
    if set(names) == {"SubagentStart", "PostToolUse"}:
        return True
    same_call = one.get("tool_use_id") == other.get("tool_use_id")
    of_calls = names == ("PreToolUse", "PreToolUse") or set(names) <= _ENDS
    return of_calls and not same_call


def _environment(env: dict[str, str], payload: dict[str, Any]) -> dict[str, str]:
    forwarded = ("CLAUDE_PID", "CLAUDE_PROJECT_DIR", "CLAUDE_CODE_ENTRYPOINT", "TRACEPARENT", "TRACESTATE")
    kept = {name: env[name] for name in forwarded if name in env}
    return {"CLAUDE_PROJECT_DIR": payload["cwd"], **kept}


def _later(line: str, ns: int) -> str:
    told = json.loads(line)
    if not ns or "timestamp" not in told:
        return line
    moment = datetime.fromtimestamp((_ns(told["timestamp"]) + ns) / 1e9, tz=timezone.utc)
    return json.dumps({**told, "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")})


def _ns(timestamp: str) -> int:
    return int(datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp() * 1000) * _MS
