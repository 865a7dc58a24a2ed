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
