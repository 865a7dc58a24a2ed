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
from session_folders import agent_trace, gone, session_start, write_session

from agent_trace_otel import __version__
from agent_trace_otel.capture.hooks.setup import installation
from agent_trace_otel.doctor import libraries, recorder, report
from agent_trace_otel.doctor.section import Section


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
    shown = " ".join(out.split()).replace(str(home.path), "HOME").replace(home.state.name, "HOST")
    assert code == 0
    assert shown.startswith(
        f"agent-trace {__version__}, Python {sys.version.split()[0]} ✓ no problems "
        "✓ settings config file HOME/agent-trace/config.toml (none there) sent to nothing is sent "
        "redaction on content captured "
        "✓ trace directory path HOME/project/.agent-traces writable yes sessions none yet "
        "✓ deliveries back ends none was ever sent to "
        "✓ hooks registered none here (agent-trace setup registers them) "
        "✓ recorder running no (the first hook starts it) spool empty journals 0 "
        "log HOME/agent-trace/HOST/recorder.log "
    )
    assert "\n✓ trace directory\n  path        " in out
    assert not home.state.exists()


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
    assert (code, "\n✗ 1 problem\n  recorder         a recorder is there" in out) == (1, True)
    assert "\n✗ recorder\n" in out


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
    assert "  spool       1 event wait for a recorder\n" in out
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


def test_settings_are_shown_with_their_source_and_without_keys(home: Home) -> None:
    given = {
        "AGENT_TRACE_OTLP_ENDPOINT": "https://me:planted@otlp.example/base?key=planted",
        "AGENT_TRACE_OTLP_HEADERS": "x-key=planted,dd-api-key=planted",
        "AGENT_TRACE_REDACT": "0",
        "AGENT_TRACE_CAPTURE_CONTENT": "false",
    }
    out = run(home, "--no-send", **given)[1]
    assert "planted" not in out + run(home, "--no-send", "--json", **given)[1]
    assert "  sent to     https://otlp.example/base/v1/traces\n  headers     x-key, dd-api-key\n" in out
    assert "  redaction   OFF: secrets are stored and sent as they are\n  content     left out\n" in out
    assert "  from        AGENT_TRACE_REDACT: redact\n" in out
    assert "\n! redaction is OFF" in out
    of_otel = run(home, OTEL_EXPORTER_OTLP_ENDPOINT="http://localhost:4318", OTEL_TRACES_EXPORTER="none")[1]
    assert "\n! hooks don't see OTEL_* variables" in of_otel
    assert "http://localhost:4318/v1/traces; sending is off" in of_otel
    assert "back end\n" not in of_otel


def test_a_vendor_is_shown_with_the_variable_of_its_key(home: Home) -> None:
    key = "planted-0123456789"
    out = run(home, "--no-send", AGENT_TRACE_TO="honeycomb:eu", HONEYCOMB_API_KEY=key)[1]
    assert "  sent to     https://api.eu1.honeycomb.io/v1/traces (honeycomb)\n" in out
    assert "  headers     x-honeycomb-team (keys of HONEYCOMB_API_KEY)\n" in out
    assert "  from        AGENT_TRACE_TO: to\n" in out
    (home.path / "agent-trace").mkdir()
    (home.path / "agent-trace" / "config.toml").write_text('[otlp]\nto = "datadog"\n')
    out = run(home, "--no-send", DD_API_KEY=key)[1]
    assert "! hooks don't get DD_API_KEY of your environment" in out
    found = facts(home)
    assert "DD_API_KEY is not set: Datadog wants an API key there" in found["problems"][0]
    assert key not in out


def test_what_is_no_setting_and_keys_that_others_can_read_are_told(home: Home) -> None:
    (home.path / "agent-trace").mkdir()
    file = home.path / "agent-trace" / "config.toml"
    file.write_text('[otlp]\nto = "phoenix"\nkeys = { PHOENIX_API_KEY = "planted" }\n')
    file.chmod(0o644)
    code, out = run(home, "--no-send", "--json", AGENT_TRACE_OTLP_ENPOINT="http://a", OTEL_SDK_DISABLED="true")
    found = json.loads(out)
    assert (code, found["problems"]) == (1, [f"{file} holds keys, and others can read it: chmod 600 {file}"])
    assert found["notes"] == [
        "AGENT_TRACE_OTLP_ENPOINT is no setting: did you mean AGENT_TRACE_OTLP_ENDPOINT?",
        "OTEL_SDK_DISABLED is true: programs with a provider of ours record nothing",
    ]
    file.chmod(0o600)
    assert run(home, "--no-send")[0] == 0


def test_settings_that_cannot_be_understood_are_problems(home: Home) -> None:
    (home.path / "agent-trace").mkdir()
    (home.path / "agent-trace" / "config.toml").write_text("trace_per = 3\n")
    problems = facts(home, AGENT_TRACE_REDACT="perhaps", AGENT_TRACE_OTLP_ENDPOINT="me:planted@nowhere")["problems"]
    assert ["trace_per" in problems[0], "AGENT_TRACE_REDACT" in problems[1], "OTLP" in problems[2]] == [True] * 3
    assert len(problems) == 3
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
    (home.path / "bin").mkdir()
    found = facts(home, PATH=str(home.path / "bin"))
    assert [(one["agent"], one["scope"], one["path"], one["form"]) for one in found["hooks"]["files"]] == [
        ("claude-code", "project", str(path), "portable")
    ]
    assert ["not on the PATH" in problem for problem in found["problems"]] == [True]
    (home.path / "bin" / "agent-trace").write_text("#!/bin/sh\n")
    (home.path / "bin" / "agent-trace").chmod(0o755)
    found = facts(home, PATH=str(home.path / "bin"))
    assert (found["ok"], found["hooks"]["on_path"]) == (True, str(home.path / "bin" / "agent-trace"))


def test_a_copy_of_the_hook_program_must_be_there_and_should_be_current(home: Home) -> None:
    script = installation.script_path({"XDG_DATA_HOME": str(home.path)})
    register(home, f"{shlex.join([sys.executable, '-I', '-S', str(script), 'Stop'])} || exit 0")
    found = facts(home)
    assert (found["hooks"]["script_state"], len(found["problems"])) == ("missing", 1)
    script.parent.mkdir(exist_ok=True)
    script.write_text("# of an older version\n")
    found = facts(home)
    assert (found["hooks"]["script_state"], found["ok"]) == ("outdated", True)
    assert ["is not of this version" in note for note in found["notes"]] == [True]
    script.write_text(installation.script())
    found = facts(home)
    assert (found["hooks"]["script_state"], found["ok"], found["notes"]) == ("current", True, [])
    register(home, f"/gone/python -I -S {script} Stop || exit 0")
    assert ["calls /gone/python, which is gone" in problem for problem in facts(home)["problems"]] == [True]


def test_hooks_in_two_files_of_one_agent_are_pointed_out(home: Home) -> None:
    (home.path / "bin").mkdir()
    (home.path / "bin" / "agent-trace").write_text("#!/bin/sh\n")
    (home.path / "bin" / "agent-trace").chmod(0o755)
    path = register(home, "agent-trace hook Stop || exit 0")
    path.with_name("settings.local.json").write_text(path.read_text())
    found = facts(home, PATH=str(home.path / "bin"))
    assert [one["scope"] for one in found["hooks"]["files"]] == ["project", "local"]
    assert ["claude-code calls us from 2 files" in note for note in found["notes"]] == [True]


def test_sessions_are_counted_by_state_and_size(home: Home) -> None:
    traces = home.path / "project" / ".agent-traces"
    write_session(traces, session_start(), session_id="running")
    write_session(traces, session_start(gone()), session_id="crashed")
    write_session(traces, meta={"started_at": 1.0, "ended_at": 2.0}, session_id="ended")
    found = facts(home)
    assert found["trace_directory"]["states"] == {"running": 1, "crashed": 1, "ended": 1}
    files = [path for path in traces.rglob("*") if path.is_file()]
    assert found["trace_directory"]["bytes"] == sum(path.stat().st_size for path in files)
    assert ["1 session crashed" in note for note in found["notes"]] == [True]
    assert "  sessions    3 (1 running, 1 crashed, 1 ended)\n" in run(home)[1]


def test_libraries_are_listed_and_patched_when_that_is_asked_for(home: Home) -> None:
    rows = {one["name"]: one for one in facts(home)["libraries"]["libraries"]}
    assert rows["mcp"]["installed"]
    assert rows["mcp"]["unpatched"] is None
    odd = libraries.Library("mcp", "mcp", "2.1", ">=1", fits=True, opt_in=False, unpatched=(("a.b", "no such place"),))
    section = libraries.section_of_libraries(libraries.LibraryFacts((odd, replace(odd, fits=False, unpatched=None))))
    assert section.notes == ("mcp: can't patch a.b: no such place", "mcp 2.1 is not traced: versions >=1 are")
    assert section.lines[0] == ("mcp", "mcp 2.1 (1 place can't be patched)")


def test_other_instrumentations_of_the_same_library_are_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("openinference_instrumentation_mcp", "opentelemetry-instrumentation-genai-mcp", "mcp-instrumentation"):
        metadata = home.path / "packages" / f"{name.replace(chr(45), chr(95))}-1.0.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(home.path / "packages")
    section = libraries.section_of_libraries(libraries.look_at_libraries(home.environ))
    named = "openinference-instrumentation-mcp and opentelemetry-instrumentation-genai-mcp"
    assert f"mcp may be traced by {named} too: a call's spans are told as one" in section.notes


def test_what_can_not_be_looked_at_is_a_problem_and_the_rest_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError(home.path)

    monkeypatch.chdir(home.path)
    for name in ("look_at_settings", "look_at_trace_directory", "look_at_libraries"):
        monkeypatch.setattr(report, name, broken)
    sections = report.examine(None, home.environ, home.path)
    titles = ["settings", "trace directory", "deliveries", "hooks", "recorder", "libraries"]
    assert [section.title for section in sections] == titles
    assert report.as_json(sections)["problems"] == [f"can't be looked at: ValueError: {home.path}"] * 3


def test_lines_are_wrapped_and_escaped_and_paths_stay_whole() -> None:
    path = "/a/" + "very-long-name-" * 10
    bare = recorder.section_of_recorder(recorder.RecorderFacts(path, last_error="WARNING " + "x\x1b[31m " * 40), 0.0)
    lines = list(report.as_text([replace(bare, problems=(f"{path} is broken " * 2,))], 80))
    assert any(f"{path}/recorder.log\n" in line for line in lines)
    flat = "".join(lines).splitlines()
    assert "\x1b" not in "".join(lines)
    assert [line for line in flat if len(line) > 80 and path not in line] == []
    assert lines[1] == "✗ 1 problem\n"


def test_colours_mark_what_is_wrong() -> None:
    section = Section("hooks", (("a", "b"),), {}, ("broken",), ("noted",))
    plain = "".join(report.as_text([section], 80))
    coloured = "".join(report.as_text([section], 80, colour=True))
    assert "\x1b" not in plain
    assert "\x1b[31m  hooks            broken\x1b[0m\n" in coloured
    assert "\n✗ 1 problem, 1 note\n  hooks            broken\n\n✗ hooks\n  a           b\n! noted\n" in plain
    assert report.as_json([section])["problems"] == ["broken"]
