"""Recorded text -> text that a terminal may be sent: escaped, on one line, cut to a width.

Comes in: any string a session holds. Goes out: printable text. Called by whatever under replay/ writes for people.

Recorded data is hostile until shown otherwise: escape sequences could retitle a terminal, write its clipboard (OSC 52)
or hide text, and bidirectional overrides could show a command that is not the one that ran ("Trojan Source",
CVE-2021-42574).
"""

from __future__ import annotations

import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

PIPE_WIDTH = 80
_SHOW_COLOURS = {"WT_SESSION", "ANSICON", "TERM"}  # variables of Windows Terminal, ConEmu, Git Bash
_NARROWEST = 40
_COLOUR = re.compile("(\x1b\\[[0-9]+m)")  # as views write them; none is left in what was recorded
_FIRST_OF_ANOTHER_WIDTH = "\u0300"  # combining marks; what comes before takes one column, and so does an ellipsis

# C0 and C1 controls, soft hyphen, bidirectional and invisible format characters, line separators, surrogates, tags.
# U+200C and U+200D stay: scripts and emoji are written with them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def escape(text: str) -> str:
    r"""Return text whose control, invisible and direction characters are shown as ``\x1b`` or ``\u202e``."""
    return text if text.isprintable() else _UNSAFE.sub(_shown, text)


def one_line(text: str, width: int | None) -> str:
    """Return text escaped, on one line, cut with … to ``width`` columns; None cuts nothing.

    Line breaks and the white space around them become one space.
    """
    if width is None:
        return escape(" ".join(text.split()))
    head = text[:width]
    if head.isascii() and head.isprintable():
        return head if len(text) <= width else head[:-1] + "…"
    # no more is looked at than can be shown, so that a value of megabytes costs what a short one does
    line = " ".join(text[: 2 * width].split())
    if (len(line) > width or len(text) <= 2 * width) and line.isascii() and line.isprintable():
        return line if len(line) <= width else line[: width - 1] + "…"
    head = text[: 4 * width]
    line = escape(" ".join(head.split()))
    return cut(line if len(head) == len(text) else line + "…", width)


def cut(text: str, width: int) -> str:
    """Return text of at most ``width`` columns, ending in … if it was longer; wide characters take two."""
    if text.isascii() or len(text) * 2 <= width or max(text.replace("…", " ")) < _FIRST_OF_ANOTHER_WIDTH:
        return text if len(text) <= width else text[: width - 1] + "…"
    from unicodedata import combining, east_asian_width

    columns, end, marks = 0, 0, 0
    for at, character in enumerate(text):
        if combining(character):
            marks += 1
            if marks > _MOST_MARKS:
                return text[:at] + "…"
            if columns < width:
                end = at + 1
            continue
        columns += 2 if east_asian_width(character) in "WF" else 1
        if columns > width:
            return text[:end] + "…"
        if columns < width:
            end = at + 1
        marks = 0
    return text


def cut_coloured(text: str, width: int) -> str:
    """Return text as `cut` does, leaving the colours in it, which take no columns, and their end."""
    plain = _COLOUR.sub("", text)
    if columns_in(plain) <= width:
        return text
    left = len(cut(plain, width)) - 1  # characters before the ellipsis
    shown: list[str] = []
    for at, part in enumerate(_COLOUR.split(text)):  # text, colour, text, ...
        if at % 2:
            shown.append(part)
        elif left >= 0:
            shown.append(part if len(part) <= left else part[:left] + "…")
            left = left - len(part) if len(part) <= left else -1
    return "".join(shown)


def columns_in(text: str) -> int:
    """Return how many columns printable text takes; wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text if not combining(letter))


def columns_of(stream: TextIO) -> int:
    """Return the width to write for: of the terminal, or COLUMNS, or 80 for a pipe."""
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return PIPE_WIDTH
    given = os.environ.get("COLUMNS", "")
    return max(int(given) if given.isdecimal() else width or PIPE_WIDTH, _NARROWEST)


def wants_colour(stream: TextIO, *, no_colour: bool = False) -> bool:
    """Tell whether to colour: on a terminal that can, unless --no-color or NO_COLOR (no-color.org) say no."""
    if no_colour or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    if sys.platform == "win32" and _SHOW_COLOURS.isdisjoint(os.environ):
        return False  # the old console shows the codes
    return stream.isatty()


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004


_MOST_MARKS = 4  # combining characters on one letter; more is no script but noise that climbs over other lines
