"""Bytes as people read them."""

from __future__ import annotations

import pytest

from agent_trace_otel.replay.sizes import size


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 KB"), (25_000_000, "25 MB"), (3e12, "3.0 TB")]
)
def test_sizes(number: float, text: str) -> None:
    assert size(number) == text
