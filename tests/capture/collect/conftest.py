"""What the collector's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from receiving import Collector, collecting

from agent_trace_otel.testing import recording


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with recording(tmp_path / "traces"), collecting(tmp_path / "traces") as running:
        yield running
