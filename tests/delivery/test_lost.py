"""What a dead process left open is closed in the folder, once, and never while it lives."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from agent_trace_otel import process
from agent_trace_otel.delivery.lost import close_lost, seconds_until_lost
from agent_trace_otel.delivery.lost_story import NEVER
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session
from agent_trace_otel.store.spans_file import read_spans, requests_of

if TYPE_CHECKING:
    from pathlib import Path

TRACE, ROOT = "0af7651916cd43dd8448eb211c80319c", "00000000000000aa"


def event(event_type: str, at: float, span_id: str, parent: str = "", parent_id: str = "", **data: Any) -> str:
    stands = {"trace_id": TRACE, "span_id": span_id, **({"parent_span_id": parent} if parent else {})}
    whole = {"event_type": event_type, "timestamp": at, "event_id": span_id, "session_id": "dead"}
    if parent_id:
        whole |= {"parent_id": parent_id, "event_id": f"end of {span_id}"}
    return json.dumps({**whole, "data": {**data, **stands}}, separators=(",", ":")) + "\n"


def start(identity: dict[str, Any], at: float = 100.0, span_id: str = ROOT) -> str:
    return event("session_start", at, span_id, agent_name="agent", command=["run", "me"], **identity)


def dead(**facts: Any) -> dict[str, Any]:
    return {"pid": 2**22 + 1, "pid_start": "1", "boot_id": process.boot_id(), "host": socket.gethostname(), **facts}


def of(identity: process.ProcessIdentity) -> dict[str, Any]:
    return {name: getattr(identity, name) for name in ("pid", "pid_start", "boot_id", "host")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "dead"
    path.mkdir(mode=0o700)
    return path


def write(folder: Path, *lines: str, age: float = 60.0) -> None:
    with (folder / "events.ndjson").open("a") as file:
        file.writelines(lines)
    then = time.time() - age
    os.utime(folder / "events.ndjson", (then, then))


CALL = event("tool_call", 103.5, "00000000000000bb", ROOT, tool_name="Bash", arguments={"command": "sleep"})
MODEL = event("llm_request", 102.0, "00000000000000cc", ROOT, method="chat", model="m-1", message_count=1)


def test_calls_and_run_are_closed_at_the_last_sign_of_life(folder: Path) -> None:
    write(folder, start(dead()), MODEL, CALL)
    assert seconds_until_lost(folder) == 0.0
    assert close_lost(folder) == 3
    model, tool, root = read_spans(folder / "spans.jsonl")
    assert [span.name for span in (model, tool, root)] == ["chat m-1", "execute_tool Bash", "invoke_agent agent"]
    assert {span.end_time for span in (model, tool, root)} == {103_500_000_000}
    assert [span.start_time for span in (model, tool, root)] == [102_000_000_000, 103_500_000_000, 100_000_000_000]
    assert {span.attributes["agent_trace.outcome"] for span in (model, tool, root)} == {"lost"}
    assert {span.status.status_code.name for span in (model, tool, root)} == {"ERROR"}
    assert tool.parent.span_id == root.context.span_id == 0xAA
    assert tool.attributes["gen_ai.tool.call.arguments"] == '{"command": "sleep"}'
    assert root.attributes["process.command_args"] == ("run", "me")
    assert root.attributes["session.id"] == "dead"
    assert root.context.trace_flags.sampled


def test_readers_see_an_ended_session_whose_calls_were_lost(folder: Path) -> None:
    write(folder, start(dead()), CALL)
    close_lost(folder)
    session = Session(str(folder))
    assert (session.state, session.ended_at, session.duration_ms, session.errors) == ("ended", 103.5, 3500.0, 1)
    with SessionIndex(str(folder / "events.ndjson")) as index:
        assert index.open_calls() == 0
        assert [index.event_types[n] for n in index.order] == ["session_start", "tool_call", "error", "session_end"]
        assert index.data(2)["outcome"] == "lost"


def test_it_is_done_once(folder: Path) -> None:
    write(folder, start(dead()), CALL)
    close_lost(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert seconds_until_lost(folder) is None
    assert close_lost(folder, grace=0.0) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_after_a_kill_in_the_middle_the_rest_is_written(folder: Path) -> None:
    write(folder, start(dead()), MODEL, CALL)
    close_lost(folder)
    whole = (folder / "spans.jsonl").read_bytes(), (folder / "events.ndjson").read_bytes()
    for kept in range(4):
        spans, events = whole[0].splitlines(keepends=True), whole[1].splitlines(keepends=True)
        (folder / "spans.jsonl").write_bytes(b"".join(spans[:kept]))
        (folder / "events.ndjson").write_bytes(b"".join(events[:3]))
        assert close_lost(folder, grace=0.0) == 3 - kept
        assert ((folder / "spans.jsonl").read_bytes(), (folder / "events.ndjson").read_bytes()) == whole


def test_never_while_the_process_lives(folder: Path) -> None:
    write(folder, start(of(process.current())), CALL)
    assert seconds_until_lost(folder) == NEVER
    assert close_lost(folder) == 0


def test_a_pid_that_another_process_has_now_is_no_sign_of_life(folder: Path) -> None:
    write(folder, start({**of(process.current()), "pid_start": "1"}), CALL)
    assert close_lost(folder) == 2


def test_a_dead_run_is_not_closed_while_a_later_one_lives(folder: Path) -> None:
    write(folder, start(dead()), CALL, start(of(process.current()), 200.0, "00000000000000ab"))
    assert seconds_until_lost(folder) == NEVER


def test_what_was_written_just_now_is_waited_for(folder: Path) -> None:
    write(folder, start(dead()), CALL, age=0.0)
    wait = seconds_until_lost(folder)
    assert wait is not None
    assert 0 < wait <= 2
    assert close_lost(folder) == 0


@pytest.mark.parametrize("facts", [dead(host="elsewhere"), {}], ids=["another host", "no process named"])
def test_who_can_not_be_asked_is_given_a_day(folder: Path, facts: dict[str, Any]) -> None:
    write(folder, start(facts), CALL, age=23 * 3600.0)
    assert close_lost(folder) == 0
    os.utime(folder / "events.ndjson", (time.time() - 25 * 3600,) * 2)
    assert close_lost(folder) == 2


def test_a_run_that_died_before_another_ends_where_it_was_last_heard_of(folder: Path) -> None:
    second = "00000000000000ab"
    end_of_second = event("session_end", 300.0, second)
    write(folder, start(dead()), CALL, start(dead(), 200.0, second), end_of_second)
    (folder / "meta.json").write_text('{"session_id": "dead", "started_at": 100.0, "ended_at": 300.0}')
    assert close_lost(folder) == 2
    tool, root = read_spans(folder / "spans.jsonl")
    assert (tool.end_time, root.end_time, root.attributes["agent_trace.run"]) == (103_500_000_000, 103_500_000_000, 1)
    assert Session(str(folder)).ended_at == 300.0


def test_ids_that_are_none_close_nothing(folder: Path) -> None:
    write(folder, start(dead(), span_id="root"), event("tool_call", 101.0, "Z" * 16, tool_name="x", arguments={}))
    assert close_lost(folder) == 0


def test_agents_that_only_their_calls_know_are_made_up_for(folder: Path) -> None:
    helper = "00000000000000dd"
    done = event("tool_call", 101.0, "00000000000000ee", helper, tool_name="Read", arguments={}, agent="helper")
    end = event("tool_result", 101.5, "00000000000000ee", helper, parent_id="00000000000000ee", tool_name="Read")
    write(folder, start(dead()), done, end)
    line = {"traceId": TRACE, "spanId": "00000000000000ee", "parentSpanId": helper, "flags": 257, "name": "Read"}
    line |= {"kind": 1, "startTimeUnixNano": "101000000000", "endTimeUnixNano": "101500000000"}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "mine"}}]}
    scope = {"name": "agent_trace_otel", "version": "9"}
    request = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": [line]}]}]}
    (folder / "spans.jsonl").write_text(json.dumps(request, separators=(",", ":")) + "\n")
    os.utime(folder / "spans.jsonl", (1, 1))
    assert close_lost(folder) == 2
    read, made_up, root = read_spans(folder / "spans.jsonl")
    assert made_up.name == "invoke_agent helper"
    assert (made_up.start_time, made_up.end_time) == (read.start_time, read.end_time)
    assert made_up.parent.span_id == root.context.span_id
    assert {str(request["resourceSpans"][0]["resource"]) for request in requests_of(folder / "spans.jsonl")} == {
        str(resource)
    }
    assert root.instrumentation_scope.version == "9"


def test_a_parent_in_another_program_is_not_made_up(folder: Path) -> None:
    outside = "00000000000000ff"
    begun = event("session_start", 100.0, ROOT, outside, agent_name="agent", command=[], **dead())
    write(folder, begun, CALL)
    assert close_lost(folder) == 2
    root = list(read_spans(folder / "spans.jsonl"))[-1]
    assert root.parent.span_id == 0xFF
    assert root.parent.is_remote


def test_what_was_not_sampled_stays_so(folder: Path) -> None:
    line = {"traceId": TRACE, "spanId": "00000000000000ee", "parentSpanId": ROOT, "flags": 256, "name": "Read"}
    (folder / "spans.jsonl").write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [line]}]}]}) + "\n")
    os.utime(folder / "spans.jsonl", (1, 1))
    write(folder, start(dead()), CALL)
    close_lost(folder)
    assert not any(span.context.trace_flags.sampled for span in read_spans(folder / "spans.jsonl"))


def test_damaged_events_close_nothing_and_stop_nobody(folder: Path) -> None:
    torn = ['{"event_type":"tool_call","timestamp":1.0,"event_id":"x","session_id":"d","data":{}}\n', "nonsense\n", "{"]
    write(folder, start(dead()), *torn)
    assert close_lost(folder) == 1
    assert close_lost(folder, grace=0.0) == 0


def test_two_at_once_close_it_once(folder: Path) -> None:
    write(folder, start(dead()), MODEL, CALL)
    code = (
        "import sys, pathlib; from agent_trace_otel.delivery.lost import close_lost\n"
        "print(close_lost(pathlib.Path(sys.argv[1])))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert sorted(process.communicate()[0] for process in running) == ["0\n", "0\n", "3\n"]
    assert len(list(read_spans(folder / "spans.jsonl"))) == 3
