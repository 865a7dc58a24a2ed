"""Registered hooks, as doctor sees them: which agents call us, from which settings files, and does it work.

Comes in: the environment, the working directory. Goes out: facts and their section. Called by `report`.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from agent_trace_otel.capture.hooks.setup import installation, settings
from agent_trace_otel.capture.hooks.setup.agents import AGENTS
from agent_trace_otel.doctor.section import Section


@dataclass(frozen=True, slots=True)
class Registered:
    """One settings file that calls us."""

    agent: str
    scope: str
    """user, project or local."""
    path: str
    form: str
    """"copy": our copy of the client; "portable": agent-trace by name."""
    interpreter: str = ""
    """That runs the copy."""
    is_interpreter_there: bool = True
    also_agent_strace: bool = False


@dataclass(frozen=True, slots=True)
class HookFacts:
    """Settings files of coding agents that call us."""

    files: tuple[Registered, ...] = ()
    script: str = ""
    """Our copy of the client, if a file names it."""
    script_state: str = ""
    """current, outdated or missing; empty when no file names it."""
    on_path: str = ""
    """The agent-trace that portable hooks find, empty when none or not asked for."""


def look_at_hooks(environ: Mapping[str, str], here: Path) -> HookFacts:
    """Read the settings files of all agents, for this directory and for the user."""
    home, script = installation.home(environ), installation.script_path(environ)
    files: list[Registered] = []
    for agent in AGENTS.values():
        seen: set[Path] = set()
        for scope in agent.files:
            path = agent.settings_file(scope, here, home, environ)
            if path is None or path in seen:
                continue
            seen.add(path)
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            if settings.holds_ours(text):
                files.append(_registered(agent.name, scope, path, text, script))
    uses_copy = any(one.form == "copy" for one in files)
    is_portable = any(one.form == "portable" for one in files)
    return HookFacts(
        tuple(files),
        script=str(script) if uses_copy else "",
        script_state=_state_of(script) if uses_copy else "",
        on_path=shutil.which("agent-trace", path=environ.get("PATH")) or "" if is_portable else "",
    )


def section_of_hooks(found: HookFacts) -> Section:
    """Return what there is to say of registered hooks."""
    lines = [(one.agent, f"{one.path} ({one.scope})") for one in found.files]
    problems = [
        f"{one.path} calls {one.interpreter}, which is gone, so hooks record nothing: run agent-trace setup again"
        for one in found.files
        if not one.is_interpreter_there
    ]
    notes: list[str] = []
    if found.script_state == "missing":
        problems.append(f"{found.script} is gone, so hooks record nothing: run agent-trace setup again")
    elif found.script_state == "outdated":
        notes.append(f"{found.script} is not of this version: run agent-trace setup again")
    if any(one.form == "portable" for one in found.files):
        if found.on_path:
            lines.append(("agent-trace", found.on_path))
        else:
            problems.append("hooks call agent-trace, which is not on the PATH here, so they record nothing: install it")
    for name in dict.fromkeys(one.agent for one in found.files):
        same = [one for one in found.files if one.agent == name]
        if len(same) > 1:
            notes.append(f"{name} calls us from {len(same)} files: each event is told once, but costs each of them")
    notes += [f"{one.path} has hooks of agent-strace too" for one in found.files if one.also_agent_strace]
    if not lines:
        lines = [("registered", "none here (agent-trace setup registers them)")]
    return Section("hooks", tuple(lines), asdict(found), tuple(problems), tuple(notes))


def _registered(agent: str, scope: str, path: Path, text: str, script: Path) -> Registered:
    named = next((command for command in settings.commands_in(text) if script.name in command), "")
    interpreter = _interpreter_of(named)
    return Registered(
        agent,
        scope,
        str(path),
        form="copy" if named else "portable",
        interpreter=interpreter,
        is_interpreter_there=not interpreter or shutil.which(interpreter) is not None,
        also_agent_strace=bool(settings.of_agent_strace(text)),
    )


def _interpreter_of(command: str) -> str:
    try:
        return next(iter(shlex.split(command)), "")
    except ValueError:
        return ""


def _state_of(script: Path) -> str:
    try:
        return "current" if script.read_text(encoding="utf-8") == installation.script() else "outdated"
    except (OSError, UnicodeDecodeError):
        return "missing"
