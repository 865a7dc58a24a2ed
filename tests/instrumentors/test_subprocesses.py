"""Child processes as spans: each way to start and to end one is one span with the right words and end."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import only, process_spans, python

import agent_trace_otel as at
from agent_trace_instrumentors.subprocesses import SubprocessInstrumentor
from agent_trace_otel.testing import Recorded

ENDS = ["run", "wait", "poll", "communicate", "with", "collected"]
pytestmark = pytest.mark.usefixtures("instrumented")


# -- what a span tells -------------------------------------------------------------------------------------------


def test_everything_that_can_be_patched_is_patched() -> None:
    assert SubprocessInstrumentor().unpatched == ()


def test_a_process_is_one_client_span_with_words_directory_and_exit_code(opened: Recorded, tmp_path: Path) -> None:
    command = python("print('hi')")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout == b"hi\n"
    assert done.args is command
    span = only(opened)
    assert (span.name, span.kind.name, span.status.status_code.name) == (Path(sys.executable).name, "CLIENT", "UNSET")
    told = {name: value for name, value in span.attributes.items() if name.startswith(("process.", "agent_trace."))}
    assert told.pop("process.pid") > 0
    assert told == {
        "process.executable.name": Path(sys.executable).name,
        "process.executable.path": sys.executable,
        "process.command_args": tuple(command),
        "process.working_directory": str(tmp_path),
        "process.exit.code": 0,
        "agent_trace.outcome": "ok",
    }
    assert [event.event_type for event in opened.events()] == ["session_start"]


def run_and_end(command: list[str], how: str) -> None:
    """Run a process and learn its exit code in one of the ways there are."""
    if how == "run":
        subprocess.run(command, check=False)
    elif how == "communicate":
        subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE).communicate(b"")
    elif how == "with":
        with subprocess.Popen(command):
            pass
    else:
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        if how == "wait":
            assert process.wait() == process.wait() == 3
        elif how == "poll":
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            assert process.poll() == process.poll() == 3
        process.stdout.close()
        if how == "collected":
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            with pytest.warns(ResourceWarning, match="still running"):  # noqa: PT031 - a cycle may keep it alive
                del process
                gc.collect()


@pytest.mark.parametrize("how", ENDS)
def test_a_failed_process_tells_its_exit_code_however_it_is_waited_for(opened: Recorded, how: str) -> None:
    run_and_end(python("raise SystemExit(3)"), how)
    span = only(opened)
    assert span.attributes["process.exit.code"] == 3
    assert span.attributes["error.type"] == "3"
    assert span.attributes["agent_trace.outcome"] == "error"
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "exit code 3")


@pytest.mark.parametrize("call", [subprocess.check_call, subprocess.check_output])
def test_checking_calls_raise_what_they_raised(opened: Recorded, call: Callable[[list[str]], Any]) -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        call(python("raise SystemExit(5)"))
    assert raised.value.returncode == 5
    assert only(opened).attributes["process.exit.code"] == 5


@pytest.mark.parametrize(
    ("number", "kind"),
    [(signal.SIGKILL, "SIGKILL"), (signal.SIGTERM, "SIGTERM"), (signal.SIGRTMIN + 1, f"signal {signal.SIGRTMIN + 1}")],
)
def test_a_killed_process_tells_the_signal(opened: Recorded, number: int, kind: str) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        process.send_signal(number)
    span = only(opened)
    assert span.attributes["process.exit.code"] == process.returncode == -number
    assert (span.attributes["error.type"], span.status.description) == (kind, f"killed by {kind}")


def test_a_missing_executable_is_the_programs_error_and_the_spans(opened: Recorded) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        subprocess.run(["./no-such-program", "x"], check=False)
    assert raised.value.filename == "./no-such-program"
    assert raised.value.__context__ is None
    span = only(opened)
    assert span.name == "no-such-program"
    assert span.attributes["error.type"] == "FileNotFoundError"
    assert "process.exit.code" not in span.attributes
    assert [event.name for event in span.events] == ["exception"]


def test_a_command_that_is_none_is_refused_as_ever_and_told(opened: Recorded) -> None:
    with pytest.raises(TypeError, match="int"):
        subprocess.run(["sleep", 5], check=False)  # type: ignore[list-item]
    with pytest.raises(AttributeError, match="items"):
        subprocess.run(["true"], env=["A=1"], check=False)  # type: ignore[arg-type]
    assert [span.attributes["error.type"] for span in process_spans(opened)] == ["TypeError", "AttributeError"]
    assert process_spans(opened)[0].attributes["process.command_args"] == ("sleep", "5")


def test_a_time_out_ends_with_the_kill_that_follows(opened: Recorded) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["sleep", "60"], timeout=0.01, check=False)
    assert only(opened).attributes["error.type"] == "SIGKILL"


def test_a_process_that_is_waited_for_in_vain_stays_open(opened: Recorded) -> None:
    with subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=0.01)
        assert process.poll() is None
        assert not process_spans(opened)
        process.kill()
    assert len(process_spans(opened)) == 1


@pytest.mark.parametrize(
    ("given", "words", "name"),
    [
        ({"args": "exit 0", "shell": True}, ("/bin/sh", "-c", "exit 0"), "sh"),
        ({"args": ["exit 0", "a"], "shell": True}, ("/bin/sh", "-c", "exit 0", "a"), "sh"),
        ({"args": "exit 0", "shell": True, "executable": "/bin/bash"}, ("/bin/bash", "-c", "exit 0"), "bash"),
        ({"args": "true"}, ("true",), "true"),
        ({"args": b"true"}, ("true",), "true"),
        ({"args": [b"true", Path("x")]}, ("true", "x"), "true"),
        ({"args": Path("/bin/true")}, ("/bin/true",), "true"),
        ({"args": ("-su", "-c", "exit 0"), "executable": b"/bin/sh"}, ("-su", "-c", "exit 0"), "sh"),
        ({"args": iter(["true", "x"])}, (), "process"),
    ],
    ids=str,
)
def test_every_form_of_a_command(opened: Recorded, given: dict[str, Any], words: tuple[str, ...], name: str) -> None:
    subprocess.run(**given, check=True)
    span = only(opened)
    assert (span.attributes["process.command_args"], span.name) == (words, name)


def test_positional_arguments_are_understood_and_passed_on(opened: Recorded, tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), os.environ['A'], 'TRACEPARENT' in os.environ)"
    # args, bufsize, executable, stdin, stdout, stderr, preexec_fn, close_fds, shell, cwd, env
    with subprocess.Popen(
        python(code), -1, None, None, subprocess.PIPE, None, None, True, False, tmp_path, {"A": "1"}
    ) as process:
        out, _ = process.communicate()
    assert out.decode().split() == [str(tmp_path), "1", "True"]
    assert only(opened).attributes["process.working_directory"] == str(tmp_path)


def test_secrets_in_a_command_line_are_redacted(opened: Recorded) -> None:
    subprocess.run(["true", "sk-ant-REDACTED"], check=True)
    assert "aaaaBBBB" not in opened.text()


def test_without_content_the_words_are_left_out(opened: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    at.configure(capture_content=False, trace_dir=opened.trace_dir)
    subprocess.run(["true", "a prompt"], check=True)
    assert "a prompt" not in opened.text()
    assert only(opened).attributes["process.executable.name"] == "true"


# -- asyncio, os.system, os.popen --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["exec", "shell"])
def test_asyncio_processes_end_when_the_loop_knows(opened: Recorded, how: str) -> None:
    async def run() -> tuple[bytes, int | None]:
        pipe = asyncio.subprocess.PIPE
        if how == "exec":
            process = await asyncio.create_subprocess_exec("sh", "-c", "echo out; exit 7", stdout=pipe)
        else:
            process = await asyncio.create_subprocess_shell("echo out; exit 7", stdout=pipe)
        out, _ = await process.communicate()
        return out, process.returncode

    assert asyncio.run(run()) == (b"out\n", 7)
    span = only(opened)
    assert span.name == "sh"
    assert (span.attributes["process.exit.code"], span.attributes["error.type"]) == (7, "7")


def test_asyncio_processes_at_once_hang_under_their_own_tools(opened: Recorded) -> None:
    @at.trace_tool
    async def tool(code: str) -> None:
        await (await asyncio.create_subprocess_exec("sh", "-c", f"exit {code}")).wait()

    async def run() -> None:
        await asyncio.gather(*(tool(str(code)) for code in range(5)))

    asyncio.run(run())
    tools = {span.context.span_id: span for span in opened.spans() if span.name == "execute_tool tool"}
    for span in process_spans(opened):
        code = span.attributes["process.exit.code"]
        assert f'"code":"{code}"' in tools.pop(span.parent.span_id).attributes["gen_ai.tool.call.arguments"]
    assert tools == {}


def test_asyncio_process_that_is_cancelled_and_killed(opened: Recorded) -> None:
    async def run() -> None:
        process = await asyncio.create_subprocess_exec("sleep", "60")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), 0.01)
        process.kill()
        await process.wait()

    asyncio.run(run())
    assert only(opened).attributes["error.type"] == "SIGKILL"


@pytest.mark.parametrize(("command", "code"), [("exit 4", 4), ("kill -9 $$", -9), ("true", 0)])
def test_os_system(opened: Recorded, command: str, code: int) -> None:
    status = os.system(command)
    assert os.waitstatus_to_exitcode(status) == code
    span = only(opened)
    assert span.attributes["process.exit.code"] == code
    assert span.attributes["process.command_args"] == ("/bin/sh", "-c", command)


def test_os_popen(opened: Recorded) -> None:
    with os.popen("echo out") as pipe:
        assert pipe.read() == "out\n"
    assert only(opened).attributes["process.exit.code"] == 0


# -- the library stays itself ------------------------------------------------------------------------------------


def test_popen_stays_the_class_it_is(opened: Recorded) -> None:
    patched = inspect.signature(subprocess.Popen), subprocess.Popen.__init__.__doc__, dir(subprocess.Popen)
    with subprocess.Popen(["true"]) as process:
        assert type(process) is subprocess.Popen
    attributes = set(vars(process))
    at.uninstrument()
    assert patched == (inspect.signature(subprocess.Popen), subprocess.Popen.__init__.__doc__, dir(subprocess.Popen))
    with subprocess.Popen(["true"]) as plain:
        pass
    assert set(vars(plain)) == attributes


def test_subclasses_of_popen_are_followed(opened: Recorded) -> None:
    class Named(subprocess.Popen[bytes]):
        def __init__(self, *words: str) -> None:
            super().__init__(words)

    with Named("true"):
        pass
    assert only(opened).attributes["process.command_args"] == ("true",)


def test_uninstrument_restores_subprocess_asyncio_and_os_exactly(recorded: Recorded) -> None:
    from asyncio.base_subprocess import BaseSubprocessTransport

    at.uninstrument()
    before = {**vars(subprocess.Popen)}, {**vars(BaseSubprocessTransport)}, os.system
    at.instrument("subprocesses")
    assert os.system is not before[2]
    at.uninstrument()
    assert ({**vars(subprocess.Popen)}, {**vars(BaseSubprocessTransport)}, os.system) == before
    with at.session("untraced"):
        subprocess.run(["true"], check=True)
    assert not process_spans(recorded)


def test_a_process_started_before_instrument_is_not_touched(opened: Recorded) -> None:
    at.uninstrument()
    with subprocess.Popen(["true"]) as process:
        at.instrument("subprocesses")
    assert process.returncode == 0
    assert not process_spans(opened)
