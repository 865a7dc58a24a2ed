"""Fixtures of the tests of frameworks: what each test records, compared as a tree of spans."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import agent_trace_otel as at
from agent_trace_otel import guard
from agent_trace_otel.testing import Recorded

sys.path.append(str(Path(__file__).parents[1]))  # the scripted model of the real clients


@pytest.fixture(params=["framework", "framework and client"])
def traced(request: pytest.FixtureRequest, recorded: Recorded) -> Iterator[Recorded]:
    """Trace a framework, with and without the client below it; the test module says which."""
    framework, client = request.module.INSTRUMENTORS
    guard.failures.clear()
    at.instrument(framework, *([client] if "client" in request.param else []))
    yield recorded
    at.uninstrument()
    assert guard.failures == {}
