"""What the redactor promises beside recall: the user's rules, findings, documents kept as written, a light import."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import OrderedDict, namedtuple

import pytest

from agent_trace_otel.redact import DEFAULT, Finding, Redactor
from tests.redact.corpus import GITHUB, JWT, PASSWORD

HEADER = "Bearer " + JWT


def test_kind_is_named_where_it_is_known() -> None:
    assert DEFAULT.text(f"use {GITHUB}") == "use [REDACTED:github]"
    assert DEFAULT.text(f"postgres://bob:{PASSWORD}@db/x") == "postgres://bob:[REDACTED:password]@db/x"
    assert DEFAULT.text(f"password={PASSWORD}") == "password=[REDACTED]"
    assert DEFAULT.text("Cookie: a=b; c=d") == "Cookie: [REDACTED:cookie]"


def test_only_the_secret_part_is_withheld() -> None:
    assert DEFAULT.text("curl -u bob:swordfish12 https://x") == "curl -u bob:[REDACTED:password] https://x"
    assert DEFAULT.text(f"Authorization: Bearer {GITHUB} and on") == "Authorization: Bearer [REDACTED:github] and on"
    assert DEFAULT.text("a=1&token=swordfish12&b=2") == "a=1&token=[REDACTED]&b=2"
    assert DEFAULT.text("f(user='bob', password='x y', n=1)") == "f(user='bob', password='[REDACTED]', n=1)"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ('{ "a" : 1.50e3,\t"password" : "x",\n "b": 1e9 }', '{ "a" : 1.50e3,\t"password" : "[REDACTED]",\n "b": 1e9 }'),
        ('{"b": 12345678901234567890, "pwd": 1}', '{"b": 12345678901234567890, "pwd": "[REDACTED]"}'),
        ('{"password": 12, "b": [1]}', '{"password": "[REDACTED]", "b": [1]}'),
        ('{"secret": {"a": [1, "]"]}, "b": 1}', '{"secret": "[REDACTED]", "b": 1}'),
        ('{"secret":[1,2],"b":1}', '{"secret":"[REDACTED]","b":1}'),
        ('{"password": true, "use_auth": true}', '{"password": "[REDACTED]", "use_auth": true}'),
        ('{"password": "a\\"b\\\\", "b": 1}', '{"password": "[REDACTED]", "b": 1}'),
        ('{"x": "{\\"password\\": 12}"}', '{"x": "{\\"password\\": \\"[REDACTED]\\"}"}'),
        ("{'password': 12, 'b': None}", "{'password': '[REDACTED]', 'b': None}"),
        ('{"password": "never clo', '{"password": "[REDACTED]'),
        ('{"password": null, "token": "", "secrets": []}', '{"password": null, "token": "", "secrets": []}'),
    ],
)  # fmt: skip
def test_document_keeps_its_text_but_for_the_secret(document: str, expected: str) -> None:
    assert DEFAULT.text(document) == expected


def test_containers_keep_their_types() -> None:
    point = namedtuple("point", "token x")  # noqa: PYI024 - untyped on purpose
    value = OrderedDict(a=point("marlin", [f"password={PASSWORD}"]), b=(f"{GITHUB}",), c={GITHUB}, d=b"pwd=swordfish12")
    cleaned = DEFAULT.value(value)
    assert cleaned == {
        "a": point("marlin", ["password=[REDACTED]"]),
        "b": ("[REDACTED:github]",),
        "c": {"[REDACTED:github]"},
        "d": b"pwd=[REDACTED]",
    }


def test_secret_keys_that_fall_together_stay_apart() -> None:
    other = GITHUB[::-1][:36] and "gh" + "p_" + GITHUB[:3:-1]
    assert DEFAULT.value({GITHUB: 1, other: 2}) == {"[REDACTED:github]": 1, "[REDACTED:github]'": 2}


def test_parameter_schema_is_no_secret_unless_it_brings_one() -> None:
    schema = {"password": {"type": "string", "description": "of the user"}}
    assert DEFAULT.value(schema) is schema
    assert DEFAULT.text(json.dumps(schema)) == json.dumps(schema)
    assert DEFAULT.value({"password": {"type": "string", "default": "marlin"}}) == {"password": "[REDACTED]"}


def test_pair_judges_the_key() -> None:
    assert DEFAULT.pair("http.request.header.authorization", ["Basic x"]) == "[REDACTED]"
    assert DEFAULT.pair("gen_ai.usage.input_tokens", 12) == 12
    assert DEFAULT.pair("input", f"password={PASSWORD}") == "password=[REDACTED]"


def test_users_key_words_hold_everywhere() -> None:
    redactor = Redactor(keys=["badge number", "pin"])
    assert redactor.value({"badgeNumber": 1, "PIN": 2, "pinned": 3}) == {
        "badgeNumber": "[REDACTED]",
        "PIN": "[REDACTED]",
        "pinned": 3,
    }
    assert redactor.text("badge_number=ab1234 pin: 123456") == "badge_number=[REDACTED] pin: [REDACTED]"
    assert redactor.text('{"badge-number": "x"}') == '{"badge-number": "[REDACTED]"}'
    assert redactor.pair("employee.badge_number", "x") == "[REDACTED]"


def test_users_patterns_are_withheld() -> None:
    redactor = Redactor(patterns=[r"EMP-\d{4}", re.compile(r"case (?P<secret>\w+)")])
    assert redactor.value({"a": "EMP-1234 in case blue"}) == {"a": "[REDACTED:pattern] in case [REDACTED:pattern]"}
    once = redactor.text("EMP-1234")
    assert redactor.text(once) is once


def test_allowed_values_stay() -> None:
    redactor = Redactor(allow=["swordfish12", re.compile(r"gh._\w+")])
    for value in ({"password": "swordfish12"}, f"use {GITHUB}", "password=swordfish12", ["--token", "swordfish12"]):
        assert redactor.value(value) is value
    assert redactor.text("password=swordfish123") == "password=[REDACTED]"


def test_users_function_comes_last_and_sees_no_secret() -> None:
    seen: list[str] = []

    def rule(text: str) -> str:
        seen.append(text)
        return text.replace("blue", "[colour]")

    redactor = Redactor(rule=rule)
    assert redactor.value(["blue", f"password={PASSWORD}", 1]) == ["[colour]", "password=[REDACTED]", 1]
    assert seen == ["blue", "password=[REDACTED]"]


@pytest.mark.parametrize("answer", [ValueError("boom"), None, 12])
def test_users_function_that_fails_withholds_the_value(answer: object) -> None:
    def rule(text: str) -> str:
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]

    assert Redactor(rule=rule).value({"a": ["text"]}) == {"a": ["[REDACTED:error]"]}


def test_pattern_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(re.error):
        Redactor(patterns=["("])


def test_findings_say_what_where_and_why() -> None:
    value = {
        "user": "bob",
        "password": "marlin",
        "args": ["-v", f"--url=postgres://bob:{PASSWORD}@db"],
        "log": {"a": f"see {GITHUB}"},
    }
    start = len("--url=postgres://bob:")
    assert DEFAULT.findings(value) == [
        Finding("key", "$.password", 0, 6),
        Finding("password", "$.args[1]", start, start + len(PASSWORD)),
        Finding("github", "$.log.a", 4, 4 + len(GITHUB)),
    ]
    assert DEFAULT.findings({"a": "nothing"}) == []


def test_value_that_breaks_every_rule_of_its_type_never_raises() -> None:
    class Bad(dict):  # type: ignore[type-arg]
        def items(self) -> object:  # type: ignore[override]
            message = "no"
            raise RuntimeError(message)

    assert DEFAULT.value([Bad(a=1)]) == "[REDACTED:error]"
    assert DEFAULT.pair("a", Bad(a=1)) == "[REDACTED:error]"
    assert DEFAULT.findings(Bad(a=1)) == [Finding("error", "$", 0, 0)]


def test_other_objects_pass_untouched() -> None:
    thing = object()
    assert DEFAULT.value(thing) is thing
    assert DEFAULT.value([thing, 1j]) == [thing, 1j]


def test_import_loads_the_standard_library_only() -> None:
    code = (
        "import sys; import agent_trace_otel.redact; "
        "print(sorted(m for m in sys.modules if m.partition('.')[0] not in sys.stdlib_module_names "
        "and not m.startswith(('agent_trace_otel.redact', '__main__', '_distutils_hack', '__editable__', '_virt'))))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "['agent_trace_otel']"
