"""Bad days of delivery, with real processes: a program that records and sends, a bad receiver, `ship` afterwards.

Each day is a function that takes a directory and a number of spans, plays the day and ends with `all_is_well`: what
the folder holds is what the receiver has acknowledged, nothing was sent again once it was, and a second `ship` posts
nothing. `DAYS` names them; the default tests play each with few spans, the e2e ones with 20,000.
"""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import programs
import pytest
from programs import wait_for

from agent_trace_otel.delivery.otlp import traces_url
from agent_trace_otel.delivery.shipping import Shipper, ShipReport
from agent_trace_otel.delivery.target import Target
from agent_trace_otel.store.spans_file import requests_of
from agent_trace_otel.testing import Recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_GRACE = 0.2  # seconds; nobody records for these programs
_ONE_REQUEST = 500  # spans that certainly go in one

PROGRAM = """
import os, signal, sys, threading, time
import agent_trace_otel as at

count, end = int(sys.argv[1]), sys.argv[2]

@at.trace_tool
def search(query, limit):
    return f"result of {query}"

@at.trace_agent(name="helper")
def work(first, last):
    for number in range(first, last):
        search(f"query {number}", 10)
        if number == half:
            halfway()
    if end in ("SIGTERM", "SIGKILL", "exit"):
        die()

@at.trace_tool
def die():
    if end == "exit":
        os._exit(7)
    os.kill(os.getpid(), getattr(signal, end))
    time.sleep(60)

def halfway():
    print("half", flush=True)
    if end == "waits":
        sys.stdin.readline()

if end == "full":
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (count * 400, resource.RLIM_INFINITY))
half = count // 2
at.start_session("chaos")
if end == "fork":
    pid = os.fork()
    if pid == 0:
        work(0, half)
        os._exit(0)
    work(half, count)
    os.waitpid(pid, 0)
else:
    work(0, count)
at.end_session()
print("done", flush=True)
"""


@dataclass
class Receiver:
    """A receiver's process, on a port that stays when it is restarted."""

    directory: Path
    mode: str = "well"
    certificate: tuple[str, str] | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _place: socket.socket = field(default_factory=socket.socket, repr=False)

    def __post_init__(self) -> None:
        self.directory.mkdir(exist_ok=True)
        self.be(self.mode)
        # bound and never listening: who connects while the receiver is down is refused, and nobody else gets the port
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))

    @property
    def port(self) -> int:
        return int(self._place.getsockname()[1])

    @property
    def base(self) -> str:
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    def be(self, mode: str) -> None:
        new = self.directory / "mode.new"
        new.write_text(mode)
        new.replace(self.directory / "mode")

    def start(self) -> None:
        (self.directory / "port").unlink(missing_ok=True)
        command = [sys.executable, str(Path(__file__).with_name("chaos_receiver.py")), str(self.port)]
        self.process = subprocess.Popen([*command, str(self.directory), *(self.certificate or ())])
        wait_for((self.directory / "port").exists, "the receiver")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self) -> None:
        self.kill()
        self._place.close()

    def lines(self, name: str) -> list[str]:
        with suppress(FileNotFoundError):
            return (self.directory / name).read_text().split()
        return []


@contextmanager
def receiver(directory: Path, mode: str = "well", **options: Any) -> Iterator[Receiver]:
    """Run a receiver, unless ``mode`` is down."""
    running = Receiver(directory / "receiver", "well" if mode == "down" else mode, **options)
    try:
        if mode != "down":
            running.start()
        yield running
    finally:
        running.close()


def start(directory: Path, base: str, count: int, end: str = "ends", **variables: str) -> subprocess.Popen[str]:
    """Start the program that records ``count`` calls and sends them while it runs."""
    sending = {"AGENT_TRACE_OTLP_ENDPOINT": base, "OTEL_BSP_SCHEDULE_DELAY": "50", **variables}
    return programs.start(PROGRAM, directory, str(count), end, **sending)


def run(directory: Path, base: str, count: int, end: str = "ends", **variables: str) -> programs.Ran:
    """Run it to its end."""
    return finish(start(directory, base, count, end, **variables), directory)


def finish(process: subprocess.Popen[str], directory: Path) -> programs.Ran:
    """Wait for it; many spans take a busy machine longer than `programs.finish` waits."""
    out, err = process.communicate(timeout=600)
    return programs.Ran(process.returncode, out, err, 0.0, Recorded(directory / "traces"))


def folder_of(directory: Path) -> Path:
    (folder,) = (path for path in (directory / "traces").iterdir() if path.is_dir())
    return folder


def ship(directory: Path, base: str, **options: Any) -> ShipReport:
    """Do what `agent-trace ship` does."""
    with closing(
        Shipper(Target(traces_url(base)), **{"patience": 20.0, "grace": lambda _: _GRACE, **options})
    ) as shipper:
        return shipper.ship([folder_of(directory)])


def spans_of(directory: Path) -> list[dict[str, Any]]:
    return [
        span
        for request in requests_of(folder_of(directory) / "spans.jsonl")
        for resource in request["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def noted(directory: Path) -> set[str]:
    """Return what the ledger of the folder has."""
    return {span_id for log in folder_of(directory).glob("delivered-*.log") for span_id in log.read_text().split()}


def all_is_well(
    directory: Path, to: Receiver, *, report: ShipReport, known: set[str] | None = None
) -> list[dict[str, Any]]:
    """Check what every bad day must come to; return the spans of the folder.

    ``known`` is what a process had noted when it died: the spans of its last request may have been acknowledged without
    that it heard of it.
    """
    assert report.ok, str(report)
    spans = spans_of(directory)
    ids = [span["spanId"] for span in spans]
    assert len(ids) == len(set(ids))
    taken = to.lines("taken")
    assert set(taken) >= set(ids)
    again = to.lines("again")
    assert again == [] if known is None else (len(again) <= 512 and known.isdisjoint(again))
    assert "followed" not in to.lines("requests")
    requests = len(to.lines("requests"))
    second = ship(directory, to.base)
    assert (second.ok, second.delivered, second.closed) == (True, 0, 0)
    assert len(to.lines("requests")) == requests
    roots = [span for span in spans if span.get("parentSpanId") not in ids]
    assert len(roots) == 1
    assert open_calls(folder_of(directory)) == set()
    return spans


def open_calls(folder: Path) -> set[str]:
    events = [json.loads(line) for line in (folder / "events.ndjson").read_bytes().splitlines() if line[-2:] == b"}}"]
    opened = {event["event_id"] for event in events if event["event_type"] == "tool_call"}
    return opened - {event.get("parent_id") for event in events}


# -- days on which the receiver is bad ---------------------------------------------------------------------------


def receiver_is(mode: str, directory: Path, count: int) -> None:
    """The receiver misbehaves while the program runs, and for some requests or for ever after it has ended."""
    some = f"{mode} {1 if count <= _ONE_REQUEST else 3}"
    then = {"slow": "slow", "large": "large", "503": some, "429": some, "reset": some}.get(mode, "well")
    with receiver(directory, mode) as to:
        ran = run(directory, to.base, count)
        assert ran.code == 0, ran.err
        assert len(ran.warnings) <= 1, ran.err
        to.be(then)
        if mode in {"hole", "302", "503", "429"}:
            assert to.lines("taken") == []
        spans = all_is_well(directory, to, report=ship(directory, to.base))
        assert len(spans) == count + 2
        assert len(to.lines("taken")) == count + 2


def receiver_is_down_at_start(directory: Path, count: int) -> None:
    with receiver(directory, "down") as to:
        ran = run(directory, to.base, count)
        assert ran.code == 0, ran.err
        to.start()
        assert len(all_is_well(directory, to, report=ship(directory, to.base))) == count + 2


def receiver_goes_down_in_the_middle(directory: Path, count: int) -> None:
    """The live process sends by itself what it could not send while the receiver was away."""
    with receiver(directory) as to:
        process = start(directory, to.base, count, "waits")
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "half\n"
        wait_for(lambda: bool(to.lines("taken")), "the first spans")
        to.kill()
        process.stdin.write("go on\n")
        process.stdin.flush()
        ran = finish(process, directory)
        assert ran.code == 0, ran.err
        before = len(to.lines("taken"))
        assert before < count
        to.start()
        assert len(all_is_well(directory, to, report=ship(directory, to.base))) == count + 2


def receiver_is_not_trusted(directory: Path, count: int) -> None:
    certificate, key = str(directory / "certificate.pem"), str(directory / "key.pem")
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with receiver(directory, certificate=(certificate, key)) as to:
        ran = run(directory, to.base, count)
        assert ran.code == 0, ran.err
        refused = ship(directory, to.base)
        assert not refused.ok
        assert refused.waiting == count + 2
        assert "certificate" in refused.reason.lower()
        assert to.lines("taken") == []
        with pytest.MonkeyPatch.context() as trusting:
            trusting.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", certificate)
            assert len(all_is_well(directory, to, report=ship(directory, to.base))) == count + 2


def everybody_sends(directory: Path, count: int) -> None:
    """The program and two `ship --follow` send the same session at the same time."""
    with receiver(directory) as to:
        (directory / "traces").mkdir(mode=0o700)
        command = [sys.executable, "-m", "agent_trace_otel", "ship", "--follow", "--endpoint", to.base]
        variables = programs.environment(directory)
        shippers = [subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        ran = run(directory, to.base, count)
        assert ran.code == 0, ran.err
        wait_for(lambda: len(to.lines("taken")) == count + 2, "all spans")
        for shipper in shippers:
            shipper.send_signal(signal.SIGTERM)
        for shipper in shippers:
            said, _ = shipper.communicate(timeout=60)
            # on a busy machine one may still be starting, and has no handler yet
            assert said.endswith("spans delivered\n") or shipper.returncode == -signal.SIGTERM
        assert len(all_is_well(directory, to, report=ship(directory, to.base))) == count + 2


# -- days on which the program dies ------------------------------------------------------------------------------


def producer_dies(end: str, directory: Path, count: int) -> None:
    """By a signal, or by os._exit(), in the middle of a tool call of a sub-agent."""
    with receiver(directory) as to:
        process = start(directory, to.base, count, end)
        ran = finish(process, directory)
        assert ran.code == (7 if end == "exit" else -getattr(signal, end))
        known = noted(directory)
        report = ship(directory, to.base)
        assert report.closed == 3  # the call, the agent, the session
        spans = all_is_well(directory, to, report=report, known=known)
        assert len(spans) == count + 3
        lost = [span["name"] for span in spans if {"stringValue": "lost"} in [a["value"] for a in span["attributes"]]]
        assert lost == ["execute_tool die", "invoke_agent helper", "invoke_agent chaos"]


def producer_forks(directory: Path, count: int) -> None:
    with receiver(directory) as to:
        ran = run(directory, to.base, count, "fork")
        assert ran.code == 0, ran.err
        known = noted(directory)
        spans = all_is_well(directory, to, report=ship(directory, to.base), known=known)
        assert len(spans) == count + 3  # an agent in each process
        assert len(set(to.lines("taken"))) == count + 3


def disk_is_full(directory: Path, count: int) -> None:
    """The program goes on, sends what the folder can't hold, and says how much that is."""
    with receiver(directory) as to:
        ran = run(directory, to.base, count, "full")
        assert (ran.code, ran.out.splitlines()[-1]) == (0, "done"), ran.err
        assert any("lines of session" in line and "could not be written" in line for line in ran.warnings), ran.err
        spans = all_is_well(directory, to, report=ship(directory, to.base))
        assert len(to.lines("taken")) >= count + 2
        assert 1 < len(spans) < count


DAYS: dict[str, Callable[[Path, int], None]] = {
    **{
        f"the receiver answers: {mode}": partial(receiver_is, mode)
        for mode in ("slow", "302", "503", "429", "reset", "large", "hole")
    },
    "the receiver is down at start": receiver_is_down_at_start,
    "the receiver goes down in the middle": receiver_goes_down_in_the_middle,
    "the receiver is not trusted": receiver_is_not_trusted,
    "everybody sends at the same time": everybody_sends,
    **{f"the program dies: {end}": partial(producer_dies, end) for end in ("SIGTERM", "SIGKILL", "exit")},
    "the program forks": producer_forks,
    "the disk is full": disk_is_full,
}
