"""Recordings played to the recorder's worker without its process: entries in, session folders out."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent_trace_otel.capture.hooks.intake.frames import SessionKey
from agent_trace_otel.capture.hooks.intake.journal import Entry, Journals
from agent_trace_otel.capture.hooks.sessions.worker import SessionsWorker
from agent_trace_otel.processor import recording as registry
from agent_trace_otel.processor.span_sessions import writers

if TYPE_CHECKING:
    from recordings import Heard

_MAX_SLICES = 10_000
_PAUSE = 0.005  # seconds; who wants work sooner is busy: the shortest pause is 0.01, less what rounding takes off


class Desk:
    """A worker and its journals, as the recorder has them."""

    def __init__(self, directory: Path, agent: str = "claude-code") -> None:
        self.journals = Journals(directory)
        self.worker = SessionsWorker(self.journals)
        self._agent = agent
        self._count = itertools.count()

    def hear(self, heard: Heard, delivery: str = "", *, steps: int | None = None) -> None:
        """Let the worker have one hook's payload, and do what follows from it, or only some ``steps`` of that."""
        entry = entry_of(heard, delivery or f"{heard.at}-{next(self._count)}", self._agent)
        self.journals.append(SessionKey(self._agent, heard.payload["session_id"]), entry)
        if steps is None:
            self.settle()
        for _ in range(steps or 0):
            if (found := self.journals.next(0.0)) is not None:
                self.worker.take(found.key, found.offset, found.entry)
            else:
                self.worker.work()

    def kill(self) -> None:
        """Forget everything that is not on disk."""
        writers.forget()
        registry.forget()

    def hear_all(self, heard: Iterable[Heard]) -> None:
        """Let the worker have a whole recording."""
        for one in heard:
            self.hear(one)

    def settle(self) -> None:
        """Work until nothing is left that does not wait for a clock."""
        for _ in range(_MAX_SLICES):
            while (delivery := self.journals.next(0.0)) is not None:
                self.worker.take(delivery.key, delivery.offset, delivery.entry)
            if self.worker.work() >= _PAUSE and not self.journals.waiting:
                return
        pytest.fail("the worker never comes to rest")


def entry_of(heard: Heard, delivery: str, agent: str = "claude-code") -> Entry:
    """Return the journal's entry of a hook."""
    data = {"kind": "hook", "at": heard.at, "id": delivery, "event": "", "agent": agent, "env": heard.env}
    return Entry("hook", heard.at, {**data, "payload": heard.payload})
