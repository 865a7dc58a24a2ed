"""Markdown taken away, the text left whole."""

from __future__ import annotations

import pytest

from agent_trace_otel.replay.markdown import plain_line


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("plain text", "plain text"),
        ("75 tests, all passing in **3.60s**.", "75 tests, all passing in 3.60s."),
        ("## Done\n\n- one\n- two\n1. three\n2) four", "Done one two three four"),
        ("**bold *and italic* text** x", "bold and italic text x"),
        ("***both*** and ~~gone~~", "both and gone"),
        ("_soft_ and __strong__.", "soft and strong."),
        ("`__init__` keeps **`its`** name", "__init__ keeps its name"),
        ("snake_case, __init__.py, src/_private_/x.py", "snake_case, __init__.py, src/_private_/x.py"),
        ("2 * 3 * 4 and a*b*c and f(**kwargs, *args)", "2 * 3 * 4 and a*b*c and f(**kwargs, *args)"),
        ("see [the **docs**](https://e.org/a) ![shot](a.png)", "see the docs shot"),
        ("a[0](x) [not a link]", "a0 [not a link]"),
        ("> quoted\n> - item\n- [x] done", "quoted item done"),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", "a, b 1, 2"),
        ("```python\nprint(1)\n```\nafter", "print(1) after"),
        ("above\n---\nbelow\n***\nend", "above below end"),
        ("-5 degrees, #1 and 3.14", "-5 degrees, #1 and 3.14"),
        ("**unclosed and `tick", "**unclosed and `tick"),
        ("", ""),
    ],
)
def test_marks_go_and_words_stay(markdown: str, plain: str) -> None:
    assert plain_line(markdown) == plain
