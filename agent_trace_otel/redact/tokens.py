"""Text as ASCII bytes in, the places of token shapes out; called by `text`.

Tokens of providers are long runs of letters, digits, "_" and "-", so only such runs are looked at, and in a run only
the places where a token may start: what follows the head decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from agent_trace_otel.redact.patterns import Pattern
from agent_trace_otel.redact.shapes import AROUND, RULES, SHAPES, WEBHOOKS, Rule

Place = tuple[int, int, str]  # start, end, kind

LENGTHS_OF_IDS: Final = frozenset((16, 32, 36, 40, 64))  # span and trace ids, UUIDs, SHA-1, SHA-256

_ROOM_BEFORE: Final = 24
_ROOM_AFTER: Final = 600
_SHORTEST_SHAPE: Final = 22
RUN: Final = b"a" * 16  # without 16 token characters in a row no rule of the table matches
TOKEN_CHARACTERS: Final = bytes(97 if chr(c).isalnum() or chr(c) in "_-" else 32 for c in range(128)) + b" " * 128
_HEXADECIMAL: Final = b"0123456789abcdef-"
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/=]*")
_DATA: Final = b"base64,"
_MAY_CROSS: Final = b"./:~,"  # what may stand in a token before its long run, and before embedded data


def places(raw: bytes) -> list[Place]:
    """Return every token in ASCII text, in order and without overlap."""
    found: list[Place] = []
    harmless: set[bytes] = set()
    runs = raw.translate(TOKEN_CHARACTERS)
    done = 0
    start = runs.find(RUN)
    while start >= 0:
        end = runs.find(b" ", start + len(RUN))
        if end < 0:
            end = len(raw)
        run = raw[start:end]
        across = start > done and raw[start - 1] in _MAY_CROSS
        plain = (end - start in LENGTHS_OF_IDS and not run.translate(None, _HEXADECIMAL)) or (
            run.islower() and run.isalpha()
        )
        if not plain and (across or run not in harmless):
            before = len(found)
            done = _in_run(raw, start, end, done, found, across=across)
            if len(found) == before:
                harmless.add(run)
            if across and raw.endswith(_DATA, 0, start):
                # embedded data: an image is no token, however its letters fall
                data = _BASE64.match(raw, start)
                end = data.end() if data else end
        start = runs.find(RUN, max(end, done))
    return found


def _in_run(  # noqa: PLR0913 - the state of the search, called for every run
    raw: bytes, start: int, end: int, done: int, found: list[Place], *, across: bool
) -> int:
    """Note the tokens of one run; return where the last one ends, else ``done``."""
    place = _across(raw, max(done, start - _ROOM_BEFORE), start) if across else None
    if place is None and start >= done:
        place = _headed(raw, start)
        if place is None and end - start >= _SHORTEST_SHAPE:
            place = _headless(raw, start)
    while True:
        if place is not None:
            found.append(place)
            done = place[1]
        border = _BORDER.search(raw, max(start, done), end)
        while border is not None and (place := _headed(raw, border.start() + 1)) is None:
            border = _BORDER.search(raw, border.start() + 1, end)
        if border is None:
            return done


def webhook(raw: bytes, start: int) -> tuple[int, int] | None:
    """Return the place of the secret path of a webhook's URL whose host starts there."""
    match = _webhook_pattern().match(raw, start)
    return match.span(match.lastindex or 0) if match else None


def _headed(raw: bytes, start: int) -> Place | None:
    """Return the token that starts there with a known head."""
    for head, rule in _BY_TWO.get(raw[start : start + 2], ()):
        if raw.startswith(head, start):
            match = _pattern(rule.body).match(raw, start + len(head))
            if match is not None:
                return start, match.end(), rule.kind
    return None


def _headless(raw: bytes, start: int) -> Place | None:
    """Return the token without a head that starts there."""
    match = _SHAPE.match(raw, start)
    return (start, match.end(), SHAPES[(match.lastindex or 1) - 1].kind) if match else None


def _across(raw: bytes, first: int, start: int) -> Place | None:
    """Return the token that starts before the run, but not before ``first``: "ya29.<run>", "12345678:<run>"."""
    for left, right, rule in _BY_LAST.get(raw[start - 1], ()):
        if raw[start - len(left) : start] == left and raw.startswith(right, start):
            match = _pattern(rule.body).search(raw, first, start + _ROOM_AFTER)
            if match is not None and match.start() < start and not _inside_word(raw, match.start()):
                return match.start(), match.end(), rule.kind
    return None


def _inside_word(raw: bytes, at: int) -> bool:
    """Tell whether a character of the same class stands before; in "bot123:AA..." the token starts at the digit."""
    before, here = raw[at - 1 : at] if at else b" ", raw[at : at + 1]
    return before.isalnum() and not (before.isalpha() and here.isdigit())


@cache
def _pattern(body: str) -> re.Pattern[bytes]:
    """Compile a rule when it is first needed: all of them would cost an import 50 ms."""
    return re.compile(body.encode())


@cache
def _webhook_pattern() -> re.Pattern[bytes]:
    hosts = [(head, rule) for rule in WEBHOOKS for head in rule.heads.split()]
    return re.compile(
        "|".join(f"(?:[a-z0-9.-]{{0,80}}\\.)?{re.escape(host)}({rule.body})" for host, rule in hosts).encode()
    )


def _heads() -> Iterator[tuple[bytes, Rule]]:
    """Yield every head with its rule, the longest first, so that "sk-ant-" is asked before "sk-"."""
    known = [(head.encode(), rule) for rule in RULES for head in rule.heads.split()]
    yield from sorted(known, key=lambda pair: -len(pair[0]))


def _by_two() -> dict[bytes, list[tuple[bytes, Rule]]]:
    table: dict[bytes, list[tuple[bytes, Rule]]] = {}
    for head, rule in _heads():
        table.setdefault(head[:2], []).append((head, rule))
    return table


def _by_last() -> dict[int, list[tuple[bytes, bytes, Rule]]]:
    """Map the character before a run to the rules that may reach over it, with what stands left and right of it."""
    table: dict[int, list[tuple[bytes, bytes, Rule]]] = {}
    for rule in AROUND:
        for head in rule.heads.split():
            left, _, right = head.encode().partition(b"|")
            table.setdefault(left[-1], []).append((left, right, rule))
    return table


def _two_letters() -> bytes:
    """Return a pattern for the first two characters of any head, as one class of second ones for each first."""
    seconds: dict[str, str] = {}
    for two in sorted(_BY_TWO):
        seconds[chr(two[0])] = seconds.get(chr(two[0]), "") + chr(two[1])
    return ("(?:" + "|".join(f"{first}[{re.escape(rest)}]" for first, rest in seconds.items()) + ")").encode()


_BY_TWO: Final = _by_two()
_BORDER: Final = Pattern(b"[_-](?=" + _two_letters() + b")")
_BY_LAST: Final = _by_last()
_SHAPE: Final = Pattern("|".join(f"({rule.body})" for rule in SHAPES).encode())
