"""A progress bar: on terminals, and gone at the end."""

from __future__ import annotations

import io
from itertools import count

import pytest

from agent_trace_otel.replay.progress import Progress


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


def drawn(screen: Screen) -> list[str]:
    return screen.getvalue().split("\r\x1b[K")[1:]


def test_it_shows_how_far_it_is_and_is_erased() -> None:
    screen = Screen()
    with Progress("importing", total=4, unit="sessions", stream=screen, clock=count().__next__) as progress:
        assert list(progress.each("abcd")) == list("abcd")
    assert drawn(screen) == [
        "importing ░░░░░░░░░░░░░░░░░░░░   0% 0 of 4 sessions",
        "importing █████░░░░░░░░░░░░░░░  25% 1 of 4 sessions",
        "importing ██████████░░░░░░░░░░  50% 2 of 4 sessions",
        "importing ███████████████░░░░░  75% 3 of 4 sessions",
        "importing ████████████████████ 100% 4 of 4 sessions",
        "",
    ]


def test_without_a_total_it_counts() -> None:
    screen = Screen()
    with Progress("sending", unit="spans", stream=screen, clock=count().__next__) as progress:
        progress.advance(1200)
    assert drawn(screen) == ["sending 0 spans", "sending 1,200 spans", ""]


def test_it_draws_ten_times_a_second_and_no_more() -> None:
    screen = Screen()
    times = iter([0.0, 0.0, *(n / 1000 for n in range(1000))])
    with Progress("x", stream=screen, clock=lambda: next(times, 1.0)) as progress:
        for _ in range(500):
            progress.advance()
    assert 5 <= len(drawn(screen)) <= 12


def test_more_than_was_expected_is_all_of_it() -> None:
    screen = Screen()
    with Progress("x", total=1, stream=screen, clock=count().__next__) as progress:
        progress.advance(5)
    assert "100% 5 of 1" in drawn(screen)[-2]


def test_a_line_never_fills_the_terminal_and_nothing_hostile_gets_there() -> None:
    screen = Screen()
    with Progress("x\x1b[2J" * 50, total=1, stream=screen):
        pass
    assert [len(line) <= 79 and "\x1b" not in line for line in drawn(screen)] == [True, True]


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_pipes_and_dumb_terminals_get_nothing(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setenv("TERM", term)
    stream = io.StringIO() if term == "xterm" else Screen()
    with Progress("x", total=2, stream=stream) as progress:
        list(progress.each("ab"))
    assert stream.getvalue() == ""


def test_a_failure_passes_through_and_leaves_no_bar() -> None:
    screen = Screen()
    with pytest.raises(KeyError), Progress("x", stream=screen):
        raise KeyError
    assert drawn(screen)[-1] == ""
