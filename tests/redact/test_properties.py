"""Redaction holds for any value: it never raises, keeps the shape, is idempotent, leaves the harmless alone."""

from __future__ import annotations

import json
import string

from hypothesis import given, settings
from hypothesis import strategies as st

from agent_trace_otel.redact import DEFAULT
from tests.redact.corpus import GITHUB, JWT, PASSWORD, SECRETS_IN_STRINGS, SECRETS_IN_STRUCTURES, pem

# text that is made of what the rules look at comes closer to their borders than random letters do
KEY = "PRIVATE KEY-----"
FRAGMENTS = st.sampled_from([
    "password", "token", "api_key", "Authorization", "Bearer ", "Basic ", "cookie", "=", ": ", ":", ", ", "'", '"',
    "\\", '\\"', "{", "}", "[", "]", "(", ")", "<", ">", "</password>", "|", " -u ", "--token ", "--password=", "://",
    "@", "bob:", "host", " is ", "\n", " ", "\\n", "%3D", "%22", "&quot;", "\x1b[31m", "\u2028", "\ud800", "é",
    "[REDACTED]", "[REDACTED:jwt]", "[REDACTED", "-----BEGIN RSA " + KEY, "-----END RSA " + KEY,
    "null", "true", "1234567", "marlin", "swordfish12", "login bob password ", "value=", "b'", "sig=", "?key=", GITHUB,
    JWT, PASSWORD, pem(), "x" * 20, "AKIA", "sk-", "curl ", "mysql -p", "name: token\nvalue: ",
])  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(FRAGMENTS, max_size=14).map("".join))
KEY_WORDS = ["password", "tokens", "use_auth", "PWD", "name", "value", "headers", "type", "key", GITHUB]
KEYS = st.one_of(st.text(max_size=12), st.sampled_from(KEY_WORDS))
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS, st.binary(max_size=40))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(KEYS, inner, max_size=4),
        st.tuples(inner, inner),
        st.lists(TEXTS, max_size=5),
    ),
    max_leaves=20,
)
MARKS = ("[REDACTED", b"[REDACTED")


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_text_redacted_twice_is_redacted_once(text: str) -> None:
    once = DEFAULT.text(text)
    assert DEFAULT.text(once) == once
    assert ":error]" not in once or ":error]" in text


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_value_keeps_its_shape(value: object) -> None:
    cleaned = DEFAULT.value(value)
    assert _same_shape(value, cleaned)
    assert DEFAULT.value(cleaned) == cleaned


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_value_without_findings_comes_back_as_the_same_object(value: object) -> None:
    cleaned = DEFAULT.value(value)
    assert (cleaned is value) == (not DEFAULT.findings(value))


@settings(max_examples=200, deadline=None)
@given(KEYS, VALUES)
def test_pair_never_raises_and_agrees_with_the_mapping(key: str, value: object) -> None:
    if key != GITHUB:
        assert {key: DEFAULT.pair(key, value)} == DEFAULT.value({key: value})


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=string.ascii_lowercase + " .,\n", max_size=300))
def test_words_are_never_changed(text: str) -> None:
    assert DEFAULT.text(text) is text


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["password", "a", "token", "n"]), st.recursive(
    st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(), st.booleans(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["secret", "b"]), inner, max_size=2)
    ),
    max_leaves=8,
)), st.booleans(), st.sampled_from([None, 2]))  # fmt: skip
def test_document_in_a_string_stays_a_document(value: object, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert _without_marks(json.loads(DEFAULT.text(text))) == _without_marks(DEFAULT.value(value))


def test_every_secret_of_the_corpus_is_idempotent() -> None:
    for text, _ in SECRETS_IN_STRINGS:
        once = DEFAULT.text(text)
        assert DEFAULT.text(once) is once
    for value, _ in SECRETS_IN_STRUCTURES:
        cleaned = DEFAULT.value(value)
        assert DEFAULT.value(cleaned) == cleaned


def _same_shape(old: object, new: object) -> bool:
    if isinstance(new, (str, bytes)) and MARKS[isinstance(new, bytes)] in new:  # type: ignore[operator]
        return True
    if type(old) is not type(new):
        return False
    if isinstance(old, dict) and isinstance(new, dict):
        return len(old) == len(new) and all(map(_same_shape, old.values(), new.values()))
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        return len(old) == len(new) and all(map(_same_shape, old, new))
    return old == new


def _without_marks(value: object) -> object:
    """Replace every withheld string, whatever was withheld of it, so that only the rest is compared."""
    if isinstance(value, str):
        return "withheld" if "[REDACTED" in value else value
    if isinstance(value, list):
        return [_without_marks(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_marks(item) for key, item in value.items()}
    return value
