"""Trace directories for benchmarks: the same ones on every run, with arguments and results as coding agents have them.

Called by `reading`. Half of all calls are short shell commands, a quarter read whole files; results are cut at the
16 KiB that the recorder cuts them at, and a few calls fail.
"""

from __future__ import annotations

import itertools
import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from agent_trace_otel.store.events import SessionMeta, TraceEvent

LARGE = "1a86e000-0000-4000-8000-000000000001"
_START = 1_773_562_735.0
_MAX_RESULT = 16 * 1024
_CALLS_A_TURN = 9
_EVENTS_OF_SMALL = 20
_TOOLS = (  # tool, share of calls, argument that is text, its median size, median size of the result
    ("Bash", 50, "command", 60, 300),
    ("Read", 25, "", 0, 2500),
    ("Edit", 15, "new_string", 500, 60),
    ("Grep", 10, "pattern", 20, 400),
)
_OF_FILES = ("Read", "Edit")
_FILES = tuple(f"/srv/app/pages/part_{number // 20}/module_{number}.py" for number in range(400))
_TEXT = (
    "def handler(request):\n    page = render(request.path, title='Übersicht')\n    return page  # see docs/pages.md\n"
    'ERROR tests/test_pages.py::test_title - AssertionError: "home" != "Home"\n/srv/app/pages/models.py:118: in save\n'
) * 200


class _Session:
    """Draws the events of one session, in order of time."""

    def __init__(self, session_id: str, seed: int) -> None:
        self._session_id = session_id
        self._random = random.Random(seed)
        self._now = _START + seed
        self.meta = SessionMeta(session_id, self._now, agent_name="coder", command="python agent.py")

    def lines(self, events: int) -> Iterator[bytes]:
        """Yield exactly so many lines."""
        yield self._line("session_start", {"agent_name": "coder", "command": ["python", "agent.py"]})
        turn = itertools.cycle([self._prompt, self._model_call, *[self._tool_call] * _CALLS_A_TURN, self._answer])
        left = events - 2
        while left:
            for line in list(next(turn)())[:left]:
                left -= 1
                yield line
        self.meta.ended_at = self._now
        self.meta.total_duration_ms = (self._now - self.meta.started_at) * 1000
        yield self._line("session_end", {"duration_ms": self.meta.total_duration_ms})

    def _prompt(self) -> Iterator[bytes]:
        yield self._line("user_prompt", {"prompt": self._text(120)})

    def _answer(self) -> Iterator[bytes]:
        yield self._line("assistant_response", {"text": self._text(600)})

    def _model_call(self) -> Iterator[bytes]:
        self.meta.llm_requests += 1
        call_id = self._id()
        yield self._line("llm_request", {"method": "chat", "model": "demo-1", "message_count": 12}, call_id)
        tokens = self._random.randrange(500, 20_000)
        self.meta.total_tokens += tokens
        data = {"content_preview": self._text(200), "total_tokens": tokens, "model": "demo-1"}
        yield self._closing("llm_response", data, call_id, 2.0)

    def _tool_call(self) -> Iterator[bytes]:
        self.meta.tool_calls += 1
        tool, _, argument, size, of_result = self._random.choices(_TOOLS, [share for _, share, *_ in _TOOLS])[0]
        call_id = self._id()
        arguments = {"file_path": self._random.choice(_FILES)} if tool in _OF_FILES else {}
        if argument:
            arguments[argument] = self._text(size)
        yield self._line("tool_call", {"tool_name": tool, "arguments": arguments}, call_id)
        if self._random.random() < 0.03:
            self.meta.errors += 1
            data = {"tool_name": tool, "error": "RuntimeError", "message": self._text(80)}
            yield self._closing("error", {**data, "exception_type": "RuntimeError"}, call_id, 0.3)
            return
        yield self._closing("tool_result", {"tool_name": tool, "result": self._text(of_result)}, call_id, 0.3)

    def _closing(self, event_type: str, data: Mapping[str, object], call_id: str, seconds: float) -> bytes:
        took = self._random.expovariate(1 / seconds)
        self._now += took
        return self._line(event_type, data, self._id()[:12], call_id, took * 1000)

    def _line(
        self,
        event_type: str,
        data: Mapping[str, object],
        event_id: str = "",
        parent_id: str = "",
        duration_ms: float | None = None,
    ) -> bytes:
        self._now += self._random.random() / 10
        place = {"trace_id": self._session_id.replace("-", ""), "span_id": parent_id or event_id or self._id()}
        return TraceEvent(
            event_type, self._now, event_id or self._id(), self._session_id, parent_id, duration_ms, {**data, **place}
        ).to_line()

    def _id(self) -> str:
        return f"{self._random.getrandbits(64):016x}"

    def _text(self, usual: int) -> str:
        size = min(int(self._random.lognormvariate(0, 1) * usual) + 1, _MAX_RESULT)
        start = self._random.randrange(len(_TEXT) - size)
        return _TEXT[start : start + size]


def _write(trace_dir: Path, session_id: str, seed: int, events: int) -> None:
    folder = trace_dir / session_id
    folder.mkdir(mode=0o700)
    session = _Session(session_id, seed)
    with (folder / "events.ndjson").open("wb") as file:
        file.writelines(session.lines(events))
    (folder / "meta.json").write_text(session.meta.to_json(), encoding="utf-8")


@contextmanager
def large_session(events: int) -> Iterator[Path]:
    """Yield a trace directory with one session of so many events, `LARGE`; removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="agent-trace-bench-") as folder:
        _write(Path(folder), LARGE, 0, events)
        yield Path(folder)


@contextmanager
def many_sessions(count: int) -> Iterator[Path]:
    """Yield a trace directory with so many small sessions; removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="agent-trace-bench-") as folder:
        for number in range(count):
            _write(Path(folder), f"{number:08x}-0000-4000-8000-000000000002", number, _EVENTS_OF_SMALL)
        yield Path(folder)
