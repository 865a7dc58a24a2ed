"""Following a session that another process writes, in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import wait_for
from session_folders import SESSION_ID, event, gone, session_start, write_session

from agent_trace_otel.errors import SessionNotFoundError
from agent_trace_otel.replay.follow import followed, session_to_follow
from agent_trace_otel.store.index import SessionIndex
from agent_trace_otel.store.reader import Session


class Follower:
    """`agent-trace replay --follow` in a process, and what it has said so far."""

    def __init__(self, trace_dir: Path, *arguments: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENT_TRACE_", "OTEL_"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent_trace_otel", "--trace-dir", str(trace_dir), "replay", "--follow", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**kept, "PYTHONUTF8": "1"},
            encoding="utf-8",
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=lines.extend, args=(stream,))
            for lines, stream in ((self.out, self.process.stdout), (self.err, self.process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def sees(self, text: str) -> None:
        wait_for(lambda: any(text in line for line in self.out + self.err), text)

    def ends(self) -> int:
        code = self.process.wait(30)
        for reader in self._readers:
            reader.join(30)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code


@pytest.fixture
def followers() -> Iterator[list[Follower]]:
    running: list[Follower] = []
    yield running
    for follower in running:
        follower.process.kill()
        follower.ends()


def append(folder: Path, data: bytes) -> None:
    with (folder / "events.ndjson").open("ab") as file:
        file.write(data)


def shown(follower: Follower) -> list[str]:
    """Return what was told before the summary."""
    text = "".join(follower.out)
    return text.partition("\nSession Summary")[0].splitlines()


def test_events_are_shown_when_they_are_written_until_the_session_ends(
    tmp_path: Path, followers: list[Follower]
) -> None:
    call = event("tool_call", 1, {"tool_name": "Bash", "arguments": {"command": "make"}}, event_id="c")
    folder = write_session(tmp_path, session_start())
    followers.append(follower := Follower(tmp_path))
    follower.sees("session_start")
    append(folder, call[:70])
    append(folder, call[70:])
    follower.sees("make")
    append(folder, event("tool_result", 3, {"tool_name": "Bash"}, event_id="r", parent_id="c"))
    follower.sees("tool_result")
    append(folder, event("session_end", 4))
    assert follower.ends() == 0
    assert shown(follower) == [
        "+  0.00s ▶ session_start",
        "+  1.00s → tool_call Bash",
        "              make",
        "+  3.00s ← tool_result Bash (2.00s)",
        "+  4.00s ■ session_end",
    ]
    assert "  Tool calls: 1\n" in follower.out
    assert follower.err == ["agent-trace: meta.json is missing: counted from events.ndjson instead\n"]


def test_a_session_that_has_not_begun_is_waited_for(tmp_path: Path, followers: list[Follower]) -> None:
    write_session(tmp_path / "traces", session_start(gone()), session_id="0-crashed")
    followers.append(follower := Follower(tmp_path / "traces"))
    followers.append(named := Follower(tmp_path / "none" / "yet", SESSION_ID[:6]))
    follower.sees("waiting for a session to begin")
    named.sees(f"waiting for a session {SESSION_ID[:6]} to begin")
    for trace_dir in (tmp_path / "traces", tmp_path / "none" / "yet"):
        folder = write_session(trace_dir)
        append(folder, session_start())
    for one in followers:
        one.sees("session_start")
        assert one.process.poll() is None
    for trace_dir in (tmp_path / "traces", tmp_path / "none" / "yet"):
        append(trace_dir / SESSION_ID, event("session_end", 1))
    assert [one.ends() for one in followers] == [0, 0]


def test_it_ends_when_the_process_is_killed(tmp_path: Path, followers: list[Follower]) -> None:
    source = (
        "import os, signal, sys\nfrom agent_trace_otel import start_session, trace_tool\n"
        "@trace_tool\ndef forever():\n    print('in', flush=True)\n    signal.pause()\n"
        "start_session(name='agent'); forever()\n"
    )
    environment = {**os.environ, "AGENT_TRACE_DIR": str(tmp_path / "traces")}
    agent = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, env=environment)
    followers.append(follower := Follower(tmp_path / "traces"))
    try:
        assert agent.stdout is not None
        agent.stdout.readline()
        follower.sees("tool_call forever")
        assert follower.process.poll() is None
    finally:
        agent.kill()
        agent.communicate()
    assert follower.ends() == 0
    assert shown(follower)[-1].endswith(f"… crashed (process {agent.pid} is gone), 1 call still open")


def test_an_interrupt_ends_it_quietly(tmp_path: Path, followers: list[Follower]) -> None:
    write_session(tmp_path, session_start())
    followers.append(follower := Follower(tmp_path))
    follower.sees("session_start")
    follower.process.send_signal(signal.SIGINT)
    assert (follower.ends(), follower.err, len(follower.out)) == (130, [], 1)


def test_a_session_that_is_over_is_shown_to_its_end(tmp_path: Path, followers: list[Follower]) -> None:
    write_session(tmp_path, session_start(), event("session_end", 2), meta={"started_at": 1.0, "ended_at": 3.0})
    followers.append(follower := Follower(tmp_path, SESSION_ID))
    assert follower.ends() == 0
    assert shown(follower) == ["+  0.00s ▶ session_start", "+  2.00s ■ session_end"]


def test_only_what_is_selected_is_shown(tmp_path: Path, followers: list[Follower]) -> None:
    folder = write_session(tmp_path, session_start())
    followers.append(follower := Follower(tmp_path, "--filter", "error"))
    append(folder, event("tool_call", 1, {"tool_name": "Bash", "arguments": {"command": "make"}}, event_id="c"))
    append(folder, event("error", 2, {"tool_name": "Bash", "message": "no rule"}, event_id="e", parent_id="c"))
    follower.sees("no rule")
    append(folder, event("session_end", 4))
    assert follower.ends() == 0
    assert shown(follower)[-3:] == [
        "+  2.00s ✗ error Bash (1.00s) of the call at +1.00s",
        "              make",
        "              no rule",
    ]


@pytest.mark.parametrize("option", ["--live", "--tree"])
def test_what_needs_the_whole_session_is_refused(tmp_path: Path, followers: list[Follower], option: str) -> None:
    followers.append(follower := Follower(tmp_path, option))
    assert follower.ends() == 2
    assert follower.err == [f"agent-trace: {option} can't be used with --follow\n"]


def test_a_line_without_its_end_is_read_once_it_has_one(tmp_path: Path) -> None:
    line = event("decision", 1, {"choice": "x"})
    folder = write_session(tmp_path, session_start(), line[:-30])
    with SessionIndex(str(folder / "events.ndjson"), grows=True) as index:
        assert (len(index), index.torn, list(index.read_on())) == (1, 1, [])
        append(folder, line[-30:] + line)
        assert (list(index.read_on()), index.torn, index.repeated) == ([1], 0, 1)
        assert index.data(1)["choice"] == "x"


def test_a_call_and_its_end_find_each_other_across_readings(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    with SessionIndex(str(folder / "events.ndjson"), grows=True) as index:
        assert list(index.read_on()) == []
        write_session(tmp_path, event("tool_call", 1, event_id="a"), session_id="s")
        assert list(index.read_on()) == [0]
        append(folder, event("tool_result", 2, event_id="b", parent_id="a"))
        assert (list(index.read_on()), list(index.partners), index.open_calls()) == ([1], [1, 0], 0)


def test_a_session_of_another_host_is_followed_until_it_ends(tmp_path: Path) -> None:
    folder = write_session(tmp_path, session_start(host="elsewhere"))
    session = Session(str(folder))
    pauses = iter([event("decision", 1), b"", event("session_end", 2)])
    with SessionIndex(session.events_path, grows=True) as index:
        arrived = list(followed(session, index, sleep=lambda _: append(folder, next(pauses))))
    assert (arrived, session.state) == ([0, 1, 2], "ended")


def test_an_ambiguous_id_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("aa", "ab"):
        write_session(tmp_path, session_start(), session_id=name)
    with pytest.raises(SessionNotFoundError, match="ambiguous"):
        session_to_follow(str(tmp_path), "a", time.sleep)
