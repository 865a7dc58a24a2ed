"""Recordings fed by real hook processes to the recorder that they start."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agent_trace_otel.capture.hooks import state
from agent_trace_otel.capture.hooks.intake import control

if TYPE_CHECKING:
    from hook_processes import Hooks
    from recordings import Recording


class Client:
    """The client processes of one recording: something that lives, so that its hooks name a process that does."""

    def __init__(self, played: Recording) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._last = {heard.env["CLAUDE_PID"]: number for number, heard in enumerate(played.heard)}

    def pid(self, recorded: str) -> str:
        """Return the process id that stands for a recorded one."""
        if recorded not in self._processes:
            self._processes[recorded] = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
        return str(self._processes[recorded].pid)

    def leave(self, recorded: str, number: int) -> None:
        """Let a process end after its last hook."""
        if self._last[recorded] == number:
            self._processes[recorded].kill()
            self._processes[recorded].communicate()


def feed(played: Recording, hooks: Hooks, pace: float = 0.0, after: Callable[[], object] | None = None) -> None:
    """Run every hook of a recording as a process, one after the other; call ``after`` after each."""
    client = Client(played)
    heard = played.heard
    for number, one in enumerate(heard):
        now = time.time_ns()
        payload = json.dumps(one.payload).encode()
        recorded_pid = one.env["CLAUDE_PID"]
        environ = {**one.env, "CLAUDE_PID": client.pid(recorded_pid)}
        is_last = one.payload["hook_event_name"] == "SessionEnd"
        following = heard[number + 1].at if number + 1 < len(heard) else 1 << 62
        played.write_until(following if is_last else one.at, later=now - one.at)
        hooks.run(payload, one.payload["hook_event_name"], **environ)
        if after is not None:
            after()
        client.leave(recorded_pid, number)
        time.sleep(pace)
    played.write_until(1 << 62)


@contextmanager
def recorder_of(hooks: Hooks) -> Iterator[None]:
    """Let the recorder that the hooks start leave in the end."""
    try:
        yield
    finally:
        ask(hooks, control.STOP)


_asking = threading.Lock()  # asking changes the directory for a moment


def ask(hooks: Hooks, what: str) -> dict[str, Any] | None:
    with _asking:
        return control.ask(str(hooks.state), what)


def are_over(hooks: Hooks) -> bool:
    """Tell whether the recorder has nothing open any more; one that was killed is started by the next hook."""
    told = ask(hooks, control.STATUS)
    if told is None:
        hooks.run(b"{}", "Nothing")
        return False
    spooled = list((hooks.state / state.SPOOL).glob("*.hook"))
    return told["open_sessions"] == 0 and told["waiting"] == 0 and not spooled
