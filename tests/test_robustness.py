"""Bad days: whatever happens to folder, back end or process, the traced program does what it does untraced."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from collecting_posting import CollectingPosting
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from programs import Ran, finish, run, start, wait_for

from agent_trace_otel import configure, guard, pipeline, session, start_session, trace_tool
from agent_trace_otel.delivery.live_posting import Outcome
from agent_trace_otel.store.events import TraceEvent
from agent_trace_otel.testing import Recorded, reset

PROGRAM = """
import os, sys, time
if os.environ.get("UNTRACED"):
    trace_tool = lambda function: function
    start_session = end_session = log_decision = lambda *_, **__: None
else:
    from agent_trace_otel import end_session, log_decision, start_session, trace_tool

@trace_tool
def add(a, b):
    print("adding", a, b)
    return a + b

@trace_tool
def fail():
    raise LookupError("no luck")

# BEFORE
start_session("agent")
for number in range(50):
    print(add(number, 1))
    try:
        fail()
    except LookupError as error:
        print("caught", repr(error))
log_decision("left")
# MIDDLE
print(add(1, 2))
end_session()
sys.exit(7)
"""


def program(*, before: str = "", middle: str = "") -> str:
    return PROGRAM.replace("# BEFORE", before).replace("# MIDDLE", middle)


@pytest.fixture(scope="module")
def untraced(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run the program without any tracing."""
    return run(PROGRAM, tmp_path_factory.mktemp("untraced"), UNTRACED="1")


def types(recorded: Recorded) -> list[str]:
    return [event.event_type for event in recorded.events()]


LOST = r"could not write the session folder: .*\n\d+ lines of session \S+ could not be written to its folder\n"


def unharmed(ran: Ran, untraced: Ran, *, said: str = LOST) -> None:
    """Assert that a program did what it does untraced, and what it said on stderr; what is lost is said and counted."""
    assert re.fullmatch(said, ran.err), ran.err
    assert (ran.code, ran.out) == (untraced.code, untraced.out)
    assert untraced.code == 7


def test_on_a_good_day_nothing_is_said(tmp_path: Path, untraced: Ran) -> None:
    ran = run(PROGRAM, tmp_path)
    unharmed(ran, untraced, said="")
    assert len(ran.recorded.events()) == 1 + 50 * 4 + 1 + 2 + 1
    assert len(ran.recorded.spans()) == 102


# -- the folder --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["file", "file/below", "link", "/proc/nowhere"])
def test_a_trace_directory_that_cant_be(tmp_path: Path, untraced: Ran, where: str) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path)
    ran = run(PROGRAM, tmp_path, AGENT_TRACE_DIR=str(tmp_path / where))
    unharmed(ran, untraced)
    assert "could not write the session folder: " in ran.err
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link", "program.py"]


def test_a_read_only_trace_directory(untraced: Ran) -> None:
    directory = Path(tempfile.mkdtemp(prefix="read-only-"))  # one that nobody, too, can look into
    try:
        directory.chmod(0o755)
        (directory / "traces").mkdir(mode=0o555)
        # root may write anywhere, so it becomes nobody, once what is imported late has been imported
        before = """
if hasattr(os, "getuid") and os.getuid() == 0:
    os.setuid(65534)
"""
        warm_up = 'start_session(trace_dir=os.environ["WARM"]); trace_tool(abs)(1); log_decision("w"); end_session()'
        places = {"AGENT_TRACE_DIR": str(directory / "traces"), "WARM": str(directory / "w")}
        ran = run(program(before=warm_up + before), directory, **places)
        unharmed(ran, untraced)
        assert list((directory / "traces").iterdir()) == []
    finally:
        (directory / "traces").chmod(0o755)
        shutil.rmtree(directory)


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_file_that_may_grow_no_more(tmp_path: Path, untraced: Ran) -> None:
    before = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))"
    middle = "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))"
    ran = run(program(before=before, middle=middle), tmp_path)
    unharmed(ran, untraced)
    (folder,) = (path for path in ran.recorded.trace_dir.iterdir() if path.is_dir())
    events = whole_events(folder)
    # cut off in the middle of a line, and whole again from the next one on, once there is room
    assert 10 < len(events) < 100
    assert [event.event_type for event in events[-3:]] == ["tool_call", "tool_result", "session_end"]


def whole_events(folder: Path) -> list[TraceEvent]:
    """Return the events on whole lines; one may have been cut off."""
    lines = [line for line in (folder / "events.ndjson").read_bytes().split(b"\n") if line]
    whole = [line for line in lines if line.endswith(b"}}")]
    assert len(lines) - len(whole) <= 1
    return [TraceEvent.from_line(line) for line in whole]


def test_a_full_disk(tmp_path: Path, untraced: Ran) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("may not mount a small disk")
    try:
        middle = f"os.truncate({str(disk / 'filler')!r}, 0)"
        (disk / "filler").write_bytes(b"x" * 40_000)
        ran = run(program(middle=middle), tmp_path, AGENT_TRACE_DIR=str(disk / "traces"))
        unharmed(ran, untraced)
        (folder,) = (path for path in (disk / "traces").iterdir() if path.is_dir())
        assert [event.event_type for event in whole_events(folder)[-3:]] == ["tool_call", "tool_result", "session_end"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_trace_directory_that_vanishes_comes_back(tmp_path: Path, untraced: Ran) -> None:
    middle = """
if not os.environ.get("UNTRACED"):
    import shutil
    shutil.rmtree(os.environ["AGENT_TRACE_DIR"])
    time.sleep(1.01)  # meta.json is looked after once a second
    log_decision("lost")
    log_decision("found")
"""
    ran = run(program(middle=middle), tmp_path)
    unharmed(ran, untraced, said=r"could not go on writing a session folder that was removed: .*\n")
    assert types(ran.recorded) == ["decision", "tool_call", "tool_result", "session_end"]
    assert ran.recorded.meta().tool_calls == 1


@pytest.mark.parametrize(("make", "said"), [("garbage", ""), ("directory", r".*\n")])
def test_a_broken_meta_json(tmp_path: Path, untraced: Ran, make: str, said: str) -> None:
    middle = f"""
if not os.environ.get("UNTRACED"):
    import glob
    (meta,) = glob.glob(os.environ["AGENT_TRACE_DIR"] + "/*/meta.json")
    if {make!r} == "garbage":
        open(meta, "wb").write(b"\\xff[[[[")
    else:
        os.unlink(meta); os.mkdir(meta)
"""
    ran = run(program(middle=middle), tmp_path)
    unharmed(ran, untraced, said=said)
    assert types(ran.recorded)[-1] == "session_end"
    if make == "garbage":
        assert ran.recorded.meta().tool_calls == 101
        assert ran.recorded.meta().ended_at is not None


# -- what stands beside us ---------------------------------------------------------------------------------------

RAISING = """
if not os.environ.get("UNTRACED"):
    from agent_trace_otel import AgentTraceSpanProcessor
    from opentelemetry import trace
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    class Raising(SpanProcessor):
        def on_start(self, span, parent_context=None):
            if "start" in os.environ["RAISES"]: raise RuntimeError("broken")
        def on_end(self, span):
            if "end" in os.environ["RAISES"]: raise RuntimeError("broken")
    provider = TracerProvider()
    for processor in ([AgentTraceSpanProcessor(), Raising()] if "after" in os.environ["RAISES"] else [Raising()]):
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
"""


@pytest.mark.parametrize("raises", ["start after", "end after", "start before", "end before"])
def test_a_processor_beside_ours_that_raises(tmp_path: Path, untraced: Ran, raises: str) -> None:
    ran = run(program(before=RAISING), tmp_path, RAISES=raises)
    assert (ran.code, ran.out) == (untraced.code, untraced.out)
    assert "Traceback" not in ran.err
    assert len(ran.warnings) <= 5  # one a place
    if raises == "end after":
        assert len(ran.recorded.events()) == 1 + 50 * 4 + 1 + 2 + 1


def test_sessions_left_open_are_all_ended_though_a_processor_raises(tmp_path: Path) -> None:
    source = program(before=RAISING + 'start_session("outer")').replace("end_session()\n", "")
    ran = run(source, tmp_path, RAISES="end after")
    assert ran.code == 7
    for session_id in ran.recorded.sessions():
        assert ran.recorded.events(session_id)[-1].event_type == "session_end"
    assert len(ran.recorded.sessions()) == 2


def test_a_users_exception_goes_on_as_it_is_though_a_processor_raises(recorded: Recorded) -> None:
    class Raising(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            raise RuntimeError

    provider = TracerProvider()
    provider.add_span_processor(Raising())
    trace_api.set_tracer_provider(provider)

    @trace_tool
    def fail() -> None:
        msg = "no luck"
        raise LookupError(msg)

    with pytest.raises(LookupError, match="no luck") as caught, session("agent"):
        fail()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_an_exporter_that_raises(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Raising(CollectingPosting):
        def send(self, batch: object) -> Outcome:  # type: ignore[override]
            raise RuntimeError

        def close(self) -> None:
            raise RuntimeError

    monkeypatch.setattr("agent_trace_otel.delivery.live_posting.LivePosting", Raising)
    configure(endpoint="http://127.0.0.1:1")
    with session("agent"):
        trace_tool(lambda: None)()
    assert pipeline.force_flush() is False
    reset()
    assert [event.event_type for event in recorded.events()] == [
        "session_start", "tool_call", "tool_result", "session_end",
    ]  # fmt: skip
    assert [record.name for record in caplog.records if record.levelname == "WARNING"][:1] == ["agent_trace_otel"]


def test_a_log_handler_of_the_users_that_raises(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(guard.logger, "log", broken)
    guard.report("test", ValueError("x"))
    assert guard.failures["test"] == 1


# -- the back end ------------------------------------------------------------------------------------------------


@pytest.fixture
def refusing() -> str:
    """Return an endpoint that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def black_hole() -> Iterator[str]:
    """Return an endpoint that takes requests and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("endpoint", ["refusing", "black_hole"])
def test_a_dead_endpoint_holds_up_the_exit_for_two_seconds_at_most(
    tmp_path: Path, untraced: Ran, endpoint: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(endpoint)
    (tmp_path / "without").mkdir()
    without = run(PROGRAM, tmp_path / "without")
    ran = run(PROGRAM, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=url)
    assert (ran.code, ran.out) == (untraced.code, untraced.out)
    assert len(ran.warnings) <= 1, ran.err
    assert ran.seconds < without.seconds + 4  # the SDK alone takes 7 to 10
    assert len(ran.recorded.spans()) == 102


# -- sudden ends -------------------------------------------------------------------------------------------------

WAITING = """
import os, signal, sys, time
from agent_trace_otel import log_decision, start_session, trace_tool

@trace_tool
def quick(): pass

@trace_tool
def slow():
    log_decision("wait")
    print("inside", flush=True)
    while True:
        time.sleep(0.05)  # a signal that comes just before a long sleep is heard after it

before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
start_session("agent")
quick()
assert before == {number: signal.getsignal(number) for number in before}
slow()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_kill_in_the_middle_of_a_call_loses_nothing_that_has_begun(tmp_path: Path, number: signal.Signals) -> None:
    process = start(WAITING, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    process.send_signal(number)
    ran = finish(process, tmp_path)
    assert (ran.code, ran.out, ran.err) == (-number, "", "")
    assert types(ran.recorded) == ["session_start", "tool_call", "tool_result", "tool_call", "decision"]
    assert ran.recorded.events()[3].data["tool_name"] == "slow"
    assert [span.name for span in ran.recorded.spans()] == ["execute_tool quick"]
    assert ran.recorded.meta().ended_at is None
    start_data = ran.recorded.events()[0].data
    assert start_data["pid"] == process.pid
    assert {"pid_start", "boot_id", "host"} <= start_data.keys()


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_ends_the_call_as_interrupted_and_the_session_with_it(tmp_path: Path) -> None:
    process = start(WAITING, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    process.send_signal(signal.SIGINT)
    ran = finish(process, tmp_path)
    assert ran.code == -signal.SIGINT
    assert ran.warnings[-1] == "KeyboardInterrupt"
    events = ran.recorded.events()
    assert [event.event_type for event in events[-2:]] == ["tool_result", "session_end"]
    assert events[-2].data["outcome"] == "interrupted"


def test_os_exit_loses_nothing_that_has_ended(tmp_path: Path) -> None:
    ran = run(WAITING.replace("time.sleep(0.05)", "os._exit(3)"), tmp_path)
    assert (ran.code, ran.err) == (3, "")
    assert types(ran.recorded) == ["session_start", "tool_call", "tool_result", "tool_call", "decision"]


def test_sys_exit_inside_a_call_ends_all(tmp_path: Path) -> None:
    ran = run(WAITING.replace("time.sleep(0.05)", "sys.exit(3)"), tmp_path)
    assert (ran.code, ran.err) == (3, "")
    assert types(ran.recorded)[-2:] == ["tool_result", "session_end"]
    assert ran.recorded.events()[-2].data["outcome"] == "interrupted"


def test_a_generator_left_open_to_the_very_end_says_nothing(tmp_path: Path) -> None:
    source = """
import agent_trace_otel as at

@at.trace_tool
def rows():
    yield 1
    yield 2

with at.session("agent"):
    left = rows()
    print(next(left))
"""
    ran = run(source, tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, "1\n", "")
    assert types(ran.recorded) == ["session_start", "tool_call", "session_end", "tool_result"]
    assert ran.recorded.events()[-1].data["outcome"] == "abandoned"


# -- the environment ---------------------------------------------------------------------------------------------


def test_bad_variables_break_nothing(tmp_path: Path, untraced: Ran) -> None:
    ran = run(
        PROGRAM,
        tmp_path,
        AGENT_TRACE_REDACT="maybe",
        AGENT_TRACE_MAX_VALUE="lots",
        AGENT_TRACE_TRACE_PER="hour",
        AGENT_TRACE_OTLP_ENDPOINT="not a url",
        TRACEPARENT="not one either",
        AGENT_TRACE_SESSION_ID="../..",
    )
    assert (ran.code, ran.out) == (untraced.code, untraced.out)
    assert len(ran.warnings) == 2, ran.err  # one of the settings, one of the endpoint
    assert len(ran.recorded.spans()) == 102


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    source = """
import os
os.mkdir("gone"); os.chdir("gone"); os.rmdir("../gone")
from agent_trace_otel import session, trace_tool
with session("agent"):
    print(trace_tool(abs)(-1))
"""
    ran = run(source, tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, "1\n", "")
    assert len(ran.recorded.spans()) == 2
    (tmp_path / "again").mkdir()
    ran = run(source, tmp_path / "again", AGENT_TRACE_DIR="")
    assert (ran.code, ran.out) == (0, "1\n")
    assert re.fullmatch(LOST, ran.err)


def test_wait_for_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", iter([0.0, 31.0]).__next__)
    with pytest.raises(AssertionError, match="in vain"):
        wait_for(lambda: False, "never")


def test_start_session_survives_a_processor_that_raises_at_its_start(recorded: Recorded) -> None:
    outer = start_session("outer")
    provider = TracerProvider()
    provider._active_span_processor.on_start = lambda *_, **__: 1 / 0  # type: ignore[method-assign, assignment]
    trace_api.set_tracer_provider(provider)
    with session("inner"):
        assert trace_tool(abs)(-1) == 1
    trace_api._TRACER_PROVIDER = None
    from agent_trace_otel import end_session

    ended = end_session()
    assert ended is not None
    assert ended.session_id == outer.id
    assert os.environ.get("AGENT_TRACE_SESSION_ID") is None
