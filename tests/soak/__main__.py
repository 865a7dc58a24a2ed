"""``python tests/soak``: spans by the million over all paths, from eight processes that are killed at random.

usage: python tests/soak [--spans N] [--kills N] [--folder DIR]

Five processes call decorated tools (some of them sending live), one an instrumented model client, one an MCP server
through `record`, one sends OTLP to `collect`, and hook processes feed the recorder; whoever is killed is started
again. Afterwards everything is shipped twice, and the counts must agree: what a program was told is done is in its
folder, each span once, and the receiver has what the folders have. Ends with 1 when they don't.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[1] / "support"))  # what the tests share

import workers
from hook_feed import are_over, recorder_of
from hook_processes import Hooks
from model_server import answer_json, serving
from packages import REPOSITORY, plain_environment
from programs import wait_for

HERE = Path(__file__).parent
_ANSWER = {
    "id": "chatcmpl-soak",
    "object": "chat.completion",
    "created": 1,
    "model": "small",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes."}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}
_SHARES = {"decorated": 0.75, "send": 0.2, "mcp": 0.04, "model": 0.009, "hooks": 0.001}
_CALLS = ("execute_tool ", "tools/call ", "chat ")
_DECORATED = 5


@dataclass
class Worker:
    """One process that does a share of the work, and is started again when it was killed."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    process: subprocess.Popen[bytes] | None = None
    kills: int = 0
    memory: list[int] = field(default_factory=list[int])
    """Resident kilobytes, as seen from time to time."""

    def keep_running(self) -> bool:
        """Start it if it is not there; False once it has ended by itself."""
        if self.process is None:
            self.process = self.start()
        code = self.process.poll()
        if code is None:
            return True
        if code == -signal.SIGKILL:
            self.process = self.start()
            return True
        if code:
            message = f"{self.name} ended with {code}"
            raise SystemExit(message)
        return False

    def kill(self) -> None:
        """Kill it where it stands."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            self.kills += 1

    def look(self) -> None:
        """Note what it holds in memory."""
        if self.process is not None and self.process.poll() is None:
            self.memory.append(resident(self.process.pid))


def resident(pid: int) -> int:
    """Return a process's resident memory in kilobytes, 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    except OSError:
        return 0


class Soak:
    """One run, in a folder of its own."""

    def __init__(self, folder: Path, spans: int, kills: int) -> None:
        self.folder, self.spans, self.kills = folder, spans, kills
        self.chance = random.Random(spans)
        self.stores = {name: folder / name for name in ("decorated", "live", "model", "mcp", "collected", "hooks")}
        self.counters: dict[str, Path] = {}
        self.failures: list[str] = []

    def environment(self, store: str, **more: str) -> dict[str, str]:
        """Return the variables of a process whose sessions go to a store."""
        return plain_environment(
            PYTHONPATH=str(REPOSITORY), HOME=str(self.folder / "home"), AGENT_TRACE_DIR=str(self.stores[store]), **more
        )

    def agent_trace(self, *arguments: str) -> list[str]:
        """Return a command of ours."""
        return [sys.executable, "-m", "agent_trace_otel", *arguments]

    def run(self) -> int:
        """Do all of it and tell; return the exit code."""
        (self.folder / "home").mkdir()
        result = self.folder / "received.json"
        receiver = subprocess.Popen([sys.executable, HERE / "receiver.py", result], stdout=subprocess.PIPE)
        assert receiver.stdout is not None
        endpoint = f"http://127.0.0.1:{int(receiver.stdout.readline())}"
        began = time.monotonic()
        with serving({"soak": answer_json(_ANSWER)}, lambda _: "soak") as model_server:
            collector_port = free_port()
            killable = self._workers(endpoint, model_server.url, collector_port)
            helpers = [self._collector(collector_port)]
            self._work(killable, helpers)
        self._finish_hooks()
        worked = time.monotonic() - began
        for round_ in ("first", "second"):
            before = time.monotonic()
            said = [self._ship(store, endpoint) for store in self.stores.values()]
            _say(f"{round_} ship: {time.monotonic() - before:.0f} s; {'; '.join(filter(None, said))}")
        receiver.terminate()
        receiver.wait()
        received = json.loads(result.read_text())
        self._judge(received)
        for worker in [*killable, *helpers]:
            _say(f"{worker.name}: killed {worker.kills} times, {shown(worker.memory)}")
        _say(f"worked {worked:.0f} s")
        for failure in self.failures:
            _say(f"WRONG: {failure}")
        return 1 if self.failures else 0

    # -- who works -----------------------------------------------------------------------------------------------

    def _workers(self, endpoint: str, model_url: str, collector_port: int) -> list[Worker]:
        found: list[Worker] = []
        for number in range(_DECORATED):
            is_live = number % 2 == 1
            more = {"AGENT_TRACE_OTLP_ENDPOINT": endpoint} if is_live else {}
            goal = int(self.spans * _SHARES["decorated"] / _DECORATED)
            found.append(
                self._worker(f"decorated{number}", "decorated", "live" if is_live else "decorated", goal, "", **more)
            )
        found.append(self._worker("model", "model", "model", int(self.spans * _SHARES["model"]), model_url))
        found.append(self._worker("mcp", "mcp", "mcp", int(self.spans * _SHARES["mcp"]), ""))
        found.append(self._worker("hooks", "hooks", "hooks", int(self.spans * _SHARES["hooks"]), ""))
        goal = int(self.spans * _SHARES["send"]) // workers.SENT_AT_ONCE
        found.append(self._worker("send", "send", "collected", goal, f"http://127.0.0.1:{collector_port}"))
        return found

    def _worker(self, name: str, path: str, store: str, goal: int, url: str, **more: str) -> Worker:
        counter = self.folder / f"{name}.counter"
        workers.new_counter(counter)
        self.counters[name] = counter
        command = [sys.executable, str(HERE / "workers.py"), path, str(counter), str(goal), url]
        return Worker(name, lambda: subprocess.Popen(command, env=self.environment(store, **more)))

    def _collector(self, port: int) -> Worker:
        command = self.agent_trace("--trace-dir", str(self.stores["collected"]), "collect", "--port", str(port))
        log = (self.folder / "collect.log").open("ab")
        return Worker(
            "collect", lambda: subprocess.Popen(command, env=self.environment("collected"), stdout=log, stderr=log)
        )

    def _work(self, killable: list[Worker], helpers: list[Worker]) -> None:
        """Let all work, kill one now and then, and start it again."""
        for helper in helpers:
            helper.keep_running()
        left = self.kills
        next_kill = time.monotonic() + 2
        next_look = 0.0
        while sum(worker.keep_running() for worker in killable):
            for helper in helpers:
                helper.keep_running()
            now = time.monotonic()
            if now >= next_look:
                for worker in [*killable, *helpers]:
                    worker.look()
                next_look = now + 2
            if left and now >= next_kill:
                self.chance.choice([*killable, *helpers]).kill()
                left -= 1
                next_kill = now + self.chance.uniform(0.2, 2)
            time.sleep(0.05)
        for helper in helpers:
            if helper.process is not None:
                helper.process.terminate()
                helper.process.wait()

    def _finish_hooks(self) -> None:
        """Let the recorder take what was left while it was not there, notice that clients are gone, and leave."""
        hooks = Hooks(self.folder / "home", {"AGENT_TRACE_DIR": str(self.stores["hooks"])})
        with recorder_of(hooks):
            hooks.run(b"{}", "Nothing")
            wait_for(lambda: are_over(hooks), "the end of all sessions of hooks", seconds=90)

    def _ship(self, store: Path, endpoint: str) -> str:
        if not store.exists():
            return ""
        command = self.agent_trace("--trace-dir", str(store), "ship", "--all", "--endpoint", endpoint)
        done = subprocess.run(command, env=self.environment(store.name), capture_output=True, text=True, check=False)
        if done.returncode:
            self.failures.append(f"ship of {store.name} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        return f"{store.name}: {(done.stdout.strip().splitlines() or [''])[-1]}"

    # -- what came of it -----------------------------------------------------------------------------------------

    def _judge(self, received: dict[str, int]) -> None:
        """Compare the counts of the programs, of the folders and of the receiver."""
        found: dict[str, int] = {}
        calls: dict[str, int] = {}
        for store, path in self.stores.items():
            spans = [span for file in path.glob("*/spans.jsonl") for span in spans_in(file)]
            different = len({span_id for span_id, _ in spans})
            found[store] = len(spans)
            calls[store] = sum(name.startswith(_CALLS) for _, name in spans)
            if different != len(spans):
                self.failures.append(f"{store}: {len(spans) - different} spans are in the folder twice")
        total = sum(found.values())
        _say(f"spans in the folders: {found}, {total} in all; received {received}")
        if received["different"] != total:
            self.failures.append(f"the folders have {total} spans, the receiver {received['different']}")
        by_turns = [name for name in self.counters if name.startswith("decorated")]
        self._compare("decorated", calls, by_turns[0::2])
        self._compare("live", calls, by_turns[1::2])
        self._compare("collected", calls, ["send"], workers.SENT_AT_ONCE - 1)
        for path in ("model", "mcp", "hooks"):
            self._compare(path, calls, [path])

    def _compare(self, store: str, calls: dict[str, int], names: list[str], each: int = 1) -> None:
        counts = [workers.counted(self.counters[name]) for name in names]
        begun, returned = (sum(column) * each for column in zip(*counts, strict=True))
        has = calls[store]
        _say(f"{store}: {returned} calls returned, {begun} begun, {has} in the folder")
        if not returned <= has <= begun + len(names) * each * (self.kills + 1):
            self.failures.append(f"{store}: {returned} calls returned, {has} are in the folder")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def spans_in(file: Path) -> Iterator[tuple[str, str]]:
    """Yield id and name of every span that a file holds whole: a kill may have torn a line."""
    with file.open("rb") as lines:
        for line in lines:
            with contextlib.suppress(ValueError):
                for resource in json.loads(line)["resourceSpans"]:
                    for scope in resource["scopeSpans"]:
                        yield from ((span["spanId"], span["name"]) for span in scope["spans"])


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def shown(memory: list[int]) -> str:
    """Return how memory went, as text."""
    if len(memory) < 4:
        return "too short to tell of its memory"
    early, late = memory[len(memory) // 4], max(memory[-len(memory) // 4 :])
    return f"{early >> 10} MiB after a quarter of the time, at most {late >> 10} MiB in the last"


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(prog="python tests/soak", description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--folder", type=Path, help="keep what was recorded there (default: a folder that is removed)")
    arguments = parser.parse_args()
    if arguments.folder:
        arguments.folder.mkdir(parents=True)
        return Soak(arguments.folder, arguments.spans, arguments.kills).run()
    with tempfile.TemporaryDirectory(prefix="agent-trace-soak-") as folder:
        return Soak(Path(folder), arguments.spans, arguments.kills).run()


if __name__ == "__main__":
    sys.exit(main())
