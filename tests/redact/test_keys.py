"""A key is secret by its words, in any spelling, and not by what only looks like one."""

from __future__ import annotations

import pytest

from agent_trace_otel.redact.keys import KeyWords, Verdict, words

KEYS = KeyWords()


STEMS = ["password", "client secret", "access token", "api key", "private key", "session key", "auth", "credentials"]


@pytest.mark.parametrize("stem", STEMS)
def test_spelling_does_not_matter(stem: str) -> None:
    parts = stem.split()
    camel = parts[0] + "".join(part.title() for part in parts[1:])
    snake, kebab = "_".join(parts), "-".join(parts)
    spellings = [snake, kebab, ".".join(parts), camel, camel[0].upper() + camel[1:], stem.upper()]
    surrounded = ["DB_" + snake.upper(), "x-" + kebab, "app." + snake, snake + "_2", "new_" + snake]
    for key in (*spellings, *surrounded):
        assert KEYS.verdict(key) is Verdict.SECRET, key


@pytest.mark.parametrize("key", [
    "max_tokens", "maxTokens", "token_count", "total_tokens", "tokenizer", "token_type", "TokenUrl", "eos_token",
    "next_page_token", "nextPageToken", "PRIVATE_KEY_PATH", "ssh_key_file", "secret_name", "secretRef", "key_id",
    "api_key_id", "password_hash", "passwordPolicy", "auth_type", "auth_url", "credentials_dir", "cookie_count",
    "author", "authority", "keyboard", "key", "keys", "primary_key", "public_key", "monkey", "passed", "compass",
    "bypass_cache", "tokenize", "secretary", "input_tokens", "gen_ai.usage.output_tokens", "session.id", "", "123",
    "é",
])  # fmt: skip
def test_key_that_only_tells_about_a_secret_is_harmless(key: str) -> None:
    assert KEYS.verdict(key) is Verdict.HARMLESS


def test_special_verdicts() -> None:
    assert KEYS.verdict("tokens") is Verdict.COUNTED
    assert KEYS.verdict("use_auth") is Verdict.FLAG
    assert KEYS.verdict("PWD") is Verdict.WORKING_DIRECTORY
    assert KEYS.verdict("DB_PWD") is Verdict.SECRET


def test_words_of_a_key() -> None:
    assert words("x-OpenAIApiKey_2") == ("x", "open", "ai", "api", "key", "2")


def test_users_words_are_found_in_any_spelling() -> None:
    keys = KeyWords(["Badge Number", "pin"])
    assert keys.verdict("employeeBadgeNumber") is Verdict.SECRET
    assert keys.verdict("badgenumber") is Verdict.SECRET
    assert keys.verdict("spin") is Verdict.HARMLESS
