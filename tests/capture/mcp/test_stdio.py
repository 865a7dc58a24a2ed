"""`agent-trace record` can't be told from the server: bytes, ends, exit codes, signals; and the folder has it all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from programs import environment, wait_for

from agent_trace_otel import process, semconv
from agent_trace_otel.store.folder import EVENTS
from agent_trace_otel.testing import Recorded

PEER = [sys.executable, "-S", str(Path(__file__).with_name("peer.py"))]
RECORD = [sys.executable, "-m", "agent_trace_otel", "record", "--"]
ODD = (
    b' {"jsonrpc" : "2.0","id":1,"id":1,  "method":"a","params":null}\n'
    b'{"n":1.0e0,"big":123456789012345678901234567890,"u":"\\u00e9\xc3\xa9","sep":"\xe2\x80\xa8\xc2\x85"}\r\n'
    b"\n\r\n   \n"
    b'[{"jsonrpc":"2.0","id":2,"method":"b"},{"jsonrpc":"2.0","method":"c"}]\n'
    b"not json at all\n\xff\xfe\x00\x01 binary\n"
    b"Content-Length: 2\r\n\r\n{}" + b"[" * 10_000 + b"\n"
    b'{"jsonrpc":"2.0","id":3,"method":"no end of line"}'
)


class Running:
    """A server, behind the proxy or not, spoken to in bytes."""

    def __init__(self, command: Sequence[str], directory: Path, handed: Sequence[int] = (), **variables: str) -> None:
        self.recorded = Recorded(directory / "traces")
        self.process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment(directory, **variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=handed,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.into, self.out = self.process.stdin, self.process.stdout

    def says(self, size: int) -> bytes:
        """Return exactly so many bytes of its output."""
        found = b""
        while len(found) < size:
            chunk = self.out.read(size - len(found))
            assert chunk, f"the output ended after {found!r}"
            found += chunk
        return found

    def line(self) -> bytes:
        found = b""
        while not found.endswith(b"\n"):
            found += self.says(1)
        return found

    def ends(self, data: bytes | None = None) -> tuple[bytes, bytes, int]:
        """Say the last, close the input, and return output, errors and exit code."""
        out, err = self.process.communicate(data, timeout=60)
        return out, err, self.process.returncode

    def _events(self) -> Iterable[Path]:
        return self.recorded.trace_dir.glob(f"*/{EVENTS}")

    def events(self, count: int) -> list[str]:
        """Wait until so many events are there; return their types."""
        wait_for(lambda: sum(path.read_bytes().count(b"\n") for path in self._events()) >= count, f"{count} events")
        return [event.event_type for event in self.recorded.events()]


@contextmanager
def recording(directory: Path, mode: str, *arguments: str, within: Sequence[str] = ()) -> Iterator[Running]:
    running = Running([*within, *RECORD, *PEER, mode, *arguments], directory)
    try:
        yield running
    finally:
        running.process.kill()
        for stream in (running.process.stdin, running.process.stdout, running.process.stderr):
            if stream is not None:
                stream.close()
        running.process.wait()


def _call(number: int, method: str = "tools/call") -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":{"name":"t"}}\n' % (number, method.encode())


def _closes(running: Running) -> None:
    """Wait until the session has its end."""
    wait_for(
        lambda: bool(running.recorded.sessions()) and "session_end" in running.recorded.text(), "the session's end"
    )


# -- bytes -----------------------------------------------------------------------------------------------------------


def test_every_byte_passes_as_it_is(tmp_path: Path) -> None:
    with recording(tmp_path, "echo") as running:
        assert running.ends(ODD) == (ODD, b"", 0)
        _closes(running)


def test_bytes_arrive_as_they_were_sent_not_when_a_line_is_complete(tmp_path: Path) -> None:
    with recording(tmp_path, "echo") as running:
        for piece in (b'{"jsonrpc":', b'"2.0"', b"\xc3", b"\xa9"):
            running.into.write(piece)
            assert running.says(len(piece)) == piece


def test_ten_megabytes_pass_both_ways_at_once(tmp_path: Path) -> None:
    size = 10 << 20
    with recording(tmp_path, "both_ways", str(size)) as running:
        out, _, code = running.ends(bytes(size))
        assert (out, code) == (bytes(range(256)) * (size // 256) + b"\ncame %d" % size, 0)


def test_a_slow_reader_gets_everything_after_the_server_has_gone(tmp_path: Path) -> None:
    with recording(tmp_path, "burst", "20000") as running:
        time.sleep(1.5)  # longer than an ended server's silence is waited for: the pipe is full, and nothing moves
        out, _, code = running.ends()
        assert (out.count(b"\n"), code) == (20_000, 0)
        assert out.endswith(b'"params":{"n":19999}}\n')


def test_the_server_gets_the_clients_environment_and_descriptors_and_none_of_ours(tmp_path: Path) -> None:
    command = [*PEER, "environment", "MINE"]
    with (tmp_path / "handed down").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        handed = (file.fileno(),)
        direct, proxied = (Running([*before, *command], tmp_path, handed, MINE="ü 1").ends() for before in ([], RECORD))
    assert direct == proxied
    assert f"{handed[0]}".encode() in direct[0]


@pytest.mark.parametrize("closed", ["<&-", "2>&-"])
def test_standard_streams_that_are_closed_do_not_matter(closed: str, tmp_path: Path) -> None:
    script = f'exec "$@" {closed}'
    server = ["sh", "-c", "cat; echo said; exit 3"]
    running = Running(["sh", "-c", script, "sh", *RECORD[:-1], "-v", "--", *server], tmp_path)
    out, _, code = running.ends()
    assert (out, code) == (b"said\n", 3)


# -- ends ------------------------------------------------------------------------------------------------------------


def test_the_end_of_the_input_is_passed_on(tmp_path: Path) -> None:
    with recording(tmp_path, "keep", str(tmp_path / "kept")) as running:
        assert running.ends(b"all of it") == (b"", b"", 0)
        assert (tmp_path / "kept").read_bytes() == b"all of it"


@pytest.mark.parametrize("code", [0, 3, 42, 255])
def test_a_server_that_exits_first_ends_the_proxy_with_its_code(code: int, tmp_path: Path) -> None:
    with recording(tmp_path, "exits", str(code)) as running:
        assert running.process.wait(60) == code
        assert running.out.read() == b"last words"
        assert running.process.stderr is not None
        assert running.process.stderr.read() == b"complaint"
        _closes(running)
        assert running.recorded.events()[-1].data["exit_code"] == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGABRT])
def test_a_server_that_a_signal_ended_gives_128_and_its_number(number: signal.Signals, tmp_path: Path) -> None:
    with recording(tmp_path, "dies", str(int(number))) as running:
        assert running.process.wait(60) == 128 + number


SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_reach_the_server_and_do_what_they_do(number: signal.Signals, tmp_path: Path) -> None:
    with recording(tmp_path, "mortal") as running:
        running.says(6)
        running.process.send_signal(number)
        assert running.process.wait(60) == 128 + number


def test_a_server_may_take_signals_and_go_on(tmp_path: Path) -> None:
    with recording(tmp_path, "stubborn", "7") as running:
        running.says(6)
        for number in SIGNALS:
            running.process.send_signal(number)
            assert running.line() == number.name.encode() + b"\n"
        assert running.ends() == (b"", b"", 7)


def test_ctrl_c_in_a_terminal_reaches_the_server_once(tmp_path: Path) -> None:
    in_a_terminal = [sys.executable, "-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"]
    with recording(tmp_path, "stubborn", "7", within=in_a_terminal) as running:
        assert running.line() == b"ready\r\n"
        presses = 20
        for _ in range(presses):
            time.sleep(0.05)  # two signals that come at once are one
            running.into.write(b"\x03")
        time.sleep(0.1)
        running.into.write(b"\x04")  # the terminal's end of input
        assert running.out.read().count(b"SIGINT") == presses
        assert running.process.wait(60) == 7


def test_a_signal_while_the_last_bytes_wait_for_a_reader_ends_the_wait(tmp_path: Path) -> None:
    with recording(tmp_path, "burst", "1500") as running:  # more than one pipe holds, less than two
        running.line()
        wait_for(lambda: _has_ended_server(running.process.pid), "the server has ended")
        assert running.process.poll() is None
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
        _closes(running)


def test_a_signal_that_comes_as_the_server_ends_is_meant_for_the_proxy(tmp_path: Path) -> None:
    script = """
import signal
from agent_trace_otel.capture.mcp import stdio
from agent_trace_otel.capture.signals import AWAITED

class Server:
    codes = iter([None, 0])

    def poll(self):
        return next(self.codes, 0)

    def send_signal(self, number):
        raise ProcessLookupError

signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
signal.raise_signal(signal.SIGTERM)
print(stdio._wait_for(Server()), *signal.sigpending())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "0"
    assert done.stdout.split()[1:] in (["Signals.SIGTERM"], ["15"])  # as Python 3.10 shows it


def _has_ended_server(proxy: int) -> bool:
    """Tell whether no child is left but the recording one; ps shows the one that is just ending under another name."""
    shown = subprocess.run(["ps", "-A", "-ww", "-o", "ppid=,stat=,args="], capture_output=True, check=True).stdout
    rows = [line.split(None, 2) for line in shown.splitlines()]
    return all(row[0] != b"%d" % proxy or row[1][:1] == b"Z" or b"capture.mcp.recording" in row[2] for row in rows)


def test_a_server_that_closed_its_input_breaks_the_clients_pipe(tmp_path: Path) -> None:
    with recording(tmp_path, "closes_input") as running:
        running.says(7)
        with pytest.raises(BrokenPipeError):  # noqa: PT012 - the second write at the latest
            while True:
                running.into.write(b"x" * 1000)


def test_a_server_that_closed_its_output_ends_the_proxys(tmp_path: Path) -> None:
    with recording(tmp_path, "closes_output") as running:
        assert running.out.read() == b"bye"
        assert running.process.poll() is None
        assert running.ends(b"more") == (b"", b"", 5)


def test_a_server_notices_that_nobody_reads_it(tmp_path: Path) -> None:
    with recording(tmp_path, "outlives_its_reader") as running:
        running.says(10)
        running.out.close()
        assert running.process.wait(60) == 6


def test_a_process_that_the_server_left_behind_holds_nobody_up(tmp_path: Path) -> None:
    with recording(tmp_path, "leaves_a_child") as running:
        assert running.process.wait(15) == 4
        assert running.says(5) == b"done\n"


def test_a_killed_proxy_takes_the_server_along(tmp_path: Path) -> None:
    with recording(tmp_path, "immortal") as running:
        server = int(running.line())
        running.process.kill()
        wait_for(lambda: process.start_of(server) is None, "the server dies")


def test_a_command_that_is_missing_is_said_in_one_line(tmp_path: Path) -> None:
    running = Running([*RECORD, "no-such-command", "-x"], tmp_path)
    assert running.ends() == (b"", b"agent-trace: can't run no-such-command: No such file or directory\n", 127)
    assert running.recorded.sessions() == []
    (tmp_path / "file").touch()
    for path, why in (("file", "Permission denied"), ("file/x", "Not a directory")):
        running = Running([*RECORD, str(tmp_path / path)], tmp_path)
        assert running.ends()[1:] == (f"agent-trace: can't run {tmp_path}/{path}: {why}\n".encode(), 126)


def test_no_command_is_a_wrong_usage(tmp_path: Path) -> None:
    out, err, code = Running(RECORD, tmp_path).ends()
    assert (out, err.count(b"\n"), code) == (b"", 1, 2)


def test_options_end_where_the_servers_command_begins(tmp_path: Path) -> None:
    command = [*RECORD[:-1], "--name", "mine", "-v", *PEER, "environment", "-v"]
    running = Running(command, tmp_path)
    out, err, code = running.ends()
    assert (out[:1], err.count(b"agent-trace: "), code) == (b"\n", 2, 0)
    _closes(running)
    assert running.recorded.events()[0].data["agent_name"] == "mine"


# -- the recording ---------------------------------------------------------------------------------------------------


def test_the_folder_is_complete_when_the_proxy_has_ended(tmp_path: Path) -> None:
    with recording(tmp_path, "answer") as running:
        running.into.write(_call(1))
        running.line()
        running.events(3)
        running.into.write(_call(2))
        running.line()
        running.ends()
        types = [event.event_type for event in running.recorded.events()]  # at once: nothing is waited for
        assert types == ["session_start", *["tool_call", "tool_result"] * 2, "session_end"]
        assert running.recorded.meta().command.split()[-1] == "answer"


def test_a_call_is_on_disk_while_it_runs(tmp_path: Path) -> None:
    with recording(tmp_path, "silent") as running:
        running.into.write(_call(1))
        assert running.events(2) == ["session_start", "tool_call"]
        assert running.process.poll() is None


def test_kill_9_loses_no_call_that_passed(tmp_path: Path) -> None:
    with recording(tmp_path, "answer", "fails") as running:
        running.events(1)  # what the proxy waits for least of all is its recording child: that has begun now
        running.into.write(_call(1) + _call(2, "fails"))
        running.line(), running.line()
        running.process.kill()
        _closes(running)
        spans = {span.name: dict(span.attributes or {})[semconv.OUTCOME] for span in running.recorded.spans()}
        assert spans == {"tools/call t": "ok", "fails": "error", "invoke_agent peer.py": "lost"}


def test_kill_9_closes_what_was_open_as_lost(tmp_path: Path) -> None:
    with recording(tmp_path, "silent") as running:
        running.into.write(_call(1))
        running.events(2)
        running.process.kill()
        _closes(running)
        assert [event.event_type for event in running.recorded.events()][2:] == ["error", "session_end"]


def test_ctrl_c_ends_proxy_and_server_and_the_end_is_written(tmp_path: Path) -> None:
    command = [*RECORD, *PEER, "mortal"]
    running = Running(["setsid", *command] if sys.platform == "linux" else command, tmp_path)
    running.says(6)
    running.events(1)
    os.killpg(running.process.pid, signal.SIGINT)
    assert running.ends()[2] == 130
    _closes(running)
    assert running.recorded.events()[-1].data["exit_code"] == 130


def test_every_line_of_a_burst_is_recorded(tmp_path: Path) -> None:
    with recording(tmp_path, "echo") as running:
        sent = b"".join(_call(number, "tools/list") for number in range(2_000))
        reader = threading.Thread(target=running.says, args=(len(sent),))
        reader.start()
        running.into.write(sent)
        reader.join()
        running.process.kill()
        _closes(running)
        root = dict(running.recorded.spans()[-1].attributes or {})
        assert semconv.MCP_LOST_COPIES not in root
        # the server's echo makes each of them a request of its own
        assert len(running.recorded.spans()) == 2 * 2_000 + 1


def test_a_directory_that_can_not_be_written_is_nobodys_problem(tmp_path: Path) -> None:
    (tmp_path / "traces").write_text("a file")
    with recording(tmp_path, "echo") as running:
        assert running.ends(ODD) == (ODD, b"", 0)


def test_a_recorder_that_dies_is_nobodys_problem(tmp_path: Path) -> None:
    with recording(tmp_path, "echo") as running:
        running.events(1)
        recorder = running.recorded.events()[0].data["pid"]
        os.kill(recorder, signal.SIGKILL)
        wait_for(lambda: process.start_of(recorder) is None, "the recorder dies")
        assert running.ends(ODD) == (ODD, b"", 0)


def test_a_module_of_the_users_is_not_taken_for_one_of_ours(tmp_path: Path) -> None:
    for name in ("json", "socket", "copies", "agent_trace_otel"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not me')")
    script = Path(sys.executable).with_name("agent-trace")
    command = [
        sys.executable,
        "-c",
        "import sys; sys.path.remove(''); from agent_trace_otel.__main__ import main; main()",
    ]
    running = Running([*([str(script)] if script.exists() else command), "record", "--", *PEER, "echo"], tmp_path)
    assert running.ends(b"x") == (b"x", b"", 0)
    _closes(running)


def test_the_relay_loads_neither_json_nor_opentelemetry() -> None:
    code = (
        "import sys; from agent_trace_otel import cli; from agent_trace_otel.capture.mcp import relaying, stdio\n"
        "stdio.record = lambda *_, **__: print([m for m in sys.modules if m.startswith(('json', 'opentelemetry'))])\n"
        "cli.main(['record', '--', 'x'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# -- trace context ---------------------------------------------------------------------------------------------------


def test_an_injected_context_names_the_span_of_its_request(tmp_path: Path) -> None:
    command = [*RECORD[:-1], "--inject-traceparent", "--", *PEER, "keep", str(tmp_path / "kept")]
    running = Running(command, tmp_path)
    _, err, code = running.ends(
        _call(1) + b"garbage\n" + b'{"jsonrpc":"2.0","method":"notifications/x"}\n' + _call(2)[:-1]
    )
    assert (err, code) == (b"", 0)
    _closes(running)
    first, garbage, notification, last = (tmp_path / "kept").read_bytes().split(b"\n")
    assert (garbage, notification) == (b"garbage", b'{"jsonrpc":"2.0","method":"notifications/x"}')
    one, two, root = running.recorded.spans()
    for line, span in ((first, one), (last, two)):
        assert span.context is not None
        assert span.parent is not None
        assert root.context is not None
        context = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-01"
        assert b'"params":{"_meta":{"traceparent":"%s"},"name":"t"}' % context.encode() in line
        assert span.parent.span_id == root.context.span_id


def test_what_can_not_be_injected_into_passes_while_it_comes(tmp_path: Path) -> None:
    command = [*RECORD[:-1], "--inject-traceparent", "--", *PEER, "echo"]
    body = _call(1)[:-1]
    for message in (b"Content-Length: %d\r\n\r\n" % len(body) + body, b'{"a":"' + b"x" * (3 << 20)):
        running = Running(command, tmp_path)
        writer = threading.Thread(target=running.into.write, args=(message,))
        writer.start()
        assert running.says(len(message)) == message
        writer.join()
        running.ends()
