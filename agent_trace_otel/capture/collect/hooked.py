"""Sessions that a coding agent's hooks tell already: where they are, and which of its own spans repeat their story.

Comes in: a session's id, a span. Goes out: the directory of the session's folder; yes or no. Called by `sessions`.
Claude Code, Codex and Gemini CLI report to an OTLP endpoint by themselves, under the session id that their hooks have
too, so both come to one folder. There each call stands twice: the span is kept, and the timeline tells it once.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent_trace_otel import identity
from agent_trace_otel.capture.collect.logs.spans import SCOPE
from agent_trace_otel.capture.hooks import state
from agent_trace_otel.store.folder import EVENTS

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from agent_trace_otel.store.writer import SessionWriter

SCOPES: Final = {
    "com.anthropic.claude_code": "claude-code",
    "codex": "codex",
    "gemini-cli": "gemini-cli",
    "github.copilot": "copilot",
}
"""Beginning of an instrumentation scope's name -> the agent that reports under it, as its hooks' sessions are named."""

TOLD_IN_LOGS: Final = ("gemini-cli",)
"""Scopes whose spans repeat, in part, what the agent's log events tell (`logs`)."""

_START: Final = b'{"event_type":"session_start"'
_FIRST_BYTES: Final = 1 << 16
_AGAIN_SECONDS: Final = 5.0
_MAX_KNOWN: Final = 10_000


def agent_of(span: ReadableSpan) -> str:
    """Return which coding agent tells a span of itself, nothing for any other span."""
    name = _scope_of(span)
    if name.startswith(SCOPE):
        return name[len(SCOPE) :]
    return next((agent for start, agent in SCOPES.items() if name.startswith(start)), "")


def _scope_of(span: ReadableSpan) -> str:
    return span.instrumentation_scope.name if span.instrumentation_scope is not None else ""


def store_of(session_id: str) -> Path | None:
    """Return where the recorder writes a session of hooks, None if it knows of none by that id."""
    journals = Path(state.directory()) / state.JOURNALS
    found: str | None = None
    with contextlib.suppress(OSError):
        for path in journals.glob(f"*-{identity.folder_name(session_id)}.ndjson"):
            for line in path.read_bytes().splitlines():
                if b'"store"' in line:
                    with contextlib.suppress(ValueError, AttributeError):
                        found = json.loads(line).get("store") or found
    return Path(found) if isinstance(found, str) else None


class Hooked:
    """Remembers of which sessions it is known that hooks tell them."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, tuple[str, float]] = OrderedDict()

    def tell(self, span: ReadableSpan, writer: SessionWriter) -> bool:
        """Tell whether a span repeats what the agent's hooks, or its log events, tell in its session."""
        agent = agent_of(span)
        return bool(agent) and (_scope_of(span).startswith(TOLD_IN_LOGS) or self._agent_of(writer.folder) == agent)

    def _agent_of(self, folder: Path) -> str:
        agent, at = self._known.get(folder, ("", 0.0))
        now = time.monotonic()
        if not agent and (not at or now - at > _AGAIN_SECONDS):  # the hooks may begin later
            self._known[folder] = agent, _ = _told_by(folder), now
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        return agent


def _told_by(folder: Path) -> str:
    """Return the agent whose process a timeline's first run is: one that nobody opened names no process."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError), (folder / EVENTS).open("rb") as file:
        for line in file.read(_FIRST_BYTES).splitlines():
            if line.startswith(_START):
                data = json.loads(line)["data"]
                if "pid" in data:
                    return str(data["agent_name"])
    return ""
