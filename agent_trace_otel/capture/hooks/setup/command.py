"""`agent-trace setup`: hooks into an agent's settings, and what belongs with them into our own config file.

Comes in: a `Request` of the command line. Goes out: the configuration to print, or files changed and lines that say so.
Called by `cli`. Nothing is written that was there already; nothing is lost of what others wrote.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent_trace_otel import config
from agent_trace_otel.capture.hooks import state
from agent_trace_otel.capture.hooks.intake import control
from agent_trace_otel.capture.hooks.setup import installation, replacing, settings, toml_text
from agent_trace_otel.capture.hooks.setup.agents import Agent, Scope
from agent_trace_otel.errors import SettingsError, UsageError

_KEYS = ("otlp", "keys")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for."""

    agent: Agent
    scope: Scope
    portable: bool = False
    """The command that is on everybody's PATH, in a user's own settings too."""
    values: Mapping[tuple[str, ...], toml_text.Value | None] = field(
        default_factory=dict[tuple[str, ...], "toml_text.Value | None"]
    )
    """(key,) or (table, key) of the config file -> its new value; None takes it out."""
    project: Path = field(default_factory=Path.cwd)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def path(self) -> Path:
        """The settings file meant.

        Raises:
            UsageError: the agent has none of that scope.
        """
        path = self._file(self.scope)
        if path is None:
            msg = f"{self.agent.title} has no {self.scope} settings, only {' and '.join(self.agent.files)}"
            raise UsageError(msg)
        return path

    @property
    def others(self) -> list[Path]:
        """The agent's settings files of the other scopes."""
        paths = (self._file(scope) for scope in self.agent.files)
        return list(dict.fromkeys(path for path in paths if path is not None and path != self.path))

    @property
    def is_portable(self) -> bool:
        """Whether the command must work for everybody who has the repository."""
        return self.portable or self.scope == "project"

    def _file(self, scope: Scope) -> Path | None:
        return self.agent.settings_file(scope, self.project, installation.home(self.environ), self.environ)


def shown(request: Request) -> str:
    """Return the whole configuration as it stands in a new settings file: JSON.

    Raises:
        AgentTraceError: it can't be carried out; says why in one line.
    """
    return settings.with_hooks("", request.agent, _command(request))


def write(request: Request) -> list[str]:
    """Register our hooks, write the config file, and return what was done, a line each. Raises as `shown`."""
    command = _command(request)
    path = request.path
    text = _read(path)
    wanted = _for_file(path, lambda: settings.with_hooks(text, request.agent, command))
    configured = _configured(request)
    done: list[str] = []
    if not request.is_portable:
        script = installation.script_path(request.environ)
        replacing.replace(script, installation.script(), mode=0o644, folder_mode=0o700)
        done.append(f"copied the hook program to {script}")
    if configured is not None:
        file = config.config_file(request.environ)
        replacing.replace(file, configured, mode=0o600, folder_mode=0o700)
        done.append(f"set {_named(request)} in {file}")
    if wanted == text:
        return [*done, f"{path} has the hooks already"]
    replacing.replace(path, wanted, backup=True)
    return [*done, f"registered {len(request.agent.events)} hooks of {request.agent.title} in {path}"]


def remove(request: Request) -> list[str]:
    """Take our hooks out of a settings file, send the recorder away, and return what was done. Raises as `shown`."""
    path = request.path
    text = _read(path)
    wanted = _for_file(path, lambda: settings.without_hooks(text, request.agent))
    if wanted == text:
        done = [f"no hooks of ours in {path}"]
    else:
        replacing.replace(path, wanted, backup=True)
        done = [f"removed our hooks from {path}"]
    if control.ask(state.directory(request.environ), control.STOP) is not None:
        done.append("the recorder finishes what it has and leaves")
    return done


def notes(request: Request, *, writes: bool) -> Iterator[str]:
    """Yield what a user has to know or to do beside it, a line each."""
    if not writes:
        yield f"nothing is written; with --write this is merged into {request.path}"
        if request.values:
            yield f"with --write {config.config_file(request.environ)} gets {_named(request)}"
    keys = request.values.get(_KEYS)
    if isinstance(keys, Mapping):
        yield (
            f"hooks don't get your environment, so {' and '.join(keys)} {'is' if writes else 'would be'} kept in "
            f"{config.config_file(request.environ)}, which nobody else can read"
        )
    yield from request.agent.notes
    if request.is_portable and shutil.which("agent-trace", path=request.environ.get("PATH")) is None:
        yield "agent-trace is not on the PATH: where it is missing, these hooks record nothing"
    if request.values.get(("otlp", "endpoint")) and ("otlp", "headers") not in request.values:
        headers = config.load(request.environ, complain=lambda _: None).headers
        if headers:
            yield f"the headers set before are sent to it too ({', '.join(headers)}); --header replaces them"
    if request.values.get(("redact",)) is False:
        yield "redaction is OFF: secrets in prompts, arguments and results are stored, and sent, as they are"
    for path in (request.path, *request.others):
        text = _read(path, tolerant=True)
        theirs = settings.of_agent_strace(text)
        if theirs:
            yield f"{path} has hooks of agent-strace too, which record everything a second time: {theirs[0]}"
        if path != request.path and settings.holds_ours(text):
            yield f"{path} has our hooks too: unless the commands are the same both run at each event, and tell it once"


def _named(request: Request) -> str:
    """Return the keys of the config file that get a value."""
    return ", ".join(".".join(key) for key, value in request.values.items() if value is not None)


def _command(request: Request) -> Callable[[str], str]:
    if request.is_portable:
        return lambda event: installation.portable_command(request.agent, event)
    installation.check_lasting()
    script = installation.script_path(request.environ)
    return lambda event: installation.absolute_command(script, request.agent, event)


def _configured(request: Request) -> str | None:
    """Return the config file as it shall be, None when nothing was asked for."""
    if not request.values:
        return None
    path = config.config_file(request.environ)
    text = _read(path)
    return _for_file(path, lambda: toml_text.with_values(text, request.values))


def _read(path: Path, *, tolerant: bool = False) -> str:
    try:
        return replacing.read(path) or ""
    except (OSError, UnicodeDecodeError) as error:
        if tolerant:
            return ""
        msg = f"{path}: {error.strerror if isinstance(error, OSError) else 'not UTF-8'}"
        raise SettingsError(msg) from error


def _for_file(path: Path, change: Callable[[], str]) -> str:
    try:
        return change()
    except SettingsError as error:
        msg = f"{path}: {error}; nothing was changed"
        raise SettingsError(msg) from error
