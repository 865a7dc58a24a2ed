"""Recall and false alarms on the corpora: all secrets go, nothing harmless goes."""

from __future__ import annotations

import json

import pytest

from agent_trace_otel.redact import DEFAULT
from agent_trace_otel.redact.shapes import AROUND, RULES, SHAPES, WEBHOOKS
from tests.redact.corpus import SECRETS_IN_STRINGS, SECRETS_IN_STRUCTURES, fill
from tests.redact.harmless import HARMLESS

EXAMPLES = [(rule.kind, rule.example) for rule in (*RULES, *AROUND, *SHAPES, *WEBHOOKS)]


@pytest.mark.parametrize(("kind", "example"), EXAMPLES, ids=[f"{kind}-{n}" for n, (kind, _) in enumerate(EXAMPLES)])
@pytest.mark.parametrize("around", ["{}", "it is {} here", '{{"x": "{}"}}', "a={}\nb", "\\n{}\\n", "see {}, please."])
def test_example_of_every_rule_is_withheld_as_its_kind(kind: str, example: str, around: str) -> None:
    secret = fill(example)
    cleaned = DEFAULT.text(around.format(secret))
    assert secret not in cleaned
    assert secret[-12:] not in cleaned
    assert "[REDACTED" in cleaned
    if around == "it is {} here":
        assert f":{kind}]" in cleaned


@pytest.mark.parametrize(("text", "secret"), SECRETS_IN_STRINGS, ids=range(len(SECRETS_IN_STRINGS)))
def test_secret_in_a_string_is_withheld(text: str, secret: str) -> None:
    cleaned = DEFAULT.text(text)
    assert "[REDACTED" in cleaned
    assert secret not in cleaned


@pytest.mark.parametrize(("value", "secret"), SECRETS_IN_STRUCTURES, ids=range(len(SECRETS_IN_STRUCTURES)))
def test_secret_in_a_structure_is_withheld(value: object, secret: str) -> None:
    cleaned = DEFAULT.value(value)
    assert "[REDACTED" in repr(cleaned)
    assert secret not in repr(cleaned)


@pytest.mark.parametrize("value", HARMLESS, ids=range(len(HARMLESS)))
def test_harmless_value_comes_back_as_the_same_object(value: object) -> None:
    assert DEFAULT.value(value) is value
    assert DEFAULT.value({"result": value}) == {"result": value}
    if not isinstance(value, (str, bytes, set)):
        text = json.dumps(value, default=str)
        assert DEFAULT.text(text) is text


def test_corpora_are_as_large_as_promised() -> None:
    assert len(SECRETS_IN_STRINGS) + len(EXAMPLES) >= 150
    assert len(SECRETS_IN_STRUCTURES) >= 80
    assert len(HARMLESS) >= 120
