"""Hooks in an agent's settings, and values in our config file: set and taken out without a change of anything else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_trace_otel.capture.hooks.setup import settings
from agent_trace_otel.capture.hooks.setup.agents import CLAUDE_CODE, Agent
from agent_trace_otel.capture.hooks.setup.json_text import with_member, without_member
from agent_trace_otel.capture.hooks.setup.toml_text import with_values
from agent_trace_otel.errors import SettingsError

SMALL = Agent(
    name="small",
    title="Small",
    events={"PreToolUse": 5, "SessionEnd": 10},
    files={"project": ".small/settings.json"},
    handler=CLAUDE_CODE.handler,
)
FLAT = Agent(
    name="flat",
    title="Flat",
    events={"preToolUse": 5},
    files={"project": ".flat/hooks.json"},
    handler=lambda command, seconds: {"bash": command, "timeoutSec": seconds},
    is_grouped=False,
    top={"version": 1},
)

KEPT_BY_HAND = """{
    "permissions": { "allow": ["Bash(git:*)", "Read"],   "deny": [] },
    "model": "größer",
    "hooks": {
        "PreToolUse": [
            {
                "matcher": "Bash",
                "hooks": [
                    {
                        "type": "command",
                        "command": "lint ü"
                    }
                ]
            }
        ],
        "Stop": [ {"hooks": [{"type": "command", "command": "say done"}]} ]
    },
    "env": {"N": 1.50, "big": 12345678901234567890}
}
"""
WITH_OURS = """{
    "permissions": { "allow": ["Bash(git:*)", "Read"],   "deny": [] },
    "model": "größer",
    "hooks": {
        "PreToolUse": [
            {
                "matcher": "Bash",
                "hooks": [
                    {
                        "type": "command",
                        "command": "lint ü"
                    }
                ]
            },
            {
                "hooks": [
                    {
                        "type": "command",
                        "command": "agent-trace hook PreToolUse || exit 0",
                        "timeout": 5
                    }
                ]
            }
        ],
        "Stop": [ {"hooks": [{"type": "command", "command": "say done"}]} ],
        "SessionEnd": [
            {
                "hooks": [
                    {
                        "type": "command",
                        "command": "agent-trace hook SessionEnd || exit 0",
                        "timeout": 10
                    }
                ]
            }
        ]
    },
    "env": {"N": 1.50, "big": 12345678901234567890}
}
"""


def command(event: str) -> str:
    return f"agent-trace hook {event} || exit 0"


def test_what_is_there_keeps_its_place_and_form() -> None:
    assert settings.with_hooks(KEPT_BY_HAND, SMALL, command) == WITH_OURS
    assert settings.with_hooks(WITH_OURS, SMALL, command) == WITH_OURS
    assert settings.without_hooks(WITH_OURS, SMALL) == KEPT_BY_HAND


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{}\n",
        '{"a": 1}',
        '{\n\t"a": [1,\n2]\n}',
        '{\r\n  "a": "x"\r\n}\r\n',
        ' {\n "hooks": {\n  "Stop": []\n }\n}',
        '{"hooks": {"Other": [{"hooks": [{"command": "x"}], "matcher": "*"}]}, "z": {}}',
        '{"a": 1, "a": {"b": "}"}, "\\u0061\\"{": "\\\\"}',
    ],
)
def test_there_and_back_again(text: str) -> None:
    merged = settings.with_hooks(text, SMALL, command)
    assert settings.holds_ours(merged)
    assert settings.with_hooks(merged, SMALL, command) == merged
    assert settings.without_hooks(merged, SMALL) == text
    assert settings.without_hooks(text, SMALL) == text
    assert ("\r\n" in text) == ("\r\n" in merged)
    assert "\n" not in merged.replace("\r\n", "") or "\r\n" not in merged


def test_entries_of_a_form_that_nobody_knows_stay() -> None:
    odd = [1, None, {"hooks": 3}, {"hooks": [4, {"command": 5}]}]
    merged = settings.with_hooks(json.dumps({"hooks": {"PreToolUse": odd, "Stop": 1}}), SMALL, command)
    assert json.loads(merged)["hooks"]["PreToolUse"][:4] == odd
    assert json.loads(settings.without_hooks(merged, SMALL)) == {"hooks": {"PreToolUse": odd, "Stop": 1}}


@pytest.mark.parametrize(
    "older",
    [
        "agent-trace hook PreToolUse",
        "agent-trace hook pre-tool || exit 0",
        "/opt/venv/bin/agent-trace hook PreToolUse",
        "'/a b/bin/agent-trace-otel' hook PreToolUse || true",
        "/usr/bin/python3 -I -S /home/me/.local/share/agent-trace/hook.py PreToolUse || exit 0",
        r'"C:\Py\python.exe" -I -S "C:\Users\me\agent-trace\hook.py" PreToolUse || exit 0',
        "python -m agent_trace_otel hook PreToolUse",
    ],
)
def test_an_older_form_of_ours_is_replaced_where_it_stands(older: str) -> None:
    def document(ours: str, *rest: object) -> dict[str, object]:
        handler = {"type": "command", "command": ours, "timeout": 5}
        entries = [{"hooks": [{"command": "first"}, handler, {"command": "last"}], "matcher": "Bash"}, *rest]
        return {"hooks": {"PreToolUse": entries}}

    twice = {"hooks": [{"type": "command", "command": older}]}
    merged = json.loads(settings.with_hooks(json.dumps(document(older, twice)), SMALL, command))
    del merged["hooks"]["SessionEnd"]
    assert merged == document(command("PreToolUse"))


@pytest.mark.parametrize(
    "theirs",
    [
        "agent-strace hook pre-tool",
        "my-agent-trace hook x",
        "agent-trace list",
        "echo agent-trace",
        "/x/other-agent-trace/hook.py",
        "agent-trace-hooks run",
    ],
)
def test_what_only_looks_like_ours_stays(theirs: str) -> None:
    text = json.dumps({"hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": theirs}]}]}})
    assert settings.without_hooks(text, SMALL) == text
    assert not settings.holds_ours(text)
    assert settings.of_agent_strace(text) == [theirs] * theirs.startswith("agent-strace")


def test_an_event_that_we_no_longer_register_is_taken_out() -> None:
    entries = json.dumps([{"hooks": [{"type": "command", "command": command("FileChanged")}]}])
    merged = json.loads(settings.with_hooks(f'{{"hooks": {{"FileChanged": {entries}, "Stop": []}}}}', SMALL, command))
    assert list(merged["hooks"]) == ["Stop", "PreToolUse", "SessionEnd"]


def test_flat_entries_and_what_stands_beside_them() -> None:
    text = '{\n  "hooks": {\n    "preToolUse": [\n      {\n        "bash": "lint"\n      }\n    ]\n  }\n}\n'
    merged = settings.with_hooks(text, FLAT, command)
    ours = {"bash": command("preToolUse"), "timeoutSec": 5}
    assert json.loads(merged) == {"hooks": {"preToolUse": [{"bash": "lint"}, ours]}, "version": 1}
    assert settings.with_hooks(merged, FLAT, command) == merged
    assert json.loads(settings.without_hooks(merged, FLAT))["hooks"] == {"preToolUse": [{"bash": "lint"}]}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "not a JSON object"),
        ("nul", "no JSON"),
        ('{"a": 1,}', "no JSON"),
        ("// comment\n{}", "no JSON"),
        ("\ufeff{}", "no JSON"),
        ("[" * 100_000, "JSON of absurd depth"),
        ('{"hooks": []}', "its hooks are no JSON object"),
        ('{"hooks": {"PreToolUse": {}}}', "hooks.PreToolUse is no list"),
    ],
)
def test_what_can_not_be_merged_is_refused(text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        settings.with_hooks(text, SMALL, command)
    assert not settings.holds_ours(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(st.text(max_size=3), json_values, max_size=4),
    st.lists(st.text(max_size=3), min_size=1, max_size=3),
    json_values,
    st.sampled_from([None, 1, "\t"]),
)
def test_setting_a_member_of_any_document(
    document: dict[str, object], path: list[str], value: object, indent: int | str | None
) -> None:
    wanted = json.loads(json.dumps(document))
    inner = wanted
    for key in path[:-1]:
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict):
            return
    inner[path[-1]] = value
    text = json.dumps(document, indent=indent)
    changed = with_member(text, path, value)
    assert json.loads(changed) == wanted
    assert list(json.loads(changed)) == list(wanted)
    del inner[path[-1]]
    assert json.loads(without_member(changed, path)) == wanted


OURS: dict[tuple[str, ...], str | bool | dict[str, str]] = {
    ("redact",): False,
    ("service_name",): 'say "hé"',
    ("otlp", "endpoint"): "https://otlp.example:4318",
    ("otlp", "headers"): {"DD-API-KEY": "k#1=2", "x.y": "z"},
}
OURS_ALONE = """redact = false
service_name = "say \\"hé\\""

[otlp]
endpoint = "https://otlp.example:4318"
headers = { "DD-API-KEY" = "k#1=2", "x.y" = "z" }
"""
BY_HAND = """# mine
trace_dir = "/t"   # here
redact = true # for now

# send it there
[otlp] # a table
headers = { a = "}" } # old
# the end of it

[redaction]
keys = [
  "badge",   # number
]
"""
BY_HAND_CHANGED = """# mine
trace_dir = "/t"   # here
redact = false # for now
service_name = "say \\"hé\\""

# send it there
[otlp] # a table
headers = { "DD-API-KEY" = "k#1=2", "x.y" = "z" } # old
endpoint = "https://otlp.example:4318"
# the end of it

[redaction]
keys = [
  "badge",   # number
]
"""


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", OURS_ALONE),
        (BY_HAND, BY_HAND_CHANGED),
        ("# only this", OURS_ALONE.replace("\n\n", "\n\n# only this\n\n")),
        ("[otlp.headers]\na = 'b'\n[z]\ny = 1\n", OURS_ALONE.replace("\n\n", "\n\n[z]\ny = 1\n\n")),
    ],
)
def test_values_of_the_config_file(text: str, changed: str) -> None:
    assert with_values(text, OURS) == changed
    assert with_values(changed, OURS) == changed


@pytest.mark.parametrize("text", ["a = ", 'otlp = "x"', 'otlp.endpoint = "x"', 'redact = """\n"""', "[[otlp]]\n"])
def test_a_config_file_that_can_not_be_changed_safely_is_left_alone(text: str) -> None:
    with pytest.raises(SettingsError):
        with_values(text, OURS)


def test_half_a_surrogate_pair_stays_escaped_where_an_event_is_written_anew() -> None:
    handler = {"type": "command", "command": "echo \ud83d \u00e4"}
    text = json.dumps({"hooks": {"SessionEnd": [{"hooks": [handler]}]}})
    merged = settings.with_hooks(text, SMALL, "agent-trace hook {}".format)
    assert merged.encode("utf-8").count(b"\\ud83d \xc3\xa4") == 1
    assert json.loads(merged)["hooks"]["SessionEnd"][0]["hooks"] == [handler]


def test_what_is_put_into_a_line_takes_no_indent_from_what_was_put_there_before() -> None:
    once = with_member('{"a": {"b": 1}}', ["a", "b"], {"c": 1})
    assert with_member(once, ["a", "b"], {"c": 1}) == once
