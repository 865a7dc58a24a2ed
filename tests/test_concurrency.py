"""Threads, tasks, executors, forks and processes: right parents, and no event lost, doubled or torn."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from programs import Ran, run

from agent_trace_otel import end_session, guard, identity, log_decision, session, start_session, trace_agent, trace_tool
from agent_trace_otel.processor import span_sessions
from agent_trace_otel.spans import point_events
from agent_trace_otel.store import folder
from agent_trace_otel.testing import Recorded

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
# Python 3.12 and newer warn of what is tested here: forking a process that has threads
pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@trace_tool
def add(a: int, b: int) -> int:
    return a + b


@trace_tool
def outer(a: int, b: int) -> int:
    return add(a, b)


def whole(recorded: Recorded, session_id: str | None = None, *, calls: int | None = None) -> None:
    """Assert that so many calls were told once each: opened, closed and written as a span."""
    events = recorded.events(session_id)  # raises for a torn line
    assert [eid for eid, count in Counter(event.event_id for event in events).items() if count > 1] == []
    openings = [event for event in events if event.event_type == "tool_call"]
    closed = [event.parent_id for event in events if event.event_type in ("tool_result", "error")]
    assert calls is None or len(openings) == calls
    assert len(set(closed)) == len(closed) == len(openings)
    assert set(closed) <= {event.event_id for event in openings}
    spans = [span for span in recorded.spans(session_id) if span.name.startswith("execute_tool")]
    assert sorted(f"{span.context.span_id:016x}" for span in spans) == sorted(closed)
    assert len({span.context.trace_id for span in spans}) <= 1


def root_of(recorded: Recorded, session_id: str | None = None) -> ReadableSpan:
    (root,) = (s for s in recorded.spans(session_id) if s.attributes.get("agent_trace.scope") == "session")
    return root


def parents(recorded: Recorded) -> Counter[tuple[str, str]]:
    """Count (what, under what) of a session's calls by name; the root is called "root"."""
    spans = recorded.spans()
    names = {span.context.span_id: span.name.removeprefix("execute_tool ") for span in spans}
    names[root_of(recorded).context.span_id] = "root"
    return Counter(
        (names[s.context.span_id], names[s.parent.span_id]) for s in spans if s.name.startswith("execute_tool")
    )


# -- in one process ----------------------------------------------------------------------------------------------


def test_bare_threads_hang_under_the_root_with_their_calls_nested(recorded: Recorded) -> None:
    start_session("agent")
    threads = [threading.Thread(target=lambda: [outer(i, 1) for i in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    end_session()
    whole(recorded, calls=400)
    assert parents(recorded) == {("outer", "root"): 200, ("add", "outer"): 200}


def test_an_executor_without_context_falls_back_to_the_root(recorded: Recorded) -> None:
    start_session("agent")
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(add, range(100), range(100))) == 9900
    end_session()
    whole(recorded, calls=100)
    assert parents(recorded) == {("add", "root"): 100}


def test_threads_of_two_sessions_with_their_context_keep_apart(recorded: Recorded) -> None:
    def work(name: str) -> str:
        with session(name) as opened:
            for number in range(50):
                outer(number, 1)
        return opened.id

    with ThreadPoolExecutor(4) as pool:
        for session_id in pool.map(work, ["a", "b", "c", "d"]):
            whole(recorded, session_id, calls=100)
            assert recorded.meta(session_id).tool_calls == 100


def test_tasks_nest_by_their_own_context(recorded: Recorded) -> None:
    @trace_tool
    async def fetch(number: int) -> int:
        await asyncio.sleep(0)
        return add(number, 1)

    @trace_agent
    async def planner() -> list[int]:
        return await asyncio.gather(*(fetch(number) for number in range(50)))

    async def main() -> None:
        async with session("agent"):
            assert sum(await planner()) == 1275
            assert await asyncio.to_thread(outer, 1, 2) == 3

    asyncio.run(main())
    whole(recorded, calls=102)
    names = parents(recorded)
    assert names == {
        ("fetch", "invoke_agent planner"): 50,
        ("add", "fetch"): 50,
        ("outer", "root"): 1,
        ("add", "outer"): 1,
    }


def test_to_thread_inside_a_call_hangs_under_the_call(recorded: Recorded) -> None:
    @trace_tool
    async def fetch(number: int) -> int:
        return await asyncio.to_thread(add, number, 1)

    async def main() -> None:
        await asyncio.gather(*(fetch(number) for number in range(20)))

    with session("agent"):
        asyncio.run(main())
    whole(recorded, calls=40)
    assert parents(recorded) == {("fetch", "root"): 20, ("add", "fetch"): 20}


def test_a_task_that_outlives_its_session_still_belongs_to_it(recorded: Recorded) -> None:
    async def main() -> None:
        async with session("agent"):
            release = asyncio.Event()

            async def background() -> None:
                await release.wait()
                add(1, 2)

            task = asyncio.create_task(background())
            await asyncio.sleep(0)
        release.set()
        await task

    asyncio.run(main())
    whole(recorded, calls=1)
    assert recorded.meta().tool_calls == 1


def test_a_signal_handler_that_is_traced_never_waits_for_what_it_interrupted(recorded: Recorded) -> None:
    done = threading.Event()

    def interrupted() -> None:
        with (
            guard._lock,
            identity._process._lock,
            span_sessions.writers._lock,
            folder._open_files._lock,
            point_events._clock._lock,
        ):
            with session("agent"):
                log_decision("in the handler")
                add(1, 2)
            guard.report("test", ValueError("x"))
        done.set()

    threading.Thread(target=interrupted, daemon=True).start()
    assert done.wait(20), "the thread waits for itself"
    whole(recorded, calls=1)


STORM = """
import signal, time
from agent_trace_otel import end_session, session, start_session, trace_tool

@trace_tool
def add(a, b): return a + b

def handle(*_):
    global handled
    handled += 1
    add(1, 1)

handled = nested = 0
opened = start_session("agent")
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
while handled < 200:
    add(2, 2)
    with session("nested"): add(3, 3)
signal.setitimer(signal.ITIMER_REAL, 0)
end_session()
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_calls_in_a_storm_of_signals_are_told_once_each(tmp_path: Path) -> None:
    ran = run(STORM, tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    sessions = ran.recorded.sessions()
    for session_id in sessions:
        whole(ran.recorded, session_id)
    calls = Counter(
        event.data["arguments"]["a"]
        for session_id in sessions
        for event in ran.recorded.events(session_id)
        if event.event_type == "tool_call"
    )
    assert calls[1] >= 200
    assert calls[3] == len(sessions) - 1


# -- in several --------------------------------------------------------------------------------------------------

FORKS = """
import multiprocessing, os, sys
from concurrent.futures import ThreadPoolExecutor
from agent_trace_otel import end_session, session, start_session, trace_tool

@trace_tool
def add(a, b): return a + b

@trace_tool
def outer(a, b): return add(a, b)

@trace_tool
def forking(how):
    pid = os.fork()
    if pid == 0:
        add(1, 1)
        if how == "exit": os._exit(0)
        if how == "return": return 0
        sys.exit(0)
    os.waitpid(pid, 0)
    return pid

def many(count):
    for number in range(count): outer(number, 1)

if __name__ == "__main__":
    opened = start_session("agent")
    outer(0, 0)
    for how in ("exit", "return", "raise"):
        if forking(how) == 0:
            outer(1, 1)
            sys.exit(0)
    with ThreadPoolExecutor(2) as pool: list(pool.map(outer, range(10), range(10)))
    for method in sys.argv[1:]:
        processes = [multiprocessing.get_context(method).Process(target=many, args=(10,)) for _ in range(2)]
        for process in processes: process.start()
        for process in processes: process.join(); assert process.exitcode == 0
    end_session()
    print(opened.id)
"""


@needs_fork
@pytest.mark.parametrize(
    ("variables", "methods"),
    [
        ({}, ("fork", "spawn", "forkserver")),
        ({"TRACEPARENT": TRACEPARENT}, ("fork", "spawn")),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}, ("fork", "spawn")),
    ],
    ids=["all sampled", "parent not sampled", "ratio"],
)
def test_children_of_every_kind_write_the_session_of_their_parent(
    tmp_path: Path, variables: dict[str, str], methods: tuple[str, ...]
) -> None:
    ran: Ran = run(FORKS, tmp_path, *methods, PYTHONWARNINGS="ignore", **variables)
    assert (ran.code, ran.err) == (0, "")
    recorded = ran.recorded
    assert recorded.sessions() == [ran.out.strip()]
    in_children = 2 * 10 * len(methods)
    # 3 that fork, add in each child; outer and add: at first, in the child that returned, in 10 threads, in processes
    whole(recorded, calls=3 + 3 + 2 * (1 + 1 + 10 + in_children))
    names = parents(recorded)
    assert names == {
        ("forking", "root"): 3,
        ("add", "forking"): 3,
        ("outer", "root"): 12 + in_children,
        ("add", "outer"): 12 + in_children,
    }
    assert Counter(event.event_type for event in recorded.events())["session_end"] == 1
    assert recorded.meta().tool_calls == 3 + 3 + 24 + 2 * in_children
    if "TRACEPARENT" in variables:
        assert {f"{span.context.trace_id:032x}" for span in recorded.spans()} == {TRACEPARENT[3:35]}
        assert not any(span.context.trace_flags.sampled for span in recorded.spans())


SESSIONS_IN_CHILDREN = """
import os, subprocess, sys
from agent_trace_otel import end_session, start_session, trace_tool
opened = start_session("parent")
if os.fork() == 0:
    child = start_session("forked")
    trace_tool(abs)(-1)
    end_session()
    assert end_session().session_id == opened.id  # a copy of the parent's, which only the parent may end
    sys.exit(0)
os.wait()
trace_tool(abs)(-2)
code = "from agent_trace_otel import start_session, trace_tool; start_session('joined'); trace_tool(abs)(-3)"
subprocess.run([sys.executable, "-c", code], check=True)
end_session()
print(opened.id)
"""


@needs_fork
def test_a_session_opened_in_a_child_is_the_childs(tmp_path: Path) -> None:
    ran = run(SESSIONS_IN_CHILDREN, tmp_path, PYTHONWARNINGS="ignore")
    assert (ran.code, ran.err) == (0, "")
    parent = ran.out.strip()
    (forked,) = set(ran.recorded.sessions()) - {parent}
    whole(ran.recorded, forked, calls=1)
    whole(ran.recorded, parent, calls=2)
    kinds = Counter(event.event_type for event in ran.recorded.events(parent))
    assert (kinds["session_start"], kinds["session_end"]) == (2, 2)  # the parent's run, and the subprocess's
    first, second = sorted(
        (s for s in ran.recorded.spans(parent) if s.attributes.get("agent_trace.scope") == "session"),
        key=lambda span: span.start_time,
    )
    assert second.parent.span_id == first.context.span_id
    assert [link.context.span_id for link in second.links] == [first.context.span_id]


@pytest.mark.parametrize("whose", ["private", "foreign"])
def test_a_subprocess_given_the_sessions_environment_hangs_under_the_call_that_ran_it(
    tmp_path: Path, whose: str
) -> None:
    source = f"""
import os, subprocess, sys
from agent_trace_otel import current_session, session, trace_tool
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
if {whose == "foreign"}: trace.set_tracer_provider(TracerProvider())
@trace_tool
def outer():
    code = "from agent_trace_otel import trace_tool; trace_tool(lambda: None)()"
    subprocess.run([sys.executable, "-c", code], check=True, env={{**os.environ, **current_session().environment()}})
with session("agent"): outer()
"""
    ran = run(source, tmp_path)
    assert (ran.code, ran.err) == (0, "")
    whole(ran.recorded, calls=2)
    assert parents(ran.recorded) == {("outer", "root"): 1, ("<lambda>", "outer"): 1}


FORK_WHILE_WRITING = """
import os, threading, time
from agent_trace_otel import end_session, log_decision, start_session, trace_tool

@trace_tool
def add(a, b): return a + b

start_session("agent")
stopped = threading.Event()
written = [0, 0, 0]
def hammer(thread):
    while not stopped.is_set():
        add(thread, 1)
        log_decision("x")
        written[thread] += 1
threads = [threading.Thread(target=hammer, args=(number,)) for number in range(3)]
for thread in threads: thread.start()
for _ in range(25):
    pid = os.fork()
    if pid == 0:
        for number in range(4): add(number, 0)
        os._exit(0)
    deadline = time.monotonic() + 20
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(pid, 9); os.waitpid(pid, 0); print("a child hangs", flush=True); os._exit(1)
        time.sleep(0.001)
stopped.set()
for thread in threads: thread.join()
end_session()
print(sum(written))
"""


@needs_fork
def test_a_fork_while_threads_write_neither_hangs_nor_loses(tmp_path: Path) -> None:
    ran = run(FORK_WHILE_WRITING, tmp_path, PYTHONWARNINGS="ignore")
    assert (ran.code, ran.err) == (0, ""), ran.out
    whole(ran.recorded, calls=int(ran.out) + 25 * 4)
    decisions = [event for event in ran.recorded.events() if event.event_type == "decision"]
    assert len(decisions) == int(ran.out)


TWO_WRITERS = """
import os, subprocess, sys
from agent_trace_otel import end_session, start_session, trace_tool

@trace_tool
def add(a, b): return a

def work():
    for number in range(25_000): add(number, "x" * (number % 200))

if len(sys.argv) > 1:
    work()
else:
    opened = start_session("agent")
    other = subprocess.Popen([sys.executable, __file__, "other"])
    work()
    assert other.wait() == 0
    end_session()
"""


def test_two_processes_write_one_session_without_a_torn_line(tmp_path: Path) -> None:
    ran = run(TWO_WRITERS, tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    (session_id,) = ran.recorded.sessions()
    written = ran.recorded.trace_dir / session_id
    kinds: Counter[str] = Counter()
    ids: set[str] = set()
    with (written / "events.ndjson").open("rb") as lines:
        for line in lines:
            event = json.loads(line)
            kinds[event["event_type"]] += 1
            ids.add(event["event_id"])
    assert kinds == {"tool_call": 50_000, "tool_result": 50_000, "session_start": 1, "session_end": 1}
    assert len(ids) == 100_002
    with (written / "spans.jsonl").open("rb") as lines:
        spans = {json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] for line in lines}
    assert len(spans) == 50_001
    assert ran.recorded.meta().tool_calls == 50_000


@needs_fork
def test_a_fork_while_a_failure_is_counted_does_not_lock_the_child() -> None:
    with guard._lock:
        pid = os.fork()
        if pid == 0:
            guard.report("test", ValueError("x"))
            os._exit(0 if guard.failures["test"] == 1 else 1)
    done = threading.Event()
    status: list[int] = []

    def wait() -> None:
        status.append(os.waitpid(pid, 0)[1])
        done.set()

    threading.Thread(target=wait, daemon=True).start()
    if not done.wait(20):
        os.kill(pid, 9)
        pytest.fail("the child waits for a lock that nobody holds any more")
    assert status == [0]
