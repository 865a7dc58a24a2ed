"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from agent_trace_otel.testing import Recorded, recording

# both judge wall time, which is the machine's load as much as ours
settings.register_profile("load is no failure", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("load is no failure")


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    """Record into a directory of the test's own, with nothing set up before."""
    with recording(tmp_path / "traces") as found:
        yield found
