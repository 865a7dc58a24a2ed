"""What is settled when a run of a coding agent's session begins: its number, its folder, its client, its settings.

Comes in: the first events of the run, with the environment of their hooks. Goes out: a header, which the journal keeps,
so that a recorder that is started anew comes to the same. Called by `hook_session`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from agent_trace_otel import config, guard, identity, process
from agent_trace_otel.capture.hooks import client
from agent_trace_otel.process import ProcessIdentity
from agent_trace_otel.store.writer import runs_of

_OWN: Final = ("HOME", "XDG_CONFIG_HOME")
CLIENT_PID: Final = "CLAUDE_PID"
_NAMESPACE: Final = "PIDNS"
_PROJECT: Final = "CLAUDE_PROJECT_DIR"
_TRACE_DIR: Final = identity.TRACE_DIR_VARIABLE


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a hook, as it came."""

    payload: Mapping[str, Any]
    at: int
    """Unix nanoseconds."""
    env: Mapping[str, str]

    @property
    def name(self) -> str:
        """The event's name."""
        return str(self.payload.get("hook_event_name") or "")

    @property
    def traceparent(self) -> str:
        """The context in the hook's environment."""
        return self.env.get("TRACEPARENT", "")

    @property
    def client(self) -> int:
        """The client's process id, 0 if it is not told."""
        pid = self.env.get(CLIENT_PID, "")
        return int(pid) if pid.isdecimal() and pid.isascii() else 0


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What is settled for one run."""

    run: int
    previous: tuple[str, str] | None
    """The span of the run before, as (trace id, span id) in hex."""
    at: int
    store: Path
    cwd: str
    client: ProcessIdentity
    env: Mapping[str, str]
    traceparent: str

    @property
    def joined(self) -> str:
        """The id of the session of the traced program that started the client, empty if none did."""
        is_under = identity.context_of_environment({"TRACEPARENT": self.traceparent}) is not None
        return self.env.get(identity.SESSION_ID_VARIABLE, "").strip() if is_under else ""

    def to_data(self) -> dict[str, Any]:
        """Return it as a journal keeps it."""
        return {
            "run": self.run,
            "previous": list(self.previous) if self.previous else None,
            "began": self.at,
            "store": str(self.store),
            "cwd": self.cwd,
            "client": [self.client.pid, self.client.pid_start, self.client.boot_id, self.client.host],
            "env": dict(self.env),
            "traceparent": self.traceparent,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> RunHeader:
        """Read it back.

        Raises:
            ValueError, KeyError, TypeError: somebody else wrote it.
        """
        previous = data["previous"]
        return cls(
            run=int(data["run"]),
            previous=(str(previous[0]), str(previous[1])) if previous else None,
            at=int(data["began"]),
            store=Path(data["store"]),
            cwd=str(data["cwd"]),
            client=ProcessIdentity(*data["client"]),
            env=cast("Mapping[str, str]", data["env"]),
            traceparent=str(data["traceparent"]),
        )

    @staticmethod
    def settings_of(env: Mapping[str, str], store: Path) -> config.Settings:
        """Return how a session is to be recorded; a bad setting is reported, and is no reason not to."""
        own = {name: os.environ[name] for name in _OWN if name in os.environ}
        return config.load(
            {**own, **env, _TRACE_DIR: str(store)}, complain=lambda error: guard.report("use a setting", error)
        )


def header_of(events: Sequence[Event], session_id: str) -> RunHeader:
    """Settle what a run begins with.

    Args:
        events: what came so far, at least one. What SessionStart's hook was told counts most: later hooks may be told
            the context of the client's own telemetry.
        session_id: whose run it is.
    """
    first = min(events, key=lambda event: event.at)
    named = next((event for event in events if event.name == "SessionStart"), None)
    others = (event for event in events if event.name not in _AFTER_TELEMETRY)
    told = named or next(others, None)
    project = first.env.get(_PROJECT) or str(first.payload.get("cwd") or "")
    store = _store(first.env, project)
    before = runs_of(store, identity.folder_name(session_id))
    return RunHeader(
        run=before.count + 1,
        previous=before.last,
        at=first.at,
        store=store,
        cwd=str(first.payload.get("cwd") or project),
        client=_client(next((event for event in events if event.client), first)),
        env={name: value for name, value in first.env.items() if name.startswith("AGENT_TRACE_")},
        traceparent=told.traceparent if told is not None else "",
    )


def is_enough(events: Sequence[Event]) -> bool:
    """Tell whether what came suffices: a prompt may overtake SessionStart, and name a context that is not the run's."""
    return any(event.name not in _AFTER_TELEMETRY or not event.traceparent for event in events)


def _store(env: Mapping[str, str], project: str) -> Path:
    """Return where the session's folder goes: where somebody said, else the project; never where the client went."""
    own = {name: os.environ[name] for name in _OWN if name in os.environ}
    given = {name: env[name] for name in (_TRACE_DIR,) if env.get(name)}
    settings = config.load({**own, **given}, complain=lambda error: guard.report("use a setting", error))
    base = Path(project or Path.home())
    if not settings.has_trace_dir:
        return base / config.DEFAULT_TRACE_DIR
    here = Path.cwd()  # what is relative was meant from the project, not from the recorder's directory
    found = settings.trace_dir
    return base / found.relative_to(here) if found.is_relative_to(here) else found


def _client(event: Event) -> ProcessIdentity:
    """Return the client's process, with the pid 0 if it can't be watched.

    One that was gone before anybody looked has no start: whoever has its pid now is another one.
    """
    named = event.env.get(_NAMESPACE)
    is_elsewhere = named is not None and named != _namespace()
    started = None if is_elsewhere or not event.client else process.start_of(event.client)
    pid = event.client if started or (named is not None and not is_elsewhere) else 0
    return ProcessIdentity(pid, started or "", process.boot_id(), socket.gethostname())


def _namespace() -> str | None:
    try:
        return str(Path(os.fsdecode(client.PID_NAMESPACE)).readlink())
    except OSError:
        return None


_AFTER_TELEMETRY: Final = frozenset({"UserPromptSubmit", "UserPromptExpansion"})
"""Events whose hooks may be told the span of the client's own telemetry."""
