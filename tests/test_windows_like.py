"""With what Windows lacks taken away (`windows_like`): what works all the same, and what says that it can't."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import windows_like
from oteltap_receiver import received_by_oteltap
from programs import environment, wait_for

from agent_trace_otel import ids
from agent_trace_otel.capture.hooks import client, state
from agent_trace_otel.capture.hooks.setup import agents, installation
from agent_trace_otel.replay.terminal import wants_colour

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes Linux's calls away")
LIKE_WINDOWS = (sys.executable, windows_like.__file__)
RECORDER = "from agent_trace_otel.capture.hooks.recorder import main; main()"


def _run(*words: str, home: Path, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LIKE_WINDOWS, *words],
        check=False,
        cwd=home,
        env=environment(home, **variables),
        input=stdin,
        capture_output=True,
        text=True,
    )


def _command(*words: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return _run("-m", "agent_trace_otel", *words, home=home, **variables)


def test_an_agent_is_recorded_read_and_shipped(tmp_path: Path) -> None:
    done = _command("demo", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (folder,) = (path for path in (tmp_path / "traces").iterdir() if path.is_dir())
    assert not [path.name for path in folder.iterdir() if b"\r" in path.read_bytes()]
    for words in (["list"], ["replay"], ["replay", "--tree"], ["stats"], ["explain"], ["inspect"], ["export"]):
        shown = _command(*words, home=tmp_path)
        assert (shown.returncode, shown.stderr, shown.stdout != "") == (0, "", True)
    shipped = received_by_oteltap(
        lambda base: _command("ship", "--endpoint", base, home=tmp_path),
        13,  # the session, the scout, four model calls, seven tool calls
    )
    (delivered,) = folder.glob("delivered-*.log")
    assert sorted(delivered.read_bytes().split()) == sorted(span.span_id.hex().encode() for span in shipped)


def test_what_is_sent_live_arrives(tmp_path: Path) -> None:
    arrived = received_by_oteltap(lambda base: _command("demo", home=tmp_path, AGENT_TRACE_OTLP_ENDPOINT=base), 13)
    assert len({span.span_id for span in arrived}) == 13


def test_hooks_reach_the_recorder_by_the_loopback_port(tmp_path: Path) -> None:
    variables = {"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    environ = environment(tmp_path, **variables)
    script = tmp_path / "recorder.py"
    script.write_text(RECORDER)
    place = Path(state.directory(environ))
    with subprocess.Popen([*LIKE_WINDOWS, str(script)], env=environ) as recorder:
        try:
            wait_for((place / client.PORT).exists, "the recorder's port")
            assert not (place / client.SOCKET).exists()
            for event, more in (
                ("SessionStart", {"source": "startup"}),
                ("UserPromptSubmit", {"prompt": "hello"}),
                ("PreToolUse", {"tool_name": "Read", "tool_input": {"file_path": "a"}, "tool_use_id": "t1"}),
                (
                    "PostToolUse",
                    {"tool_name": "Read", "tool_input": {"file_path": "a"}, "tool_response": {}, "tool_use_id": "t1"},
                ),
                ("SessionEnd", {"reason": "other"}),
            ):
                payload = {"session_id": "s1", "hook_event_name": event, "cwd": str(tmp_path), **more}
                done = _run(client.__file__, event, home=tmp_path, stdin=json.dumps(payload), **variables)
                assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
            assert not list(place.glob("spool/*"))  # each was taken at once
            events = tmp_path / "traces" / "s1" / "events.ndjson"
            wait_for(lambda: events.exists() and b'"session_end"' in events.read_bytes(), "the session's end")
        finally:
            recorder.send_signal(signal.SIGTERM)
    told = [json.loads(line)["event_type"] for line in events.read_bytes().split(b"\n") if line]
    assert told == ["session_start", "user_prompt", "tool_call", "tool_result", "session_end"]


def test_a_hook_that_finds_no_recorder_spools(tmp_path: Path) -> None:
    variables = {"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    place = Path(state.directory(environment(tmp_path, **variables)))
    place.mkdir(parents=True)
    (place / state.STARTING).touch()  # somebody is starting one
    payload = {"session_id": "s1", "hook_event_name": "Stop", "cwd": str(tmp_path)}
    done = _run(client.__file__, "Stop", home=tmp_path, stdin=json.dumps(payload), **variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (spooled,) = (place / state.SPOOL).iterdir()
    assert spooled.read_bytes().startswith(client.MAGIC)
    assert json.loads(spooled.read_bytes().partition(b"\0\0")[2]) == payload


def test_a_session_that_still_runs_is_known_as_such(tmp_path: Path) -> None:
    script = tmp_path / "agent.py"
    script.write_text("import agent_trace_otel as at\nat.start_session(name='x')\nprint(flush=True)\ninput()\n")
    with subprocess.Popen(
        [*LIKE_WINDOWS, str(script)], env=environment(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as agent:
        assert agent.stdout is not None
        agent.stdout.readline()
        assert "running" in _command("list", home=tmp_path).stdout
        agent.kill()
    assert "running" not in _command("list", home=tmp_path).stdout


@pytest.mark.parametrize(
    "words",
    [["run", "--", "x"], ["record", "--", "x"], ["record-http", "http://127.0.0.1:9"], ["prune", "--max-size", "1"]],
)
def test_what_needs_posix_says_so_in_one_line(tmp_path: Path, words: list[str]) -> None:
    done = _command(*words, home=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"agent-trace: {words[0]} needs a POSIX system: ")


@pytest.mark.parametrize("name", ["con", "NUL", "aux.json", "Com1", "lpt9.tar.gz", "ends-in-a-dot."])
def test_no_session_has_a_devices_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert ids.folder_name(name) == name
    monkeypatch.setattr(sys, "platform", "win32")
    assert len(ids.folder_name(name)) == 32
    assert [ids.folder_name(other) for other in ("console", "com", "a.con")] == ["console", "com", "a.con"]


def test_a_hooks_command_is_one_for_bash_and_for_cmd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "executable", r"C:\Program Files\Python\python.exe")
    script = Path(r"C:\Users\Jo Do\hook.py")
    command = installation.absolute_command(script, agents.AGENTS["claude-code"], "Stop")
    assert command == '"C:/Program Files/Python/python.exe" -I -S "C:/Users/Jo Do/hook.py" Stop || exit 0'


def test_colours_are_for_consoles_that_show_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Console:
        def isatty(self) -> bool:
            return True

    for name in ("NO_COLOR", "TERM", "WT_SESSION", "ANSICON"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert not wants_colour(Console())  # type: ignore[arg-type]
    monkeypatch.setenv("WT_SESSION", "1")
    assert wants_colour(Console())  # type: ignore[arg-type]
