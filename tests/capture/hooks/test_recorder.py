"""The recorder: real processes, real sockets, kill -9; a scripted worker stands for the sessions."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import wait_for
from recorders import ACKNOWLEDGED, Home, ended, frame

from agent_trace_otel.capture.hooks import state
from agent_trace_otel.capture.hooks.intake import control


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = Home(tmp_path)
    yield found
    found.end()


def test_a_frame_is_in_the_journal_when_it_is_acknowledged(home: Home) -> None:
    home.running()
    for number in range(5):
        assert home.send(frame(number, {"hook_event_name": "PostToolUse"})) == ACKNOWLEDGED
        assert home.ids() == [str(done) for done in range(number + 1)]
    wait_for(lambda: len(home.notes("take")) == 5, "the worker")
    offsets = [note["offset"] for note in home.notes("take")]
    text = (home.state / "journals" / "claude-code-s1.ndjson").read_bytes()
    assert [json.loads(text[at:].splitlines()[0])["id"] for at in offsets] == ["0", "1", "2", "3", "4"]
    assert {note["key"][1] for note in home.notes("take")} == {"s1"}


def test_everything_in_the_state_directory_is_the_users_alone(home: Home) -> None:
    home.state.mkdir(parents=True, mode=0o755)
    process = home.running(umask=0)
    home.send(frame(1, {}))
    assert stat.S_IMODE(home.state.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) & 0o077 for path in home.state.rglob("*")}
    assert set(modes) >= {"recorder.sock", "recorder.lock", "recorder.log", "journals", "spool"}
    assert set(modes.values()) == {0}
    assert ended(process, signal.SIGTERM) == (0, "")


def test_no_secret_is_in_any_file_and_headers_reach_the_worker(home: Home) -> None:
    home.running()
    payload = {"tool_input": {"command": "curl -H 'Authorization: Bearer planted-2-abcdefghijk' x"}}
    secrets = {
        "env_AGENT_TRACE_OTLP_HEADERS": "x-key=planted-1",
        "env_AGENT_TRACE_OTLP_ENDPOINT": "http://user:planted-3@host:4318",
        "env_AGENT_TRACE_TOKEN": "planted-4",
    }
    home.send(frame(1, payload, **secrets))
    home.send(frame(2, b"password=planted-5 no JSON", **secrets))
    wait_for(lambda: len(home.notes("take")) == 2, "the worker")
    for path in home.state.rglob("*"):
        assert not path.is_file() or b"planted" not in path.read_bytes(), path
    env = home.notes("take")[0]["data"]["env"]
    assert env["AGENT_TRACE_OTLP_HEADERS"] == "x-key=planted-1"
    assert env["AGENT_TRACE_OTLP_ENDPOINT"] == "http://user:planted-3@host:4318"


def test_redaction_follows_the_session_then_the_config_file(home: Home) -> None:
    home.running()
    payload = {"password": "hunter22", "badge": "b-1234"}
    home.send(frame(1, payload))
    home.send(frame(2, payload, env_AGENT_TRACE_REDACT="0"))
    config = home.path / "agent-trace" / "config.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text('[redaction]\nkeys = ["badge"]\n')
    home.send(frame(3, payload))
    config.write_text("redact = false\n")
    home.send(frame(4, payload))
    home.send(frame(5, payload, env_AGENT_TRACE_REDACT="1"))
    kept = [(found["payload"]["password"], found["payload"]["badge"]) for found in home.entries()]
    mark, plain = "[REDACTED]", "hunter22"
    assert kept == [(mark, "b-1234"), (plain, "b-1234"), (mark, mark), (plain, "b-1234"), (mark, "b-1234")]


def test_what_opens_something_is_taken_before_the_hook_goes_on(home: Home) -> None:
    home.running()
    wait_for(lambda: bool(home.notes("new")), "the worker")
    for number in range(20):
        assert home.send(frame(number, {"hook_event_name": "PreToolUse"})) == ACKNOWLEDGED
        assert len(home.notes("take")) == number + 1


def test_a_busy_or_stuck_worker_holds_up_nobody(home: Home) -> None:
    # the worker takes nothing until a file says so
    home.running(
        """
class Worker(Worker):
    def take(self, key, offset, entry):
        super().take(key, offset, entry)
        while not os.path.exists(os.environ["XDG_STATE_HOME"] + "/go"):
            time.sleep(0.01)
"""
    )
    wait_for(lambda: bool(home.notes("new")), "the worker")
    for number, event in enumerate(("PreToolUse", "PreToolUse", "PostToolUse", "UserPromptSubmit")):
        assert home.send(frame(number, {"hook_event_name": event})) == ACKNOWLEDGED
    assert len(home.notes("take")) == 1
    assert (home.status() or {})["waiting"] == 3
    (home.path / "go").touch()
    wait_for(lambda: len(home.notes("take")) == 4, "the worker")


def test_a_slow_or_silent_client_holds_up_nobody(home: Home) -> None:
    home.running()
    slow, silent = home.connect(), home.connect()
    with slow, silent:
        whole = frame("slow", {"text": "x" * 3_000_000})
        slow.sendall(whole[:1_000_000])
        assert [home.send(frame(number, {})) for number in range(3)] == [ACKNOWLEDGED] * 3
        slow.sendall(whole[1_000_000:])
        slow.shutdown(socket.SHUT_WR)
        assert slow.recv(1) == ACKNOWLEDGED
        assert silent.recv(1) == b""  # dropped after two seconds
    assert home.ids() == ["0", "1", "2", "slow"]


def test_half_a_payload_of_a_client_that_gave_up_is_left_to_its_spool_file(home: Home) -> None:
    process = home.running()
    whole = frame("big", {"text": "x" * 3_000_000})
    os.kill(process.pid, signal.SIGSTOP)
    with home.connect() as connection:
        connection.sendall(whole[:100_000])
    home.spool("00000000000000000001-7", whole)
    os.kill(process.pid, signal.SIGCONT)
    wait_for(lambda: home.ids() == ["big"], "the spool")
    [kept] = home.entries()
    assert len(kept["payload"]["text"]) == 3_000_000
    # one that sent all is recorded, whether it waits or not
    with home.connect() as connection:
        connection.sendall(frame("gone", {}))
    wait_for(lambda: home.ids() == ["big", "gone"], "the frame")


def test_more_than_a_client_sends_is_dropped(home: Home) -> None:
    home.running()
    assert home.send(b"x" * 100_000_000) == b""
    assert home.send(frame(1, {})) == ACKNOWLEDGED
    assert home.ids() == ["1"]


def test_anything_is_recorded_as_what_it_is(home: Home) -> None:
    home.running()
    payloads = [b"", b"null", b"[]", b"\xff\xfe", b'{"a":' + b"[" * 100_000, b'{"session_id":"../../x"}', b"{}"]
    for number, payload in enumerate(payloads):
        assert home.send(frame(number, payload)) == ACKNOWLEDGED
    assert home.send(b"no frame at all") == ACKNOWLEDGED
    assert home.send(b"") == b""
    assert len(home.entries()) == len(payloads) + 1
    assert not [path for path in home.path.rglob("x*") if "site-packages" not in str(path)]


def test_another_users_process_is_not_answered(home: Home) -> None:
    if not hasattr(os, "getuid") or os.getuid() != 0:
        pytest.skip("only root can be another user")
    home.running()
    # as if the directory's mode had been changed by hand; nothing above it lets another user in, so it is inherited
    home.state.chmod(0o711)
    (home.state / "recorder.sock").chmod(0o666)
    program = (
        "import os, socket; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect('recorder.sock')\n"
        "s.sendall(b'agent-trace-hook 1\\n'); s.shutdown(1)\n"
        "try: print(s.recv(1))\nexcept ConnectionResetError: print(b'')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], cwd=home.state, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("b''\n", "") or "Broken pipe" in done.stderr
    assert home.ids() == []


def test_the_spool_comes_first_oldest_first(home: Home) -> None:
    for number in (3, 1, 2):
        payload = {"password": "hunter22"} if number == 1 else {"password": "kept as it was redacted"}
        redacted = {} if number == 1 else {"redacted": "1"}
        home.spool(f"{number:020}-9", frame(number, payload, **redacted))
    process = home.running()
    assert home.ids() == ["1", "2", "3"]
    os.kill(process.pid, signal.SIGSTOP)
    connection = home.connect()
    with connection:
        connection.sendall(frame("live", {}))
        connection.shutdown(socket.SHUT_WR)
        home.spool("00000000000000000004-9", frame(4, {}))
        os.kill(process.pid, signal.SIGCONT)
        assert connection.recv(1) == ACKNOWLEDGED
    assert home.ids() == ["1", "2", "3", "4", "live"]
    home.spool("00000000000000000005-9", frame(5, {}))
    wait_for(lambda: home.spooled() == [], "the spool to be drained by itself")
    assert home.ids()[-1] == "5"
    passwords = [found["payload"].get("password") for found in home.entries()]
    assert passwords[:2] == ["[REDACTED]", "kept as it was redacted"]


def test_odd_things_in_the_spool_stop_nothing(home: Home) -> None:
    home.spool("00000000000000000001-1", b"")
    home.spool("00000000000000000002-1", b"\xff no frame")
    home.spool("00000000000000000004-1", frame(4, {}))
    spool = home.state / "spool"
    os.mkfifo(spool / "00000000000000000003-1.hook")
    (spool / ".00000000000000000005-1.hook").write_bytes(b"being written")
    old = spool / ".00000000000000000006-1.hook"
    old.write_bytes(b"abandoned")
    os.utime(old, (1, 1))
    home.running()
    wait_for(lambda: home.spooled() == [], "the spool")
    assert [found.get("raw", found["id"]) for found in home.entries()] == ["4", "\ufffd no frame"]
    assert [path.name for path in spool.iterdir()] == [".00000000000000000005-1.hook"]


def test_what_cannot_be_written_is_not_acknowledged_and_the_recorder_lives_on(home: Home) -> None:
    process = home.running("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))")
    assert home.send(frame(1, {})) == ACKNOWLEDGED
    assert home.send(frame(2, {"text": "x" * 60_000})) == b""
    home.spool("00000000000000000001-1", frame(3, {"text": "x" * 60_000}))
    assert home.send(frame(4, {"session_id": "other"})) == ACKNOWLEDGED
    assert (home.ids(), len(home.spooled()), process.poll()) == (["4", "1"], 1, None)
    assert "could not record a hook: OSError" in home.log()
    assert (home.status() or {})["failures"].keys() == {"record a hook", "record what a hook has spooled"}


def test_two_started_at_once_are_one(home: Home) -> None:
    started = [home.start() for _ in range(4)]
    wait_for(lambda: sum(process.poll() is None for process in started) == 1, "one to be left")
    wait_for(lambda: home.status() is not None, "it")
    assert [process.returncode for process in started if process.poll() is not None] == [0, 0, 0]
    assert [process.pid for process in started if process.poll() is None] == [(home.status() or {})["pid"]]
    assert ended(home.start()) == (0, "")


def test_what_an_earlier_one_left_behind_is_replaced(home: Home) -> None:
    assert ended(home.running(), signal.SIGKILL)[0] == -signal.SIGKILL
    assert (home.state / state.SOCKET).exists()
    (home.state / state.PORT).write_text("1 token")
    (home.state / state.STARTING).touch()
    home.running()
    assert home.send(frame(1, {})) == ACKNOWLEDGED
    assert not (home.state / state.PORT).exists()
    assert not (home.state / state.STARTING).exists()


def test_a_signal_lets_it_finish(home: Home) -> None:
    process = home.running()
    home.send(frame(1, {}))
    assert ended(process, signal.SIGTERM) == (0, "")
    assert (len(home.notes("take")), len(home.notes("finish"))) == (1, 1)
    assert not (home.state / state.SOCKET).exists()
    assert "leaving: SIGTERM" in home.log()


def test_it_stops_when_it_is_told_to_and_not_while_hooks_come(home: Home) -> None:
    process = home.running()
    assert control.ask(str(home.state), control.STOP) == {}
    assert ended(process) == (0, "")
    assert control.ask(str(home.state), control.STOP) is None
    assert home.ids() == []


def test_it_leaves_when_there_is_nothing_to_do_as_its_first_client_wishes(home: Home) -> None:
    process = home.running()
    home.send(frame(1, {}, env_AGENT_TRACE_RECORDER_IDLE="0"))
    assert ended(process) == (0, "")
    assert "leaving: nothing to do" in home.log()
    other = home.running()
    home.send(frame(2, {}, env_AGENT_TRACE_RECORDER_IDLE="nonsense"))
    home.send(frame(3, {}, env_AGENT_TRACE_RECORDER_IDLE="1000"))
    home.send(frame(4, {}, env_AGENT_TRACE_RECORDER_IDLE="0"))
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(2.5)


@pytest.mark.parametrize(
    ("seconds", "version", "leaves"), [(0, "99.0", True), (0, "0.0.9", False), (0, "", False), (60, "99.0", False)]
)
def test_it_makes_room_for_a_newer_version_but_not_at_every_hook(
    home: Home, seconds: float, version: str, *, leaves: bool
) -> None:
    process = home.running(f"service.YIELD_SECONDS = {seconds}")
    assert home.send(frame(1, {}, v=version)) == ACKNOWLEDGED
    if leaves:
        assert ended(process) == (0, "")
    else:
        assert home.send(frame(2, {})) == ACKNOWLEDGED
    assert home.ids()[0] == "1"


def test_the_next_recorder_waits_for_one_that_is_leaving(home: Home) -> None:
    leaving = home.running(
        """
class Worker(Worker):
    def finish(self):
        time.sleep(1)
        super().finish()
"""
    )
    control.ask(str(home.state), control.STOP)
    wait_for(lambda: not (home.state / state.SOCKET).exists(), "its address to go")
    home.spool("00000000000000000001-1", frame(1, {}))
    home.running()
    assert ended(leaving) == (0, "")
    assert home.ids() == ["1"]


def test_a_worker_that_never_finishes_does_not_keep_the_process(home: Home) -> None:
    source = "service.FINISH_SECONDS = 0.5\nWorker.finish = lambda self: time.sleep(600)"
    assert ended(home.running(source), signal.SIGTERM) == (0, "")


def test_without_a_worker_hooks_are_recorded_for_the_next_start(home: Home) -> None:
    home.running("def Worker(journals): raise ImportError('half an installation')")
    assert home.send(frame(1, {"hook_event_name": "PreToolUse"})) == ACKNOWLEDGED
    assert home.ids() == ["1"]
    wait_for(lambda: "half an installation" in home.log(), "the log")


def test_a_worker_that_raises_goes_on(home: Home) -> None:
    home.running(
        """
class Worker(Worker):
    def take(self, key, offset, entry):
        super().take(key, offset, entry)
        raise KeyError("token=planted-secret-value")
    def work(self):
        raise KeyError("no")
"""
    )
    for number in range(3):
        assert home.send(frame(number, {"hook_event_name": "PreToolUse"})) == ACKNOWLEDGED
    wait_for(lambda: len(home.notes("take")) == 3, "the worker")
    assert "could not take what a hook said" in home.log()
    assert "planted" not in home.log()


def test_it_leaves_when_its_directory_is_gone(home: Home) -> None:
    process = home.running()
    for path in sorted(home.state.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    home.state.rmdir()
    home.running()
    assert ended(process) == (0, "")
    assert home.send(frame(1, {})) == ACKNOWLEDGED


def test_a_state_directory_that_is_a_link_is_refused(home: Home) -> None:
    (home.path / "elsewhere").mkdir()
    home.state.parent.mkdir(parents=True)
    home.state.symlink_to(home.path / "elsewhere")
    code, out = ended(home.start())
    assert code == 1
    assert not (home.path / "elsewhere" / "recorder.lock").exists()
    assert out


def test_what_keeps_it_from_serving_is_in_its_log(home: Home) -> None:
    home.state.mkdir(parents=True)
    (home.state / "journals").touch()
    assert ended(home.start())[0] == 1
    assert "ERROR agent_trace_otel.recorder: can't go on\n" in home.log()
    assert "FileExistsError" in home.log()


def test_without_unix_sockets_a_port_with_a_token_serves(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    process = home.start("import socket; del socket.AF_UNIX")
    wait_for(lambda: (home.state / state.PORT).exists() and home.status() is not None, "a port")
    assert not (home.state / state.SOCKET).exists()
    assert stat.S_IMODE((home.state / state.PORT).stat().st_mode) == 0o600
    port, token = (home.state / state.PORT).read_text().split()

    def send(data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=30) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(1)

    assert send(frame(1, {}, token=token)) == ACKNOWLEDGED
    assert (send(frame(2, {}, token="x" * len(token))), send(frame(3, {})), send(b"GET / HTTP/1.0")) == (b"", b"", b"")
    assert home.ids() == ["1"]
    assert "token" not in home.entries()[0]
    assert control.ask(str(home.state), control.STOP) == {}
    assert ended(process) == (0, "")
    assert not (home.state / state.PORT).exists()


def test_status_tells_what_there_is_to_know(home: Home) -> None:
    began = time.time()
    process = home.running()
    home.spool("00000000000000000001-1", frame(1, {}))
    home.send(frame(2, {}))
    wait_for(lambda: (home.status() or {}).get("waiting") == 0, "the worker")
    status = home.status() or {}
    assert began <= status.pop("since") <= time.time()
    assert status == {
        "pid": process.pid,
        "version": "0.1.0",
        "open_sessions": 2,
        "frames": 1,
        "spooled": 1,
        "waiting": 0,
        "skipped_lines": 0,
        "failures": {},
    }


def test_the_lock_is_taken_before_anything_is_loaded() -> None:
    code = (
        "import sys; before = set(sys.modules); import agent_trace_otel.capture.hooks.recorder\n"
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before} & "
        "{'json', 'logging', 'opentelemetry', 'selectors', 'threading', 'pathlib', 'dataclasses'}))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_many_hooks_at_once_are_all_recorded(home: Home) -> None:
    home.running()
    answers: list[bytes] = []

    def deliver(number: int) -> None:
        answers.append(_deliver(frame(number, {"session_id": f"s{number % 2}", "text": "x" * 60_000})))

    before = Path.cwd()
    os.chdir(home.state)
    try:
        threads = [threading.Thread(target=deliver, args=(number,)) for number in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        os.chdir(before)
    assert answers == [ACKNOWLEDGED] * 24
    assert sorted(home.ids(), key=int) == [str(number) for number in range(24)]


def _deliver(data: bytes, seconds: float = 30.0) -> bytes:
    """Deliver as a hook does, from inside the state directory; empty when nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(seconds)
            connection.connect(state.SOCKET)
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(1)
    except OSError:
        return b""


def test_nothing_is_lost_however_often_it_is_killed(home: Home) -> None:
    chance = random.Random(4)
    home.running()
    acknowledged: set[str] = set()
    sent: set[str] = set()
    is_over = threading.Event()

    def hooks(sender: int) -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            name = f"{sender}-{number}"
            size = 400_000 if number % 20 == 0 else 500
            data = frame(name, {"session_id": f"s{number % 5}", "text": "y" * size}, redacted="1")
            sent.add(name)
            if _deliver(data, 0.5) == ACKNOWLEDGED:
                acknowledged.add(name)
            else:
                home.spool(f"{time.time_ns():020}-{sender}", data)
                time.sleep(0.01)

    before = Path.cwd()
    os.chdir(home.state)
    try:
        senders = [threading.Thread(target=hooks, args=(sender,)) for sender in range(4)]
        for sender in senders:
            sender.start()
        for _ in range(15):
            if chance.random() < 0.7:  # most often while it serves, else while it starts or drains
                wait_for(lambda: _deliver(frame("x", {})) == ACKNOWLEDGED, "an answer")
            time.sleep(chance.uniform(0.0, 0.3))
            home.recorders[-1].kill()
            home.recorders[-1].wait()
            home.start()
        wait_for(lambda: _deliver(frame("x", {})) == ACKNOWLEDGED, "an answer")
        is_over.set()
        for sender in senders:
            sender.join(60)
    finally:
        is_over.set()
        os.chdir(before)
    assert control.ask(str(home.state), control.STOP) == {}
    assert ended(home.recorders[-1]) == (0, "")
    recorded = set(home.ids())
    assert (home.spooled(), sent - recorded, acknowledged - recorded) == ([], set(), set())
    assert len(acknowledged) > 50
    assert len(sent - acknowledged) > 0


def test_memory_stays_flat(home: Home) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("asks /proc")
    process = home.running("Worker.take = lambda self, key, offset, entry: None")
    before = Path.cwd()
    os.chdir(home.state)
    measured: list[int] = []
    rounds = int(os.environ.get("AGENT_TRACE_TEST_FRAMES", "2000"))
    try:
        for _ in range(5):
            for number in range(rounds):
                assert _deliver(frame(number, {"session_id": f"s{number % 300}"})) == ACKNOWLEDGED
            measured.append(_resident(process.pid))
    finally:
        os.chdir(before)
    assert measured[-1] < 1.1 * measured[0], measured


def _resident(pid: int) -> int:
    """Return a process's memory in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
