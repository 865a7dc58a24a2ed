"""Redactor: the public face of redaction. Cheap checks decide if a value is read at all; `text` and `walk` read it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, cast

from agent_trace_otel.redact.keys import KeyWords, Verdict
from agent_trace_otel.redact.pairs import key_patterns
from agent_trace_otel.redact.spans import Span, merged
from agent_trace_otel.redact.text import holds_key, holds_token, spans
from agent_trace_otel.redact.tokens import LENGTHS_OF_IDS, RUN, TOKEN_CHARACTERS
from agent_trace_otel.redact.walk import Walk

_FAILED: Final = "[REDACTED:error]"
# where `forms` looks for one, escaped white space included
_FLAG: Final = re.compile(r"-(?:(?<![^\s\"'`(\[]-)|(?<=\\[nrt]-)|(?<=%20-))-?[A-Za-z]")
_SHORTEST: Final = 8  # "pwd=abc1"
_SHORTEST_TOKEN: Final = 16
_SHORT: Final = 500  # longer texts are read at once, shorter ones looked at once more
_MOST_PASSES: Final = 4
_IN_IDS: Final = "0123456789abcdef-"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that would be withheld.

    ``kind`` says what it is ("key" when only its key tells), ``path`` where it stands in the structure ("$.args[2]"),
    ``start`` and ``end`` are characters in the string there (for a value withheld whole: 0 and the length of its text).
    """

    kind: str
    path: str
    start: int
    end: int


class Redactor:
    """Withholds secrets from values of any JSON-like shape. Never raises once built; safe to share between threads.

    What is withheld becomes ``[REDACTED]``, or ``[REDACTED:kind]`` where the kind is known:

        >>> Redactor().value({"user": "bob", "password": "hunter2"})
        {'user': 'bob', 'password': '[REDACTED]'}
    """

    def __init__(
        self,
        *,
        keys: Iterable[str] = (),
        patterns: Iterable[str | re.Pattern[str]] = (),
        allow: Iterable[str | re.Pattern[str]] = (),
        rule: Callable[[str], str] | None = None,
    ) -> None:
        """Take the user's own rules; the built-in ones always hold.

        Args:
            keys: further secret key words, in any spelling ("badge number" also covers ``badgeNumber``).
            patterns: further secret shapes, as regular expressions. Of a match the group named ``secret`` is withheld,
                all of it if there is no such group. Their running time is the user's affair.
            allow: values that are never withheld, as regular expressions over the whole value.
            rule: the user's own function text -> text, called with every string after the built-in rules. If it raises
                or returns no string, the string is withheld as ``[REDACTED:error]``.

        Raises:
            re.error: a pattern is no regular expression.
        """
        self.key_words = KeyWords(keys)
        self._key_patterns = key_patterns(self.key_words.more)
        self._hints = tuple(key[0] for key in self.key_words.more)
        self._patterns = tuple(re.compile(pattern) for pattern in patterns)
        self._allow = tuple(re.compile(pattern) for pattern in allow)
        self._rule = rule
        self._reads_all = bool(self._patterns or rule or self._hints)

    def text(self, text: str) -> str:
        """Return running text, a document, a header or a command line without its secrets.

        The same object comes back when nothing was withheld.
        """
        if not self._may_hold_secret(text):
            return text
        try:
            return self._cleaned(text)
        except Exception:  # noqa: BLE001 - whatever goes wrong, the value must neither raise nor pass
            return _FAILED

    def value(self, value: object) -> object:
        """Return a value of any JSON-like shape without its secrets.

        It keeps its shape; if nothing was withheld it is the same object.
        """
        if type(value) is str:
            return self.text(value)
        try:
            return Walk(self).value(value)
        except Exception:  # noqa: BLE001 - as above; RecursionError included
            return _FAILED

    def pair(self, key: str, value: object) -> object:
        """Return the value under a key (attribute name, header, argument name), withheld whole if the key is secret."""
        try:
            verdict = self.key_words.verdict(key)
            return self.value(value) if verdict is Verdict.HARMLESS else Walk(self).under(verdict, value)
        except Exception:  # noqa: BLE001 - as above
            return _FAILED

    def findings(self, value: object) -> list[Finding]:
        """Return what would be withheld from a value, in order, and why."""
        found: list[tuple[str, str, int, int]] = []
        try:
            Walk(self, found).value(value, "$")
        except Exception:  # noqa: BLE001 - as above
            return [Finding("error", "$", 0, 0)]
        return [Finding(*place) for place in found]

    def places(self, text: str) -> list[Span]:
        """Return what the built-in rules and the user's patterns withhold from a text, in order and without overlap."""
        found = spans(text, self.key_words, self._key_patterns)
        for pattern in self._patterns:
            group = "secret" if "secret" in pattern.groupindex else 0
            own = [Span(*match.span(group), "pattern") for match in pattern.finditer(text)]
            found = merged(found + [span for span in own if span.start < span.end])
        if self._allow:
            found = [span for span in found if not self.allows(text[span.start : span.end])]
        return found

    def allows(self, text: str) -> bool:
        """Tell whether the user said that a value is never to be withheld."""
        return any(pattern.fullmatch(text) for pattern in self._allow)

    def _cleaned(self, text: str) -> str:
        # what is withheld changes what stands beside it: the outcome is read again until nothing is left to withhold
        for _ in range(_MOST_PASSES):
            found = self.places(text)
            if not found:
                break
            text = _with_marks(text, found)
        if self._rule is None:
            return text
        ruled = cast("object", self._rule(text))
        if not isinstance(ruled, str):
            return _FAILED
        return text if ruled == text else ruled

    def _may_hold_secret(self, text: str) -> bool:
        """Tell by cheap checks whether a text is worth reading.

        Every traced call pays for this. A single character is found five times faster than a word; a pair needs a
        separator, so text without one is spared the key words ("cre" is in secret and in credential). A long run of
        letters and digits may be a token, or a secret by what stands beside it: a webhook, a signed URL, a header, a
        key block, "the key is x".
        """
        if self._reads_all:
            return True
        if len(text) < _SHORTEST:
            return False
        low = text.lower()
        flagged = "-" in text and _FLAG.search(text) is not None
        separated = flagged or ":" in text or "=" in text or ">" in text or "|" in text
        separated = separated or ('"' in text and '",' in text) or ("'" in text and "'," in text)
        if "pass" in low and (separated or "word" in low):
            return True
        if (
            separated
            and (
                "key" in low or "token" in low or "cre" in low or "auth" in low or "cookie" in low or "pwd" in low
            )
            and (
                flagged or len(text) > _SHORT or "private" in low or "key is " in low or "oken is " in low
                or "cret is " in low or holds_key(text, self._key_patterns)
            )
        ):  # fmt: skip
            return True
        if flagged and (
            "user" in low or " -u" in text or " -p" in text or " -a" in text or " -w" in text or " -P" in text
            or " -U" in text
        ):  # fmt: skip
            return True
        if "@" in text or ("B" in text and ("Bearer " in text or "Basic " in text)):
            return True
        if "'" in text and "identified" in low:
            return True
        if len(text) < _SHORTEST_TOKEN or (len(text) in LENGTHS_OF_IDS and not text.strip(_IN_IDS)):
            return False
        return RUN in text.encode("ascii", "replace").translate(TOKEN_CHARACTERS) and (
            "hook" in low or "sig" in low or "b-team" in low or "private" in low or "dsn" in low or "basic " in low
            or "bearer " in low or "key is " in low or "oken is " in low or "cret is " in low or holds_token(text)
        )  # fmt: skip


def _with_marks(text: str, found: list[Span]) -> str:
    parts: list[str] = []
    at = 0
    for span in found:
        mark = f"[REDACTED:{span.kind}]" if span.kind else "[REDACTED]"
        parts += (text[at : span.start], span.quote, mark, span.quote)
        at = span.end
    parts.append(text[at:])
    return "".join(parts)


DEFAULT: Final = Redactor()
