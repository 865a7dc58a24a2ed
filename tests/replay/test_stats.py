"""Figures of a session."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hook_desk import Desk
from recordings import Clients, Recording
from session_folders import event, session_start, write_session

from agent_trace_otel import process
from agent_trace_otel.capture.hooks.sessions import hook_session, transcripts
from agent_trace_otel.replay import stats, stats_table
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session, find_session
from agent_trace_otel.testing import recording

needs_prices = pytest.mark.skipif(
    importlib.util.find_spec("genai_prices") is None, reason="the extra `cost` is not installed"
)


def figures(tmp_path: Path, *lines: bytes) -> tuple[dict[str, Any], str]:
    session = Session(str(write_session(tmp_path, *lines)))
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        found = stats.figures(session, index)
    return found, "".join(stats_table.lines(session, found, width=80, colour=False))


def model_call(at: float, asked: str = "m", **data: Any) -> list[bytes]:
    opening = event("llm_request", at, {"model": asked}, event_id=f"c{at}")
    return [opening, event("llm_response", at + 0.5, data, event_id=f"r{at}", parent_id=f"c{at}")]


def test_tools_are_counted_and_timed(tmp_path: Path) -> None:
    lines = [session_start()]
    for number in range(1, 101):
        name = {"tool_name": "Bash", "arguments": {"command": f"echo {number}"}}
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
    assert text.splitlines()[-3:] == [
        "TOOL  CALLS ERRORS OPEN      P50      P95      MAX     TOTAL",
        "Bash    100     10          50ms     95ms    100ms     5.05s",
        "Read      1      0    1                                 <1ms",
    ]


def test_models_are_counted_with_their_tokens(tmp_path: Path) -> None:
    lines = [session_start()]
    for number, model in enumerate(["a", "b", "a"]):
        lines += model_call(
            number,
            model,
            total_tokens=30,
            input_tokens=20,
            output_tokens=10,
            cached_tokens=8,
            cache_write_tokens=4,
            reasoning_tokens=5,
        )
    lines.append(event("llm_response", 9, {"total_tokens": 5}))
    found, _ = figures(tmp_path, *lines)
    names = ("calls", "input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    assert [(row["name"], *(row[name] for name in names), row["total_tokens"]) for row in found["models"]] == [
        ("a", 2, 40, 16, 8, 20, 10, 60),
        ("b", 1, 20, 8, 4, 10, 5, 30),
        ("?", 0, 0, 0, 0, 0, 0, 5),
    ]
    assert found["models"][0]["p50_ms"] == 500
    assert found["session"]["total_tokens"] == 95


def test_a_request_that_does_not_name_its_model_is_told_by_its_response(tmp_path: Path) -> None:
    found, _ = figures(tmp_path, session_start(), *model_call(1, "", model="m-2", total_tokens=1))
    assert [row["name"] for row in found["models"]] == ["m-2"]


def test_what_the_recorder_says_that_calls_cost_is_summed(tmp_path: Path) -> None:
    lines = [session_start()]
    for at in range(3):
        lines += model_call(at, total_tokens=7, input_tokens=5, output_tokens=2, cost_usd=0.1)
    lines.append(event("session_end", 9, {"cost_usd": 0.35}))
    found, text = figures(tmp_path, *lines)
    assert found["models"][0]["cost_usd"] == 0.3
    assert found["cost"] == {
        "session_usd": 0.35,
        "calls_usd": 0.3,
        "unexplained_usd": 0.05,
        "unpriced_calls": 0,
    }
    assert "$0.3500 by the agent's own count, $0.0500 of it in no call\n" in text


def test_of_a_run_that_never_said_what_it_cost_nothing_is_called_unexplained(tmp_path: Path) -> None:
    end = event("session_end", 2, {"cost_usd": 0.5})
    call = model_call(1, total_tokens=7, input_tokens=5, output_tokens=2, cost_usd=0.1)
    found, _ = figures(tmp_path, session_start(), *call, end, event("session_start", 3, {"command": []}))
    assert (found["cost"]["session_usd"], found["cost"]["unexplained_usd"]) == (0.5, None)


@needs_prices
def test_calls_without_a_recorded_cost_are_priced_and_what_has_no_price_is_said(tmp_path: Path) -> None:
    usage = {"total_tokens": 1100, "input_tokens": 1000, "output_tokens": 100}
    found, text = figures(
        tmp_path,
        session_start(),
        *model_call(1, "claude-haiku-4-5", model="claude-haiku-4-5", provider="anthropic", **usage),
        *model_call(2, "of-my-own", model="of-my-own", provider="anthropic", **usage),
        *model_call(3, "of-my-own", model="of-my-own", provider="anthropic", **usage),
    )
    assert [(row["name"], row["cost_usd"], row["unpriced_calls"]) for row in found["models"]] == [
        ("of-my-own", None, 2),
        ("claude-haiku-4-5", 0.0015, 0),
    ]
    assert found["cost"]["calls_usd"] == 0.0015
    assert "no price is known of of-my-own (2 calls)\n" in text


def test_what_was_left_out_is_counted(tmp_path: Path) -> None:
    repeated = event("decision", 1, {"choice": "a"})
    found, _ = figures(tmp_path, session_start(), repeated, repeated, b"junk\n", b'{"event_type')
    assert found["skipped"] == {"torn": 1, "unreadable": 1, "repeated": 1}
    assert found["events"]["decision"] == 1


def test_an_empty_session_has_empty_figures(tmp_path: Path) -> None:
    found, text = figures(tmp_path)
    assert [found[name] for name in ("tools", "models", "files", "retries", "loops")] == [[]] * 5
    assert len(text.splitlines()) == 2


def test_percentiles_are_values_that_were_measured() -> None:
    assert [stats.percentile([1.0, 2.0, 3.0, 4.0], per_cent) for per_cent in (1, 50, 95, 100)] == [1, 2, 4, 4]
    assert stats.percentile([], 50) is None


@needs_prices
@pytest.mark.parametrize(
    ("name", "figures_of_cost"),
    [
        ("subagent", (0.033186, 0.033186, 0.0)),
        ("resume", (0.008038, 0.008038, 0.0)),  # two runs
        ("compact", (0.016264, 0.01078, 0.005484)),  # no transcript shows the call that compacts
    ],
)
def test_a_recorded_session_costs_what_its_client_says(
    name: str, figures_of_cost: tuple[float, float, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = Clients()
    monkeypatch.setattr(process, "start_of", clients.start_of)
    for where, names in (
        (hook_session, ("_SETTLE_SECONDS", "_END_SECONDS", "_FIRST_EVENT_SECONDS")),
        (transcripts, ("_NOTE_SECONDS",)),
    ):
        for seconds in names:
            monkeypatch.setattr(where, seconds, 0.0)
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        played = Recording(name, tmp_path)
        desk = Desk(tmp_path / "journals")
        desk.hear_all(played.play())
        clients.are_alive = False
        desk.settle()
    session = find_session(str(played.store))
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        found = stats.figures(session, index)["cost"]
    told = (found["session_usd"], found["calls_usd"], found["unexplained_usd"])
    assert told == pytest.approx(figures_of_cost)
