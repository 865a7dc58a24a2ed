"""What stands in the place of requests to a back end: it takes every batch, and keeps it for the test to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from agent_trace_otel.delivery.live_posting import Outcome

if TYPE_CHECKING:
    import pytest
    from opentelemetry.sdk.trace import ReadableSpan

    from agent_trace_otel.delivery.live_sender import Ended
    from agent_trace_otel.delivery.target import Target


class CollectingPosting:
    """Stands for `LivePosting`; remembers what it was made for."""

    made: ClassVar[list[CollectingPosting]] = []

    def __init__(self, target: Target, timeout: float | None) -> None:
        self.endpoint = target.url
        self.headers = dict(target.headers)
        self.timeout = timeout
        self._spans: list[ReadableSpan] = []
        self.made.append(self)

    def send(self, batch: Sequence[Ended]) -> Outcome:
        self._spans += [ended.span for ended in batch]
        return Outcome(sent=len(batch))

    def send_again(self, folder: Path, most: int) -> Outcome:
        return Outcome(is_done=True)

    def close(self) -> None: ...

    def get_finished_spans(self) -> list[ReadableSpan]:
        """Return what was sent, under the name that the SDK's exporter for tests has."""
        return self._spans


def collect(monkeypatch: pytest.MonkeyPatch) -> list[CollectingPosting]:
    """Put it in the place of requests; return those that were made."""
    CollectingPosting.made.clear()
    monkeypatch.setattr("agent_trace_otel.delivery.live_posting.LivePosting", CollectingPosting)
    return CollectingPosting.made
