"""A hook that only logs: its stdin, clock, environment and what the transcript holds at this moment -> one line.

Registered by ``record`` for every event, as ``python logging_hook.py LOG``. Prints nothing and exits with 0, so the
client behaves as it does without it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_KEPT = ("AGENT_TRACE_", "CLAUDE_", "TRACE")


def _awaited(payload: Mapping[str, Any]) -> list[str]:
    calls = payload.get("tool_calls") or [payload]
    return [call["tool_use_id"] for call in calls if call.get("tool_use_id")]


def _decided(lines: list[Any]) -> Iterator[str]:
    """Yield the ids of the calls whose result carries a permission decision."""
    for line in lines:
        if line.get("permissionDecision") and isinstance(line["message"]["content"], list):
            yield from (block["tool_use_id"] for block in line["message"]["content"] if "tool_use_id" in block)


def transcript_state(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far the transcript has come: its last lines, and whether it knows the calls of this event already."""
    path = Path(payload.get("agent_transcript_path") or payload.get("transcript_path") or "")
    if not path.is_file():
        return {"exists": False}
    raw = path.read_bytes()
    lines = [json.loads(line) for line in raw.splitlines() if line.endswith(b"}")]
    types = [line.get("type") for line in lines]
    state: dict[str, Any] = {"exists": True, "bytes": len(raw), "lines": len(lines), "ends_nl": raw.endswith(b"\n")}
    state["types"] = types[-3:]
    if awaited := _awaited(payload):
        decided = set(_decided(lines))
        state["has_tool_use_id"] = all(name.encode() in raw for name in awaited)
        state["has_permission_decision"] = [name in decided for name in awaited]
    if said := payload.get("last_assistant_message"):
        answers = [json.dumps(line["message"]) for line in lines if line.get("type") == "assistant"]
        state["has_last_assistant_message"] = any(json.dumps(said)[1:-1] in answer for answer in answers)
    return state


def main() -> None:
    """Log one event."""
    began = time.time()
    payload = json.loads(sys.stdin.buffer.read())
    record = {
        "t0": began,
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "env": {name: value for name, value in os.environ.items() if name.startswith(_KEPT)},
        "env_names": sorted(os.environ),
        "transcript": transcript_state(payload),
        "stdin": payload,
        "t1": time.time(),
    }
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, (json.dumps(record) + "\n").encode())


if __name__ == "__main__":
    main()
