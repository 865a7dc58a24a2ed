r"""One string in, the places in it that have to be withheld out; called by `redactor`.

The text is searched as ASCII bytes of the same length (every other character becomes "?"), so that offsets are those of
the text. Escapes such as ``\n`` or ``%3D`` become what they stand for, padded to their length: a token right after an
escaped line break still starts at a border. What was withheld before becomes zero bytes, which nothing matches.

Every search is linear: a repetition is bounded, or what it reads is withheld and so never read again.
"""

from __future__ import annotations

import re
from typing import Final

from agent_trace_otel.redact import tokens
from agent_trace_otel.redact.forms import FORMS
from agent_trace_otel.redact.keys import KeyWords
from agent_trace_otel.redact.pairs import pairs
from agent_trace_otel.redact.patterns import Pattern
from agent_trace_otel.redact.spans import MARK, Span, merged

_MARK: Final = re.compile(MARK.pattern.encode())
# each starts with a literal, which makes the search three times faster than one alternation
_ESCAPES: Final = (
    ("\\", re.compile(rb"\\\\{0,14}(?:[nrtbf]|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})")),
    ("&", re.compile(rb"&(?:quot|apos|#34|#39);")),
    ("%", re.compile(rb"%[0-9a-fA-F]{2}")),
    ("\x1b", re.compile(rb"\x1b\[[0-9;]{0,12}[A-Za-z]")),
)
_MEANINGFUL: Final = b"=:&\"'"
_SPACES: Final = b"\t\n\r "
_FILLER: Final = b"\1"


def spans(text: str, keys: KeyWords, patterns: list[Pattern]) -> list[Span]:
    """Return the places to withhold, in order and without overlap."""
    raw = as_bytes(text)
    low = raw.lower()
    low_text = low.decode("ascii")  # a substring is looked up faster in text than in bytes
    found = [Span(*place) for place in tokens.places(raw)]
    found += pairs(raw, low, keys, patterns)
    for literal, search in FORMS:
        if literal in low_text:
            found += search(raw, low, keys)
    return merged(found)


def holds_token(text: str) -> bool:
    """Tell whether a text holds a token shape, without looking for anything else."""
    return bool(tokens.places(as_bytes(text)))


def holds_key(text: str, patterns: list[Pattern]) -> bool:
    """Tell whether a text holds something like a key and a separator, secret or not."""
    low = as_bytes(text).lower()
    return any(pattern.search(low) for pattern in patterns)


def as_bytes(text: str) -> bytes:
    """Return a text as ASCII bytes of the same length, escapes resolved and old marks blanked."""
    raw = text.encode("ascii", "replace")
    # a single character is found in text several times faster than in bytes
    if "[" in text and "[REDACTED" in text:
        raw = _MARK.sub(_blank, raw)
    for literal, escape in _ESCAPES:
        if literal in text:
            raw = escape.sub(_resolved, raw)
    return raw


def _blank(match: re.Match[bytes]) -> bytes:
    return b"\0" * len(match.group())


def _resolved(match: re.Match[bytes]) -> bytes:
    """Return what an escape stands for, right-aligned in its own length."""
    written = match.group()
    if written[:1] == b"\x1b":
        return _FILLER * len(written)
    if written[:1] == b"&":
        return (b"'" if written in b"&apos;&#39;" else b'"').rjust(len(written), _FILLER)
    name = written.lstrip(b"\\%")
    if len(name) == 1:
        return (b" " if name in b"nrt" else _FILLER) * len(written)
    code = int(name.lstrip(b"ux"), 16)
    if code > 127:  # noqa: PLR2004 - beyond ASCII
        return _FILLER * len(written)
    if code in _SPACES:
        return b" " * len(written)
    return (bytes((code,)) if code in _MEANINGFUL else _FILLER).rjust(len(written), _FILLER)
