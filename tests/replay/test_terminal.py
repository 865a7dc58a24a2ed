"""Text for terminals: as many columns as it is given, and no more."""

from __future__ import annotations

import pytest

from agent_trace_otel.replay import terminal


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("Übersicht der Seiten", 10, "Übersicht…"),
        ("Übersicht", 9, "Übersicht"),
        ("already cut… é and on", 13, "already cut……"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("日本語", 5, "日本…"),
    ],
)
def test_text_is_cut_by_the_columns_it_takes(text: str, width: int, shown: str) -> None:
    assert terminal.cut(text, width) == shown


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("abc", 3), ("Übersicht", 9), ("日本", 4), ("e\u0301", 1), ("👤 x", 4)]
)
def test_columns_are_counted_as_terminals_do(text: str, columns: int) -> None:
    assert terminal.columns_in(text) == columns


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("a\n\n  b", 10, "a b"),
        ("a\nb" * 100, 9, "a ba ba …"),
        ("a" + "\n" * 1000 + "b", 10, "a…"),
        ("a\nb", 3, "a b"),
        ("a\tbc\x07", 20, "a bc\\x07"),
    ],
)
def test_lines_become_one(text: str, width: int, shown: str) -> None:
    assert terminal.one_line(text, width) == shown
