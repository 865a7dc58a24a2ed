"""agent-trace ship, as people run it: which back end, which sessions, one line, an exit code."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from chaos import receiver
from programs import environment, wait_for

import agent_trace_otel as at
from agent_trace_otel import cli
from agent_trace_otel.testing import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chaos import Receiver

    Ship = Callable[..., tuple[int, str, str]]

KEY = "secret-key-of-a-test"


@pytest.fixture
def to(tmp_path: Path) -> Iterator[Receiver]:
    with receiver(tmp_path) as running:
        yield running


def record(tmp_path: Path, *names: str) -> list[str]:
    """Record one short session for each name; return their ids."""
    with recording(tmp_path / "traces") as recorded:
        for name in names:
            at.start_session(name)
            at.trace_tool(lambda query: query)("x")
            at.end_session()
        return recorded.sessions()


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ship:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = cli.main(["ship", *arguments])
        except SystemExit as error:
            code = int(str(error.code))
        return (code, *capsys.readouterr())

    return run


def test_the_newest_session_goes_to_the_endpoint_and_once_only(tmp_path: Path, to: Receiver, ship: Ship) -> None:
    record(tmp_path, "one", "two")
    url = f"{to.base}/v1/traces"
    assert ship("--endpoint", to.base) == (0, f"{url}: 2 spans delivered\n", "")
    assert ship("--endpoint", to.base) == (0, f"{url}: 0 spans delivered\n", "")
    assert ship("--all", "--endpoint", url) == (0, f"{url}: 2 spans delivered\n", "")
    assert len(to.lines("taken")) == 4


def test_without_an_endpoint_the_configured_back_end_is_meant(
    tmp_path: Path, to: Receiver, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, "one")
    monkeypatch.setenv("AGENT_TRACE_OTLP_ENDPOINT", to.base)
    monkeypatch.setenv("AGENT_TRACE_OTLP_HEADERS", f"x-key={KEY}")
    assert ship()[0] == 0
    assert len(to.lines("taken")) == 2


def test_what_can_not_be_meant_is_a_usage_error(tmp_path: Path, ship: Ship) -> None:
    (session,) = record(tmp_path, "one")
    for arguments in ((), ("--header", "A: b"), (session, "--all"), ("--failed", "--follow"), ("--endpoint", "x")):
        code, out, err = ship(*arguments)
        assert (code, out) == (2, ""), arguments
        assert len(err.splitlines()) == 1


def test_a_back_end_that_refuses_is_one_line_and_exit_code_one(tmp_path: Path, to: Receiver, ship: Ship) -> None:
    record(tmp_path, "one")
    to.be("401")
    code, out, err = ship("--endpoint", to.base, "--header", f"Authorization: {KEY}")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f"agent-trace: {to.base}/v1/traces: 0 spans delivered, 2 still to be sent: HTTP 401 Unauthorized"
    ]
    assert KEY not in err


def test_what_was_set_aside_is_listed_with_its_reason(tmp_path: Path, to: Receiver, ship: Ship) -> None:
    (session,) = record(tmp_path, "one")
    assert ship("--failed") == (0, "", "agent-trace: nothing is set aside\n")
    to.be("400")
    assert ship("--endpoint", to.base)[0] == 1
    code, out, _ = ship("--all", "--failed")
    assert code == 0
    assert [line.partition(" ")[0] for line in out.splitlines()] == [session] * 2
    assert [line.partition(": ")[2] for line in out.splitlines()] == ["HTTP 400 Bad Request"] * 2
    assert ship("--failed", "--endpoint", "http://elsewhere")[1] == ""
    to.be("well")
    assert ship("--endpoint", to.base)[0] == 0
    assert ship("--failed")[1] == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_following_sends_what_comes_until_a_signal(tmp_path: Path, to: Receiver, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "agent_trace_otel", "ship", "--follow", "--endpoint", to.base],
        env=environment(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    record(tmp_path, "one")
    wait_for(lambda: len(to.lines("taken")) == 2, "the first session")
    record(tmp_path, "two")
    wait_for(lambda: len(to.lines("taken")) == 4, "the second session")
    process.send_signal(number)
    assert process.communicate(timeout=30) == (f"{to.base}/v1/traces: 4 spans delivered\n", "")
    assert process.returncode == 0


def test_following_one_session_ends_with_it(tmp_path: Path, to: Receiver, ship: Ship) -> None:
    (session,) = record(tmp_path, "one")
    assert ship(session, "--follow", "--endpoint", to.base) == (0, f"{to.base}/v1/traces: 2 spans delivered\n", "")
