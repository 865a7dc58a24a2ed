"""Moments of a session, by offset and by clock."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from agent_trace_otel.errors import UsageError
from agent_trace_otel.replay.moments import moment

FIRST = 1773562735.0  # 2026-03-15 08:18:55 UTC
HOUR = 3600.0
DAY = 24 * HOUR


@pytest.fixture(autouse=True)
def east_of_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """09:18:55 there."""
    monkeypatch.setenv("TZ", "XYZ-1")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("0", 0),
        ("90", 90),
        ("90s", 90),
        ("+1.5s", 1.5),
        ("2m", 120),
        ("1m52.54s", 112.54),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("2d", 2 * DAY),
        ("09:20", 65),
        ("9:18:56.5", 1.5),
        ("9:00", -1135),  # before it began: from its first event on
        ("2026-03-15T08:20:00Z", 65),
        ("2026-03-15T09:20:00+01:00", 65),
        ("2026-03-15T09:20", 65),
    ],
)
def test_offsets_and_times_of_the_day_it_began(text: str, after: float) -> None:
    assert moment("--from", text).at(FIRST, FIRST + HOUR) == pytest.approx(FIRST + after)


def test_a_clock_time_before_the_beginning_is_of_the_next_day_if_there_was_one() -> None:
    assert moment("--from", "9:00").at(FIRST, FIRST + DAY) == FIRST + DAY - 1135


@pytest.mark.parametrize(
    "text", ["", "+", "soon", "-5s", "1.s", "24:00", "9:60", "90x", "nan", "2026-13-01", "1m 2", "٣s", "1" * 5000 + "x"]
)
def test_anything_else_is_refused_with_what_would_do(text: str) -> None:
    with pytest.raises(UsageError, match=r"--to: .* is no moment; say 90s or 2m30s after the start, or a time such as"):
        moment("--to", text)
