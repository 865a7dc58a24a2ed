"""`agent-trace import` as a process: what it says, where sessions go, what it sends, how it exits."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from recordings import Recording
from session_folders import agent_trace
from test_cli_otlp import Receiver

from agent_trace_otel.testing import Recorded

RESUMED = "364b1744-59c6-4471-baff-96dbb92201c9"
WHOLE = f"{RESUMED} 2 turns, 1 tool call, 3 model calls\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home directory with one session of Claude Code, whose project is there."""
    (tmp_path / "project").mkdir()
    Recording("resume", tmp_path).write_until(1 << 63)
    return tmp_path


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def run(home: Path, *arguments: str, **env: str) -> tuple[int, str, list[str]]:
    done = agent_trace(*arguments, cwd=home, env={"HOME": str(home), "XDG_CONFIG_HOME": str(home), **env})
    return done.returncode, done.stdout, done.stderr.splitlines()


def transcript(home: Path) -> Path:
    return next((home / ".claude").rglob("*.jsonl"))


def test_all_that_the_client_keeps_goes_to_the_projects_own_folders(home: Path) -> None:
    code, out, err = run(home, "import", "--discover")
    store = home / "project" / ".agent-traces"
    assert (code, out, err) == (0, WHOLE, [f"agent-trace: sessions go to {store}"])
    assert Recorded(store).sessions() == [RESUMED]
    assert run(home, "import", "--discover")[:2] == (0, f"{RESUMED} nothing new\n")
    code, out, _ = run(home / "project", "list")
    assert (code, "364b1744" in out) == (0, True)


def test_where_sessions_go_can_be_said(home: Path) -> None:
    path = str(transcript(home))
    assert run(home, "--trace-dir", "named", "import", path)[2] == [f"agent-trace: sessions go to {home}/named"]
    assert run(home, "import", path, AGENT_TRACE_DIR="env")[2] == [f"agent-trace: sessions go to {home}/env"]
    shutil.rmtree(home / "project")
    assert run(home, "import", path)[2] == [f"agent-trace: sessions go to {home}/.agent-traces"]
    assert not (home / "project").exists()


def test_a_dry_run_writes_nothing(home: Path) -> None:
    before = sorted(home.rglob("*"))
    code, out, err = run(home, "import", str(home / ".claude" / "projects"), "--dry-run")
    assert (code, out) == (0, WHOLE.replace("\n", "; would be added\n"))
    assert err == [f"agent-trace: sessions would go to {home}/project/.agent-traces"]
    assert sorted(home.rglob("*")) == before


def test_broken_files_are_said_and_the_others_imported(home: Path) -> None:
    (home / "empty.jsonl").touch()
    (home / "foreign.jsonl").write_text('{"some": "thing"}\n')
    paths = [str(home / "empty.jsonl"), str(home / "foreign.jsonl"), str(home / "none.jsonl")]
    problems = [
        f"agent-trace: {home}/empty.jsonl: no transcript: it is empty",
        f"agent-trace: {home}/foreign.jsonl: no transcript of Claude Code",
        f"agent-trace: {home}/none.jsonl: no such file",
    ]
    code, out, err = run(home, "import", *paths, str(transcript(home)))
    assert (code, out, err[:3]) == (0, WHOLE, problems)
    assert run(home, "import", *paths) == (1, "", problems)


def test_what_makes_no_sense_is_a_usage_error(home: Path) -> None:
    for given in ((), ("x.jsonl", "--discover"), ("x.jsonl", "--since", "soon"), ("x.jsonl", "--header", "A: b")):
        code, out, err = run(home, "import", *given)
        assert (code, out, len(err)) == (2, "", 1)


def test_nothing_since_then_is_no_error(home: Path) -> None:
    os.utime(transcript(home), (1_000_000, 1_000_000))
    assert run(home, "import", "--discover", "--since", "1d") == (0, "", ["agent-trace: no transcripts since 1d"])


def test_nothing_is_sent_unless_it_is_asked_for(home: Path, receiver: Receiver) -> None:
    named = {"AGENT_TRACE_OTLP_ENDPOINT": receiver.endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
    assert run(home, "import", "--discover", **named)[0] == 0
    assert receiver.received == []


def test_what_is_new_is_sent_where_it_is_asked_for(home: Path, receiver: Receiver) -> None:
    given = ("import", "--discover", "--endpoint", receiver.endpoint, "--header", "X-Key: k")
    code, _, err = run(home, *given)
    ((path, headers, _),) = receiver.received
    assert (code, path, headers["X-Key"]) == (0, "/v1/traces", "k")
    assert err[-1].endswith("8 spans delivered")
    assert run(home, *given)[0] == 0
    assert len(receiver.received) == 1


def test_a_dead_back_end_is_an_error_after_the_import(home: Path) -> None:
    code, out, _ = run(home, "import", "--discover", "--endpoint", "http://127.0.0.1:9")
    assert (code, out) == (1, WHOLE)
    assert Recorded(home / "project" / ".agent-traces").sessions() == [RESUMED]


def test_secrets_stay_only_if_they_are_meant_to(home: Path) -> None:
    secret = "ghp_" + "aB3x" * 9
    path = transcript(home)
    path.write_text(path.read_text().replace("echo hi", f"echo {secret}"))
    for option, is_kept in (("--endpoint=", False), ("--no-redact", True)):
        given = [] if option == "--endpoint=" else [option]
        assert run(home, "--trace-dir", f"traces{option}", "import", str(path), *given)[0] == 0
        assert (secret in Recorded(home / f"traces{option}").text()) is is_kept


def test_progress_is_for_terminals_alone(home: Path) -> None:
    assert "\r" not in "".join(run(home, "import", "--discover")[2])
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "agent_trace_otel", "--trace-dir", "other", "import", "--discover"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENT_TRACE_", "OTEL_"))}
    env = {**kept, "HOME": str(home), "TERM": "xterm"}
    with subprocess.Popen(command, cwd=home, env=env, stderr=theirs, stdout=subprocess.PIPE, text=True) as process:
        os.close(theirs)
        out, _ = process.communicate()
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert (process.returncode, out) == (0, WHOLE)
    assert "importing" in shown
    assert shown.rpartition("\033[K")[2] == f"agent-trace: sessions go to {home}/other\r\n"
