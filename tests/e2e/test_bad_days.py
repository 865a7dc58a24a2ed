"""Nothing is lost between the folder and the back end, however bad the day: each day with 20,000 spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from chaos import DAYS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("day", DAYS)
def test_nothing_is_lost_when(day: str, tmp_path: Path) -> None:
    DAYS[day](tmp_path, 20_000)
