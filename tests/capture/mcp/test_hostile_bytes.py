"""Any bytes between client and server: nothing raises, each call is closed once, chunk borders change nothing."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hostile import fuzzed, mutated, mutated_lines, values
from hypothesis import given
from hypothesis import strategies as st
from talk import Talk

from agent_trace_otel import guard
from agent_trace_otel.capture.mcp import copies
from agent_trace_otel.capture.mcp.copies import FROM_CLIENT, FROM_SERVER
from agent_trace_otel.testing import recording

ASKED: list[dict[str, Any]] = [
    {"id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "clientInfo": {"name": "c"}}},
    {"method": "notifications/initialized"},
    {"id": 1, "method": "tools/call", "params": {"name": "add", "arguments": {"a": 1}, "_meta": {"progressToken": 1}}},
    {"id": "1", "method": "resources/read", "params": {"uri": "file:///etc/hosts"}},
    {"id": 2, "method": "tools/call", "params": {"name": "slow", "arguments": {}}},
    {"method": "notifications/cancelled", "params": {"requestId": 2, "reason": "enough"}},
    {"id": 7, "result": {"role": "assistant", "content": {"type": "text", "text": "yes"}, "model": "m"}},
    {"id": 3, "method": "tools/call", "params": {"name": "add", "arguments": {}, "requestState": "s"}},
]
ANSWERED: list[dict[str, Any]] = [
    {"id": 0, "result": {"protocolVersion": "2025-06-18", "serverInfo": {"name": "s", "version": "1"}}},
    {"method": "notifications/progress", "params": {"progressToken": 1, "progress": 0.5}},
    {"id": 1, "result": {"content": [{"type": "text", "text": "1"}], "isError": False}},
    {"id": 7, "method": "sampling/createMessage", "params": {"messages": [{"role": "user", "content": {}}]}},
    {"id": "1", "error": {"code": -32002, "message": "no such resource", "data": {"uri": "file:///etc/hosts"}}},
    {"id": 3, "result": {"resultType": "input_required", "requestState": "s", "content": []}},
]

OPENING = ("tool_call", "llm_request", "file_read")


def _lines(messages: list[dict[str, Any]]) -> list[bytes]:
    return [json.dumps({"jsonrpc": "2.0", **message}).encode() for message in messages]


@fuzzed
@given(
    asked=mutated_lines(_lines(ASKED)),
    answered=mutated_lines(_lines(ANSWERED)),
    cuts=st.lists(st.integers(0, 1500), max_size=12),
)
def test_a_conversation_of_odd_lines_is_told_whatever_its_chunks(
    asked: bytes, answered: bytes, cuts: list[int]
) -> None:
    told: list[Any] = []
    for where in ([], sorted(cuts)):
        with tempfile.TemporaryDirectory() as directory, recording(Path(directory)) as recorded:
            talk = Talk(recorded.trace_dir)
            for direction, said in ((FROM_CLIENT, asked), (FROM_SERVER, answered)):
                for begin, end in zip([0, *where], [*where, len(said)], strict=True):
                    talk.copy(copies.DATA, direction, said[begin:end])
            talk.ends()
            assert not guard.failures
            events = recorded.events()
            opened = {event.event_id: event.event_type for event in events if event.event_type in OPENING}
            closed = [event.parent_id for event in events if event.parent_id]
            assert len(set(closed)) == len(closed)
            calls = {event_id for event_id, kind in opened.items() if kind != "file_read"}  # that ends with its line
            assert calls <= set(closed) <= set(opened)
            spans = recorded.spans()
            told.append(
                sorted((span.name, _attributes(span.attributes), span.status.status_code.name) for span in spans)
            )
    assert told[0] == told[1]


def _attributes(found: Any) -> str:
    """Return what does not differ from one session to the next."""
    own = ("session.id", "gen_ai.conversation.id", "agent_trace.key")
    return repr(sorted((name, value) for name, value in found.items() if name not in own and "process" not in name))


FACTS = {
    "session": "s",
    "protocol": "2026-07-28",
    "status": 200,
    "content_type": "text/event-stream",
    "content_encoding": "gzip",
    "key": "k",
    "http_version": "1.1",
    "server_port": 80,
}


def _event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


@fuzzed
@given(
    facts=st.lists(mutated(FACTS), max_size=4),
    body=st.one_of(st.binary(max_size=200), st.builds(_event, values)),
    kinds=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1), st.integers(1, 3)), max_size=12),
)
def test_any_order_of_any_copies_is_taken(facts: list[Any], body: bytes, kinds: list[tuple[int, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory, recording(Path(directory)) as recorded:
        talk = Talk(recorded.trace_dir, transport="tcp")
        told = [json.dumps(fact).encode() for fact in facts] or [b"{}"]
        for number, (kind, direction, connection) in enumerate(kinds):
            told_now = body if kind == copies.DATA else told[number % len(told)]
            talk.copy(kind, direction, bytes(8) if kind == copies.LOST else told_now, connection)
        talk.ends()
        assert not guard.failures
        assert recorded.events()[-1].event_type == "session_end"
