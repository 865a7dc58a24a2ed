"""agent-strace from PyPI reads what we write, and we read what it writes: same counts on both sides."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import packages
import pytest
from session_folders import agent_trace

pytestmark = pytest.mark.e2e

_HERE = Path(__file__).parent
_TERMINAL = re.compile(r"\x1b\[[0-9;]*m")
_EXPORTS = ("json", "csv", "ndjson", "otlp")


@pytest.fixture(scope="module", params=["0.4.0", "0.103.0"])
def agent_strace(request: pytest.FixtureRequest) -> Path:
    return packages.programs_of(f"agent-strace=={request.param}") / "agent-strace"


@pytest.fixture(scope="module")
def trace_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record the demo, every type of event with hostile values, and a session killed in a call."""
    directory = tmp_path_factory.mktemp("ours")
    environment = packages.plain_environment(
        AGENT_TRACE_DIR=str(directory / "traces"), PYTHONPATH=str(packages.REPOSITORY), XDG_CONFIG_HOME=str(directory)
    )
    hostile = [sys.executable, str(_HERE / "hostile_agent.py")]
    for command in ([sys.executable, "-m", "agent_trace_otel", "demo"], hostile):
        subprocess.run(command, env=environment, cwd=directory, check=True, capture_output=True)
    subprocess.run([*hostile, "killed"], env=environment, cwd=directory, check=False)
    return directory / "traces"


def _sessions(trace_dir: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(agent_trace("--trace-dir", str(trace_dir), "list", "--json").stdout)
    return listed


def _stats(trace_dir: Path, session_id: str) -> dict[str, Any]:
    done = agent_trace("--trace-dir", str(trace_dir), "stats", session_id, "--json")
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _run(program: Path, trace_dir: Path, cwd: Path, *arguments: str) -> str:
    """Return what agent-strace prints, colours taken out; it must succeed without a complaint."""
    done = subprocess.run(
        [str(program), "--trace-dir", str(trace_dir), *arguments],
        cwd=cwd,
        env=packages.plain_environment(HOME=str(cwd)),
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert not re.search("error|traceback|warning", done.stderr, re.IGNORECASE), done.stderr
    return _TERMINAL.sub("", done.stdout)


def test_the_recorded_sessions_are_what_the_program_did(trace_dir: Path) -> None:
    by_name = {session["agent_name"].split()[0]: session for session in _sessions(trace_dir)}
    assert set(by_name) == {"demo-agent", "hostile", "killed"}
    hostile = _stats(trace_dir, by_name["hostile"]["session_id"])
    assert hostile["skipped"] == {"torn": 0, "unreadable": 0, "repeated": 0}
    assert all(hostile["events"].values()), "one of the twelve types is missing"
    counted = {key: hostile["session"][key] for key in ("tool_calls", "llm_requests", "errors", "total_tokens")}
    assert counted == {"tool_calls": 4, "llm_requests": 2, "errors": 3, "total_tokens": 42}
    assert by_name["killed"]["state"] != "ended"
    assert by_name["killed"]["tool_calls"] == 1


def test_it_lists_our_sessions(agent_strace: Path, trace_dir: Path, tmp_path: Path) -> None:
    listed = _run(agent_strace, trace_dir, tmp_path, "list")
    ours = _sessions(trace_dir)
    assert f"{len(ours)} session(s)" in listed
    for session in ours:
        (row,) = [line for line in listed.splitlines() if session["session_id"] in line]
        if session["state"] == "ended":
            figures = [int(cell) for cell in row.split()[-3:]]
            assert figures == [session["tool_calls"], session["llm_requests"], session["errors"]]


def test_it_replays_our_sessions(agent_strace: Path, trace_dir: Path, tmp_path: Path) -> None:
    for session in _sessions(trace_dir):
        shown = _run(agent_strace, trace_dir, tmp_path, "replay", session["session_id"])
        found = Counter(re.findall(r"^\+ *[\dm.]+s +\S+ +(\w+)", shown, re.MULTILINE))
        events = _stats(trace_dir, session["session_id"])["events"]
        assert {name: found[name] for name in events} == events


def test_it_counts_our_sessions_as_we_do(agent_strace: Path, trace_dir: Path, tmp_path: Path) -> None:
    for session in _sessions(trace_dir):
        if session["state"] != "ended":
            continue  # it reads meta.json, which says no more than what was known when the process was killed
        figures = _stats(trace_dir, session["session_id"])
        shown = _run(agent_strace, trace_dir, tmp_path, "stats", session["session_id"])
        counted = {name: int(number) for name, number in re.findall(r"^  ([A-Z][\w ]+): +(\d+)$", shown, re.MULTILINE)}
        assert counted["Tool calls"] == figures["session"]["tool_calls"]
        assert counted["LLM reqs"] == figures["session"]["llm_requests"]
        assert counted["Errors"] == figures["session"]["errors"]
        calls = [int(number) for number in re.findall(r" (\d+)x(?:  avg|$)", shown, re.MULTILINE)]
        assert sorted(calls) == sorted(tool["calls"] for tool in figures["tools"])


@pytest.mark.parametrize("form", _EXPORTS)
def test_it_exports_our_sessions(agent_strace: Path, trace_dir: Path, tmp_path: Path, form: str) -> None:
    for session in _sessions(trace_dir):
        out = _run(agent_strace, trace_dir, tmp_path, "export", session["session_id"], "--format", form)
        events = {name: n for name, n in _stats(trace_dir, session["session_id"])["events"].items() if n}
        if form == "otlp":
            written = sorted(tmp_path.glob("trace-*.json"))  # 0.4.0 writes a file, 0.103.0 to stdout
            document = json.loads(written.pop().read_text() if written else out)
            assert document["resourceSpans"][0]["scopeSpans"][0]["spans"]
        else:
            assert Counter(_types(form, out)) == events


def _types(form: str, text: str) -> list[str]:
    if form == "csv":
        return [row["event_type"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    events = json.loads(text) if form == "json" else [json.loads(line) for line in text.split("\n") if line]
    return [event["event_type"] for event in events]


@pytest.fixture(scope="module")
def their_trace_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    python = packages.programs_of("agent-strace==0.4.0") / "python"
    directory = tmp_path_factory.mktemp("theirs")
    environment = packages.plain_environment(HOME=str(directory))
    subprocess.run([str(python), str(_HERE / "agent_strace_agent.py")], cwd=directory, env=environment, check=True)
    return directory / ".agent-traces"


@pytest.mark.parametrize(
    "command",
    ["list", "replay", "stats", "inspect", "export --format json", "export --format csv", "export --format ndjson"],
)
def test_we_read_its_sessions_without_a_complaint(their_trace_dir: Path, command: str) -> None:
    done = agent_trace("--trace-dir", str(their_trace_dir), *command.split())
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not done.stderr


def test_we_count_its_sessions_right(their_trace_dir: Path) -> None:
    (session,) = _sessions(their_trace_dir)
    counted = {key: session[key] for key in ("agent_name", "state", "tool_calls", "llm_requests", "errors")}
    assert counted == {
        "agent_name": "their agent",
        "state": "ended",
        "tool_calls": 3,
        "llm_requests": 1,
        "errors": 1,
    }
    figures = _stats(their_trace_dir, session["session_id"])
    assert {tool["name"]: (tool["calls"], tool["errors"]) for tool in figures["tools"]} == {
        "search": (2, 0),
        "Bash": (1, 1),
    }
    assert figures["events"]["decision"] == 1


def test_we_replay_its_sessions_with_calls_and_what_closed_them(their_trace_dir: Path) -> None:
    shown = agent_trace("--trace-dir", str(their_trace_dir), "replay").stdout
    steps = re.findall(r"^\+ *[\dm.]+s +\S+ (\w+)(?: (\w+))?", shown, re.MULTILINE)
    assert [kind for kind, _ in steps] == [
        "session_start",
        "tool_call",
        "tool_result",
        "tool_call",
        "tool_result",
        "tool_call",
        "error",
        "llm_request",
        "llm_response",
        "decision",
        "session_end",
    ]
    assert [tool for kind, tool in steps if kind == "error"] == ["Bash"]
