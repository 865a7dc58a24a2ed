"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_trace_otel.testing import Recorded, recording


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    """Record into a directory of the test's own, with nothing set up before."""
    with recording(tmp_path / "traces") as found:
        yield found
