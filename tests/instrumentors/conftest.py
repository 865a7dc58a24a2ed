"""Fixtures of the tests of child processes and of MCP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import agent_trace_otel as at
from agent_trace_otel import guard
from agent_trace_otel.testing import Recorded


@pytest.fixture
def instrumented() -> Iterator[None]:
    """Trace child processes during the test; nothing of ours may fail meanwhile."""
    guard.failures.clear()
    at.instrument("subprocesses")
    yield
    assert guard.failures == {}
    at.uninstrument()


@pytest.fixture
def traced_mcp() -> Iterator[None]:
    """Trace MCP during the test; nothing of ours may fail meanwhile."""
    guard.failures.clear()
    at.instrument("mcp")
    yield
    assert guard.failures == {}
    at.uninstrument()


@pytest.fixture
def opened(recorded: Recorded) -> Iterator[Recorded]:
    """Open a session around the test."""
    at.start_session("test")
    yield recorded
    at.end_session()
