"""Markdown -> the text that it says, on one line.

Comes in: what a model wrote. Goes out: the same words without marks. Pure; called by `text` for responses.

No parser: it takes away what is surely a mark and leaves the rest, so that ``snake_case``, ``2 * 3`` and paths stay
whole.
"""

from __future__ import annotations

import re

_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$|^[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*:?-*:?[ \t]*$", re.MULTILINE)
_LEAD = re.compile(
    r"^[ \t]*(?:>[ \t]?)*(?:#{1,6}[ \t]+|[-*+][ \t]+(?:\[[ xX]\][ \t]+)?|\d{1,3}[.)][ \t]+)?", re.MULTILINE
)
_ROW = re.compile(r"^[ \t]*\|(.+)\|[ \t]*$", re.MULTILINE)
# begins with a plain set of characters, which the engine looks for much faster than for alternatives
_INLINE = re.compile(
    r"[`*_~!\[](?:"
    r"(?<=`)(?P<ticks>`{0,2})(?P<code>[^`]+)`(?P=ticks)"
    r"|(?<=\[)(?P<link>[^\]\n]*)\]\([^()\s]*(?:[ \t]+\"[^\"\n]*\")?\)"
    r"|(?<=!)\[(?P<image>[^\]\n]*)\]\([^()\s]*(?:[ \t]+\"[^\"\n]*\")?\)"
    r"|(?<=\*)(?<![\w*]\*)(?P<stars>\*{0,2})(?=[^\s*])(?P<strong>(?:[^*\n]|\*(?!\*))*?[^\s*])\*(?P=stars)(?![\w*])"
    r"|(?<=_)(?<![\w/.]_)(?P<more>_?)(?=[^\s_])(?P<soft>[^_\n]*[^\s_])_(?P=more)(?![\w/]|\.\w)"
    r"|(?<=~)~(?=[^\s~])(?P<gone>[^~\n]*[^~\s])~~"
    r")"
)
_LEADING = " >#-*+0123456789"
_MARKS = re.compile(r"[*`\[~]|(?<![\w/.])_")  # an underscore after a letter marks nothing


def plain_line(text: str) -> str:
    """Return what a piece of markdown says, on one line.

    ``plain_line("## Done: **75** tests in `test_api.py`")`` is ``"Done: 75 tests in test_api.py"``.
    """
    if "```" in text or "~~~" in text:
        text = _FENCE.sub("", text)
    if "|" in text or "--" in text or "**" in text or "__" in text:
        text = _ROW.sub(_cells, _RULE.sub("", text))
    if "\n" in text or text[:1] in _LEADING:
        text = _LEAD.sub("", text)
    if _MARKS.search(text):
        text = _INLINE.sub(_inner, text)
    return " ".join(text.split())


def _inner(match: re.Match[str]) -> str:
    inner: str = match[match.lastgroup or 0]
    return inner if match.lastgroup == "code" or not _MARKS.search(inner) else _INLINE.sub(_inner, inner)


def _cells(match: re.Match[str]) -> str:
    return ", ".join(cell.strip() for cell in match[1].split("|"))
