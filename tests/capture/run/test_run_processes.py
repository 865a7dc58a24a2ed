"""What becomes of the processes of a run: signals, terminals, forks, crashes, children, other interpreters."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import pytest
from programs import wait_for
from runs import PYTHON, RUN, Ended, Place

TOOL = """
import agent_trace_otel as at

@at.trace_tool
def look(where):
    return "nothing in " + where
"""
WAITS = """
import os, signal, sys, time
until = time.monotonic() + 60
def take(number, frame):
    global until
    os.write(1, b"%s\\n" % signal.Signals(number).name.encode())
    until = time.monotonic() + 0.3  # a second one would come within
for name in sys.argv[1:]:
    signal.signal(getattr(signal, name), take)
os.write(1, b"ready\\n")
while time.monotonic() < until:
    time.sleep(0.01)
sys.exit(7)
"""


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def ended(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=60)
    return Ended(process.returncode, out, err)


# -- signals and terminals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_ends_the_program_and_is_told(place: Place, name: str) -> None:
    place.write("x.py", WAITS)
    process = place.start(PYTHON, "x.py")
    ready(process)
    process.send_signal(getattr(signal, name))
    number = int(getattr(signal, name))
    assert ended(process).code == 128 + number
    assert place.end()["exit_code"] == 128 + number
    told = place.end().get("message")
    assert told == (None if name == "SIGINT" else f"killed by {name}")  # ^C is no failure


def test_a_program_may_take_a_signal_and_end_as_it_likes(place: Place) -> None:
    place.write("x.py", WAITS)
    process = place.start(PYTHON, "x.py", "SIGTERM")
    ready(process)
    process.terminate()
    assert ended(process) == Ended(7, "SIGTERM\n", "")
    assert place.end()["exit_code"] == 7


def test_signals_that_come_while_the_run_is_being_set_up_are_not_lost(place: Place) -> None:
    place.write("x.py", "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()")
    assert ended(place.start(PYTHON, "x.py")).code == 128 + signal.SIGTERM


def test_a_signal_that_comes_as_the_program_ends_does_not_keep_the_end_from_being_told(place: Place) -> None:
    # while the session is still being opened
    place.write("x.py", "import os, signal; os.kill(os.getppid(), signal.SIGINT); os._exit(3)")
    assert ended(place.start(PYTHON, "x.py")) == Ended(3, "", "")
    assert place.end()["exit_code"] == 3


def test_a_signal_that_the_caller_ignores_is_ignored(place: Place) -> None:
    place.write("x.py", "import signal as s; print(*(int(s.getsignal(n)) for n in (s.SIGHUP, s.SIGINT, s.SIGCHLD)))")
    ignoring = (
        "import os, signal as s, sys\nfor number in (s.SIGHUP, s.SIGINT, s.SIGCHLD):\n    s.signal(number, s.SIG_IGN)\n"
        "os.execvp(sys.argv[1], sys.argv[1:])"
    )
    direct = place.direct(PYTHON, "-c", ignoring, PYTHON, "x.py")
    assert place.direct(PYTHON, "-c", ignoring, *RUN, PYTHON, "x.py") == direct
    assert direct.out == "1 1 1\n"


def test_a_run_that_is_killed_leaves_the_program_alone(place: Place) -> None:
    place.write("x.py", TOOL + "import time\nprint('ready', flush=True)\ninput()\nlook('the box')\nprint('done')")
    process = place.start(PYTHON, "x.py")
    ready(process)
    wait_for(lambda: any(place.recorded.trace_dir.glob("*/meta.json")), "the session's start")
    process.kill()
    process.wait()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.close()
    assert process.stdout.read() == "done\n"
    process.stdout.close()
    process.stderr.close()  # type: ignore[union-attr]
    assert place.types() == ["session_start", "tool_call", "tool_result"]


def in_terminal(place: Place, *command: str, typed: bytes = b"", when: bytes = b"") -> tuple[int, bytes]:
    """Run a command line with a terminal of its own, typing when something is shown; return its end and output."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(place.path)
        os.execvpe(command[0], command, place.environment())
    shown = b""
    if not when:
        os.write(terminal, typed)
    try:
        while chunk := os.read(terminal, 1024):
            shown += chunk
            if typed and when and when in shown:
                os.write(terminal, typed)
                typed = b""
    except OSError:  # Linux says so when the last one has closed the terminal
        pass
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown


def test_a_terminal_stays_a_terminal(place: Place) -> None:
    place.write(
        "x.py", "import os, sys; print([os.isatty(n) for n in range(3)], os.tcgetpgrp(0) == os.getpgrp(), input())"
    )
    direct = in_terminal(place, PYTHON, "x.py", typed=b"hello\n")
    assert in_terminal(place, *RUN, "--", PYTHON, "x.py", typed=b"hello\n") == direct
    assert b"[True, True, True] True hello" in direct[1]


@pytest.mark.skipif(sys.platform != "linux", reason="who sent a signal is not known elsewhere")
def test_a_key_that_interrupts_reaches_the_program_once(place: Place) -> None:
    place.write("x.py", WAITS)
    code, shown = in_terminal(place, *RUN, "--", PYTHON, "x.py", "SIGINT", typed=b"\x03", when=b"ready")
    assert shown.count(b"SIGINT") == 1, shown
    assert code == 7


# -- ends --------------------------------------------------------------------------------------------------------

ENDS = {
    "os._exit": ("import os; os._exit(5)", 5, "exit code 5"),
    "abort": ("import os; os.abort()", 134, "killed by SIGABRT"),
    "kill": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137, "killed by SIGKILL"),
}


@pytest.mark.parametrize("way", ENDS)
def test_what_was_traced_before_a_hard_end_is_there(place: Place, way: str) -> None:
    code, expected, message = ENDS[way]
    place.write("x.py", TOOL + f"look('the box')\n{code}\n")
    ran = place.run(PYTHON, "x.py")
    assert (ran.code, ran.out, ran.err) == (expected, "", "")
    assert place.types() == ["session_start", "tool_call", "tool_result", "session_end"]
    assert (place.end()["exit_code"], place.end()["message"]) == (expected, message)


def test_a_forked_child_traces_on(place: Place) -> None:
    place.write(
        "x.py",
        TOOL + "import os\nlook('before')\nat.log_decision('fork')\nif os.fork() == 0:\n    look('child')\n"
        "    at.log_decision('leave')\n    os._exit(0)\nos.wait()\nlook('parent')\n",
    )
    assert place.run(PYTHON, "x.py") == Ended(0, "", "")
    looked = [event.data["arguments"] for event in place.recorded.events() if event.event_type == "tool_call"]
    assert looked == [{"where": "before"}, {"where": "child"}, {"where": "parent"}]
    decided = [event.data for event in place.recorded.events() if event.event_type == "decision"]
    assert [told["choice"] for told in decided] == ["fork", "leave"]
    assert decided[0]["span_id"] != decided[1]["span_id"]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_children_join(place: Place, method: str) -> None:
    main = "if __name__ == '__main__':\n    import multiprocessing as m\n"
    place.write("x.py", TOOL + main + f"    m.get_context('{method}').Pool(1).map(look, ['a', 'b'])\n")
    ran = place.run(PYTHON, "-W", "ignore", "x.py")
    assert ran == Ended(0, "", "")
    assert place.types().count("tool_result") == 2
    assert len(place.recorded.sessions()) == 1


def test_children_of_the_program_join_under_the_run(place: Place) -> None:
    place.write("child.py", TOOL + "look('child')\n")
    place.write("x.py", f"import subprocess\nsubprocess.run([{PYTHON!r}, 'child.py'], check=True)\n")
    assert place.run("sh", "-c", f"{PYTHON} x.py; {PYTHON} child.py") == Ended(0, "", "")
    *calls, root = place.recorded.spans()
    assert [span.parent.span_id for span in calls if span.parent] == [root.context.span_id] * 2


def test_with_subprocesses_a_childs_calls_hang_under_its_process(place: Place) -> None:
    place.write("child.py", TOOL + "look('child')\n")
    place.write("x.py", f"import subprocess\nsubprocess.run([{PYTHON!r}, 'child.py'], check=True)\n")
    assert place.run(PYTHON, "x.py", options=["--subprocesses"]) == Ended(0, "", "")
    call, child, root = place.recorded.spans()
    assert call.parent is not None
    assert child.parent is not None
    assert (call.parent.span_id, child.parent.span_id) == (child.context.span_id, root.context.span_id)


# -- interpreters that don't trace -------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "named"), [(["-I"], "-I"), (["-Bs", "-W", "ignore", "-uE"], "-E")])
def test_an_isolated_interpreter_is_told_of_and_runs(place: Place, options: list[str], named: str) -> None:
    place.write("x.py", "import sys; print('ran'); sys.exit(4)")
    ran = place.run(PYTHON, *options, "x.py")
    assert (ran.code, ran.out) == (4, "ran\n")
    assert ran.err == f"agent-trace: {PYTHON} {named} imports nothing of ours, so the program is not traced\n"
    assert place.end()["exit_code"] == 4


@pytest.mark.parametrize("command", [["true"], ["sh", "-c", f"{PYTHON} -I -c pass"]])
def test_a_program_of_which_no_process_traces_is_told_of(place: Place, command: list[str]) -> None:
    ran = place.run(*command)
    assert (ran.code, ran.out, ran.err.count("\n")) == (0, "", 1)
    assert "no Python process of the program could be traced" in ran.err


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the interpreter of an environment that has nothing of ours."""
    folder = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return str(folder / "bin" / "python")


def test_another_environment_is_told_of_in_one_line_and_the_program_runs(place: Place, elsewhere: str) -> None:
    place.write("x.py", "import sys; print('ran', file=sys.stderr); sys.exit(4)")
    ran = place.run("sh", "-c", f"{elsewhere} x.py; {elsewhere} x.py", PYTHONPATH="")
    assert (ran.code, ran.out) == (4, "")
    told = f"agent-trace: {elsewhere} can't import agent_trace_otel, so what it runs is not traced"
    assert sorted(ran.err.splitlines()) == sorted([told, "ran", "ran"])
    assert place.problems() == []


def test_a_long_program_in_another_environment_is_told_of_at_once(place: Place, elsewhere: str) -> None:
    place.write("x.py", "input()")
    process = place.start(elsewhere, "x.py", PYTHONPATH="")
    assert process.stderr is not None
    assert "can't import agent_trace_otel" in process.stderr.readline()
    assert process.poll() is None
    assert ended(process).code == 1


def test_a_package_of_ours_that_does_not_fit_is_told_of_and_kept(place: Place, elsewhere: str) -> None:
    place.write("lib/agent_trace_otel/__init__.py", "")
    place.write("x.py", "print('ran')")
    ran = place.run("sh", "-c", f'PYTHONPATH="$PYTHONPATH:lib" exec {elsewhere} x.py', PYTHONPATH="")
    assert (ran.code, ran.out, ran.err.count("\n")) == (0, "ran\n", 1)
    assert f"what {elsewhere} runs is not traced: ModuleNotFoundError" in ran.err
    (problem,) = place.problems()
    assert (problem.what, problem.program) == ("trace a process", elsewhere)
    assert problem.session == place.recorded.sessions()[0]


def test_a_line_of_ours_never_lands_in_what_a_program_catches(place: Place, elsewhere: str) -> None:
    place.write(
        "x.py",
        "import subprocess as s\n"
        f"print(s.run([{elsewhere!r}, '-c', 'print(1)'], stdout=s.PIPE, stderr=s.STDOUT).stdout)",
    )
    ran = place.run(PYTHON, "x.py")
    assert ran.out == "b'1\\n'\n"


def test_children_with_an_environment_of_their_own_are_left_alone(place: Place) -> None:
    place.write("x.py", f"import subprocess\nsubprocess.run([{PYTHON!r}, '-c', {TOOL!r}], env={{}}, check=False)\n")
    assert place.run(PYTHON, "x.py").code == 0
    assert place.types() == ["session_start", "session_end"]


def test_nothing_is_left_behind(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    temporary = tmp_path_factory.mktemp("tmp")
    place.run(PYTHON, "-c", "pass", TMPDIR=str(temporary))
    place.run("no-such-command", TMPDIR=str(temporary))
    assert list(temporary.iterdir()) == []
    assert not place.problems_file.exists()


def test_a_temporary_directory_that_is_not_there_stops_nobody(place: Place) -> None:
    assert place.run(PYTHON, "-c", "print(1)", TMPDIR="/dev/null") == Ended(0, "1\n", "")
