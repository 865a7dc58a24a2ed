"""Child processes and sessions: who is traced, where a span hangs, how a child joins, what is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from processes import only, process_spans, python

import agent_trace_otel as at
from agent_trace_otel.testing import Recorded

EXAMPLE = Path(__file__).parents[2] / "examples" / "trace_subprocesses.py"
pytestmark = pytest.mark.usefixtures("instrumented")


# -- where spans hang, and when there are none -------------------------------------------------------------------


def test_a_process_hangs_under_the_tool_that_started_it(opened: Recorded) -> None:
    @at.trace_tool
    def tool() -> None:
        subprocess.run(["true"], check=True)

    tool()
    thread = threading.Thread(target=lambda: subprocess.run(["true"], check=True))
    thread.start()
    thread.join()
    in_tool, in_thread = process_spans(opened)
    assert in_tool.parent.span_id == next(s for s in opened.spans() if s.name == "execute_tool tool").context.span_id
    assert in_thread.parent.span_id == at.current_session().root.get_span_context().span_id


@pytest.mark.parametrize("when", ["before", "after"])
def test_outside_a_session_nothing_is_done(recorded: Recorded, when: str) -> None:
    if when == "after":
        at.start_session("over")
        at.end_session()
    shown = subprocess.run(python("import os; print('TRACEPARENT' in os.environ)"), capture_output=True, check=True)
    assert shown.stdout == b"False\n"
    assert os.system("true") == 0
    assert len(recorded.sessions()) == (1 if when == "after" else 0)
    assert when == "before" or not process_spans(recorded)


def test_in_a_suppressed_context_nothing_starts_but_what_runs_is_ended(opened: Recorded) -> None:
    with subprocess.Popen(["true"]) as process:
        token = context_api.attach(context_api.set_value("suppress_instrumentation", value=True))
        try:
            process.wait()
            assert only(opened).name == "true"
            subprocess.run(["false"], check=False)
        finally:
            context_api.detach(token)
    assert only(opened).name == "true"


def test_a_process_that_outlives_its_session_is_in_its_folder(recorded: Recorded) -> None:
    with at.session("short"):
        process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    process.communicate()
    assert [span.name for span in recorded.spans()] == ["invoke_agent short", "cat"]


def test_a_provider_of_the_users_own_gets_processes_of_sessions_only(recorded: Recorded) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_api.set_tracer_provider(provider)
    subprocess.run(["false"], check=False)
    os.system("false")
    with at.session("guest"):
        subprocess.run(["true"], check=True)
    assert only(recorded).name == "true"
    assert [span.name for span in exporter.get_finished_spans()] == ["true", "invoke_agent guest"]


# -- children join the session -----------------------------------------------------------------------------------

CHILD = """
import sys
import agent_trace_otel as at

@at.trace_tool
def work(n):
    return n + 1

print(work(int(sys.argv[1])))
print("oops", file=sys.stderr)
raise SystemExit(6)
"""

PARENT = """
import subprocess, sys
import agent_trace_otel as at

if sys.argv[1] == "traced":
    at.instrument("subprocesses")
    at.start_session("parent")
done = subprocess.run([sys.executable, sys.argv[2], "41"])
print("child ended with", done.returncode, done.args[2:])
raise SystemExit(done.returncode)
"""


def test_a_childs_tool_call_hangs_under_its_process_in_the_one_session(opened: Recorded, tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    done = subprocess.run([sys.executable, tmp_path / "child.py", "41"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("42\n", "oops\n", 6)
    tool, process = opened.spans()
    assert tool.name == "execute_tool work"
    assert process.attributes["process.exit.code"] == 6
    assert tool.parent.span_id == process.context.span_id
    assert tool.context.trace_id == process.context.trace_id
    assert [event.event_type for event in opened.events()] == ["session_start", "tool_call", "tool_result"]
    assert opened.meta().tool_calls == 1


def test_output_and_exit_code_are_the_same_with_and_without(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    (tmp_path / "parent.py").write_text(PARENT)

    def run(mode: str) -> tuple[str, str, int]:
        command = [sys.executable, tmp_path / "parent.py", mode, tmp_path / "child.py"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout, done.stderr, done.returncode

    plain = run("plain")
    assert recorded.sessions() == []
    assert run("traced") == plain
    name = Path(sys.executable).name
    assert plain == ("42\nchild ended with 6 ['41']\n", "oops\n", 6)
    assert [span.name for span in recorded.spans()] == ["execute_tool work", name, "invoke_agent parent"]


SHOW = "import os; print(os.environ.get('TRACEPARENT'), os.environ.get('AGENT_TRACE_SESSION_ID'), os.environ.get('X'))"
CHOSEN = f"00-{'1' * 32}-{'2' * 16}-01"


def copied() -> dict[str, str]:
    return {**os.environ, "X": "1"}


@pytest.mark.parametrize(
    ("make_env", "joins", "shows"),
    [
        (lambda: None, True, None),
        (lambda: {"X": "1"}, True, "1"),
        (copied, True, "1"),
        (lambda: {os.fsencode(name): os.fsencode(value) for name, value in copied().items()}, True, "1"),
        (lambda: {"X": "1", "TRACEPARENT": CHOSEN}, False, "1"),
        (lambda: {"X": "1", "AGENT_TRACE_SESSION_ID": "another"}, False, "1"),
    ],
    ids=["none", "own", "copy", "bytes", "other traceparent", "other session"],
)
def test_the_environment_of_a_child(
    opened: Recorded, make_env: Callable[[], Any], joins: bool, shows: str | None
) -> None:
    session = at.current_session()
    given = make_env()
    before = None if given is None else dict(given)
    done = subprocess.run(python(SHOW), env=given, capture_output=True, text=True, check=True)
    assert given == before
    traceparent, session_id, other = done.stdout.split()
    assert other == str(shows)
    assert (session_id == session.id) is joins
    span = only(opened).context
    assert traceparent.startswith(f"00-{span.trace_id:032x}-{span.span_id:016x}-") is joins


def test_nested_sessions_children_join_the_inner_one(opened: Recorded) -> None:
    with at.session("inner") as inner:
        done = subprocess.run(python(SHOW), env=copied(), capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == inner.id
    assert [span.name for span in opened.spans(inner.id)] == [Path(sys.executable).name, "invoke_agent inner"]


# -- what the program leaves behind ------------------------------------------------------------------------------

LEAVES = """
import os, subprocess
import agent_trace_otel as at
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
at.instrument("subprocesses")
at.start_session("leaver")
left = subprocess.Popen(["sleep", "0.2"])
if os.fork() == 0:
    raise SystemExit(0)  # runs its exit functions, too
os.wait()
left.returncode = 0  # keeps Popen from warning that it is still running
"""


def test_a_process_left_behind_is_told_as_abandoned_once(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "leaves.py").write_text(LEAVES)
    program = [sys.executable, "-W", "error", tmp_path / "leaves.py"]
    exported = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert exported.count('"name": "sleep"') == 1
    span = only(recorded)
    assert (span.name, span.attributes["agent_trace.outcome"]) == ("sleep", "abandoned")
    assert span.status.status_code.name == "UNSET"
    assert "process.exit.code" not in span.attributes
    assert [s.name for s in recorded.spans()] == ["sleep", "invoke_agent leaver"]


def test_the_example_is_one_session_and_one_tree(recorded: Recorded) -> None:
    done = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("6 words\n", "")
    counted, process, asked, root = recorded.spans()
    assert (counted.name, asked.name) == ("execute_tool count_words", "execute_tool ask_child")
    parents = [span.parent.span_id for span in (counted, process, asked)]
    assert parents == [span.context.span_id for span in (process, asked, root)]
