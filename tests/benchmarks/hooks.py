"""What a coding agent waits for at every hook: our process, against an interpreter that does nothing.

Wall time of whole processes, in turns, with the real recorder in a home of its own.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median, quantiles

import packages
from hook_processes import Hooks
from results import Row, SkippedError, ratio_row

from agent_trace_otel.capture.hooks import state
from agent_trace_otel.capture.hooks.intake import control

_ROUNDS = 40
_ROUNDS_OF_MANY = 8
_AT_ONCE = 24
_UP, _FIRST, _PORTABLE, _MS_A_MB = 1.3, 6.0, 2.5, 40.0
_BARE = [sys.executable, "-I", "-S", "-c", "pass"]
_LINE = "src/app/handlers/page_{}.py:{}: return render(request, title='page', count=17)\n"


def with_recorder() -> Iterable[Row]:
    """Measure hooks that a recorder answers: payloads of 2 KB, 64 KB and 5 MB, many at once, the portable command."""
    with _home() as hooks:
        _start(hooks)
        for name, size in (("2 KB", 2_000), ("64 KB", 64_000)):
            ours, bare = _in_turns(hooks, hooks.command("PostToolUse"), _BARE, _payload(size))
            yield ratio_row(f"hook, recorder up, {name}", ours, bare, _UP, "ms", 1000)
            slow, slow_bare = (quantiles(series, n=20)[-1] for series in (ours, bare))
            shown = f"{slow * 1000:,.1f} against {slow_bare * 1000:,.1f} ms"
            yield Row("  the same, p95", slow / slow_bare, detail=shown)
        ours, bare = _in_turns(hooks, hooks.command("PostToolUse"), _BARE, _payload(5_000_000), _ROUNDS // 4)
        for_a_mb = (median(ours) - median(bare)) * 1000 / 5
        yield Row("hook, recorder up, 5 MB, beyond the interpreter", for_a_mb, _MS_A_MB, unit="ms a MB")
        many = [_together(hooks, hooks.command("PostToolUse")) for _ in range(_ROUNDS_OF_MANY)]
        bare = [_together(hooks, _BARE) for _ in range(_ROUNDS_OF_MANY)]
        yield ratio_row(f"{_AT_ONCE} hooks at once", many, bare, None, "ms", 1000)
        program = shutil.which("agent-trace", path=str(Path(sys.executable).parent))
        if program is None:
            message = "agent-trace is not installed beside this interpreter"
            raise SkippedError(message)
        portable = [program, "hook", "PostToolUse"]
        ours, bare = _in_turns(hooks, portable, [sys.executable, "-c", "pass"], _payload(2_000))
        yield ratio_row("agent-trace hook, recorder up, 2 KB", ours, bare, _PORTABLE, "ms", 1000)


def without_recorder() -> Iterable[Row]:
    """Measure hooks that find nobody, spool and start a recorder."""
    ours: list[float] = []
    bare: list[float] = []
    for _ in range(_ROUNDS // 2):
        with _home() as hooks:
            bare.append(_seconds(hooks, _BARE, _payload(2_000)))
            ours.append(_seconds(hooks, hooks.command("PreToolUse"), _payload(2_000)))
    yield ratio_row("hook, no recorder, 2 KB", ours, bare, _FIRST, "ms", 1000)


@contextlib.contextmanager
def _home() -> Iterator[Hooks]:
    """Yield a user of its own, whose recorder is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="agent-trace-bench-") as folder:
        # only what the hook itself needs: no settings of whoever measures
        hooks = Hooks(Path(folder), {"AGENT_TRACE_DIR": folder, "PATH": packages.plain_environment().get("PATH", "")})
        try:
            yield hooks
        finally:
            # one that is just starting is waited for, or it would write into a folder that is being removed
            deadline = time.monotonic() + 30
            while not (hooks.state / state.SOCKET).exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            status = control.ask(str(hooks.state), control.STATUS)
            control.ask(str(hooks.state), control.STOP)
            while status and control.ask(str(hooks.state), control.STATUS) and time.monotonic() < deadline:
                time.sleep(0.01)
            while status and _is_running(status["pid"]) and time.monotonic() < deadline:
                time.sleep(0.01)


def _is_running(pid: int) -> bool:
    return subprocess.run(["ps", "-p", str(pid)], stdout=subprocess.DEVNULL, check=False).returncode == 0


def _start(hooks: Hooks) -> None:
    _seconds(hooks, hooks.command("SessionStart"), _payload(100))
    while control.ask(str(hooks.state), control.STATUS) is None:
        time.sleep(0.01)
    time.sleep(1)  # it loads what it needs


def _payload(size: int) -> bytes:
    output = "".join(_LINE.format(n, n) for n in range(size // len(_LINE)))
    return json.dumps(
        {
            "session_id": "00000000-0000-4000-8000-000000000001",
            "hook_event_name": "PostToolUse",
            "tool_name": "Bash",
            "tool_use_id": f"toolu_{size}",
            "tool_input": {"command": "rg render src"},
            "tool_response": {"stdout": output, "stderr": ""},
        }
    ).encode()


def _in_turns(
    hooks: Hooks, ours: list[str], bare: list[str], payload: bytes, rounds: int = _ROUNDS
) -> tuple[list[float], list[float]]:
    pairs = [(_seconds(hooks, ours, payload), _seconds(hooks, bare, payload)) for _ in range(rounds + 1)]
    mine, theirs = zip(*pairs[1:], strict=True)
    return list(mine), list(theirs)


def _seconds(hooks: Hooks, command: list[str], payload: bytes) -> float:
    began = time.perf_counter()
    subprocess.run(command, input=payload, env=hooks.environ, check=True)
    return time.perf_counter() - began


def _together(hooks: Hooks, command: list[str]) -> float:
    payload = _payload(2_000)
    began = time.perf_counter()
    processes = [subprocess.Popen(command, env=hooks.environ, stdin=subprocess.PIPE) for _ in range(_AT_ONCE)]
    for process in processes:
        process.communicate(payload)
    return time.perf_counter() - began
