"""The coding agents whose hooks can be registered, as data: where their settings lie and how an entry looks.

Called by `settings` and `setup`. To add an agent, add a row to `AGENTS`, and its payloads to what the recorder reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Scope = Literal["project", "user", "local"]
"""Who is recorded: everybody who has the repository, one user everywhere, one user in one project."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One coding agent and its settings files."""

    name: str
    """As on our command line and in a frame's ``agent`` field."""
    title: str
    """As people call it."""
    events: Mapping[str, int]
    """What is registered, in this order -> seconds after which the agent gives up on the hook."""
    files: Mapping[Scope, str]
    """Settings file of each scope that the agent has: under the project, for "user" under the home directory."""
    handler: Callable[[str, int], dict[str, Any]]
    """(command line for a shell, seconds) -> what the agent calls, in its own form and its own unit of time."""
    is_grouped: bool = True
    """Whether an event's entries are groups ``{"matcher"?: ..., "hooks": [handler]}``, else handlers themselves."""
    matchers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Events of which only some are wanted -> the matcher of their group."""
    moved_by: str | None = None
    """Environment variable that stands for the first folder of the user's settings file."""
    top: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What a settings file holds beside ``hooks``, put in when it is missing."""
    notes: tuple[str, ...] = ()
    """What a user still has to do or to know, one line each."""

    def settings_file(self, scope: Scope, project: Path, home: Path, environ: Mapping[str, str]) -> Path | None:
        """Return the settings file of a scope, None when the agent has no such scope."""
        below = self.files.get(scope)
        if below is None or scope != "user":
            return None if below is None else project / below
        moved = environ.get(self.moved_by or "")
        if moved:
            return Path(moved).joinpath(*Path(below).parts[1:])
        return home / below


def _seconds(command: str, seconds: int) -> dict[str, Any]:
    return {"type": "command", "command": command, "timeout": seconds}


# Not WorktreeCreate and WorktreeRemove: such a hook replaces git's own making of a worktree. Not MessageDisplay: one
# process for each flush of text. Not FileChanged: one for each change on disk. SessionEnd: all its hooks share 1.5 s
# unless one asks for more.
_CLAUDE_CODE_EVENTS = (
    "SessionStart",
    "SessionEnd",
    "Setup",
    "UserPromptSubmit",
    "UserPromptExpansion",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "PostToolBatch",
    "PermissionRequest",
    "PermissionDenied",
    "Stop",
    "StopFailure",
    "SubagentStart",
    "SubagentStop",
    "PreCompact",
    "PostCompact",
    "PreModelSwitch",
    "PostModelSwitch",
    "Notification",
    "Elicitation",
    "ElicitationResult",
    "InstructionsLoaded",
    "TaskCreated",
    "TaskCompleted",
    "TeammateIdle",
    "CwdChanged",
    "DirectoryAdded",
    "ConfigChange",
)

CLAUDE_CODE = Agent(
    name="claude-code",
    title="Claude Code",
    events={event: 10 if event == "SessionEnd" else 5 for event in _CLAUDE_CODE_EVENTS},
    files={"project": ".claude/settings.json", "user": ".claude/settings.json", "local": ".claude/settings.local.json"},
    handler=_seconds,
    moved_by="CLAUDE_CONFIG_DIR",
)

# SessionEnd and Interrupt: Codex cuts more than 3 s, and says so at each start.
_CODEX_SHORT = frozenset({"SessionEnd", "Interrupt"})
_CODEX_EVENTS = (
    "SessionStart",
    "SessionEnd",
    "UserPromptSubmit",
    "PreToolUse",
    "PermissionRequest",
    "PostToolUse",
    "PreCompact",
    "PostCompact",
    "SubagentStart",
    "SubagentStop",
    "Stop",
    "Interrupt",
)

CODEX = Agent(
    name="codex",
    title="Codex",
    events={event: 3 if event in _CODEX_SHORT else 5 for event in _CODEX_EVENTS},
    files={"project": ".codex/hooks.json", "user": ".codex/hooks.json"},
    handler=_seconds,
    moved_by="CODEX_HOME",
    notes=("Codex runs a hook only after you have trusted it: start codex, look at the hooks with /hooks, trust them",),
)


def _copilot(command: str, seconds: int) -> dict[str, Any]:
    # Windows PowerShell 5 has no ||, and a quoted program needs the call operator
    powershell = f"& {command.removesuffix('|| exit 0').rstrip()}; exit 0"
    return {"type": "command", "bash": command, "powershell": powershell, "timeoutSec": seconds}


# PascalCase: payloads then have Claude Code's names. Not PermissionRequest: it comes for allowed calls as for others.
_COPILOT_EVENTS = (
    "SessionStart",
    "SessionEnd",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "Stop",
    "SubagentStart",
    "SubagentStop",
    "PreCompact",
    "Notification",
    "ErrorOccurred",
)

COPILOT = Agent(
    name="copilot",
    title="Copilot CLI",
    events=dict.fromkeys(_COPILOT_EVENTS, 5),
    files={"project": ".github/hooks/agent-trace.json", "user": ".copilot/hooks/agent-trace.json"},
    handler=_copilot,
    is_grouped=False,
    moved_by="COPILOT_HOME",
    top={"version": 1},
    notes=("Copilot CLI runs a repository's hooks only in folders that you have trusted",),
)


def _gemini(command: str, seconds: int) -> dict[str, Any]:
    return {"type": "command", "name": "agent-trace", "command": command, "timeout": 1000 * seconds}


# Not BeforeModel, AfterModel and BeforeToolSelection: a process for each model call, and for each chunk of its answer.
# PreCompress asks before every model call whether to compress; that somebody asked for it is "manual".
_GEMINI_EVENTS = (
    "SessionStart",
    "SessionEnd",
    "BeforeAgent",
    "AfterAgent",
    "BeforeTool",
    "AfterTool",
    "PreCompress",
    "Notification",
)

GEMINI = Agent(
    name="gemini",
    title="Gemini CLI",
    events=dict.fromkeys(_GEMINI_EVENTS, 5),
    files={"project": ".gemini/settings.json", "user": ".gemini/settings.json"},
    handler=_gemini,
    matchers={"PreCompress": "manual"},
    notes=("Gemini CLI runs a project's hooks only in folders that you have trusted",),
)


def _cursor(command: str, seconds: int) -> dict[str, Any]:
    return {"command": command, "timeout": seconds}


# Not beforeShellExecution and the like: what they tell, preToolUse and postToolUse tell too, with the call's id.
_CURSOR_EVENTS = (
    "sessionStart",
    "sessionEnd",
    "beforeSubmitPrompt",
    "preToolUse",
    "postToolUse",
    "postToolUseFailure",
    "subagentStart",
    "subagentStop",
    "afterAgentResponse",
    "preCompact",
    "stop",
)

CURSOR = Agent(
    name="cursor",
    title="Cursor",
    events=dict.fromkeys(_CURSOR_EVENTS, 5),
    files={"project": ".cursor/hooks.json", "user": ".cursor/hooks.json"},
    handler=_cursor,
    is_grouped=False,
    top={"version": 1},
)

AGENTS: Mapping[str, Agent] = {agent.name: agent for agent in (CLAUDE_CODE, CODEX, COPILOT, GEMINI, CURSOR)}
"""Name -> agent; the first one is set up when none is named."""
