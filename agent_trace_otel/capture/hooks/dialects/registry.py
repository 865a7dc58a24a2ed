"""The coding agents whose hooks are understood: what each is called, who serves its model, how its payloads are read.

Comes in: an agent's name, as its frames carry it. Goes out: its dialect. Called by the recorder's worker. To add an
agent, write its adapter and add a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent_trace_otel import semconv
from agent_trace_otel.capture.hooks.dialects import codex_rollout, copilot, cursor, gemini
from agent_trace_otel.capture.hooks.dialects.shapes import Adapter, Payload, Shape


@dataclass(frozen=True, slots=True)
class Dialect:
    """One coding agent, as seen from its hooks."""

    name: str
    """gen_ai.agent.name."""
    claude_shape: Adapter
    """(event, payload) -> payloads as Claude Code would have sent them, none for what tells nothing."""
    provider: str | None = None
    """gen_ai.provider.name of its models, None if it depends on how the agent is set up."""
    names_calls: bool = False
    """Whether each of its calls has an id of its own, so that two equal payloads are one event told twice."""
    unanswered: str = semconv.OUTCOME_UNKNOWN
    """Outcome of a call of which nothing tells how it ended when its agent has stopped."""


def _as_it_is(event: str, payload: Payload) -> list[Shape]:
    return [{**payload, "hook_event_name": payload.get("hook_event_name") or event}]


CLAUDE_CODE: Final = Dialect(
    "claude-code", _as_it_is, provider="anthropic", names_calls=True, unanswered=semconv.OUTCOME_BLOCKED
)

DIALECTS: Final[Mapping[str, Dialect]] = {
    "claude-code": CLAUDE_CODE,
    "codex": Dialect("codex", codex_rollout.claude_shape),
    # What fails is told, what is refused is not.
    "copilot": Dialect("copilot", copilot.claude_shape, unanswered=semconv.OUTCOME_DENIED),
    "gemini": Dialect("gemini-cli", gemini.claude_shape, provider="gcp.gen_ai"),
    "cursor": Dialect("cursor", cursor.claude_shape),
}
"""Name on our command line and in a frame's ``agent`` field -> dialect."""


def dialect_of(agent: str, payload: Payload) -> Dialect:
    """Return the dialect of a payload; Claude Code's for an agent that is not known.

    Cursor runs the hooks of Claude Code's settings too, with payloads of its own (its package: third-party hooks): what
    names a version of Cursor is Cursor's, whatever the hook was registered as.
    """
    name = "cursor" if "cursor_version" in payload else agent
    return DIALECTS.get(name, CLAUDE_CODE)
