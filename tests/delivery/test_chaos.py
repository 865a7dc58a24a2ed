"""Nothing is lost between the folder and the back end, however bad the day: each day with few spans.

tests/e2e/test_bad_days.py has the same days with 20,000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import chaos
import pytest

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 300


@pytest.mark.parametrize("mode", ["slow", "302", "503", "429", "reset", "large", "hole"])
def test_the_receiver_misbehaves(mode: str, tmp_path: Path) -> None:
    then = {"503": "503 1", "429": "429 1", "reset": "reset 1", "large": "large"}.get(mode, "well")
    chaos.receiver_is(mode, tmp_path, COUNT, then=then)


def test_the_receiver_is_down_at_start(tmp_path: Path) -> None:
    chaos.receiver_is_down_at_start(tmp_path, COUNT)


def test_the_receiver_goes_down_in_the_middle(tmp_path: Path) -> None:
    chaos.receiver_goes_down_in_the_middle(tmp_path, COUNT)


def test_the_receiver_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chaos.receiver_is_not_trusted(tmp_path, COUNT, monkeypatch)


@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL", "exit"])
def test_the_program_dies(end: str, tmp_path: Path) -> None:
    chaos.producer_dies(end, tmp_path, COUNT)


def test_everybody_sends_at_the_same_time(tmp_path: Path) -> None:
    chaos.everybody_sends(tmp_path, COUNT)


def test_the_program_forks(tmp_path: Path) -> None:
    chaos.producer_forks(tmp_path, COUNT)


def test_the_disk_is_full(tmp_path: Path) -> None:
    chaos.disk_is_full(tmp_path, COUNT)
