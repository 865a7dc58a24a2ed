"""The words of a key in, a verdict out: is what stands under it secret? Called by `redactor`, `walk`, `pairs`, `forms`.

A key is judged by its words in any spelling (camelCase, kebab-case, snake_case, dotted, with a prefix such as ``DB_``),
never by an exact match: ``OPENAI_API_KEY``, ``x-api-key``, ``dbPassword`` and ``AuthToken`` are secret, ``max_tokens``,
``token_count`` and ``PRIVATE_KEY_PATH`` are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import Final


def _set(words_of_it: str) -> frozenset[str]:
    return frozenset(words_of_it.split())


_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_MOST_KEYS: Final = 4096
_LONGEST_KEY: Final = 200

_SECRET_WORDS: Final = _set(
    "password passwords passwd pwd pass passphrase passcode secret secrets token apikey apikeys credential "
    "credentials cred creds authorization auth cookie cookies bearer dsn jwt"
)
# one word that was written without a border: PGPASSWORD, authtoken, clientsecret
_SECRET_ENDINGS: Final = (
    "password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "secretkey", "privatekey", "authkey",
    "credential", "credentials", "sessionkey", "accountkey", "userpass", "dbpass", "sshpass", "pwd", "connectionstring",
)  # fmt: skip
_KEY_OWNERS: Final = _set(
    "api private access session secret account encryption decryption signing master service role shared ssh gpg pgp "
    "rsa license licence auth app application subscription storage deploy admin root ingest ingestion integration "
    "write hmac crypto security webhook functions openai anthropic claude gemini groq mistral cohere deepseek "
    "openrouter perplexity xai together fireworks replicate huggingface hf stripe sendgrid mailgun twilio azure aws "
    "gcp google github gitlab slack discord telegram datadog dd honeycomb newrelic relic splunk langsmith langfuse "
    "langchain pinecone supabase tavily serpapi serper elevenlabs resend cloudflare linear notion figma airtable "
    "algolia wandb exa firecrawl voyage jina"
)
_PAIRS: Final = frozenset(
    {("connection", "string"), ("connection", "strings"), ("conn", "string"), ("conn", "str"), ("honeycomb", "team"),
     ("github", "pat"), ("gitlab", "pat"), ("gh", "pat"), ("azure", "pat"), ("ado", "pat"), ("devops", "pat"),
     ("key", "data"), ("pass", "word"), ("pass", "phrase")}
)  # fmt: skip
# a last word that makes the key tell about the secret instead of holding it
_TELLS_ABOUT: Final = _set(
    "path paths file files filename filepath dir directory folder id ids name names type types count counts hash "
    "hashes algorithm algorithms algo policy policies url urls uri uris endpoint endpoints arn ref refs length len "
    "size limit limits usage budget quota expiry expires expiration expired ttl age lifetime format version versions "
    "status state method methods mode scheme schemes provider providers required enabled disabled supported valid "
    "invalid at date time timeout timestamp seconds minutes hours ms index idx position offset env var prefix suffix "
    "pattern regex description hint label title placeholder help message error errors strength rules rule user "
    "username email host port domain realm scope scopes audience issuer flow page changed updated created rotated "
    "rate price cost jar banner consent notice stdin kind source location details"
)
_COUNTING: Final = _set(
    "max min maximum minimum total num number count n input output prompt completion cached cache reasoning thinking "
    "used remaining per limit budget new audio text image usage context generated estimated avg average read write "
    "creation predicted prediction accepted rejected details left"
)
# tokens of a vocabulary or of paging: no credentials
_PLAIN_TOKENS: Final = _set(
    "max min total num count per eos bos pad unk sep cls mask stop special start end image audio video page next "
    "continuation pagination cursor first last prev previous"
)
_ASKING: Final = _set(
    "is has have use uses using require requires required needs need enable allow allows with no can should"
)


_DIRECTORY_KEYS: Final = (("pwd",), ("oldpwd",), ("old", "pwd"))


class Verdict(IntEnum):
    """What a key says of the value under it."""

    HARMLESS = 0
    SECRET = 1
    COUNTED = 2  # "tokens": numbers stay, text goes
    FLAG = 3  # "use_auth": booleans stay, anything else goes
    WORKING_DIRECTORY = 4  # "PWD": a path stays, anything else goes


class KeyWords:
    """Judges keys by their words and remembers the verdicts (bounded; safe to share between threads)."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        """Take further secret key words, each of one or more words in any spelling."""
        self.more = tuple(found for key in more if (found := words(key)))
        self._verdicts: dict[str, Verdict] = {}

    def verdict(self, key: str) -> Verdict:
        """Judge a key."""
        known = self._verdicts.get(key)
        if known is None:
            known = self._judge(key)
            if len(self._verdicts) >= _MOST_KEYS:
                self._verdicts.clear()
            self._verdicts[key] = known
        return known

    def _judge(self, key: str) -> Verdict:
        if len(key) > _LONGEST_KEY:
            return Verdict.HARMLESS
        found = words(key)
        if any(_contains(found, wanted) for wanted in self.more):
            return Verdict.SECRET
        # digits at the end only number the key: password2
        while found and found[-1].isdigit():
            found = found[:-1]
        if not found or found[-1] in _TELLS_ABOUT:
            return Verdict.HARMLESS
        if not _is_secret(found):
            return Verdict.COUNTED if "tokens" in found and not _COUNTING.intersection(found) else Verdict.HARMLESS
        if found in _DIRECTORY_KEYS:
            return Verdict.WORKING_DIRECTORY
        return Verdict.FLAG if found[0] in _ASKING else Verdict.SECRET


def words(key: str) -> tuple[str, ...]:
    """Split a key into its words, in lower case: ``"x-ApiKey2"`` gives ``("x", "api", "key", "2")``."""
    return tuple(word.lower() for word in _WORD.findall(key))


def _is_secret(found: tuple[str, ...]) -> bool:
    plain_token = not _PLAIN_TOKENS.isdisjoint(found)
    for at, word in enumerate(found):
        if word == "token" and plain_token:
            continue
        if word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS):
            return True
        if at:
            before = found[at - 1]
            if (word in ("key", "keys") and before in _KEY_OWNERS) or (before, word) in _PAIRS:
                return True
    return False


def _contains(found: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    width = len(wanted)
    return any(found[at : at + width] == wanted for at in range(len(found) - width + 1)) or "".join(wanted) in found
