"""Fixtures of the tests of run."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Be a directory of the test's own."""
    return Place(tmp_path)
