"""Figures of a session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from session_folders import event, session_start, write_session

from agent_trace_otel.replay import stats
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session


def figures(tmp_path: Path, *lines: bytes) -> tuple[dict[str, Any], str]:
    session = Session(str(write_session(tmp_path, *lines)))
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        found = stats.figures(session, index)
    return found, "".join(stats.table(session, found, width=80, colour=False))


def test_tools_are_counted_and_timed(tmp_path: Path) -> None:
    lines = [session_start()]
    for number in range(1, 101):
        name = {"tool_name": "Bash"}
        lines.append(event("tool_call", number, name, event_id=f"c{number}"))
        kind = "error" if number % 10 == 0 else "tool_result"
        lines.append(event(kind, number, name, event_id=f"r{number}", parent_id=f"c{number}", duration_ms=number))
    lines.append(event("tool_call", 200, {"tool_name": "Read"}))
    found, text = figures(tmp_path, *lines)
    assert found["tools"] == [
        {"name": "Bash", "calls": 100, "errors": 10, "open": 0, "p50_ms": 50, "p95_ms": 95, "max_ms": 100}
        | {"total_ms": 5050},
        {"name": "Read", "calls": 1, "errors": 0, "open": 1, "p50_ms": None, "p95_ms": None, "max_ms": None}
        | {"total_ms": 0},
    ]
    assert found["session"]["tool_calls"] == 101
    assert found["session"]["state"] == "running"
    assert text.splitlines()[3:] == [
        "TOOL  CALLS ERRORS OPEN      P50      P95      MAX     TOTAL",
        "Bash    100     10          50ms     95ms    100ms     5.05s",
        "Read      1      0    1                                 <1ms",
    ]


def test_models_are_counted_with_their_tokens(tmp_path: Path) -> None:
    lines = [session_start()]
    for number, model in enumerate(["a", "b", "a"]):
        lines.append(event("llm_request", number, {"model": model}, event_id=f"c{number}"))
        data = {"total_tokens": 30, "input_tokens": 20, "output_tokens": 10}
        lines.append(event("llm_response", number + 0.5, data, event_id=f"r{number}", parent_id=f"c{number}"))
    lines.append(event("llm_response", 9, {"total_tokens": 5}))
    found, _ = figures(tmp_path, *lines)
    assert [
        (model["name"], model["calls"], model["input_tokens"], model["output_tokens"], model["total_tokens"])
        for model in found["models"]
    ] == [("a", 2, 40, 20, 60), ("b", 1, 20, 10, 30), ("?", 0, 0, 0, 5)]
    assert found["models"][0]["p50_ms"] == 500
    assert found["session"]["total_tokens"] == 95


def test_what_was_left_out_is_counted(tmp_path: Path) -> None:
    repeated = event("decision", 1, {"choice": "a"})
    found, _ = figures(tmp_path, session_start(), repeated, repeated, b"junk\n", b'{"event_type')
    assert found["skipped"] == {"torn": 1, "unreadable": 1, "repeated": 1}
    assert found["events"]["decision"] == 1


def test_percentiles_are_values_that_were_measured() -> None:
    assert [stats.percentile([1.0, 2.0, 3.0, 4.0], per_cent) for per_cent in (1, 50, 95, 100)] == [1, 2, 4, 4]
    assert stats.percentile([], 50) is None
