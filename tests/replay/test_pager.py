"""What is longer than the screen goes through a pager, on terminals alone."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from session_folders import event, session_start, write_session

LINES = 30
# a pager that says that it is one, and what it was given
PAGER = "import sys; text = sys.stdin.read(); print('[PAGED]', len(text.splitlines()), sys.argv[1:]); print(text)"


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments: str, lines: int = LINES, columns: int = 80, **env: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        hidden = ("PAGER", "LESS", "NO_COLOR", "COLUMNS", "LINES")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent_trace_otel", *arguments],
            env={**kept, "TERM": "xterm", "PYTHONUTF8": "1", **env},
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0) and None,  # noqa: PLW1509 - no thread is alive
        )
        os.close(theirs)

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def output(self, until: bytes | None = None) -> str:
        """Return what it writes, to its end or until something comes."""
        written = b""
        while (until is None or until not in written) and select.select([self._ours], [], [], 20)[0]:
            try:
                part = os.read(self._ours, 65536)
            except OSError:  # Linux: EIO, once the other side is closed
                break
            if not part:
                break
            written += part
        return written.decode()

    def ends(self) -> tuple[int, bytes]:
        assert self.process.stderr is not None
        code = self.process.wait(20)
        with self.process.stderr as stderr:
            return code, stderr.read()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()
        os.close(self._ours)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


@pytest.fixture
def traces(tmp_path: Path) -> str:
    lines = (event("user_prompt", n, {"prompt": f"prompt {n}"}) for n in range(1, 41))
    write_session(tmp_path / "t", session_start(), *lines, meta={"started_at": 1.0, "ended_at": 60.0})
    return str(tmp_path / "t")


def pager(*arguments: str) -> str:
    return f'{sys.executable} -c "{PAGER}" {" ".join(arguments)}'


def test_more_than_a_screen_goes_through_the_pager(traces: str, terminals: list[Terminal]) -> None:
    for command in (["replay"], ["replay", "--tree"]):
        terminals.append(terminal := Terminal("--trace-dir", traces, *command, PAGER=pager("-x", "'two words'")))
        shown = terminal.output()
        assert "['-x', 'two words']" in shown
        assert shown.index("[PAGED]") < shown.index("Session Summary") < shown.index("prompt 40")
        assert "\x1b[1m" in shown
        assert terminal.ends() == (0, b"")


@pytest.mark.parametrize(
    ("lines", "env"),
    [
        (200, {"PAGER": pager()}),
        (LINES, {"PAGER": ""}),
        (LINES, {"PAGER": "cat"}),
        (LINES, {"PAGER": "/no/such/pager"}),
        (LINES, {"PAGER": pager(), "TERM": "dumb"}),
        (0, {"PAGER": pager()}),
    ],
)
def test_without_need_or_pager_all_goes_to_the_terminal(
    traces: str, terminals: list[Terminal], lines: int, env: dict[str, str]
) -> None:
    terminals.append(terminal := Terminal("--trace-dir", traces, "replay", lines=lines, **env))
    shown = terminal.output()
    assert "[PAGED]" not in shown
    assert shown.count("Session Summary") == 1
    assert "prompt 40" in shown
    assert terminal.ends() == (0, b"")


def test_a_long_line_takes_as_many_lines_as_it_wraps_to(tmp_path: Path, terminals: list[Terminal]) -> None:
    write_session(tmp_path, session_start(), event("user_prompt", 1, {"prompt": "x" * 80 * LINES}), meta={})
    terminals.append(terminal := Terminal("--trace-dir", str(tmp_path), "replay", "--full", PAGER=pager()))
    assert "[PAGED]" in terminal.output()


def test_pipes_and_live_replays_have_no_pager(traces: str, terminals: list[Terminal]) -> None:
    command = [sys.executable, "-m", "agent_trace_otel", "--trace-dir", traces, "replay"]
    piped = subprocess.run(command, env={**os.environ, "PAGER": pager()}, capture_output=True, text=True, check=True)
    assert "[PAGED]" not in piped.stdout
    live = ("replay", "--live", "--speed", "100000")
    terminals.append(terminal := Terminal("--trace-dir", traces, *live, PAGER=pager()))
    assert "[PAGED]" not in terminal.output()


def test_a_reader_who_has_seen_enough_is_no_error(tmp_path: Path, terminals: list[Terminal]) -> None:
    lines = (event("user_prompt", n, {"prompt": "x" * 60}) for n in range(20_000))
    write_session(tmp_path, session_start(), *lines, meta={"started_at": 1.0, "ended_at": 2.0})
    terminals.append(terminal := Terminal("--trace-dir", str(tmp_path), "replay", PAGER="head -n 3"))
    assert len(terminal.output().splitlines()) == 3
    assert terminal.ends() == (0, b"")


def test_notes_are_said_when_the_pager_is_gone(tmp_path: Path, terminals: list[Terminal]) -> None:
    lines = (event("user_prompt", n, {"prompt": "x"}) for n in range(40))
    write_session(tmp_path, session_start(), *lines, b"{torn", meta={"started_at": 1.0, "ended_at": 2.0})
    slow = f'{sys.executable} -c "import sys, time; sys.stdin.read(); time.sleep(0.2); sys.stderr.write(chr(80))"'
    terminals.append(terminal := Terminal("--trace-dir", str(tmp_path), "replay", PAGER=slow))
    terminal.output()
    assert terminal.ends() == (0, b"Pagent-trace: left out the last line, which is torn\n")


@pytest.mark.skipif(shutil.which("less") is None, reason="needs less")
def test_less_shows_colours_and_survives_an_interrupt(traces: str, terminals: list[Terminal]) -> None:
    terminals.append(terminal := Terminal("--trace-dir", traces, "replay"))
    shown = terminal.output(until=b"prompt 5")
    assert "\x1b[1mSession Summary" in shown
    assert "ESC" not in shown
    os.killpg(terminal.process.pid, signal.SIGINT)  # as Ctrl-C does
    time.sleep(0.1)
    terminal.press(b"G")
    assert "prompt 40" in terminal.output(until=b"prompt 40")
    terminal.press(b"q")
    terminal.output()
    assert terminal.ends() == (0, b"")
