"""The tally that keeps meta.json right: exact, from any offset on."""

from __future__ import annotations

from pathlib import Path

import pytest
from session_folders import event

from agent_trace_otel.store.tally import Tally, tally

LINES = [
    event("session_start", 0),
    event("tool_call", 1, {"tool_name": "Bash", "arguments": {"command": '{"event_type":"error",'}}),
    event("tool_result", 2, {"tool_name": "Bash", "result": '\n{"event_type":"tool_call",'}),
    event("llm_request", 3, {"model": "m"}),
    event("llm_response", 4, {"content_preview": '"total_tokens":999', "total_tokens": 12}),
    event("error", 5, {"tool_name": "Bash", "message": "boom"}),
    event("decision", 6, {"choice": "a"}),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


def test_counts_what_meta_json_counts(path: Path) -> None:
    path.write_bytes(b"".join(LINES))
    assert tally(path) == Tally(1, 1, 1, 12, path.stat().st_size)


def test_an_empty_file_counts_nothing(path: Path) -> None:
    path.write_bytes(b"")
    assert tally(path) == Tally()


def test_a_missing_file_is_an_error_of_its_own(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tally(path)


def test_going_on_from_every_byte_that_a_writer_may_have_reached_adds_up(path: Path) -> None:
    whole = b"".join(LINES)
    for written in range(len(whole) + 1):
        path.write_bytes(whole[:written])
        first = tally(path)
        path.write_bytes(whole)
        rest = tally(path, first.offset)
        added = (first.tool_calls + rest.tool_calls, first.llm_requests + rest.llm_requests)
        assert added == (1, 1), written
        assert (first.errors + rest.errors, first.total_tokens + rest.total_tokens) == (1, 12), written
        assert rest.offset == len(whole)


def test_a_torn_line_that_a_writer_went_on_after_counts_nothing(path: Path) -> None:
    path.write_bytes(LINES[1][:60] + b"\n" + LINES[1])
    assert tally(path).tool_calls == 1


def test_a_whole_last_line_counts_without_its_newline_and_only_once(path: Path) -> None:
    path.write_bytes(LINES[1].rstrip(b"\n"))
    first = tally(path)
    assert first.tool_calls == 1
    path.write_bytes(LINES[1].rstrip(b"\n") + b"\n" + LINES[5])
    assert tally(path, first.offset) == Tally(errors=1, offset=path.stat().st_size)


def test_lines_of_another_key_order_are_counted_too(path: Path) -> None:
    path.write_bytes(b'{ "timestamp": 1, "event_type": "tool_call", "data": {} }\n{"data":{"total_tokens":5},')
    with path.open("ab") as file:
        file.write(b'"event_type":"llm_response","timestamp":2}\n')
    assert tally(path) == Tally(tool_calls=1, total_tokens=5, offset=path.stat().st_size)


@pytest.mark.parametrize(
    "line", [b"\n", b"\xff\xfe\n", b"[1,2]\n", b"null\n", b"{}\n", b"}}\n", b"[" * 100_000 + b"\n"]
)
def test_lines_that_are_no_events_are_passed_over(path: Path, line: bytes) -> None:
    path.write_bytes(LINES[1] + line + LINES[5])
    assert tally(path) == Tally(tool_calls=1, errors=1, offset=path.stat().st_size)


@pytest.mark.parametrize("tokens", ["true", "NaN", "1e999", '"7"', "-3", "null"])
def test_tokens_that_are_no_count_are_none(path: Path, tokens: str) -> None:
    path.write_text(f'{{"event_type":"llm_response","timestamp":1,"data":{{"total_tokens":{tokens}}}}}\n')
    assert tally(path).total_tokens == 0
