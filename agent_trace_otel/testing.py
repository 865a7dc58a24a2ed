"""For tests, ours and users': a clean start, a trace directory of its own, and what was recorded, read back.

def test_agent(tmp_path):
with recording(tmp_path) as recorded:
my_agent()
assert [e.event_type for e in recorded.events()][:2] == ["session_start", "tool_call"]
"""

# pyright: reportPrivateUsage=false
# undoing what a process has set up is part of nobody's interface

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api

from agent_trace_otel import guard, identity, pipeline, spans
from agent_trace_otel.processor import recording as registry
from agent_trace_otel.processor.span_sessions import writers
from agent_trace_otel.store.events import SessionMeta, TraceEvent
from agent_trace_otel.store.folder import EVENTS, META, SPANS
from agent_trace_otel.store.spans_file import read_spans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_PREFIXES = ("AGENT_TRACE_", "OTEL_")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A trace directory, read back whole; meant for the few sessions of a test."""

    trace_dir: Path

    def sessions(self) -> list[str]:
        """Return the ids of the sessions there are, sorted."""
        if not self.trace_dir.exists():
            return []
        return sorted(folder.name for folder in self.trace_dir.iterdir() if folder.is_dir())

    def events(self, session_id: str | None = None) -> list[TraceEvent]:
        """Return the timeline of one session, by default of the only one."""
        lines = (self._folder(session_id) / EVENTS).read_bytes().splitlines()
        return sorted((TraceEvent.from_line(line) for line in lines if line), key=lambda event: event.timestamp)

    def spans(self, session_id: str | None = None) -> list[ReadableSpan]:
        """Return the spans of one session in the order they ended."""
        return list(read_spans(self._folder(session_id) / SPANS))

    def meta(self, session_id: str | None = None) -> SessionMeta:
        """Return meta.json of one session."""
        folder = self._folder(session_id)
        return SessionMeta.from_json((folder / META).read_bytes(), session_id=folder.name)

    def text(self) -> str:
        """Return every byte that was written, as text."""
        return "".join(path.read_text() for path in sorted(self.trace_dir.rglob("*")) if path.is_file())

    def _folder(self, session_id: str | None) -> Path:
        if session_id is not None:
            return self.trace_dir / session_id
        (only,) = self.sessions()
        return self.trace_dir / only


@contextmanager
def recording(trace_dir: str | os.PathLike[str], **environment: str) -> Generator[Recorded, None, None]:
    """Record into ``trace_dir`` with nothing set up before, nor left over after.

    Args:
        trace_dir: where session folders go.
        environment: further variables; AGENT_TRACE_* and OTEL_* variables of the process itself are hidden.
    """
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(_PREFIXES) and name != "TRACEPARENT"
    }
    # no config file of the user's either
    kept |= {"AGENT_TRACE_DIR": str(trace_dir), "XDG_CONFIG_HOME": str(trace_dir), **environment}
    with mock.patch.dict(os.environ, kept, clear=True):
        reset()
        try:
            yield Recorded(Path(trace_dir).absolute())
        finally:
            reset()


def reset() -> None:
    """End open sessions and forget providers, processors and sessions, the global provider included."""
    spans.end_sessions_at_exit()
    if pipeline._state.private is not None:  # noqa: SLF001
        pipeline._state.private.shutdown()  # noqa: SLF001
    pipeline._state = pipeline._State()  # noqa: SLF001
    identity._process.session = None  # noqa: SLF001
    writers.forget()
    registry.forget()
    guard.failures.clear()
    context_api.attach(context_api.Context())
    # the API lets a provider be set once; its own test suite resets these two names
    trace_api._TRACER_PROVIDER = None  # noqa: SLF001
    trace_api._TRACER_PROVIDER_SET_ONCE = trace_api.Once()  # type: ignore[attr-defined] # noqa: SLF001
