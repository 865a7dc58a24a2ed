"""`agent-trace doctor`: what it shows, in golden text; what it calls broken; what it never shows."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from programs import wait_for
from recorders import Home, ended, frame
from session_folders import agent_trace, session_start, write_session

from agent_trace_otel import __version__, doctor
from agent_trace_otel.capture.hooks.setup import installation


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = Home(tmp_path)
    (tmp_path / "project").mkdir()
    yield found
    found.end()


def run(home: Home, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run doctor in the user's project; its report goes to stdout whatever it finds."""
    environ = {"HOME": str(home.path), "XDG_STATE_HOME": str(home.path), "XDG_CONFIG_HOME": str(home.path)}
    environ |= {"XDG_DATA_HOME": str(home.path), "CLAUDE_CONFIG_DIR": "", **variables}
    done = agent_trace("doctor", *arguments, cwd=home.path / "project", env=environ)
    return done.returncode, done.stdout


def facts(home: Home, **variables: str) -> dict[str, Any]:
    code, out = run(home, "--json", **variables)
    found: dict[str, Any] = json.loads(out)
    assert found["ok"] is (code == 0)
    return found


def register(home: Home, command: str) -> Path:
    path = home.path / "project" / ".claude" / "settings.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": command}]}]}}))
    return path


def test_a_machine_with_nothing_on_it_has_no_problems(home: Home) -> None:
    code, out = run(home)
    shown = out.replace(str(home.path), "HOME").replace(home.state.name, "HOST")
    assert (code, shown) == (
        0,
        f"""\
agent-trace {__version__}, Python {sys.version.split()[0]}

trace directory
  path        HOME/project/.agent-traces
  writable    yes
  sessions    none yet

recorder
  running     no (the first hook starts it)
  spool       empty
  journals    0
  log         HOME/agent-trace/HOST/recorder.log

settings
  config file HOME/agent-trace/config.toml (none there)
  endpoint    none: nothing is sent
  redaction   on
  content     captured

hooks
  registered  none here (agent-trace setup registers them)

no problems
""".replace("config file HOME/agent-trace/config.toml (none there)", _wrapped(home, out)),
    )
    assert not home.state.exists()


def _wrapped(home: Home, out: str) -> str:
    """The config file's line as it was wrapped: how depends on the length of the test's directory."""
    found = out[out.index("config file ") : out.index("\n  endpoint")]
    assert found.split() == ["config", "file", f"{home.path}/agent-trace/config.toml", "(none", "there)"]
    return found.replace(str(home.path), "HOME")


def test_a_running_recorder_tells_of_itself(home: Home) -> None:
    process = home.running()
    home.send(frame(1, {}))
    wait_for(lambda: (home.status() or {}).get("waiting") == 0, "the worker")
    write_session(home.path / "project" / ".agent-traces", session_start())
    found = facts(home)
    assert (found["trace_directory"]["sessions"], found["trace_directory"]["exists"]) == (1, True)
    recorder = found["recorder"]
    assert (recorder["status"]["pid"], recorder["status"]["frames"], recorder["journals"]) == (process.pid, 1, 1)
    assert (recorder["is_locked"], recorder["spooled"], recorder["last_error"]) == (True, 0, "")
    out = run(home)[1]
    assert f"  running     pid {process.pid}, version {__version__}, for " in out
    assert "\n  sessions    2 open\n  received    1 events, 0 from the spool, 0 waiting\n" in out
    assert home.status() is not None


def test_a_recorder_that_does_not_answer_is_a_problem(home: Home) -> None:
    process = home.running()
    os.kill(process.pid, signal.SIGSTOP)
    try:
        code, out = run(home)
    finally:
        os.kill(process.pid, signal.SIGCONT)
    assert (code, "\n1 problem\n" in out) == (1, True)
    assert "! a recorder is there but does not answer" in out


def test_what_the_recorder_could_not_do_is_told_while_it_runs_and_afterwards(home: Home) -> None:
    process = home.running("def Worker(journals): raise ImportError('half an installation')")
    wait_for(lambda: bool((home.status() or {}).get("failures")), "the failure")
    found = facts(home)
    [problem] = found["problems"]
    assert "1 x load what turns hooks into spans" in problem
    ended(process, signal.SIGTERM)
    home.spool("00000000000000000001-1", frame(1, {}))
    code, out = run(home)
    assert code == 0
    assert "  spool       1 events wait for a recorder\n" in out
    assert "half an installation" in " ".join(out.split())


def test_a_state_directory_that_hooks_refuse_is_a_problem(home: Home) -> None:
    (home.path / "elsewhere").mkdir()
    home.state.parent.mkdir(parents=True)
    home.state.symlink_to(home.path / "elsewhere")
    assert ["symbolic link" in problem for problem in facts(home)["problems"]] == [True]


def test_a_state_directory_that_can_not_be_made_is_a_problem(home: Home) -> None:
    home.state.parent.parent.mkdir(parents=True, exist_ok=True)
    home.state.parent.write_text("a file")
    assert ["can't be made" in problem for problem in facts(home)["problems"]] == [True]


def test_settings_are_shown_without_keys(home: Home) -> None:
    found = run(
        home,
        AGENT_TRACE_OTLP_ENDPOINT="https://me:planted@otlp.example/base?key=planted",
        AGENT_TRACE_OTLP_HEADERS="x-key=planted,dd-api-key=planted",
        AGENT_TRACE_REDACT="0",
        AGENT_TRACE_CAPTURE_CONTENT="false",
    )[1]
    assert "planted" not in found
    assert "  endpoint    https://otlp.example/base/v1/traces with x-key, dd-api-key\n" in found
    assert "  redaction   OFF: secrets are stored and sent as they are\n  content     left out\n" in found
    of_otel = run(home, OTEL_EXPORTER_OTLP_ENDPOINT="http://localhost:4318", OTEL_TRACES_EXPORTER="none")[1]
    assert "hooks don't see these variables" in " ".join(of_otel.split())
    assert "sending is off" in " ".join(of_otel.split())


def test_settings_that_cannot_be_understood_are_problems(home: Home) -> None:
    (home.path / "agent-trace").mkdir()
    (home.path / "agent-trace" / "config.toml").write_text("trace_per = 3\n")
    problems = facts(home, AGENT_TRACE_REDACT="perhaps", AGENT_TRACE_OTLP_ENDPOINT="me:planted@nowhere")["problems"]
    assert ["trace_per" in problems[0], "AGENT_TRACE_REDACT" in problems[1], "OTLP" in problems[2]] == [True] * 3
    assert "planted" not in str(problems)


def test_a_trace_directory_that_cannot_be_used_is_a_problem(home: Home) -> None:
    (home.path / "project" / ".agent-traces").symlink_to(home.path)
    assert ["symlink" in problem for problem in facts(home)["problems"]] == [True]
    named = home.path / "file" / "traces"
    (home.path / "file").touch()
    code, out = run(home, AGENT_TRACE_DIR=str(named))
    assert (code, "can't be written" in " ".join(out.split())) == (1, True)


def test_hooks_are_listed_and_must_have_their_program(home: Home) -> None:
    assert facts(home)["hooks"]["files"] == []
    path = register(home, "agent-trace hook Stop || exit 0")
    assert facts(home)["hooks"] == {"files": [["claude-code", str(path)]], "missing": [], "outdated": []}
    script = installation.script_path({"XDG_DATA_HOME": str(home.path)})
    register(home, f"{shlex.join([sys.executable, '-I', '-S', str(script), 'Stop'])} || exit 0")
    found = facts(home)
    assert (found["hooks"]["missing"], len(found["problems"])) == ([str(script)], 1)
    script.parent.mkdir(exist_ok=True)
    script.write_text("# of an older version\n")
    assert (facts(home)["hooks"]["outdated"], facts(home)["ok"]) == ([str(script)], True)
    script.write_text(installation.script())
    assert facts(home)["hooks"] == {"files": [["claude-code", str(path)]], "missing": [], "outdated": []}


def test_lines_are_wrapped_and_escaped_and_paths_stay_whole() -> None:
    path = "/a/" + "very-long-name-" * 10
    bare = doctor.section_of_recorder(doctor.RecorderFacts(path, last_error="WARNING " + "x\x1b[31m " * 40), 0.0)
    lines = list(doctor.as_text([replace(bare, problems=(f"{path} is broken " * 2,))], 80))
    assert any(f"{path}/recorder.log\n" in line for line in lines)
    flat = "".join(lines).splitlines()
    assert "\x1b" not in "".join(lines)
    assert [line for line in flat if len(line) > 80 and path not in line] == []
    assert lines[-1] == "\n1 problem\n"
