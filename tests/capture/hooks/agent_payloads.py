"""Hook payloads of other coding agents, and what their adapters make of them, as one comparable text a recording.

``tests/data/<agent>/NAME.ndjson`` holds what the agent wrote to its hooks, one ``{"event": as registered, "payload":
stdin}`` a line. Codex 0.169.0, Copilot CLI 1.0.102 and Gemini CLI 0.61.0 were recorded with the real client against a
scripted model; ids and times are as they came, paths were made /home/user. Cursor's are written by hand, with the
members that its npm package @cursor/sdk 1.0.32 gives them, the older client's with those of its documentation then.
``NAME.shapes.txt`` is the reviewed outcome.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent_trace_otel.capture.hooks.dialects.registry import DIALECTS

DATA = Path(__file__).parents[2] / "data"
COMMON = ("session_id", "cwd", "permission_mode", "model", "timestamp", "cursor_version", "stop_hook_active")
"""Members that say nothing new from line to line; tests of their own look at them."""

Shape = dict[str, Any]


def recordings(agent: str) -> list[str]:
    return sorted(path.stem for path in (DATA / agent).glob("*.ndjson"))


def payloads(agent: str, name: str) -> list[tuple[str, Shape]]:
    lines = (DATA / agent / f"{name}.ndjson").read_text(encoding="utf-8").splitlines()
    return [(line["event"], line["payload"]) for line in map(json.loads, lines)]


def shapes(agent: str, name: str) -> list[Shape]:
    adapter = DIALECTS[agent].claude_shape
    return [shape for event, payload in payloads(agent, name) for shape in adapter(event, payload)]


def story(agent: str, name: str) -> str:
    """Return one line a shape: its event, then what is its own."""
    lines: list[str] = []
    for shape in shapes(agent, name):
        own = {key: value for key, value in shape.items() if key not in (*COMMON, "hook_event_name")}
        lines.append(f"{shape['hook_event_name']} {json.dumps(own, ensure_ascii=False, sort_keys=True)}\n")
    return "".join(lines)


def golden(agent: str, name: str) -> str:
    return (DATA / agent / f"{name}.shapes.txt").read_text(encoding="utf-8")
