"""Text in, the secrets out that have a form of their own; called by `text`.

Bearer and Basic credentials, user information in URLs, signed URLs, command lines, .netrc, SQL, container environments,
"my password is x", private key blocks.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Final

from agent_trace_otel.redact import tokens
from agent_trace_otel.redact.keys import KeyWords, Verdict
from agent_trace_otel.redact.opaque import (
    has_digit,
    is_code_name,
    is_long_word,
    is_opaque,
    is_placeholder,
    is_reference,
    without_closers,
)
from agent_trace_otel.redact.patterns import Pattern
from agent_trace_otel.redact.spans import Span

Search = Callable[[bytes, bytes, KeyWords], list[Span]]

_LONG_USER: Final = 16

_SCHEME: Final = Pattern(rb"b(earer|asic)[\"':= \t]{1,4}([a-z0-9._~+/=-]{8,8192})")
_AUTHORITY: Final = Pattern(rb"[^\s/?#\"'<>`\0]{0,1024}")
_LONG_AUTHORITY: Final = Pattern(rb"[^\s\"'<>`\0]{0,512}")
_PORT: Final = Pattern(rb"[0-9]{0,5}\Z")
_SIGNATURE: Final = Pattern(rb"sig(?:nature)?=([^\s&\"'<>`\0\\;]{16,2048})")
_URL_KEY: Final = Pattern(rb"key=([^\s&\"'<>`\0\\;]{16,2048})")
# a flag starts the text or stands after white space, a quote or a bracket; the literal comes first, for speed
_FLAG: Final = Pattern(rb"-(?<![^\s\"'`(\[]-)(-?[A-Za-z][\w-]{0,60})")
_FLAG_VALUE: Final = Pattern(rb"[ \t]{1,8}[\"']?([^\s\"'`\0-][^\s\"'`\0]{0,512})")
_USER_VALUE: Final = Pattern(rb"[ =]{0,4}[\"']?([^\s:\"'@/\0-][^\s:\"'@/\0]{0,99}):([^\s\"'\0]{1,200})")
_USER_FLAGS: Final = frozenset((b"u", b"-user", b"-proxy-user", b"U", b"a"))
_CLIENT: Final = Pattern(rb"\b(?:curl|https?|httpie|xh|wget|curlie)\b[^\n|;]{0,400}\Z")
_PASSWORD_FLAG: Final = Pattern(
    rb"-(?<![^\s\"'`(\[]-)(?:pass(?:in|out)? pass:|([pawP]) {0,2})[\"']?([^\s\"'\0-][^\s\"'\0]{0,200})"
)
# the programs for which a short flag is a password
_PROGRAMS: Final = {
    b"p": Pattern(
        rb"\b(?:mysql\w{0,10}|mariadb(?:-\w{1,10})?|sshpass|docker login|podman login|mongo\w{0,8}|az login)\b"
        rb"[^\n|;&]{0,200}\Z"
    ),
    b"a": Pattern(rb"\bredis-cli\b[^\n|;&]{0,200}\Z"),
    b"w": Pattern(rb"\bldap\w{1,10}\b[^\n|;&]{0,200}\Z"),
    b"P": Pattern(rb"\b(?:sqlcmd|bcp)\b[^\n|;&]{0,200}\Z"),
}
_PASSWORD_WORD: Final = Pattern(rb"password[ \t\r\n]{1,20}(?:['\"]([^'\"\0\n]{1,200})['\"]|([^\s\0'\"]{1,400}))")
_LOGIN_BEFORE: Final = Pattern(rb"(?:machine|login|account|user)[ \t\r\n]{1,20}[^\s\0]{1,200}[ \t\r\n]{1,20}\Z")
_IDENTIFIED: Final = Pattern(rb"identified(?: with \w{1,40})? by[ \t]{1,8}'([^'\0\n]{1,200})'")
_SAID_KEYS: Final = frozenset((b"ord", b"ase", b"ken", b"ret", b"key", b"pwd"))
_SAID_VALUE: Final = Pattern(rb"[: ]{0,2}[\"'`]?([^\s\"'`<>\0]{6,512})")
_NAMED: Final = Pattern(
    rb"name:[ \t]{0,8}[\"']?([\w.-]{1,64})[\"']?[ \t\r]{0,4}\n"
    rb"[ \t]{0,40}value:[ \t]{0,8}[\"']?([^\s\"'\0][^\n\"'\0]{0,2000})"
)
_GO_HOST: Final = Pattern(rb"@(?:tcp|udp|unix)\(")
_GO_PASSWORD: Final = Pattern(rb":([^\s\"'\0]{1,199})\Z")
_ORACLE: Final = Pattern(rb"thin:[\w.-]{1,60}/([^\s\"'@\0]{1,200})@")
_PEM: Final = Pattern(rb"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_PEM_BODY: Final = Pattern(
    rb"(?:[\s\1\\\"',+|>]{1,64}|[A-Za-z0-9+/=]{20,}|"
    rb"(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset):[^\n\1\"]{0,200})*"
    rb"[A-Za-z0-9+/=]{0,64}"
)
_PEM_TAIL: Final = Pattern(
    rb"[\s\1\\\"',+]{0,64}[A-Za-z0-9+/=]{0,64}(?:[\s\1\\\"',+]{1,64}[A-Za-z0-9+/=]{20,})*"
    rb"(?:[\s\1]{0,8}[A-Za-z0-9+/=]{8,})?"
)
_LONGEST_TAIL: Final = 16384
_LONGEST_GAP: Final = 4096


def _schemes(raw: bytes, low: bytes, _keys: KeyWords) -> list[Span]:
    """``Bearer x`` and ``Basic x``, in a header or not."""
    found: list[Span] = []
    for match in _SCHEME.finditer(low):
        start, end = match.span(2)
        value = raw[start:end]
        if match.group(1) == b"asic":
            if _is_user_and_password(value):
                found.append(Span(start, end, "basic"))
            continue
        value = without_closers(value)
        prose = value.isalpha() and (value.islower() or is_long_word(value))
        challenge = value.endswith(b"=") and raw[end : end + 1] == b'"'  # Bearer realm="x"
        if is_opaque(value) and not prose and not challenge:
            found.append(Span(start, start + len(value), "bearer"))
    return found


def _is_user_and_password(value: bytes) -> bool:
    """Tell Basic credentials, user:password in base64 (RFC 7617, section 2), from prose."""
    try:
        decoded = binascii.a2b_base64(value + b"=" * (-len(value) % 4))
    except binascii.Error:
        return False
    return b":" in decoded and min(decoded) >= 0x20  # noqa: PLR2004 - no control characters


def _urls(raw: bytes, _low: bytes, _keys: KeyWords) -> list[Span]:
    found: list[Span] = []
    at = raw.find(b"://")
    while at >= 0:
        at += 3
        span = _user_information(raw, at)
        if span is not None:
            found.append(span)
        if b"hook" in raw[at : at + 100] and (place := tokens.webhook(raw, at)) is not None:
            found.append(Span(*place, "webhook"))
        at = raw.find(b"://", at)
    return found


def _user_information(raw: bytes, start: int) -> Span | None:
    """Return the password of ``scheme://user:password@host`` (RFC 3986, section 3.2.1), or a token as user."""
    matched = _AUTHORITY.match(raw, start)
    authority = matched.group() if matched else b""
    if b"@" in authority and b"." not in authority[authority.rfind(b"@") :] and b":" in authority:
        # "p@ss/word@db": what looks like the host may be a part of the password
        longer = _LONG_AUTHORITY.match(raw, start + len(authority))
        if longer and b"@" in longer.group() and b"://" not in longer.group() and b"/@" not in longer.group():
            authority += longer.group()
    if b"@" not in authority:
        # a password with "/", "?" or "#" in it: what follows the colon is no port, and an @ comes later
        user, colon, rest = authority.partition(b":")
        end = start + len(authority)
        if not colon or _PORT.match(rest) or not rest or raw[end : end + 1] not in (b"/", b"?", b"#"):
            return None
        matched = _LONG_AUTHORITY.match(raw, start)
        authority = matched.group() if matched else b""
        if b"@" not in authority or b"://" in authority:
            return None
    user, colon, password = authority[: authority.rfind(b"@")].partition(b":")
    if not colon:
        return (
            Span(start, start + len(user), "url")
            if len(user) >= _LONG_USER and has_digit(user) and is_opaque(user)
            else None
        )
    if not password.strip(b"\0") or (is_placeholder(password) and not has_digit(password)):
        return None
    first = start + len(user) + 1
    return Span(first, first + len(password), "password")


def _query(raw: bytes, low: bytes, _keys: KeyWords) -> list[Span]:
    """Signatures and keys in a URL's query (AWS, Azure, Google)."""
    found: list[Span] = []
    for pattern, kind, before in ((_SIGNATURE, "signature", b"?&;-"), (_URL_KEY, "", b"?&")):
        found += [
            Span(*match.span(1), kind)
            for match in pattern.finditer(low)
            if match.start() and low[match.start() - 1] in before and is_opaque(raw[match.start(1) : match.end(1)])
        ]
    return found


def _flags(raw: bytes, low: bytes, keys: KeyWords) -> list[Span]:
    """``--token x``, ``curl -u user:password``, ``mysql -px``."""
    found: list[Span] = []
    for match in _FLAG.finditer(raw):
        flag = match.group(1)
        span = _user_and_password(raw, low, match.end()) if flag in _USER_FLAGS else None
        if span is None and flag[0] in b"pawP" and (password := _PASSWORD_FLAG.match(raw, match.start())):
            span = _program_password(raw, password)
        if (
            span is None
            and keys.verdict(flag.decode("ascii")) is Verdict.SECRET
            and (value := _FLAG_VALUE.match(raw, match.end()))
        ):
            opaque = is_opaque(value.group(1)) and not is_code_name(value.group(1))
            span = Span(*value.span(1)) if opaque else None
        if span is not None:
            found.append(span)
    return found


def _user_and_password(raw: bytes, low: bytes, at: int) -> Span | None:
    match = _USER_VALUE.match(raw, at)
    if match is None:
        return None
    user, password = match.groups()
    # docker run -u 1000:1000, -u node:node
    if password == user or password.isdigit() or is_reference(password):
        return None
    known = is_opaque(password) or _CLIENT.search(low, max(0, at - 420), at)
    return Span(*match.span(2), "password") if known else None


def _program_password(raw: bytes, match: re.Match[bytes]) -> Span | None:
    start, end = match.span(2)
    if match.group(1) is not None:
        program = _PROGRAMS[match.group(1)].search(raw, max(0, match.start() - 220), match.start())
        # MySQL's clients take -p with the password attached; what stands apart is the database
        if program is None or (raw[start - 1 : start] == b" " and program.group().startswith((b"mysql", b"maria"))):
            return None
    return None if is_reference(raw[start:end]) else Span(start, end, "password")


def program_passwords(raw: bytes) -> list[Span]:
    """Return what is a password on a command line only for its program: ``mysql -px``, ``openssl -passin pass:x``."""
    found = [_program_password(raw, match) for match in _PASSWORD_FLAG.finditer(raw)]
    return [span for span in found if span is not None]


def _login(raw: bytes, low: bytes, _keys: KeyWords) -> list[Span]:
    """.netrc (``login x password y``) and SQL (``PASSWORD 'y'``): the separator is white space."""
    found: list[Span] = []
    for match in _PASSWORD_WORD.finditer(low):
        quoted = match.group(1) is not None
        start, end = match.span(1 if quoted else 2)
        if is_reference(raw[start:end]):
            continue
        if quoted or _LOGIN_BEFORE.search(low, max(0, match.start() - 300), match.start()):
            found.append(Span(start, end, "password"))
    return found


def _identified(_raw: bytes, low: bytes, _keys: KeyWords) -> list[Span]:
    return [Span(*match.span(1), "password") for match in _IDENTIFIED.finditer(low)]


def _said(raw: bytes, low: bytes, keys: KeyWords) -> list[Span]:
    """Find what "my password is x" says: only what holds a digit, so that prose stays."""
    found: list[Span] = []
    at = low.find(b" is ")
    while at >= 0:
        said = _SAID_VALUE.match(raw, at + 4) if low[at - 3 : at] in _SAID_KEYS else None
        if said is not None:
            value = without_closers(said.group(1))
            key = b" ".join(raw[max(0, at - 40) : at].split()[-2:]).decode("ascii")
            opaque = has_digit(value) and not value.isdigit() and is_opaque(value)
            if opaque and keys.verdict(key) is Verdict.SECRET:
                found.append(Span(said.start(1), said.start(1) + len(value)))
        at = low.find(b" is ", at + 4)
    return found


def _named(raw: bytes, low: bytes, keys: KeyWords) -> list[Span]:
    """``- name: DB_PASSWORD`` and, on the next line, ``value: x`` (Kubernetes)."""
    return [
        Span(*match.span(2))
        for match in _NAMED.finditer(low)
        if keys.verdict(raw[match.start(1) : match.end(1)].decode("ascii")) is Verdict.SECRET
    ]


def _go_dsn(raw: bytes, _low: bytes, _keys: KeyWords) -> list[Span]:
    """``user:password@tcp(host)``, as Go's drivers have it."""
    found: list[Span] = []
    for match in _GO_HOST.finditer(raw):
        before = _GO_PASSWORD.search(raw, max(0, match.start() - 200), match.start())
        if before is not None:
            found.append(Span(before.start(1), match.start(), "password"))
    return found


def _oracle(_raw: bytes, low: bytes, _keys: KeyWords) -> list[Span]:
    return [Span(*match.span(1), "password") for match in _ORACLE.finditer(low)]


def _private_keys(raw: bytes, _low: bytes, _keys: KeyWords) -> list[Span]:
    """Private key blocks; one whose end was cut off goes on as long as it looks like a key, and so backwards."""
    found: list[Span] = []
    done = 0
    is_open = False
    for match in _PEM.finditer(raw):
        if match.group(1) == b"BEGIN" and match.start() >= done:
            body = _PEM_BODY.match(raw, match.end())
            end = body.end() if body else match.end()
            found.append(Span(match.start(), end, "private-key"))
            done = end
            is_open = True
        elif match.group(1) == b"END":
            if is_open and match.start() - done < _LONGEST_GAP:
                # whatever stood between the lines of the key went with it
                found[-1] = found[-1]._replace(end=match.end())
            else:
                tail = _PEM_TAIL.match(raw[max(done, match.start() - _LONGEST_TAIL) : match.start()][::-1])
                found.append(Span(match.start() - (tail.end() if tail else 0), match.end(), "private-key"))
            done = match.end()
            is_open = False
    return found


# what has to stand in the lower-cased text for a search to be worth its while
FORMS: Final[tuple[tuple[str, Search], ...]] = (
    ("b", _schemes),
    ("://", _urls),
    ("=", _query),
    ("-", _flags),
    ("password", _login),
    ("identified", _identified),
    (" is ", _said),
    ("value: ", _named),
    ("@", _go_dsn),
    ("thin:", _oracle),
    ("private key", _private_keys),
)
