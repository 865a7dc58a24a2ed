"""The hook process: silent, good and quick whatever comes; nothing lost when nobody answers; no secret written."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from hook_processes import Answer, Hooks, be_silent, hang_up
from programs import wait_for

import agent_trace_otel
from agent_trace_otel.capture.hooks import client, spooling, state
from agent_trace_otel.capture.hooks.intake import control, frames

PAYLOAD = b'{"session_id":"s1","hook_event_name":"PreToolUse","tool_name":"Bash","tool_use_id":"t1"}'
SECRET = "sk-ant-api03-" + "aB3dE5fG7hI9" * 8
PACKAGE = Path(agent_trace_otel.__file__).parent
as_root = pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")


@pytest.fixture
def hooks(tmp_path: Path) -> Hooks:
    """Return a user whose hooks find no recorder, and start none."""
    found = Hooks(tmp_path / "home")
    found.let_none_start()
    return found


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Hooks]:
    """Return a user whose hooks start a recorder; it is sent away at the end."""
    found = Hooks(tmp_path / "home")
    yield found
    while (found.state / state.SOCKET).exists():
        control.ask(str(found.state), control.STOP)


def with_answer(connection: socket.socket) -> None:
    connection.sendall(b"?")


def imported(done: subprocess.CompletedProcess[bytes]) -> set[str]:
    """Return what a process imported that ran with ``-X importtime``."""
    return {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()[1:]}


def test_a_recorder_that_answers_gets_the_payload_as_it_is(hooks: Hooks) -> None:
    with hooks.recorder() as got:
        hooks.run(PAYLOAD, "PreToolUse")
    (frame,) = map(frames.parse, got)
    told = (frame.payload, frame.event, frame.agent, frame.version, frame.redacted, frame.token)
    assert told == (PAYLOAD, "PreToolUse", "claude-code", agent_trace_otel.__version__, False, "")
    assert re.fullmatch(rf"\d+-{frame.at}", frame.id)
    assert hooks.spool == []


def test_only_what_is_on_the_list_leaves_the_environment(hooks: Hooks) -> None:
    forwarded = {
        "AGENT_TRACE_DIR": "/d",
        "AGENT_TRACE_OTLP_HEADERS": "k=v",
        "CLAUDE_PID": "7",
        "CLAUDE_PROJECT_DIR": "/p=q/\udce9",
        "CLAUDE_CODE_ENTRYPOINT": "cli",
        "TRACEPARENT": "00-1-2-01",
        "TRACESTATE": "a=b",
    }
    kept_back = dict.fromkeys(("ANTHROPIC_API_KEY", "CLAUDE_CODE_MESSAGING_TOKEN", "OTEL_X", "TRACEPARENT2"), "planted")
    with hooks.recorder() as got:
        hooks.run(PAYLOAD, "Stop", "codex", **forwarded, **kept_back)
    hooks.run(PAYLOAD, "Stop", "codex", **forwarded, **kept_back)
    (sent,), (spooled,) = map(frames.parse, got), hooks.spool
    assert (sent.agent, spooled.agent) == ("codex", "codex")
    assert dict(sent.env) == forwarded | _processes()
    assert dict(spooled.env) == {name: value for name, value in sent.env.items() if name != "AGENT_TRACE_OTLP_HEADERS"}
    assert b"planted" not in got[0]
    assert all(b"planted" not in path.read_bytes() for path in hooks.home.rglob("*.hook"))


def test_it_imports_only_what_is_built_in(hooks: Hooks) -> None:
    python = [sys.executable, "-I", "-S", "-X", "importtime"]
    bare = hooks.run_command([*python, "-c", "pass"], b"")
    with hooks.recorder():
        ran = hooks.run_command([*python, str(hooks.script), "Stop"], PAYLOAD)
    assert imported(ran) - imported(bare) == {"_socket"}


@pytest.mark.parametrize("answer", [hang_up, with_answer, be_silent])
def test_without_the_acknowledgement_the_same_delivery_is_spooled(hooks: Hooks, answer: Answer) -> None:
    with hooks.recorder(answer) as got:
        hooks.run(PAYLOAD, "PreToolUse")
    (sent,), (spooled,) = map(frames.parse, got), hooks.spool
    assert (spooled.id, spooled.at, spooled.event, spooled.env) == (sent.id, sent.at, sent.event, sent.env)
    assert (spooled.redacted, json.loads(spooled.payload)) == (True, json.loads(PAYLOAD))


def test_a_stale_socket_is_nobody(hooks: Hooks) -> None:
    with hooks.recorder():
        (hooks.state / state.SOCKET).rename(hooks.state / "stale")
    (hooks.state / "stale").rename(hooks.state / state.SOCKET)
    hooks.run(PAYLOAD, "PreToolUse")
    assert len(hooks.spool) == 1


@as_root
def test_another_users_recorder_gets_nothing(hooks: Hooks) -> None:
    listen = (
        "import os, socket; s = socket.socket(socket.AF_UNIX); s.bind('recorder.sock'); os.setuid(65534); s.listen(); "
        "print(flush=True); c, _ = s.accept(); print(len(c.recv(1)), flush=True)"
    )
    stranger = subprocess.Popen([sys.executable, "-c", listen], cwd=hooks.state, stdout=subprocess.PIPE, text=True)
    with stranger:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        hooks.run(PAYLOAD, "PreToolUse")
        assert stranger.stdout.read() == "0\n"
    assert len(hooks.spool) == 1


@pytest.mark.parametrize("whose", ["a symbolic link", pytest.param("another user's", marks=as_root)])
def test_a_state_directory_that_is_not_ours_is_left_alone(hooks: Hooks, tmp_path: Path, whose: str) -> None:
    elsewhere = hooks.state.rename(tmp_path / "elsewhere")
    if whose == "a symbolic link":
        hooks.state.symlink_to(elsewhere)
    else:
        shutil.copytree(elsewhere, hooks.state)
        os.chown(hooks.state, 65534, 65534)
    hooks.run(PAYLOAD, "PreToolUse")
    assert sorted(path.name for path in [*elsewhere.iterdir(), *hooks.state.iterdir()]) == [state.STARTING] * 2


def test_loopback_where_there_are_no_unix_sockets(hooks: Hooks) -> None:
    got: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (hooks.state / state.PORT).write_text(f"{listener.getsockname()[1]} sesame")

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                got.append(b"".join(iter(lambda: connection.recv(65536), b"")))
                connection.sendall(client.ACKNOWLEDGED)

        serving = threading.Thread(target=serve)
        serving.start()
        hooks.run(PAYLOAD, "Stop")
        serving.join()
    assert got[0].startswith(client.MAGIC + b"token=sesame\0")
    assert frames.parse(got[0]).payload == PAYLOAD
    assert hooks.spool == []


ODD = {
    "nothing": b"",
    "no JSON": b"hello",
    "a list": b'["s1"]',
    "null": b"null",
    "no UTF-8": b'{"session_id": "s1", "x": "\xff\xfe"}',
    "half": b'{"session_id": "s1", "x": ',
    "climbing": b'{"session_id": "../../../../etc/passwd"}',
    "a session that is no text": b'{"session_id": {"a": [1]}}',
    "a surrogate": b'{"session_id": "s1", "x": "\\ud800"}',
    "deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "NUL": b'\0\0{"session_id": "s1"}\0\0',
}


@pytest.mark.parametrize("name", ODD)
def test_odd_input_is_handed_over_and_spooled(hooks: Hooks, name: str) -> None:
    with hooks.recorder() as got:
        hooks.run(ODD[name], "Whatever")
    hooks.run(ODD[name], "Whatever")
    (sent,), (spooled,) = map(frames.parse, got), hooks.spool
    assert sent.payload == ODD[name]
    assert frames.entry_data(spooled, None)[1]["payload"] == frames.entry_data(sent, None)[1]["payload"]
    assert {path.parent for path in hooks.home.rglob("*.hook")} == {hooks.state / state.SPOOL}


@pytest.mark.parametrize("arguments", [(), ("",), ("a\nb=c", "x\ty"), ("1", "2", "3"), ("é\udcff" * 500,)])
def test_odd_arguments(hooks: Hooks, arguments: tuple[str, ...]) -> None:
    with hooks.recorder() as got:
        hooks.run(PAYLOAD, *arguments)
    (frame,) = map(frames.parse, got)
    assert frame.payload == PAYLOAD
    assert frame.agent == (arguments[1] if len(arguments) > 1 else "claude-code")


def test_fifty_megabytes(hooks: Hooks) -> None:
    text = json.dumps({"session_id": "s1", "tool_response": {"stdout": "line of a log\n" * 3_500_000, "n": 1}}).encode()
    assert len(text) > 50_000_000
    hooks.run(text, "PostToolUse")
    (spooled,) = hooks.spool
    kept = json.loads(spooled.payload)
    assert (kept["session_id"], kept["tool_response"]["n"]) == ("s1", 1)
    assert "[cut:" in kept["tool_response"]["stdout"][-100:]
    assert 7_000_000 < len(spooled.payload) < 9_500_000


@pytest.mark.parametrize("sent", [b"", PAYLOAD, PAYLOAD[:20]])
def test_stdin_that_never_closes(hooks: Hooks, sent: bytes) -> None:
    with hooks.recorder() as got:
        process = subprocess.Popen(hooks.command("Stop"), env=hooks.environ, stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(sent)
        process.stdin.flush()
        assert process.wait(timeout=30) == 0
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    assert [frames.parse(frame).payload for frame in got] == [sent]


def test_stdin_that_is_closed_from_the_start(hooks: Hooks) -> None:
    hooks.run_command(f"exec {subprocess.list2cmdline(hooks.command('Stop'))} <&-", b"")
    assert [frame.payload for frame in hooks.spool] == [b""]


def test_ctrl_c_loses_nothing(hooks: Hooks) -> None:
    process = subprocess.Popen(
        hooks.command("Stop"), env=hooks.environ, stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    status = Path(f"/proc/{process.pid}/status")
    caught = 1 << signal.SIGALRM - 1  # it waits for its input
    wait_for(lambda: bool(int(re.findall(r"SigCgt:\s+(\w+)", status.read_text())[0], 16) & caught), "the hook reads")
    os.killpg(process.pid, signal.SIGINT)
    _, complaints = process.communicate(PAYLOAD, timeout=30)
    assert (process.returncode, complaints) == (0, b"")
    assert [frame.event for frame in hooks.spool] == ["Stop"]


def test_secrets_are_not_spooled(hooks: Hooks) -> None:
    payload = json.dumps({"session_id": "s1", "tool_input": {"command": f"curl -H 'x-api-key: {SECRET}'"}}).encode()
    environ = {
        "AGENT_TRACE_OTLP_HEADERS": f"dd-api-key={SECRET}",
        "AGENT_TRACE_OTLP_ENDPOINT": f"https://me:{SECRET}@otlp.example/v1/traces",
    }
    hooks.run(payload, "PreToolUse", **environ)
    hooks.run(f"no JSON, api_key={SECRET}".encode(), "PreToolUse", **environ)
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in hooks.state.rglob("*") if path.is_file())
    assert [frame.env["AGENT_TRACE_OTLP_ENDPOINT"] for frame in hooks.spool] == ["https://otlp.example/v1/traces"] * 2


def test_the_users_own_rules_hold_in_the_spool(hooks: Hooks) -> None:
    config = hooks.home / ".config" / "agent-trace" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[redaction]\npatterns = ['EMP-\\d+']\n")
    hooks.run(b'{"session_id": "s1", "prompt": "ask EMP-12345"}', "UserPromptSubmit")
    assert json.loads(hooks.spool[0].payload)["prompt"] == "ask [REDACTED:pattern]"


def test_who_wants_no_redaction_gets_none(hooks: Hooks) -> None:
    payload = json.dumps({"session_id": "s1", "prompt": SECRET}).encode()
    hooks.run(payload, "UserPromptSubmit", AGENT_TRACE_REDACT="0")
    assert json.loads(hooks.spool[0].payload)["prompt"] == SECRET


def test_when_redaction_fails_only_the_ids_are_kept(hooks: Hooks, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(PACKAGE, broken / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    (broken / PACKAGE.name / "redact" / "__init__.py").write_text("raise ImportError")
    hooks.script.write_text(hooks.script.read_text().replace(repr(str(PACKAGE.parent)), repr(str(broken))))
    payload = PAYLOAD.replace(b"}", b', "tool_input": {"a": "secret"}, "prompt_id": {"secret": 1}}')
    hooks.run(payload, "PreToolUse", AGENT_TRACE_DIR="/d", AGENT_TRACE_OTHER="secret", CLAUDE_PID="7")
    (frame,) = hooks.spool
    assert json.loads(frame.payload) == json.loads(PAYLOAD)
    assert dict(frame.env) == {"AGENT_TRACE_DIR": "/d", "CLAUDE_PID": "7"} | _processes()
    assert b"secret" not in b"".join(path.read_bytes() for path in hooks.home.rglob("*.hook"))


@pytest.mark.parametrize("is_elsewhere", [True, False])
def test_when_the_package_is_gone_the_interpreter_is_asked_for_it(
    hooks: Hooks, tmp_path: Path, *, is_elsewhere: bool
) -> None:
    hooks.script.write_text(hooks.script.read_text().replace(repr(str(PACKAGE.parent)), repr("/nowhere")))
    venv.create(tmp_path / "venv", symlinks=True)
    if is_elsewhere:
        (site_packages,) = tmp_path.glob("venv/lib/python*/site-packages")
        (site_packages / "ours.pth").write_text(f"{PACKAGE.parent}\n")
    done = hooks.run_command([str(tmp_path / "venv/bin/python"), *hooks.command("PreToolUse")[1:]], PAYLOAD)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert len(hooks.spool) == is_elsewhere


def test_copies_of_earlier_versions_find_what_they_call() -> None:
    assert list(inspect.signature(spooling.spool).parameters) == ["fields", "payload", "environ"]


@pytest.mark.parametrize("variables", [{"HOME": "/dev/null"}, {"XDG_STATE_HOME": "/proc"}])
def test_a_state_directory_that_can_not_be_made(hooks: Hooks, variables: dict[str, str]) -> None:
    hooks.run(PAYLOAD, "PreToolUse", **variables)
    assert hooks.spool == []


def test_where_the_state_lies() -> None:
    places = ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, {"XDG_STATE_HOME": "no/path", "HOME": "/h"}, {"HOME": ""}, {})
    found = [state.directory(variables).removesuffix(f"/agent-trace/{os.uname().nodename}") for variables in places]
    assert found == ["/x", "/h/.local/state", f"/tmp/agent-trace-{os.getuid()}", f"/tmp/agent-trace-{os.getuid()}"]


def test_a_full_disk(hooks: Hooks) -> None:
    (hooks.state / state.SPOOL).mkdir()
    # soft and hard limit of 100 bytes a file
    limited = (
        "import os, resource as r, sys; r.setrlimit(r.RLIMIT_FSIZE, (100, 100)); os.execv(sys.argv[1], sys.argv[1:])"
    )
    done = hooks.run_command([sys.executable, "-c", limited, *hooks.command("Stop")], PAYLOAD)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert list((hooks.state / state.SPOOL).iterdir()) == []


def test_many_at_once(hooks: Hooks) -> None:
    with hooks.recorder() as got:
        processes = [
            subprocess.Popen(hooks.command(f"E{n}"), env=hooks.environ, stdin=subprocess.PIPE) for n in range(24)
        ]
        for process in processes:
            process.communicate(PAYLOAD, timeout=60)
    delivered = [frames.parse(frame) for frame in got]
    events = {frame.event for frame in (*delivered, *hooks.spool)}  # a slow machine may make some wait in vain
    assert [process.returncode for process in processes] == [0] * 24
    assert events == {f"E{n}" for n in range(24)}


def test_the_first_hook_starts_a_recorder_that_has_nothing_of_it(live: Hooks) -> None:
    live.run(PAYLOAD, "PreToolUse", ANTHROPIC_API_KEY="planted", XDG_DATA_HOME=str(live.home / "data"))
    wait_for(lambda: (live.state / state.SOCKET).exists() and not live.spool, "the recorder listens and has drained")
    status = control.ask(str(live.state), control.STATUS)
    assert status is not None
    process = Path(f"/proc/{status['pid']}")
    variables = process.joinpath("environ").read_bytes().split(b"\0")
    assert {name.partition(b"=")[0] for name in variables} - {b"", b"LC_CTYPE"} == {b"HOME", b"PATH", b"XDG_DATA_HOME"}
    assert process.joinpath("cwd").resolve() == live.state
    assert [process.joinpath("fd", str(fd)).resolve() for fd in range(3)] == [Path(os.devnull)] * 3
    assert os.getsid(status["pid"]) == status["pid"]
    live.run(PAYLOAD, "PostToolUse")
    journal = live.state / state.JOURNALS / "claude-code-s1.ndjson"
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [entry["event"] for entry in entries if entry["kind"] == frames.HOOK] == ["PreToolUse", "PostToolUse"]


def test_of_many_first_hooks_one_starts_a_recorder(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(hooks.state)
    Path(state.STARTING).unlink()
    assert [spooling._is_first_to_start() for _ in range(3)] == [True, False, False]
    os.utime(state.STARTING, (1, 1))  # it never came
    assert [spooling._is_first_to_start() for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize("word", ["pre-tool", "PreToolUse"])
def test_the_portable_command_does_the_same_and_loads_no_more(hooks: Hooks, word: str) -> None:
    python = [sys.executable, "-X", "importtime"]
    environ = {"PYTHONPATH": str(PACKAGE.parent)}
    with hooks.recorder() as got:
        ran = hooks.run_command([*python, "-m", "agent_trace_otel", "hook", word, "codex"], PAYLOAD, **environ)
    (frame,) = map(frames.parse, got)
    assert (ran.returncode, ran.stdout) == (0, b"")
    assert (frame.payload, frame.event, frame.agent) == (PAYLOAD, word, "codex")
    ours = {name for name in imported(ran) if name.startswith("agent_trace_otel")}
    assert ours == {f"agent_trace_otel{room}" for room in ("", ".capture", ".capture.hooks", ".capture.hooks.client")}
    assert "argparse" not in imported(ran)


def test_the_portable_command_spools_too_and_takes_a_trace_directory(hooks: Hooks) -> None:
    python = [sys.executable, "-m", "agent_trace_otel"]
    environ = {"PYTHONPATH": str(PACKAGE.parent)}
    done = hooks.run_command([*python, "--trace-dir", "/d", "hook", "Stop"], PAYLOAD, **environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [(frame.event, frame.env["AGENT_TRACE_DIR"]) for frame in hooks.spool] == [("Stop", "/d")]
    shown = hooks.run_command([*python, "hook", "--help"], b"", **environ)
    assert shown.stdout.startswith(b"usage: agent-trace hook")


def _processes() -> dict[str, str]:
    """Return what a hook tells of the process that runs it."""
    namespace = Path(os.fsdecode(client.PID_NAMESPACE))
    return {"PPID": str(os.getpid())} | ({"PIDNS": str(namespace.readlink())} if namespace.exists() else {})
