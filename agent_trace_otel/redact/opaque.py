"""One value of running text in, a judgement out: is it opaque, or a word, a path, an expression?

Called by `pairs`, `forms` and `walk`.

In running text a key and a separator prove little: "token: 5 tokens left", "password = get_password()", "auth: oauth2".
So there only an opaque value is withheld. Under a key of a structure this file is not asked.
"""

from __future__ import annotations

import re
from typing import Final

from agent_trace_otel.redact.patterns import Pattern

_SHORTEST: Final = 6
_LONG_ENOUGH_WITHOUT_DIGIT: Final = 12

# values that are usual under secret keys and are no secrets
_USUAL: Final = frozenset(
    b"password string required optional hidden text change changed none null true false secret token bearer basic "
    b"digest oauth oauth2 ntlm kerberos sha1 sha256 sha384 sha512 md5 base64 ed25519 rs256 hs256 es256 ps256 aes256 "
    b"argon2 argon2id bcrypt scrypt pbkdf2 ntlmv2 same-origin include enter".split()
)
_DIGIT: Final = Pattern(rb"[0-9]")
_PLACEHOLDER: Final = Pattern(
    rb"\$(?:\{|\(|[A-Z_][A-Z0-9_]*\Z|[a-z_]+\Z|[A-Za-z_]\w*(?:::|->|\[))|\{\{|<|%\(|%[A-Za-z_]+%\Z|\{[A-Za-z_.]*\}|[*xX.#_-]+\Z|#[0-9a-fA-F]{3,8}\Z|\.\.\.|"
    rb"(?:your|insert|enter|replace|placeholder)(?:[-_ ]|\Z)"
)
_CALL: Final = Pattern(rb"[A-Za-z_$][A-Za-z_$]*(?:(?:\.|::|->)[A-Za-z_$][\w$]*)*(?:[(\[]|\.\Z)")
_MEMBER: Final = Pattern(
    rb"(?:self|this|cls|os|process|config|cfg|settings|env|args|request|req|data|options|opts|ctx|context|params|"
    rb"secrets|vars?|local|module|props|state|session|user|response|resp|res|exports[0-9]?)(?:\.[#A-Za-z_$][\w$]*)+\Z|"
    rb"[A-Za-z_$]+(?:(?:\.|::)[A-Za-z_$]+)+\Z"
)
_ENVIRONMENT_NAME: Final = Pattern(rb"[A-Z]+(?:_[A-Z0-9]+)+\Z")
_PLAIN_PATH: Final = Pattern(rb"(?:~|\.{0,2})/[a-zA-Z_.-]*(?:/[a-zA-Z0-9_.-]*)*\Z")
_MEASURE: Final = Pattern(
    rb"[0-9]{1,9}(?:\.[0-9]+)+[a-z%]{0,3}\Z|[0-9]+(?:ms|us|ns|s|m|h|d|kb|mb|gb|k|%|px)\Z|v?[0-9]+(?:\.[0-9]+){1,3}\Z",
    re.IGNORECASE,
)
_DATE: Final = Pattern(rb"[12][0-9]{3}-[01][0-9]-[0-3][0-9]")
_CODE_NAME: Final = Pattern(rb"[A-Za-z_]*(?:_|[a-z][A-Z])[A-Za-z_]*\Z")
_WORD_ENDING: Final = Pattern(
    rb"(?:tions?|ments?|ness|[ai]ble|ing|i[sz]ed|ally|ity|[ae]nces?|ful|ies|ated|ators?|ively)\Z", re.IGNORECASE
)
_OPENER: Final = {b")": b"(", b"]": b"[", b"}": b"{"}


def is_opaque(value: bytes) -> bool:
    """Tell whether a value looks like a secret: no space, six or more characters, a digit or twelve or more characters.

    Placeholders, references and usual words are not.
    """
    if len(value) < _SHORTEST or b" " in value or (len(value) < _LONG_ENOUGH_WITHOUT_DIGIT and not has_digit(value)):
        return False
    return not is_reference(value) and value.lower() not in _USUAL


def is_reference(value: bytes) -> bool:
    """Tell whether a value only names or stands for something: a variable, a path, a URL, a call, a size, a date."""
    if _PLACEHOLDER.match(value) or _CALL.match(value) or _MEMBER.match(value) or _ENVIRONMENT_NAME.match(value):
        return True
    if b"://" in value or _MEASURE.match(value) or _DATE.match(value):
        return True
    return value[:1] in (b"/", b".", b"~") and _PLAIN_PATH.match(value) is not None


def is_placeholder(value: bytes) -> bool:
    """Tell whether a value is ``${NAME}``, ``<name>``, ``***`` or the like."""
    return _PLACEHOLDER.match(value) is not None


def is_code_name(value: bytes) -> bool:
    """Tell whether a value can be a name in source code: letters with an underscore or a hump."""
    return _CODE_NAME.match(value) is not None


def is_long_word(value: bytes) -> bool:
    """Tell whether a value of letters is an English word: "authentication", "unsuccessfully"."""
    return value.isalpha() and _WORD_ENDING.search(value) is not None


def is_usual(value: bytes) -> bool:
    """Tell whether a value is a word that is usual under secret keys: "required", "oauth2"."""
    return value.lower() in _USUAL


def has_digit(value: bytes) -> bool:
    """Tell whether a digit is among the characters."""
    return _DIGIT.search(value) is not None


def without_closers(value: bytes) -> bytes:
    """Drop sentence marks from the end, and brackets that were not opened in the value."""
    while value:
        last = value[-1:]
        if last not in b".,;:" and (last not in _OPENER or value.count(last) <= value.count(_OPENER[last])):
            break
        value = value[:-1]
    return value
