"""Hook payloads, frames and transcripts of any shape: nothing raises, and the session is told all the same."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hook_desk import Desk
from hostile import fuzzed, mutated, mutated_lines, texts, values
from hypothesis import given
from hypothesis import strategies as st
from recordings import Clients, Heard, Recording

from agent_trace_otel import guard
from agent_trace_otel.capture.hooks.dialects.registry import DIALECTS
from agent_trace_otel.capture.hooks.intake import frames
from agent_trace_otel.capture.hooks.transcript.reader import TranscriptReader
from agent_trace_otel.redact import DEFAULT
from agent_trace_otel.testing import recording

RECORDINGS = ("basic", "subagent", "denied", "compact", "mcp")
pytestmark = pytest.mark.usefixtures("no_waiting")


@fuzzed
@given(data=st.data())
@pytest.mark.parametrize("name", RECORDINGS)
def test_a_session_of_odd_payloads_is_told_to_its_end(name: str, data: st.DataObject, clients: Clients) -> None:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        with recording(home / "none", HOME=str(home)):
            played = Recording(name, home)
            odd = data.draw(st.sets(st.integers(0, len(played.heard) - 1), min_size=1, max_size=4))
            played.heard = [_odd(data, heard) if number in odd else heard for number, heard in enumerate(played.heard)]
            desk = Desk(home / "journals")
            desk.hear_all(played.play())
            assert not guard.failures


def _odd(data: st.DataObject, heard: Heard) -> Heard:
    kept = {name: heard.payload[name] for name in ("session_id", "hook_event_name")}
    found = data.draw(mutated(heard.payload))
    payload = {**(found if isinstance(found, dict) else {}), **kept}
    return replace(heard, payload=json.loads(json.dumps(payload), parse_constant=str))


@fuzzed
@given(payload=st.one_of(st.binary(), st.builds(lambda value: json.dumps(value).encode(), values)), head=st.binary())
def test_any_bytes_are_a_frame(payload: bytes, head: bytes) -> None:
    for given_bytes in (payload, head + b"\0\0" + payload, b"agent-trace" + head + payload):
        key, entry = frames.entry_data(frames.parse(given_bytes), DEFAULT)
        assert key.agent
        assert key.session_id
        json.dumps(entry)


@fuzzed
@given(event=texts, payload=st.dictionaries(texts, values, max_size=5), data=st.data())
@pytest.mark.parametrize("agent", sorted(DIALECTS))
def test_any_payload_of_any_agent_has_a_shape(
    agent: str, event: str, payload: dict[str, Any], data: st.DataObject
) -> None:
    known = {"session_id": "s", "tool_name": "shell", "tool_input": {"command": "ls"}, "tool_response": {"output": "x"}}
    for given_payload in (payload, {**known, **payload}, data.draw(mutated({**known, "toolArgs": "{}"}))):
        if isinstance(given_payload, dict):
            for shape in DIALECTS[agent].claude_shape(event, given_payload):
                assert isinstance(shape, dict)


@fuzzed
@given(data=st.data())
@pytest.mark.parametrize("name", RECORDINGS)
def test_any_transcript_can_be_read(name: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        Recording(name, home).write_until(1 << 63)
        path = data.draw(st.sampled_from(sorted(home.rglob("*.jsonl"))))
        path.write_bytes(data.draw(mutated_lines(path.read_bytes().splitlines())))
        reader = TranscriptReader(path)
        facts: list[Any] = []
        while found := reader.read():
            facts += found
        facts += reader.finish(closed=True)
        json.dumps(facts)
