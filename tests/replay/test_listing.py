"""The table of sessions, and which sessions are in it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from session_folders import START, agent_trace, event, gone, session_start, write_session

from agent_trace_otel.replay import listing
from agent_trace_otel.replay.terminal import columns_in

DATA = Path(__file__).parents[1] / "data" / "replay" / "folders"
HOSTILE = "\x1b]0;title\x07\x1b[31m\x1b]52;c;aGk=\x07\u202edesrever\u2066\x00\x9b31m\x7f\ud800\u2028\r\nend"
PROMPT = "Why do the tests fail? Find out and mend it, then tell me what was wrong and how you know."


def model_call(at: float, **data: Any) -> bytes:
    return event("llm_request", at, {"model": "m"}, event_id=f"c{at}") + event(
        "llm_response", at + 1, {"total_tokens": 9, **data}, event_id=f"r{at}", parent_id=f"c{at}"
    )


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Return a trace directory with an ended, a crashed and a running session."""
    known = {"agent_name": "claude-code", "tool_calls": 12, "llm_requests": 7, "errors": 1, "total_tokens": 123_456}
    lines = (
        session_start(gone()),
        event("user_prompt", 0.1, {"prompt": "<task-notification>", "source": "task_notification"}),
        event("user_prompt", 0.2, {"prompt": PROMPT}),
        model_call(1, cost_usd=0.01),
        event("session_end", 60, {"cost_usd": 0.0254}),
    )
    meta = {**known, "started_at": START, "ended_at": START + 62.5, "total_duration_ms": 62_500}
    write_session(tmp_path, *lines, meta=meta, session_id="a" * 36)
    lines = (session_start(gone()), model_call(1, cost_usd=1.25), event("tool_call", 3), event("error", 4))
    write_session(tmp_path, *lines, meta={"agent_name": "b", "started_at": START + 50}, session_id="b" * 36)
    write_session(tmp_path, session_start(), meta={"started_at": START + 90}, session_id="c" * 36)
    return tmp_path


def table(traces: Path, width: int) -> list[str]:
    sessions, _ = listing.sessions_newest_first(str(traces))
    for session in sessions:
        if session.state == "running":
            session.duration_ms = 10_000
    now = START + 100
    return "".join(listing.table(sessions, id_length=8, width=width, colour=False, now=now)).splitlines()


def test_at_80_columns_there_is_what_meta_json_says(traces: Path) -> None:
    assert table(traces, 80) == [
        "ID        AGENT         AGE  DURATION  CALLS   LLM ERRORS     TOKENS  STATE",
        "cccccccc  agent         10s     10.0s      0     0      0          0  running",
        "bbbbbbbb  b             50s     0.00s      1     1      1          9  crashed",
        "aaaaaaaa  claude-code    1m     1m02s     12     7      1     123456  ended",
    ]


def test_a_wide_terminal_shows_costs_and_first_prompts(traces: Path) -> None:
    assert table(traces, 107) == [
        "ID        AGENT         AGE  DURATION  CALLS   LLM ERRORS     TOKENS     COST  STATE    PROMPT",
        "cccccccc  agent         10s     10.0s      0     0      0          0           running",
        "bbbbbbbb  b             50s     0.00s      1     1      1          9    $1.25  crashed",
        "aaaaaaaa  claude-code    1m     1m02s     12     7      1     123456  $0.0254  ended    Why do the tests f…",
    ]


def test_a_narrow_terminal_leaves_columns_out(traces: Path) -> None:
    assert table(traces, 55) == [
        "ID        AGENT         AGE  DURATION ERRORS  STATE",
        "cccccccc  agent         10s     10.0s      0  running",
        "bbbbbbbb  b             50s     0.00s      1  crashed",
        "aaaaaaaa  claude-code    1m     1m02s      1  ended",
    ]


@pytest.mark.parametrize("width", [40, 45, 60, 76, 80, 90, 99, 104, 105, 130, 200])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, width: int) -> None:
    for number, text in enumerate((HOSTILE * 9, "字" * 90, "e\u0301" * 90, "plain " * 90)):
        lines = (session_start(gone(), agent_name=text), event("user_prompt", 1, {"prompt": text}))
        write_session(tmp_path, *lines, session_id=f"{number}{'-' * 20}")
    lines = table(tmp_path, width)
    assert max(map(columns_in, lines)) <= width
    assert not [letter for line in lines for letter in line if not letter.isprintable()]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("claude_compact", (0.016264, "Please do the test. SCENARIO:one_bash")),
        ("claude_subagent", (0.033186, "Please do the test. SCENARIO:subagent")),
    ],
)
def test_recorded_sessions_tell_their_cost_and_prompt(name: str, told: tuple[float, str]) -> None:
    sessions, _ = listing.sessions_newest_first(str(DATA / name))
    cost, prompt = listing.told_in_timeline(sessions[0])
    assert (cost, prompt) == (pytest.approx(told[0]), told[1])


def test_a_timeline_that_cannot_be_read_tells_nothing(traces: Path) -> None:
    sessions, _ = listing.sessions_newest_first(str(traces))
    (Path(sessions[-1].folder) / "events.ndjson").unlink()
    assert listing.told_in_timeline(sessions[-1]) == (None, None)


@pytest.mark.parametrize(
    "lines",
    [
        (b"", b"\n"),
        (b'{"event_type":"user_prompt"}\n',),
        (b'{"event_type":"user_prompt","data":7}\n', b'{"event_type":"llm_response","data":{"cost_usd":"1"}}\n'),
        (b'{"event_type":"user_prompt","data":{"prompt":"torn',),
        (b'{"event_type":"session_end","data":[{"cost_usd":1}]}\n', b"\xff\xfe\x00", b"[" * 9000),
    ],
)
def test_odd_timelines_do_no_harm(tmp_path: Path, lines: tuple[bytes, ...]) -> None:
    write_session(tmp_path, *lines, meta={"started_at": START, "ended_at": START + 1, "llm_requests": 1})
    cost, prompt = listing.told_in_timeline(listing.sessions_newest_first(str(tmp_path))[0][0])
    assert (cost, prompt or None) == (None, None)


def test_json_holds_costs_and_first_prompts(traces: Path) -> None:
    rows = json.loads(agent_trace("--trace-dir", str(traces), "list", "--json").stdout)
    assert [(row["session_id"][0], row["cost_usd"], row["first_prompt"]) for row in rows] == [
        ("c", None, None),
        ("b", 1.25, None),
        ("a", 0.0254, PROMPT),
    ]


def test_list_writes_nothing(traces: Path) -> None:
    before = {path: path.read_bytes() for path in sorted(traces.rglob("*")) if path.is_file()}
    agent_trace("--trace-dir", str(traces), "list", "--json")
    assert {path: path.read_bytes() for path in sorted(traces.rglob("*")) if path.is_file()} == before


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("1h", "c"),
        ("90m", "c"),
        ("3d", "cb"),
        ("2w", "cb"),
        ("99999w", "cba"),
        ("2026-03-15", "cba"),
        ("2026-03-16T00:00:00Z", "cb"),
        ("2999-01-01", ""),
    ],
)
def test_since_takes_durations_and_dates(tmp_path: Path, given: str, shown: str) -> None:
    now = time.time()
    for name, started in (("a", 1_773_604_800.0), ("b", now - 2 * 86_400), ("c", now - 60)):  # a: 2026-03-15 20:00 UTC
        write_session(tmp_path, meta={"started_at": started, "ended_at": started + 1}, session_id=name)
    done = agent_trace("--trace-dir", str(tmp_path), "list", "--since", given, env={"TZ": "UTC"})
    assert "".join(line[0] for line in done.stdout.splitlines()[1:]) == shown
    assert done.returncode == 0
    if not shown:
        assert done.stderr == f"agent-trace: no sessions since {given} in {tmp_path}\n"


@pytest.mark.parametrize("given", ["", "h", "2x", "-2h", "2.5h", "yesterday", "2026-02-30", "9" * 400 + "h", "1e3d"])
def test_since_that_is_no_time_is_wrong_usage(tmp_path: Path, given: str) -> None:
    done = agent_trace("--trace-dir", str(tmp_path), "list", f"--since={given}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "is neither a duration (30m, 2h, 3d, 1w) nor a date" in done.stderr
