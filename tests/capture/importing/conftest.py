"""What tests of importing share: recordings played to hooks, the transcripts that they leave, and imports of those."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hook_desk import Desk
from programs import wait_for
from recordings import Clients, Recording

from agent_trace_otel import process
from agent_trace_otel.capture.hooks.sessions import hook_session, transcripts
from agent_trace_otel.capture.importing import command
from agent_trace_otel.capture.importing.session_import import Added
from agent_trace_otel.processor import recording as registry
from agent_trace_otel.processor.span_sessions import writers


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    """Return the clients of recordings, alive; nobody waits for a lagging one."""
    for name in ("_SETTLE_SECONDS", "_END_SECONDS", "_FIRST_EVENT_SECONDS", "_SWEEP_SECONDS"):
        monkeypatch.setattr(hook_session, name, 0.0)
    monkeypatch.setattr(transcripts, "_NOTE_SECONDS", 0.0)
    found = Clients()
    monkeypatch.setattr(process, "start_of", found.start_of)
    return found


@pytest.fixture
def hooked(clients: Clients) -> Callable[[Recording], None]:
    """Return what plays a recording to the hooks' worker, to the end of its clients."""

    def play(played: Recording) -> None:
        desk = Desk(played.home / "journals")
        desk.hear_all(played.play())
        clients.are_alive = False

        def are_over() -> bool:
            desk.settle()
            return desk.worker.open_sessions() == 0

        wait_for(are_over, "the end of the sessions")

    return play


def import_all(home: Path, *, is_over: bool = True) -> list[Added]:
    """Import the transcripts of a home directory in a process of its own, as it were; all must be understood.

    Args:
        home: whose ``.claude`` it is.
        is_over: whether the clients are taken for gone, so that what they left open ends.
    """
    writers.forget()
    registry.forget()
    found, problems = command.find([home / ".claude" / "projects"], 0.0)
    assert problems == []
    with pytest.MonkeyPatch.context() as patched:
        # a transcript is as old as its file
        patched.setattr(command, "_SILENT_SECONDS", -1.0 if is_over else time.time())
        added = list(command.import_each(found, trace_dir=str(home / "project" / ".agent-traces")))
    understood = [one for one in added if isinstance(one, Added)]
    assert understood == added
    return understood
