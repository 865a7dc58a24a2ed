"""Whose clients the recorder leaves alone: those that a program tells of itself, not those that they start."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from agent_trace_otel.capture.hooks.sessions.told_elsewhere import is_told_elsewhere

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="parents are read from /proc")
_NESTED = """
import subprocess, sys
depth = int(sys.argv[1])
if depth:
    subprocess.run([sys.executable, "-S", "-c", sys.argv[2], str(depth - 1), sys.argv[2]])
else:
    import os
    print(os.getpid(), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(("depth", "is_told"), [(0, True), (1, True), (2, False)])
def test_a_client_belongs_to_the_program_that_started_it(depth: int, is_told: bool) -> None:
    command = [sys.executable, "-S", "-c", _NESTED, str(depth), _NESTED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        client = started.stdout.readline().strip()
        hook = {"AGENT_TRACE_TOLD_BY": str(os.getpid()), "CLAUDE_PID": client}
        assert is_told_elsewhere(hook) is is_told
        assert is_told_elsewhere({**hook, "AGENT_TRACE_TOLD_BY": "1"}) is False
        started.communicate("")


@pytest.mark.parametrize("hook", [{}, {"AGENT_TRACE_TOLD_BY": "1"}, {"AGENT_TRACE_TOLD_BY": "1", "CLAUDE_PID": "x"}])
def test_who_names_nobody_is_not_left_alone(hook: dict[str, str]) -> None:
    assert is_told_elsewhere(hook) is False
