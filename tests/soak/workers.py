"""What the processes of a soak run do until they are killed, one path each: ``python workers.py PATH COUNTER N [URL]``.

COUNTER is a file of sixteen bytes: calls that have begun and calls that have returned, both counted in memory that the
kernel keeps when the process is killed. A worker goes on from there.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[1] / "support"))  # what the tests share

_COUNTS = struct.Struct("<QQ")
PER_SESSION = 5_000
"""Calls of one session; the next one opens another."""


class Counter:
    """Calls begun and returned, in a file that is mapped into memory."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b")
        self._memory = mmap.mmap(self._file.fileno(), _COUNTS.size)

    @property
    def counts(self) -> tuple[int, int]:
        """Begun and returned."""
        begun, returned = _COUNTS.unpack(self._memory)
        return begun, returned

    def each(self, goal: int) -> Iterator[int]:
        """Yield the numbers of calls, counting each before and after."""
        number, _ = self.counts
        returned = self.counts[1]
        while number < goal:
            _COUNTS.pack_into(self._memory, 0, number + 1, returned)
            yield number
            returned += 1
            number += 1
            _COUNTS.pack_into(self._memory, 0, number, returned)


def new_counter(path: Path) -> None:
    """Write a counter of nothing."""
    path.write_bytes(bytes(_COUNTS.size))


def counted(path: Path) -> tuple[int, int]:
    """Return how many calls have begun, and how many have returned."""
    begun, returned = _COUNTS.unpack(path.read_bytes())
    return begun, returned


def decorated(counter: Counter, goal: int, _: str) -> None:
    """Call a decorated tool."""
    import agent_trace_otel as at

    @at.trace_tool
    def look_up(number: int) -> str:
        return f"value of {number}"

    name = f"soak-{os.getpid()}"
    at.start_session(name)
    for number in counter.each(goal):
        look_up(number)
        if number % PER_SESSION == PER_SESSION - 1:
            at.end_session()
            at.start_session(name)
    at.end_session()


def model(counter: Counter, goal: int, url: str) -> None:
    """Call a model client of the real library, instrumented."""
    import openai

    import agent_trace_otel as at

    at.instrument("openai")
    client = openai.OpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)
    with at.session(f"soak-model-{os.getpid()}"):
        for number in counter.each(goal):
            client.chat.completions.create(model="small", messages=[{"role": "user", "content": f"{number}"}])


def send(counter: Counter, goal: int, url: str) -> None:
    """Send spans of the stock SDK's making to a collector, each until it is acknowledged."""
    import time

    import requests
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("soak")
    session = f"soak-sent-{os.getpid()}"
    for number in counter.each(goal):
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "sent", "session.id": session}
        with tracer.start_as_current_span("invoke_agent sender", attributes={"gen_ai.operation.name": "invoke_agent",
                                          "gen_ai.conversation.id": session, "session.id": session}):  # fmt: skip
            for _ in range(SENT_AT_ONCE - 1):
                tracer.start_span(f"execute_tool sent {number}", attributes=attributes).end()
        body = encode_spans(kept.get_finished_spans()).SerializeToString()
        kept.clear()
        while True:
            try:
                answer = requests.post(f"{url}/v1/traces", data=body, timeout=20,
                                       headers={"Content-Type": "application/x-protobuf"})  # fmt: skip
                if answer.status_code == requests.codes.ok:
                    break
            except requests.RequestException:
                pass
            time.sleep(0.05)


SENT_AT_ONCE = 100
"""Spans of one request of `send`: a call there is a request."""

_MCP_SERVER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {"content": []}}), flush=True)
"""
_PROXY_LIFE = 3_000
"""Calls through one proxy, which is then killed."""


def mcp(counter: Counter, goal: int, _: str) -> None:
    """Call an MCP server through a proxy, which is killed again and again.

    At most 500 calls a second: a proxy that is killed while its recorder is behind takes the copies with it that wait.
    """
    import json
    import subprocess
    import time

    command = [sys.executable, "-m", "agent_trace_otel", "record", "--", sys.executable, "-S", "-c", _MCP_SERVER]
    proxy: subprocess.Popen[bytes] | None = None
    for number in counter.each(goal):
        if proxy is None:
            proxy = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert proxy.stdin is not None
        assert proxy.stdout is not None
        asked = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "through", "arguments": {}}}
        proxy.stdin.write(json.dumps(asked).encode() + b"\n")
        proxy.stdin.flush()
        assert json.loads(proxy.stdout.readline())["id"] == number
        time.sleep(0.002)
        if number % _PROXY_LIFE == _PROXY_LIFE - 1 or number == goal - 1:
            proxy.kill()
            proxy.communicate()
            proxy = None


def hooks(counter: Counter, goal: int, _: str) -> None:
    """Run hook processes, two a tool call; the recorder that they start is killed now and then."""
    import json
    import signal

    from hook_processes import Hooks

    from agent_trace_otel.capture.hooks.intake import control

    store = Path(os.environ["AGENT_TRACE_DIR"])
    found = Hooks(Path(os.environ["HOME"]), {"AGENT_TRACE_DIR": str(store)})
    session = f"soak-hooks-{os.getpid()}"

    def run(name: str, **payload: object) -> None:
        told = {"session_id": session, "cwd": str(store.parent), "hook_event_name": name, "prompt_id": "p", **payload}
        found.run(json.dumps(told).encode(), name, CLAUDE_PID=str(os.getpid()))

    run("SessionStart", source="startup")
    run("UserPromptSubmit", prompt="go on")
    for number in counter.each(goal):
        call = {"tool_name": "Read", "tool_use_id": f"{session}-{number}", "tool_input": {"file_path": "/x"}}
        run("PreToolUse", **call)
        run("PostToolUse", **call, tool_response={}, duration_ms=1)
        if number % 50 == 49:
            status = control.ask(str(found.state), control.STATUS)
            if status is not None:
                os.kill(status["pid"], signal.SIGKILL)
    run("Stop", last_assistant_message="done")
    run("SessionEnd", reason="other")


PATHS = {"decorated": decorated, "hooks": hooks, "mcp": mcp, "model": model, "send": send}

if __name__ == "__main__":
    path, counter, goal, *rest = sys.argv[1:]
    PATHS[path](Counter(Path(counter)), int(goal), rest[0] if rest else "")
