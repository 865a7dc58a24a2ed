"""Text in, the values that stand under secret keys out, in whatever notation; called by `text`.

    password=x   password: x   "password": "x"   {'password': ['x']}   <password>x</password>   | password | x |
    ("X-Api-Key", "x")   ["--token", "x"]   "name": "TOKEN", "value": "x"   Authorization: Bearer x   Cookie: a=x; b=y

A key that is quoted like a structure's (JSON, repr, PHP, Ruby) hides any value, as does ``key="x"``; in running text
only an opaque value is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from agent_trace_otel.redact.keys import KeyWords, Verdict
from agent_trace_otel.redact.opaque import (
    has_digit,
    is_code_name,
    is_long_word,
    is_opaque,
    is_reference,
    is_usual,
    without_closers,
)
from agent_trace_otel.redact.patterns import Pattern
from agent_trace_otel.redact.quoting import end_of_brackets, end_of_string
from agent_trace_otel.redact.spans import Span

# What tells a secret key, from a rare letter on: a search for a literal costs by how often its first letter occurs.
# toKEN, coOKIE and KEY; PASSword and PWD; seCRET, CREDential and CONNection string; aUTHorization; honeycomB-TEAM
_TELLING: Final = (r"k(?:ey|en|ie)", r"p(?:ass|wd)", r"c(?:re[dt]|onn(?:ection)?[_-]?str)", "uth", "dsn", "b-team")

_LONGEST_KEY: Final = 64
_NOT_IN_KEY: Final = bytes(97 if chr(c).isalnum() or chr(c) in "_-" else 32 for c in range(256))
_WORD_BEFORE: Final = Pattern(rb"[A-Za-z]{2,16} ")
_OPEN: Final = Pattern(rb"[ \t\1]{0,20}(?:[A-Za-z][A-Za-z_.]{0,19}\()?[bBuUrRfF]{0,2}(\\{0,15})([\"'`])")
_OPEN_ON_NEXT_LINE: Final = Pattern(rb"[\s\1]{0,40}[bBuU]?(\\{0,15})([\"'])")
_BRACKET: Final = Pattern(rb"\s{0,40}([\[{(])")
_BARE: Final = Pattern(rb"[ \t]{0,20}([^\s\"'`<>\0]{1,512})")
_LONGEST_BARE: Final = 512
_LONGEST_ITEM: Final = 8192
_BARE_REST: Final = Pattern(rb"[^\s\"'`<>\0]*")
_BARE_JSON: Final = Pattern(rb"\s{0,40}([^\s\"'`<>\0,{}\[\]]{1,512})")
# requests.get(url, auth=("user", "password"))
_USER_AND_PASSWORD: Final = Pattern(
    rb"\s{0,4}[(\[]\s{0,4}[\"'][^\"'\n]{0,100}[\"']\s{0,4},\s{0,4}[\"']([^\"'\n\0]{1,200})[\"']"
)
_DELIMITER: Final = Pattern(rb"[,;&|](?:(?=[\s\"'\\])|\Z|(?=[A-Za-z][\w.-]{0,40} ?[=:]))")
_NAMED_VALUE: Final = Pattern(rb"\s{0,20}\\{0,7}[\"'][vV]alue\\{0,7}[\"']\s{0,4}:")
_NOTHING: Final = frozenset((b"null", b"none", b"undefined", b"nil"))
_NUMBER: Final = Pattern(rb"[-+]?[0-9][0-9_.,]*(?:[eE][-+]?[0-9]+)?\Z")
_PATH: Final = Pattern(rb"[~.]{0,2}/|[A-Za-z]:\\")
_OPENING_BRACE: Final = 0x7B
_EMPTY: Final = Pattern(rb"[\[{(]\s{0,40}[\]})]")
_QUOTE: Final = Pattern(rb"[\"']")
_TEST_NAME: Final = Pattern(rb"[_/.:]|test")
_SCHEMA: Final = Pattern(
    rb"\s{0,40}\\{0,7}[\"'](?:type|description|title|anyOf|oneOf|allOf|\$ref|format)\\{0,7}[\"']"
    rb"\s{0,4}:\s{0,4}[\[\\\"']"
)
_SCHEMA_TYPE: Final = Pattern(
    rb"type\\{0,7}[\"']\s{0,4}:\s{0,4}\\{0,7}[\"'](?:string|number|integer|boolean|object|array|null)\b"
)
_SCHEMA_SECRET: Final = Pattern(rb"\b(?:default|const|enum|examples?)\b")
_PASSWORDS: Final = ("password", "passwd", "pwd", "passphrase")
_CONNECTION: Final = Pattern(
    rb"(?:server|host|data source|user id|uid|user|username|dbname|database|endpoint|accountname) ?=|:[0-9]{4,5},"
)
_SCHEME: Final = Pattern(rb"[ \t]{0,8}([A-Za-z][A-Za-z0-9_-]{1,30})[ \t]{1,8}(?=[^\s\0])")
_SCHEMES: Final = frozenset(
    b"bearer basic token apikey api-key digest negotiate ntlm hawk hmac oauth dpop splunk bot ssws key "
    b"aws4-hmac-sha256 sso-key snowflake jwt genie-key geniekey klaviyo-api-key discogs sharedkey sharedkeylite "
    b"sharedaccesssignature mac privatetoken apitoken pat scram-sha-256".split()
)
_LONG_CREDENTIAL: Final = 16
_CREDENTIALS: Final = Pattern(rb"[^\s\"'`<>\0,;]{1,8192}")
_TO_QUOTE: Final = Pattern(rb"[^\r\n\"'`\0]*")
_TO_APOSTROPHE: Final = Pattern(rb"[^\r\n'`\0]*")


def key_patterns(more: Iterable[tuple[str, ...]] = ()) -> list[Pattern]:
    """Return what finds the key half of a pair in lower-cased text; ``more`` are further keys, as words."""
    telling = (*_TELLING, *(r"[ _.-]?".join(map(re.escape, key)) for key in more))
    return [
        Pattern(
            rf"""({words}[a-z0-9_-]{{0,40}})"""  # from the telling letters to the end of the key
            rf"""([\\"'`\]\1]{{0,12}})([\s\1]{{0,12}})"""  # closing quotes, white space
            rf"""(:=|=>|===?|=|:(?![:/])|,|\||>|value=|\()""".encode()  # separator
        )
        for words in telling
    ]


def pairs(raw: bytes, low: bytes, keys: KeyWords, patterns: Iterable[Pattern]) -> list[Span]:
    """Return the places of the values of secret keys; ``patterns`` come from `key_patterns`."""
    met = [match for pattern in patterns for match in pattern.finditer(low)]
    if len(met) > 1:
        met.sort(key=_start)
    found: list[Span] = []
    done = 0
    for match in met:
        if match.start() >= done and (key := _key_at(raw, match, keys)) is not None:
            span = _value(raw, low, key)
            if span is not None:
                found.append(span)
                done = span.end
    return found


def _start(match: re.Match[bytes]) -> int:
    return match.start()


class _Key:
    """A secret key met in text, and how it is written."""

    __slots__ = (
        "in_pair",
        "in_tag",
        "is_flag",
        "name",
        "quote",
        "quoted",
        "separator",
        "spaced",
        "start",
        "value_at",
        "verdict",
    )

    def __init__(self, raw: bytes, name: str, verdict: Verdict, start: int, match: re.Match[bytes]) -> None:
        closing = match.group(2)
        before = raw[start - 1 : start] if start else b""
        self.name = name.lower()
        self.verdict = verdict
        self.start = start
        self.value_at = match.end()
        self.separator = match.group(4)
        self.spaced = bool(match.group(3).strip(b"\1")) or raw[match.end() : match.end() + 1] == b" "
        self.quoted = bool(closing.strip(b"\1")) and before in (b'"', b"'")
        # the quote as written, backslashes included; of ``env["KEY"] =`` none, the value brings its own
        self.quote = closing.replace(b"\1", b"").decode("ascii") if self.quoted and closing[-1:] != b"]" else ""
        self.is_flag = raw[start : start + 1] == b"-"
        self.in_tag = before == b"<"
        self.in_pair = raw[max(0, start - 6) : start].rstrip(b"\\\"'`b").endswith((b"(", b"["))


def _key_at(raw: bytes, match: re.Match[bytes], keys: KeyWords) -> _Key | None:
    """Return the whole key around a telling word, None if it is not secret."""
    at, end = match.span(1)
    window = raw[max(0, at - _LONGEST_KEY) : at]
    start = at - len(window) + window.translate(_NOT_IN_KEY).rfind(b" ") + 1
    name = raw[start:end].decode("ascii")
    verdict = keys.verdict(name)
    if verdict is Verdict.HARMLESS and not match.group(2) and start > 2 and raw[start - 1] == 0x20:  # noqa: PLR2004
        # "api key: x": a key of two words
        first = raw.rfind(b" ", max(0, start - 20), start - 1) + 1 or max(0, start - 20)
        if _WORD_BEFORE.fullmatch(raw, first, start):
            start = first
            name = raw[start:end].decode("ascii")
            verdict = keys.verdict(name)
    return None if verdict is Verdict.HARMLESS else _Key(raw, name, verdict, start, match)


def _value(raw: bytes, low: bytes, key: _Key) -> Span | None:
    """Return the place of the value of a secret key, None if nothing there has to be withheld."""
    if key.separator in (b",", b"value="):
        return _next_item(raw, key) if key.quoted else None
    if key.separator == b">":
        return _element(raw, low, key) if key.in_tag else None
    if key.separator == b"(":
        opening = _OPEN.match(raw, key.value_at)
        span = _quoted(raw, key, opening, structural=False) if opening and not key.quoted else None
        return span if span is not None and not is_code_name(raw[span.start : span.end]) else None
    if key.separator == b"|":
        return _unquoted(raw, low, key, needs_digit=True)
    structural = key.quoted and key.separator in (b":", b"=>", b"=") and not key.is_flag
    opening = (_OPEN_ON_NEXT_LINE if structural else _OPEN).match(raw, key.value_at)
    if opening is not None:
        return _quoted(raw, key, opening, structural=structural)
    if structural:
        return _structural_bare(raw, key)
    if key.name.endswith("auth") and (basic := _USER_AND_PASSWORD.match(raw, key.value_at)):
        return Span(*basic.span(1), "password")
    return None if key.verdict is Verdict.COUNTED else _unquoted(raw, low, key, needs_digit=False)


def _quoted(raw: bytes, key: _Key, opening: re.Match[bytes], *, structural: bool) -> Span | None:
    start = opening.end()
    end = end_of_string(raw, start, opening.group(2), len(opening.group(1)), None if structural else 4096)
    if not structural and (end < 0 or b"\n" in raw[start:end]):
        # the text was cut, or the quote never closed
        bare = _BARE.match(raw, start)
        end = bare.end(1) if bare else start
    value = raw[start:end]
    if raw[start - 2 : start - 1] == b"\1":
        # the quotes are escapes themselves (&quot;, \u0022): so is the closing one
        value = value.rstrip(b"\1")
        end = start + len(value)
    if not value.strip(b"\0"):
        return None
    if key.verdict is Verdict.WORKING_DIRECTORY and _PATH.match(value):
        return None
    if key.verdict is Verdict.COUNTED and (not structural or _NUMBER.match(value)):
        return None
    if structural:
        # log probabilities: a token of a vocabulary
        return None if key.name == "token" and b"logprob" in raw[end : end + 16] else Span(start, end)
    if is_reference(value):
        return None
    if key.separator == b"=" and not key.spaced:
        return Span(start, end) if len(value) > 1 else None  # <a accesskey="n">
    header = _header(raw, key, start, end)
    if header is not None or b" " in value:
        return header
    called = b"(" in opening.group()  # password.encode("utf-8")
    plain_password = len(value) > 3 and key.name.endswith(_PASSWORDS) and not called and not is_usual(value)  # noqa: PLR2004
    return Span(start, end) if plain_password or is_opaque(value) else None


def _structural_bare(raw: bytes, key: _Key) -> Span | None:
    """The value of a quoted key that is no string: a number, a word, a list or an object."""
    bracket = _BRACKET.match(raw, key.value_at)
    if bracket is not None:
        start = bracket.start(1)
        if _EMPTY.match(raw, start):
            return None
        if key.verdict is Verdict.COUNTED and (
            raw[start] == _OPENING_BRACE or not _QUOTE.search(raw, start, start + 512)
        ):
            return None
        if _SCHEMA.match(raw, start + 1):
            end = end_of_brackets(raw, start, 1024)
            if end > 0 and _SCHEMA_TYPE.search(raw, start, end) and not _SCHEMA_SECRET.search(raw, start, end):
                return None
        return Span(start, end_of_brackets(raw, start), "", key.quote or '"')
    bare = _BARE_JSON.match(raw, key.value_at)
    if bare is None:
        return None
    start, end = bare.span(1)
    value = bare.group(1).lower()
    if value in _NOTHING:
        return None
    if _NUMBER.match(value):
        return None if key.verdict is Verdict.COUNTED else Span(start, end, "", key.quote or '"')
    if value in (b"true", b"false"):
        return None if key.verdict is not Verdict.SECRET else Span(start, end, "", key.quote or '"')
    # {"password": os.environ["X"]} is an expression in source code, "password": hunter22 is YAML
    return Span(start, end) if is_opaque(bare.group(1)) and not is_code_name(bare.group(1)) else None


def _next_item(raw: bytes, key: _Key) -> Span | None:
    """Return the string after the key: ``("Authorization", "Bearer x")``, ``"name": "token", "value": "x"``."""
    named = _NAMED_VALUE.match(raw, key.value_at)
    opening = _OPEN_ON_NEXT_LINE.match(raw, named.end() if named else key.value_at)
    if opening is None:
        return None
    start = opening.end()
    end = end_of_string(raw, start, opening.group(2), len(opening.group(1)), _LONGEST_ITEM)
    if end < 0 and len(raw) - start <= _LONGEST_ITEM:
        end = len(raw)  # the text was cut
    value = raw[start:end]
    if end < 0 or not value.strip(b"\0"):
        return None
    if named or key.separator == b"value=" or (key.is_flag and not value.startswith(b"-")):
        return Span(start, end)
    after = raw[end : end + 12].lstrip(b"\\\"' ")[:1]
    paired = key.in_pair and after in (b")", b"]", b"")
    return Span(start, end) if paired and is_opaque(value.split()[-1]) else None


def _element(raw: bytes, low: bytes, key: _Key) -> Span | None:
    """``<password>x</password>``."""
    end = low.find(b"</", key.value_at, key.value_at + _LONGEST_ITEM)
    if end < 0 and len(raw) - key.value_at <= _LONGEST_ITEM and (bare := _BARE.fullmatch(raw, key.value_at)):
        return Span(*bare.span(1)) if is_opaque(bare.group(1)) else None  # the text was cut
    if end < 0 or not low.startswith(key.name.encode(), end + 2):
        return None
    value = raw[key.value_at : end].strip(b"\0 ")
    if not value or b"<" in value or (key.verdict is Verdict.COUNTED and _NUMBER.match(value)):
        return None
    return Span(key.value_at, end)


def _unquoted(raw: bytes, low: bytes, key: _Key, *, needs_digit: bool) -> Span | None:
    header = _header(raw, key, key.value_at, None)
    bare = _BARE.match(raw, key.value_at)
    if header is not None or bare is None:
        return header
    start, end = bare.span(1)
    value = bare.group(1)
    if key.verdict is Verdict.WORKING_DIRECTORY and _PATH.match(value):
        return None
    delimiter = _DELIMITER.search(value)
    if delimiter is not None:
        value = value[: delimiter.start()]
    elif len(value) == _LONGEST_BARE and is_opaque(value) and (rest := _BARE_REST.match(raw, end)):
        return Span(start, rest.end())
    value = without_closers(value)
    end = start + len(value)
    if value.lower() in _SCHEMES:
        return None
    if is_opaque(value):
        harmless = _is_code(raw, key, value, end) or _is_prose(key, value) or (needs_digit and not has_digit(value))
        return None if harmless else Span(start, end)
    if not value or key.spaced or key.separator != b"=" or is_reference(value) or _is_code(raw, key, value, end):
        return None
    # Server=db;Uid=sa;Pwd=ab   host=db user=bob password=ab
    in_connection = _CONNECTION.search(low, max(0, key.start - 200), min(len(low), end + 60))
    return Span(start, end) if in_connection else None


def _is_code(raw: bytes, key: _Key, value: bytes, end: int) -> bool:
    """Tell ``f(token=access_token)``, ``token = access_token`` and ``cookies: CookieJar`` from a secret."""
    if value.lower() == key.name.encode():
        return True
    assigned = key.separator == b"=" and key.spaced
    is_type = key.separator == b":" and value[:1].isupper() and not key.name.endswith(_PASSWORDS)
    return is_code_name(value) and (assigned or is_type or raw[end : end + 1] in (b",", b")", b";"))


def _is_prose(key: _Key, value: bytes) -> bool:
    """Tell "auth: authentication failed" and "PASS: test_login_2" from a secret."""
    if key.name in ("pass", "auth") and key.separator == b":" and (not has_digit(value) or _TEST_NAME.search(value)):
        return True
    return is_long_word(value)


def _header(raw: bytes, key: _Key, start: int, end: int | None) -> Span | None:
    """``Authorization: Bearer x``, ``Cookie: a=b; c=d``: the scheme stays, the credentials go. ``end`` if quoted."""
    if "cookie" in key.name and key.separator == b":" and end is None:
        line = _TO_QUOTE.match(raw, start) if b"=" in raw[start : start + 512] else None
        if line is not None and b"=" in line.group():
            return Span(line.end() - len(line.group().lstrip()), line.end(), "cookie")
    scheme = _SCHEME.match(raw, start) if "auth" in key.name else None
    if scheme is None or scheme.group(1).lower() not in _SCHEMES:
        return None
    first = _CREDENTIALS.match(raw, scheme.end())
    if first is None or (end is not None and first.end() > end):
        return None
    value = first.group()
    kind = scheme.group(1).lower().decode("ascii")
    if b"=" in value.rstrip(b"=") or (value.endswith(b"=") and raw[first.end() : first.end() + 1] == b'"'):
        # parameters: Digest username="x", response="y"
        inner_quotes = b'="' in raw[scheme.end() : scheme.end() + 200]
        line = (_TO_APOSTROPHE if inner_quotes else _TO_QUOTE).match(raw, scheme.end())
        return Span(scheme.end(), line.end() if line else first.end(), kind)
    value = without_closers(value)
    # in a header that names its credential, a long value with a dot is no attribute of an object
    dotted = key.name.endswith("authorization") and len(value) >= _LONG_CREDENTIAL and value.replace(b".", b"")
    is_secret = (is_opaque(value) or (dotted and is_opaque(dotted))) and not is_long_word(value)
    return Span(scheme.end(), scheme.end() + len(value), kind) if is_secret else None
