"""An agent's settings, as text: with our hooks, or without. Pure; called by `setup`.

What others registered stays, in its order and form. Ours are known by their command, in every form that was ever
written: ``agent-trace hook``, ``.../agent-trace/hook.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

from agent_trace_otel.capture.hooks.setup.agents import Agent
from agent_trace_otel.capture.hooks.setup.json_text import with_member, without_member
from agent_trace_otel.errors import SettingsError

_OURS = re.compile(
    r"""(?:^|[\s"'/\\])(?:agent-trace(?:-otel)?(?:\.exe)?["']?\s+hook\b|agent-trace[/\\]hook\.py\b)"""
    r"|-m agent_trace_otel hook\b"
)
_AGENT_STRACE = re.compile(r"\bagent-strace(?:\.exe)?[\"']?\s+hook\b")
_COMMANDS = ("command", "bash", "powershell")
"""Members of a handler that hold a command line, of all agents."""


def with_hooks(text: str, agent: Agent, command: Callable[[str], str]) -> str:
    """Return settings in which every event of the agent calls us once; the same text if that is so already.

    Args:
        text: the settings file, empty when there is none.
        agent: whose settings they are.
        command: event -> command line.

    Raises:
        SettingsError: the text is no JSON object, or its hooks have another form than the agent's.
    """
    text = text if text.strip() else "{}\n"
    document, hooks = _read(text)
    for key, value in agent.top.items():
        if key not in document:
            text = with_member(text, [key], value)
    for event in dict.fromkeys((*hooks, *agent.events)):
        seconds = agent.events.get(event)
        wanted = None if seconds is None else agent.handler(command(event), seconds)
        text = _with_event(text, agent, event, hooks.get(event), wanted)
    return text


def without_hooks(text: str, agent: Agent) -> str:
    """Return settings without anything of ours; the same text if there was nothing. Raises as `with_hooks`."""
    if not text.strip():
        return text
    hooks = _read(text)[1]
    before = text
    for event, entries in hooks.items():
        text = _with_event(text, agent, event, entries, None)
    if text != before and not _read(text)[1]:
        text = without_member(text, ["hooks"])
    return text


def holds_ours(text: str) -> bool:
    """Tell whether some command in these settings is ours."""
    return any(_OURS.search(command) for command in commands_in(text))


def of_agent_strace(text: str) -> list[str]:
    """Return the commands of agent-strace in these settings, which would record everything a second time."""
    return [command for command in commands_in(text) if _AGENT_STRACE.search(command)]


def _with_event(text: str, agent: Agent, event: str, entries: object, wanted: dict[str, Any] | None) -> str:
    if entries is not None and not _is_list(entries):
        if wanted is None:
            return text
        msg = f"hooks.{event} is no list"
        raise SettingsError(msg)
    old = entries or []
    new = _merged(old, wanted, _group(agent, event) if agent.is_grouped else None)
    if new == old:
        return text
    return with_member(text, ["hooks", event], new) if new else without_member(text, ["hooks", event])


def _group(agent: Agent, event: str) -> dict[str, Any]:
    """Return what a group of our own has beside its handlers."""
    return {"matcher": agent.matchers[event]} if event in agent.matchers else {}


def _merged(entries: list[Any], wanted: dict[str, Any] | None, group: dict[str, Any] | None) -> list[Any]:
    """Return entries with the wanted handler in place of our first one, else at the end, and none of our others.

    ``group`` is what a group for it has beside the handlers, None where handlers stand by themselves.
    """
    waiting = [] if wanted is None else [wanted]

    def replaced(handlers: list[Any]) -> Iterator[Any]:
        for handler in handlers:
            if not _is_ours(handler):
                yield handler
            elif waiting:
                yield waiting.pop()

    merged: list[Any] = []
    for entry in entries:
        grouped = entry.get("hooks") if _is_object(entry) else None
        if not _is_list(grouped):
            merged.extend(replaced([entry]))
        elif not any(map(_is_ours, grouped)):
            merged.append(entry)
        elif handlers := list(replaced(grouped)):
            merged.append({**entry, "hooks": handlers})
    return [*merged, *(handler if group is None else {**group, "hooks": [handler]} for handler in waiting)]


def _is_ours(handler: object) -> bool:
    return _is_object(handler) and any(_OURS.search(str(handler.get(name, ""))) for name in _COMMANDS)


def _read(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a settings document and its hooks."""
    try:
        document = json.loads(text)
    except ValueError as error:
        msg = f"no JSON: {error}"
        raise SettingsError(msg) from error
    except RecursionError as error:
        msg = "JSON of absurd depth"
        raise SettingsError(msg) from error
    if not _is_object(document):
        msg = "not a JSON object"
        raise SettingsError(msg)
    hooks = document.get("hooks", {})
    if not _is_object(hooks):
        msg = "its hooks are no JSON object"
        raise SettingsError(msg)
    return document, hooks


def commands_in(text: str) -> Iterator[str]:
    """Yield every command line of the hooks; none when the text can't be read."""
    try:
        hooks = _read(text)[1] if text.strip() else {}
    except SettingsError:
        return
    for entries in hooks.values():
        for entry in entries if _is_list(entries) else ():
            grouped = entry.get("hooks") if _is_object(entry) else None
            for handler in grouped if _is_list(grouped) else [entry]:
                if _is_object(handler):
                    yield from (str(handler[name]) for name in _COMMANDS if name in handler)


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
