"""Frames: whatever a hook sends becomes an entry; nothing raises, no secret stays, no id is lost."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_trace_otel.capture.hooks import client
from agent_trace_otel.capture.hooks.intake import frames
from agent_trace_otel.capture.hooks.intake.cutting import MAX_DEPTH, fitted, flattened
from agent_trace_otel.redact import DEFAULT, Redactor

FIELDS = {b"v": b"0.1.0", b"id": b"41-1700", b"at": b"1700", b"event": b"PreToolUse", b"agent": b"codex"}


def entry(payload: bytes, redactor: Redactor | None = DEFAULT, **fields: bytes) -> tuple[frames.SessionKey, Any]:
    given = FIELDS | {name.replace("env_", "env.").encode(): value for name, value in fields.items()}
    return frames.entry_data(frames.parse(client.frame(given, payload)), redactor)


def test_a_frame_becomes_an_entry_of_its_session() -> None:
    payload = b'{"session_id":"s1","hook_event_name":"PreToolUse","tool_input":{"password":"hunter22"}}'
    assert entry(payload, env_PPID=b"7") == (
        ("codex", "s1"),
        {
            "kind": "hook",
            "at": 1700,
            "id": "41-1700",
            "event": "PreToolUse",
            "agent": "codex",
            "env": {"PPID": "7"},
            "payload": {
                "session_id": "s1",
                "hook_event_name": "PreToolUse",
                "tool_input": {"password": "[REDACTED]"},
            },
        },
    )


@pytest.mark.parametrize(
    ("payload", "raw"),
    [
        (b"", ""),
        (b"null", "null"),
        (b'["a"]', '["a"]'),
        (b'{"session_id": "s1", "tool', '{"session_id": "s1", "tool'),
        (b"password=hunter22 \xff", "password=[REDACTED] \ufffd"),
        (b"x" * 100_000, "x" * 2_000),
        (b'{"a":' + b"[" * 200_000, '{"a":' + "[" * 1_995),
    ],
)
def test_what_is_no_json_object_is_kept_as_the_beginning_of_its_text(payload: bytes, raw: str) -> None:
    key, data = entry(payload)
    assert (key, data["payload"], data["raw"]) == (("codex", "unknown"), None, raw)


def test_bytes_that_are_no_frame_are_all_payload_and_get_a_name_and_a_time() -> None:
    before = time.time_ns()
    key, data = frames.entry_data(frames.parse(b"GET / HTTP/1.1\r\n\r\n"), DEFAULT)
    assert (key, data["payload"], data["raw"]) == (("claude-code", "unknown"), None, "GET / HTTP/1.1\r\n\r\n")
    assert data["id"].startswith("unnamed-")
    assert data["at"] >= before


def test_what_is_not_utf8_is_replaced_in_values_and_kept_in_the_environment() -> None:
    key, data = entry(b'\xef\xbb\xbf{"session_id":"s","text":"a\xffb"}', env_CLAUDE_PROJECT_DIR=b"/caf\xe9")
    assert (key.session_id, data["payload"]["text"]) == ("s", "a\ufffdb")
    assert json.loads(json.dumps(data))["env"] == {"CLAUDE_PROJECT_DIR": "/caf\udce9"}


@pytest.mark.parametrize(
    ("payload", "session_id"),
    [
        ({"session_id": "../../etc"}, "../../etc"),
        ({"session_id": ""}, "unknown"),
        ({"session_id": 7}, "unknown"),
        ({"session_id": None, "conversation_id": "c"}, "c"),
        ({"session_id": "x" * 2_000}, "unknown"),
    ],
)
def test_the_session_is_what_the_payload_names_if_it_can_be_used(payload: object, session_id: str) -> None:
    assert entry(json.dumps(payload).encode())[0].session_id == session_id


@pytest.mark.parametrize("redactor", [DEFAULT, None])
@pytest.mark.parametrize("depth", [200, 900, 5_000, 100_000])
def test_deep_nesting_is_cut_and_what_stands_beside_it_stays(redactor: Redactor | None, depth: int) -> None:
    nested = b'{"a":' * depth + b"1" + b"}" * depth
    key, data = entry(b'{"tool_input":' + nested + b',"session_id":"s","tool_use_id":"t"}', redactor)
    assert (key.session_id, data["payload"]["tool_use_id"]) == ("s", "t")
    assert json.loads(json.dumps(data))["payload"]["tool_input"]["a"]["a"]


def test_brackets_in_strings_are_no_nesting() -> None:
    text = json.dumps({"a": '[[[["{{\\', "b": [{"c": "]"}]})
    assert flattened(text, 3) == text
    assert json.loads(flattened(text, 2)) == {"a": '[[[["{{\\', "b": ["… [cut: nested]"]}


def test_values_beyond_eight_megabytes_are_cut_where_they_are_large() -> None:
    payload = {
        "session_id": "s",
        "tool_response": {"stdout": "o" * 9_000_000, "code": 3, "stderr": "e" * 9_000_000},
        "lines": ["x" * 1_000] * 8_000,
        "tool_use_id": "toolu_1",
    }
    _, data = entry(json.dumps(payload).encode())
    kept = data["payload"]
    assert len(json.dumps(kept)) < 8_400_000
    assert (kept["session_id"], kept["tool_use_id"], kept["tool_response"]["code"]) == ("s", "toolu_1", 3)
    for name in ("stdout", "stderr"):
        head, _, mark = kept["tool_response"][name].partition("…")
        assert len(head) > 1_000_000
        assert mark == f" [cut: {9_000_000 - len(head)} characters]"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=40,
)


@given(json_values)
def test_flattening_leaves_shallow_json_as_it_is(value: object) -> None:
    text = json.dumps(value)
    assert json.loads(flattened(text, MAX_DEPTH)) == value


plain_values = st.recursive(
    st.none() | st.text("abc", max_size=2_000),
    lambda children: st.lists(children, max_size=50) | st.dictionaries(st.text("k", max_size=8), children),
    max_leaves=200,
)


@given(plain_values, st.integers(1_000, 5_000))
def test_fitting_keeps_what_fits_and_bounds_the_rest(value: object, limit: int) -> None:
    kept, size = fitted(value, limit), len(json.dumps(value))
    assert len(json.dumps(kept, ensure_ascii=False)) <= 3 * limit
    if size < limit / 4:
        assert kept == value


@given(st.binary(max_size=400))
def test_no_bytes_raise(data: bytes) -> None:
    for given_bytes in (data, client.MAGIC + data, client.frame(FIELDS, data), client.frame(FIELDS, b"{" + data)):
        for redactor in (DEFAULT, None):
            key, found = frames.entry_data(frames.parse(given_bytes), redactor)
            json.dumps(found)
            assert key.session_id


def test_secrets_of_the_environment_are_not_for_the_disk() -> None:
    env = {
        "AGENT_TRACE_OTLP_HEADERS": "x-key=planted-1",
        "AGENT_TRACE_OTLP_ENDPOINT": "https://user:planted-2@host.example/path?api_key=planted-3",
        "AGENT_TRACE_API_KEY": "planted-4-abcdefgh",
        "TRACEPARENT": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "CLAUDE_PROJECT_DIR": "/home/me/project",
        "PPID": "41",
    }
    public = frames.public_environment(env)
    assert "planted" not in str(public)
    assert public["AGENT_TRACE_OTLP_ENDPOINT"] == "https://host.example/path"
    assert {name: public[name] for name in ("TRACEPARENT", "CLAUDE_PROJECT_DIR", "PPID")} == {
        name: env[name] for name in ("TRACEPARENT", "CLAUDE_PROJECT_DIR", "PPID")
    }


@pytest.mark.parametrize(
    ("event", "opening"),
    [
        ("PreToolUse", True),
        ("preToolUse", True),
        ("pre-tool", True),
        ("session_start", True),
        ("BeforeTool", True),
        ("SubagentStart", True),
        ("PostToolUse", False),
        ("Stop", False),
        ("", False),
    ],
)
def test_the_payload_says_first_whether_an_entry_opens_something(event: str, opening: bool) -> None:
    assert frames.opens({"event": "x", "payload": {"hook_event_name": event}}) is opening
    assert frames.opens({"event": event, "payload": None}) is opening
