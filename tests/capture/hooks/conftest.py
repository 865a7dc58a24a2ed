"""Hook tests wait for no lagging client, and take the clients of recordings for alive until they are told otherwise."""

from __future__ import annotations

import pytest
from recordings import Clients

from agent_trace_otel import process
from agent_trace_otel.capture.hooks.sessions import hook_session, transcripts


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what is not there at once for not there."""
    monkeypatch.setattr(hook_session, "_SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(hook_session, "_END_SECONDS", 0.0)
    monkeypatch.setattr(hook_session, "_FIRST_EVENT_SECONDS", 0.0)
    monkeypatch.setattr(hook_session, "_SWEEP_SECONDS", 0.0)
    monkeypatch.setattr(transcripts, "_NOTE_SECONDS", 0.0)


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    """Return the clients, alive."""
    found = Clients()
    monkeypatch.setattr(process, "start_of", found.start_of)
    return found
