"""`agent-trace run` can't be told from the program: streams, arguments, exit codes; and there is one session a run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from opentelemetry.trace import StatusCode
from runs import PYTHON, Ended, Place

from agent_trace_otel.store.spans_file import read_spans

SAYS = """
import sys
print("out", sys.argv, __name__, repr(sys.stdin.read()))
print("err", file=sys.stderr)
sys.exit(int(sys.argv[-1]))
"""
TOOL = """
import agent_trace_otel as at

@at.trace_tool
def look(where):
    return "nothing in " + where

look("the box")
"""
WAYS = {
    "script": [PYTHON, "says.py"],
    "package": [PYTHON, "-m", "pack"],
    "code": [PYTHON, "-c", SAYS],
    "stdin": [PYTHON, "-"],
    "console script": ["./says"],
    "shell": ["sh", "-c", 'python3 says.py "$@"', "sh"],
    "pytest": [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "says_test.py", "-k"],
}


def fill(place: Place) -> None:
    place.write("says.py", SAYS)
    place.write("pack/__init__.py", "")
    place.write("pack/__main__.py", SAYS)
    place.write("says", f"#!{PYTHON}\n{SAYS}").chmod(0o755)
    place.write("says_test.py", "def test_3():\n    raise OSError('as expected')\n")


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_start_a_program_says_and_ends_the_same(place: Place, way: str) -> None:
    fill(place)
    command, stdin = [*WAYS[way], "3"], SAYS if way == "stdin" else "typed\n"
    path = {"PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}"}
    direct, ran = place.direct(*command, stdin=stdin, **path), place.run(*command, stdin=stdin, **path)
    if way == "pytest":  # it tells how long it took
        direct, ran = (Ended(ended.code, ended.out.rpartition(" in ")[0], "") for ended in (direct, ran))
    assert ran == direct
    assert place.types() == ["session_start", "session_end"]
    assert place.end()["exit_code"] == ran.code


def test_a_run_is_one_session_called_like_the_program_with_its_command_and_end(place: Place) -> None:
    place.write("my_agent.py", "import os; print(os.getpid())")
    ran = place.run(PYTHON, "my_agent.py", "x y")
    first, last = place.recorded.events()
    assert first.data["agent_name"] == "my_agent"
    assert first.data["command"] == [PYTHON, "my_agent.py", "x y"]
    assert first.data["pid"] == int(ran.out)
    assert last.data["exit_code"] == 0
    meta = place.recorded.meta()
    assert (meta.agent_name, meta.command) == ("my_agent", f"{PYTHON} my_agent.py x y")
    assert meta.ended_at is not None
    (root,) = place.recorded.spans()
    assert root.name == "invoke_agent my_agent"
    assert root.resource.attributes["service.name"] == "my_agent"


def test_a_run_may_be_named(place: Place) -> None:
    place.write("x.py", TOOL)
    place.run(PYTHON, "x.py", options=["--name", "beetle"])
    assert place.recorded.meta().agent_name == "beetle"
    assert {span.resource.attributes["service.name"] for span in place.recorded.spans()} == {"beetle"}
    other = Place(place.path / "other")
    other.write("x.py", TOOL)
    other.run(PYTHON, "x.py", options=["--name", "beetle"], OTEL_SERVICE_NAME="farm")
    assert {span.resource.attributes["service.name"] for span in other.recorded.spans()} == {"farm"}


def test_calls_of_the_program_hang_under_the_run(place: Place) -> None:
    place.write("x.py", TOOL)
    place.run(PYTHON, "x.py")
    assert place.types() == ["session_start", "tool_call", "tool_result", "session_end"]
    call, root = place.recorded.spans()
    assert call.parent is not None
    assert (call.parent.trace_id, call.parent.span_id) == (root.context.trace_id, root.context.span_id)


def test_a_program_that_fails_fails_the_session(place: Place) -> None:
    place.write("x.py", TOOL + "raise RuntimeError('no way out')\n")
    direct, ran = place.direct(PYTHON, "x.py", AGENT_TRACE_DIR=str(place.path / "away")), place.run(PYTHON, "x.py")
    assert ran == direct
    assert "no way out" in ran.err
    assert (place.end()["exit_code"], place.end()["message"]) == (1, "exit code 1")
    root = place.recorded.spans()[-1]
    assert root.status.status_code is StatusCode.ERROR
    assert root.attributes is not None
    assert root.attributes["error.type"] == "1"


def test_what_happens_outside_calls_is_told_too(place: Place) -> None:
    place.write(
        "x.py",
        "import agent_trace_otel as at\n"
        "at.log_user_prompt('where?')\nat.log_decision('north', 'cold')\nat.log_file_read('map.txt')\n"
        "raise RuntimeError('lost')\n",
    )
    place.run(PYTHON, "x.py")
    assert place.types() == ["session_start", "user_prompt", "decision", "file_read", "session_end"]
    program, root = place.recorded.spans()
    assert program.parent is not None
    assert program.parent.span_id == root.context.span_id
    assert program.name.startswith("python")
    assert [event.name for event in program.events][-1] == "exception"
    assert program.status.description == "lost"


def test_a_session_of_the_programs_own_is_the_run(place: Place) -> None:
    place.write("x.py", "import agent_trace_otel as at\nwith at.session('inner'):\n    pass\n")
    place.run(PYTHON, "x.py")
    inner, root = place.recorded.spans()
    assert inner.parent is not None
    assert inner.parent.span_id == root.context.span_id
    assert len(place.recorded.sessions()) == 1


def test_a_run_in_a_run_is_one_session(place: Place) -> None:
    place.write("x.py", TOOL)
    ran = place.run(*[PYTHON, "-m", "agent_trace_otel", "run", "--", PYTHON, "x.py"])
    assert (ran.code, ran.err) == (0, "")
    assert place.types() == ["session_start", "tool_call", "tool_result", "session_end"]


def test_a_named_session_is_resumed(place: Place) -> None:
    place.write("x.py", TOOL)
    for _ in range(2):
        place.run(PYTHON, "x.py", AGENT_TRACE_SESSION_ID="mine")
    assert place.recorded.sessions() == ["mine"]
    assert place.types() == ["session_start", "tool_call", "tool_result", "session_end"] * 2
    first_call, first, second_call, second = place.recorded.spans()
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert first_call.parent is not None
    assert second_call.parent is not None
    assert [first_call.parent.span_id, second_call.parent.span_id] == [first.context.span_id, second.context.span_id]


def test_a_trace_that_runs_already_is_joined(place: Place) -> None:
    place.write("x.py", TOOL)
    place.run(PYTHON, "x.py", TRACEPARENT=f"00-{1:032x}-{2:016x}-00", TRACESTATE="a=b")
    call, root = place.recorded.spans()
    assert root.parent is not None
    assert call.parent is not None
    assert (root.parent.span_id, call.parent.span_id) == (2, root.context.span_id)
    assert {span.context.trace_id for span in (call, root)} == {1}
    assert {span.context.trace_flags for span in (call, root)} == {0}
    assert call.context.trace_state == {"a": "b"}


def test_a_traceparent_that_is_none_is_not_followed(place: Place) -> None:
    place.write("x.py", TOOL)
    ran = place.run(PYTHON, "x.py", TRACEPARENT=f"ff-{1:032x}-{2:016x}-01", TRACESTATE="a=b")
    call, root = place.recorded.spans()
    assert (ran.code, root.parent) == (0, None)
    assert call.parent is not None
    assert call.parent.span_id == root.context.span_id
    assert not call.context.trace_state


def test_what_the_sampler_decides_of_the_session_holds_for_its_calls(place: Place) -> None:
    place.write("x.py", TOOL)
    place.run(PYTHON, "x.py", OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0")
    assert [span.context.trace_flags & 1 for span in place.recorded.spans()] == [0, 0]


def test_values_may_be_kept_as_they_are(place: Place) -> None:
    secret = "sk-ant-api03-" + "aB3dE5" * 15 + "-AAAAAAAA"
    place.write("x.py", TOOL.replace("the box", secret))
    place.run(PYTHON, "x.py")
    assert secret not in place.recorded.text()
    other = Place(place.path / "other")
    other.write("x.py", TOOL.replace("the box", secret))
    other.run(PYTHON, "x.py", options=["--no-redact"])
    assert secret in other.recorded.text()


def test_the_trace_directory_is_where_the_command_was_started(place: Place) -> None:
    (place.path / "below").mkdir()
    place.write("x.py", "import os; os.chdir('below')\n" + TOOL)
    place.direct(PYTHON, "-m", "agent_trace_otel", "--trace-dir", "here", "run", PYTHON, "x.py", AGENT_TRACE_DIR="")
    (spans,) = (place.path / "here").glob("*/spans.jsonl")
    assert [span.name for span in read_spans(spans)] == ["execute_tool look", "invoke_agent x"]


def test_the_run_and_what_its_program_did_are_sent_as_one_trace(place: Place) -> None:
    oteltap_receiver = pytest.importorskip("oteltap_receiver")
    place.write("x.py", TOOL)
    sent = oteltap_receiver.received_by_oteltap(
        lambda url: place.run(PYTHON, "x.py", AGENT_TRACE_OTLP_ENDPOINT=url), count=2
    )
    assert {span.name for span in sent} == {"execute_tool look", "invoke_agent x"}
    assert len({span.trace_id for span in sent}) == 1


# -- what can't be run -------------------------------------------------------------------------------------------


def test_a_command_that_is_not_there_or_no_program_is_told_in_one_line(place: Place) -> None:
    place.write("plain.txt", "text")
    missing, plain = place.run("no-such-command", "x"), place.run("./plain.txt")
    assert missing == Ended(127, "", "agent-trace: can't run no-such-command: No such file or directory\n")
    assert plain == Ended(126, "", "agent-trace: can't run ./plain.txt: Permission denied\n")
    assert place.recorded.sessions() == []


def test_an_unknown_library_is_a_usage_error(place: Place) -> None:
    ran = place.run(PYTHON, "-c", "print('never')", options=["--only", "mcp,opnai"])
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "agent-trace: there is no instrumentor 'opnai'; did you mean 'openai'?\n"
    assert place.recorded.sessions() == []


def test_without_a_command_there_is_nothing_to_do(place: Place) -> None:
    ran = place.run()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "agent-trace: run wants the program's command line: agent-trace run -- COMMAND...\n"


def test_a_trace_directory_that_cant_be_written_stops_nobody(place: Place) -> None:
    place.write("x.py", TOOL + "print('done')\n")
    ran = place.run(PYTHON, "x.py", AGENT_TRACE_DIR="/dev/null/traces")
    assert (ran.code, ran.out) == (0, "done\n")
    assert ran.err
    assert [line for line in ran.err.splitlines() if "folder" not in line] == []  # said once by each process


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_program_that_traces_nothing_finds_itself_in_the_same_place(place: Place) -> None:
    """Compare what a program can see of itself: descriptors, signals, modules, paths."""
    place.write(
        "x.py",
        """
import os, signal, sys
ours = ("AGENT_TRACE_", "TRACEPARENT", "PYTHONPATH")
OURS = {"importlib", "warnings", "__future__", "agent_trace_otel"}
print(sys.path, sys.flags, sys.argv, sys.orig_argv, os.getcwd(), os.umask(0))
print(sorted((fd, os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))[:4]) for fd in os.listdir("/proc/self/fd")[:-1]))
print([signal.getsignal(n) for n in signal.valid_signals()], signal.pthread_sigmask(signal.SIG_BLOCK, []))
print(open("/proc/self/status").read().split("SigQ")[1].split("CapInh")[0].split("SigPnd")[1])
print({k: v for k, v in os.environ.items() if not k.startswith(ours)})
print(os.getpgid(0) == os.getpgid(os.getppid()), os.getsid(0))
print(sorted(m for m in sys.modules if m.split(".")[0] not in OURS))
try:
    import sitecustomize
    print(sitecustomize.__file__)
except ImportError as error:
    print(error)
""",
    )
    direct, ran = place.direct(PYTHON, "x.py"), place.run(PYTHON, "x.py")
    assert ran.out.splitlines() == direct.out.splitlines()
    assert ran == direct
