"""The command line, in processes of its own: what it prints, where, and its exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from session_folders import (
    RECORDED,
    SESSION_ID,
    START,
    agent_trace,
    event,
    gone,
    loaded_by_argparse,
    recorded_folder,
    session_start,
    write_session,
)

import agent_trace_otel

CLAUDE_LIKE = "201da364-edd6-49d5-8f1e-3f5b2a9c7d10"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A directory whose .agent-traces holds a recorded session."""
    recorded_folder("claude_like", tmp_path)
    return tmp_path


def test_version_and_help_go_to_stdout() -> None:
    assert agent_trace("--version").stdout == f"agent-trace {agent_trace_otel.__version__}\n"
    for command in ([], ["list"], ["replay"], ["stats"], ["inspect"], ["export"], ["demo"]):
        shown = agent_trace(*command, "--help")
        assert (shown.returncode, shown.stderr) == (0, "")
        assert shown.stdout.startswith("usage: agent-trace")


def test_replay_without_an_id_shows_the_newest_session_found_upwards(recorded: Path) -> None:
    below = recorded / "src" / "deep"
    below.mkdir(parents=True)
    shown = agent_trace("replay", cwd=below)
    golden = (RECORDED / "claude_like.txt").read_text(encoding="utf-8")
    assert (shown.returncode, shown.stderr, shown.stdout) == (0, "", golden)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--filter", "user_prompt,assistant_response"], ["user_prompt", "assistant_response"]),
        (["--tool", "Gl*"], ["tool_call", "tool_result"]),
        (["--errors"], ["error"]),
        (["--grep", "75 .* passing"], ["assistant_response"]),
        (["--live", "--speed", "100000x", "--max-idle", "1s", "--errors"], ["error"]),
    ],
)
def test_replay_shows_what_was_asked_for(recorded: Path, arguments: list[str], shown: list[str]) -> None:
    done = agent_trace("replay", "201d", *arguments, cwd=recorded)
    assert done.returncode == 0
    assert re.findall(r"^\+ *[\dm.]+s \S (\w+)", done.stdout, re.MULTILINE) == shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["repaly"], "repaly"),
        (["replay", "--nonsense"], "--nonsense"),
        (["replay", "--filter", "tool_cal"], "did you mean tool_call?"),
        (["replay", "--grep", "("], "no regular expression"),
        (["replay", "--speed", "2"], "need --live"),
        (["replay", "--live", "--speed", "0"], "--speed: '0' is no number above 0"),
        (["replay", "--live", "--max-idle", "nan"], "--max-idle: 'nan' is no number above 0"),
        (["export", "--format", "xml"], "xml"),
        (["export", "--endpoint", "http://localhost:4318"], "--endpoint needs --format otlp"),
    ],
)
def test_wrong_usage_is_said_and_exits_2(recorded: Path, arguments: list[str], said: str) -> None:
    done = agent_trace(*arguments, cwd=recorded)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["replay", "stats", "inspect", "export"])
def test_what_cannot_be_found_is_said_in_one_line_and_exits_1(recorded: Path, command: str) -> None:
    write_session(recorded / ".agent-traces", session_start(), meta={}, session_id="201dother")
    for arguments, said in (
        ([command, "zzz"], "no session 'zzz' among the 2 in"),
        ([command, "201d"], f"'201d' is ambiguous: {CLAUDE_LIKE}, 201dother"),
    ):
        done = agent_trace(*arguments, cwd=recorded)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert said in done.stderr


def test_no_traces_is_one_line_that_says_where_was_looked(tmp_path: Path) -> None:
    for command in ("list", "replay", "stats", "inspect", "export"):
        done = agent_trace("--trace-dir", str(tmp_path / "nothing"), command)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert str(tmp_path / "nothing") in done.stderr


def test_list_shows_the_newest_first_and_what_became_of_each(recorded: Path) -> None:
    traces = recorded / ".agent-traces"
    write_session(
        traces, session_start(gone()), event("tool_call", 1), meta={"started_at": START + 5}, session_id="dead"
    )
    write_session(traces, session_start(), meta={"agent_name": "b", "started_at": START + 9}, session_id="alive")
    done = agent_trace("list", cwd=recorded)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["ID", "AGENT", "AGE", "DURATION", "CALLS", "LLM", "ERRORS", "TOKENS", "STATE"]
    assert [(row[0], row[1], row[-1]) for row in rows[1:]] == [
        ("alive", "b", "running"),
        ("dead", "agent", "crashed"),
        ("201da364", "claude-code", "ended"),
    ]
    assert rows[3][3:] == ["1m53s", "8", "0", "3", "0", "ended"]
    sessions = json.loads(agent_trace("list", "--json", cwd=recorded).stdout)
    assert [session["tool_calls"] for session in sessions] == [0, 1, 8]
    with_errors = json.loads(agent_trace("list", "--json", "--errors", cwd=recorded).stdout)
    assert [session["session_id"] for session in with_errors] == [CLAUDE_LIKE]


def test_ids_in_the_list_are_long_enough_to_paste(tmp_path: Path) -> None:
    for name in ("aaaaaaaaaa1", "aaaaaaaaaa2", "b"):
        write_session(tmp_path, session_start(), meta={"started_at": START, "errors": 1}, session_id=name)
    shown = [line.split()[0] for line in agent_trace("--trace-dir", str(tmp_path), "list").stdout.splitlines()[1:]]
    assert sorted(shown) == ["aaaaaaaaaa1", "aaaaaaaaaa2", "b"]
    for prefix in shown:
        assert agent_trace("--trace-dir", str(tmp_path), "stats", prefix).returncode == 0


def test_an_empty_trace_directory_is_no_error(tmp_path: Path) -> None:
    done = agent_trace("--trace-dir", str(tmp_path), "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"agent-trace: no sessions in {tmp_path}\n"
    assert agent_trace("--trace-dir", str(tmp_path), "list", "--json").stdout == "[]\n"


def test_a_killed_session_is_told_whole(tmp_path: Path) -> None:
    lines = (session_start(dead := gone()), event("tool_call", 1, {"tool_name": "Bash"}), b'{"event_type":"tool_res')
    write_session(tmp_path, *lines, meta={"started_at": START})
    done = agent_trace("--trace-dir", str(tmp_path), "replay")
    assert done.returncode == 0
    assert "  State:      crashed (process " in done.stdout
    assert "+  1.00s → tool_call Bash (still open)\n" in done.stdout
    assert done.stdout.endswith(f"… crashed (process {dead.pid} is gone), 1 call still open\n")
    assert done.stderr == "agent-trace: left out the last line, which is torn\n"


def test_a_broken_folder_is_read_and_everything_odd_is_said(tmp_path: Path) -> None:
    repeated = event("decision", 1, {"choice": "a"})
    write_session(tmp_path, event("session_start", 0), b"\xff\n", repeated, repeated, event("new_type", 2), meta="{")
    for command in ("replay", "stats", "inspect", "export"):
        done = agent_trace("--trace-dir", str(tmp_path), command)
        assert done.returncode == 0
        assert done.stderr.splitlines() == [
            "agent-trace: meta.json is broken: counted from events.ndjson instead",
            "agent-trace: left out 1 unreadable line",
            "agent-trace: left out 1 event written twice",
            "agent-trace: 1 event of unknown type: new_type",
        ]


def test_a_session_with_nothing_in_it_is_shown_as_that(tmp_path: Path) -> None:
    (tmp_path / SESSION_ID).mkdir()
    done = agent_trace("--trace-dir", str(tmp_path), "replay")
    assert done.returncode == 0
    assert "  Tool calls: 0\n" in done.stdout


def test_a_directory_that_cannot_be_written_can_be_read(recorded: Path) -> None:
    traces = recorded / ".agent-traces"
    write_session(traces, session_start(gone()), event("tool_call", 1), meta={"started_at": START}, session_id="dead")
    directories = [traces, *traces.iterdir()]
    for directory in directories:
        directory.chmod(0o500)
    before = sorted(traces.rglob("*"))
    for command in ("list", "replay", "stats", "inspect", "export"):
        assert agent_trace(command, cwd=recorded).returncode == 0
    assert sorted(traces.rglob("*")) == before
    for directory in directories:
        directory.chmod(0o700)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    write_session(tmp_path / "traces", session_start(), meta={})
    (tmp_path / "traces").chmod(0)
    done = agent_trace("--trace-dir", str(tmp_path / "traces"), "list")
    (tmp_path / "traces").chmod(0o700)
    assert (done.returncode, done.stderr) == (1, f"agent-trace: can't read {tmp_path}/traces: Permission denied\n")


def test_export_writes_to_a_file(recorded: Path) -> None:
    for name in ("json", "csv", "ndjson"):
        done = agent_trace("export", "201d", "--format", name, "-o", f"out.{name}", cwd=recorded)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        to_stdout = agent_trace("export", "201d", "--format", name, cwd=recorded).stdout
        assert (recorded / f"out.{name}").read_text(encoding="utf-8") == to_stdout
    assert len(json.loads((recorded / "out.json").read_text())) == 6
    done = agent_trace("export", "201d", "-o", "no/such/dir", cwd=recorded)
    assert (done.returncode, done.stderr) == (1, "agent-trace: no/such/dir: No such file or directory\n")


def test_stats_and_inspect_speak_json(recorded: Path) -> None:
    assert json.loads(agent_trace("stats", "--json", cwd=recorded).stdout)["session"]["errors"] == 3
    assert len(json.loads(agent_trace("inspect", "201d", cwd=recorded).stdout)["events"]) == 6


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    write_session(tmp_path, *(event("user_prompt", n, {"prompt": "x" * 60}) for n in range(20_000)), meta={})
    for command in ("replay", "export", "inspect"):
        process = subprocess.Popen(
            [sys.executable, "-m", "agent_trace_otel", "--trace-dir", str(tmp_path), command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        with process.stderr as stderr:
            assert (process.wait(), stderr.read()) == (0, b"")


def test_an_interrupted_live_replay_ends_quietly(recorded: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "agent_trace_otel", "replay", "--live", "--max-idle", "60"],
        cwd=recorded,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    while b"user_prompt" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == b""
    assert process.returncode == 130


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_of_stdout_will_do(recorded: Path, encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "agent_trace_otel", "replay"],
        cwd=recorded,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"tool_call Glob" in done.stdout


def terminal_output(arguments: list[str], cwd: Path, **env: str) -> str:
    """Return what a command writes to a terminal."""
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "TERM")}
    process = subprocess.Popen(
        [sys.executable, "-m", "agent_trace_otel", *arguments],
        cwd=cwd,
        env={"TERM": "xterm", **kept, **env},
        stdout=theirs,
        stdin=subprocess.DEVNULL,
    )
    os.close(theirs)
    written = b""
    while select.select([ours], [], [], 20)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux: EIO, once the other side is closed
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert process.wait() == 0
    return written.decode()


def test_a_terminal_gets_colour_unless_told_otherwise(recorded: Path) -> None:
    assert "\x1b[1m\x1b[36m→ tool_call\x1b[0m Glob" in terminal_output(["replay"], recorded)
    for plain in (
        terminal_output(["replay", "--no-color"], recorded),
        terminal_output(["replay"], recorded, NO_COLOR="1"),
        terminal_output(["list"], recorded, TERM="dumb"),
    ):
        assert "\x1b" not in plain


def test_readers_load_neither_opentelemetry_nor_asyncio(recorded: Path) -> None:
    heavy = {"opentelemetry", "asyncio", "dataclasses", "shutil", "requests"} - loaded_by_argparse()
    script = (
        "import sys; from agent_trace_otel.cli import main; main(sys.argv[1:]);"
        f"print([m for m in {sorted(heavy)} if m in sys.modules])"
    )
    for arguments in (["replay"], ["list"], ["stats"], ["inspect"], ["export"]):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], cwd=recorded, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]"


def test_a_selection_that_takes_nothing_says_so(recorded: Path) -> None:
    shown = agent_trace("replay", "--tool", "Nope", cwd=recorded)
    assert (shown.returncode, shown.stderr) == (
        0,
        "agent-trace: no event matches; agent-trace stats names the tools there are\n",
    )
