"""What stands beside a transcript: the note about a sub-agent, and the transcript that a fork was copied from.

    <project>/<session>.jsonl                               the main conversation
    <project>/<session>/subagents/agent-<id>.jsonl          a sub-agent's
    <project>/<session>/subagents/agent-<id>.meta.json      which tool call started it

Comes in: paths. Goes out: a fact, a path. Called by the recorder's worker, off the hooks' path; nothing here raises.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from agent_trace_otel.capture.hooks.transcript.facts import known
from agent_trace_otel.model_io.fields import text_field

if TYPE_CHECKING:
    from agent_trace_otel.capture.hooks.transcript.facts import AgentFact

MAX_NOTE = 1 << 20
MAX_SEARCHED = 256 << 20
"""Bytes of other transcripts that are searched for a fork's origin, the newest ones first."""


def read_agent(path: Path) -> AgentFact | None:
    """Return what ``agent-<id>.meta.json`` tells of a sub-agent, None if it is missing or tells nothing."""
    agent_id = path.name.removeprefix("agent-").removesuffix(".meta.json")
    if not agent_id or agent_id == path.name:
        return None
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            note: object = json.loads(file.read(MAX_NOTE))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(note, dict):
        return None
    names = {"tool_use_id": "toolUseId", "agent_type": "agentType", "description": "description", "model": "model"}
    told = {name: text_field(cast("object", note), key) for name, key in names.items()}
    return cast("AgentFact", known({"kind": "agent", "agent_id": agent_id, **told}))


def find_origin(path: Path, request_id: str) -> Path | None:
    """Return the transcript that a fork's history was copied from, None if none is found.

    A fork's lines carry its own session id, so only the api-request tells: it stands in the origin's file alone.

    Args:
        path: the fork's own transcript; the others of its folder are searched.
        request_id: the ``request_id`` of its origin fact.
    """
    wanted = request_id.encode("utf-8", "replace")
    left = MAX_SEARCHED
    try:
        others = [other for other in path.parent.glob("*.jsonl") if other.name != path.name and other.is_file()]
        others.sort(key=lambda other: other.stat().st_mtime_ns, reverse=True)
        for other in others:
            left -= other.stat().st_size
            if left < 0:
                return None
            with other.open("rb") as file:
                if any(wanted in line and _is_request(line, request_id) for line in file):
                    return other
    except (OSError, ValueError):
        return None
    return None


def _is_request(line: bytes, request_id: str) -> bool:
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return (text_field(value, "type"), text_field(value, "id")) == ("api-request", request_id)
