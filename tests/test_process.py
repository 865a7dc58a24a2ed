"""Who a process is and whether it lives, as Linux tells it and as the systems without /proc do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent_trace_otel import process

SYSTEMS = [sys.platform, *(["darwin"] if Path("/bin/ps").exists() and sys.platform == "linux" else [])]


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """This system, and what stands in for one that has ps(1) alone."""
    monkeypatch.setattr(sys, "platform", request.param)
    return str(request.param)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    with started:
        yield started
        started.kill()


def test_a_process_lives_until_it_has_ended(system: str, child: subprocess.Popen[bytes]) -> None:
    found = process.of(child.pid)
    assert found.pid_start
    assert process.is_running(found) is True
    assert process.is_running(replace(found, pid_start="another")) is False
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert process.is_running(found) is False  # nobody has asked how it ended yet
    child.wait()
    assert process.is_running(found) is False


def test_the_parent_of_a_process(system: str, child: subprocess.Popen[bytes]) -> None:
    assert process.parent_of(child.pid) == os.getpid()
    child.kill()
    child.wait()
    assert process.parent_of(child.pid) is None


def test_another_host_tells_nothing(system: str) -> None:
    assert process.is_running(replace(process.current(), host="elsewhere")) is None


@pytest.mark.skipif("darwin" not in SYSTEMS, reason="stands in for ps(1) on Linux")
def test_ps_says_the_same_whatever_the_language_and_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    found = set()
    for zone, language in (("UTC0", "C"), ("Asia/Tokyo", "C.UTF-8"), ("America/Lima", "de_DE.UTF-8")):
        monkeypatch.setenv("TZ", zone)
        monkeypatch.setenv("LC_ALL", language)
        found.add(process.start_of(os.getpid()))
    assert len(found) == 1
    assert found != {None}


def test_a_system_without_ps_still_has_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(process, "_PS", str(tmp_path / "none"))
    descriptors = len(list(Path("/dev/fd").iterdir()))
    assert (process.start_of(os.getpid()), process.parent_of(os.getpid())) == (None, None)
    assert len(list(Path("/dev/fd").iterdir())) == descriptors


def test_asking_about_processes_is_no_subprocess_of_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(subprocess, "Popen")  # what `instrument("subprocesses")` traces
    assert process.current().pid == os.getpid()
