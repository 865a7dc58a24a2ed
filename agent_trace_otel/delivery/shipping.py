"""Session folders -> one back end: what it has not acknowledged, with the ids and times it was recorded with.

Comes in: session folders and a `Target`. Goes out: requests, notes in the folders' ledgers, and a `ShipReport`. Called
by the commands `ship` and `import`; loads requests and protobuf, and no part of the OpenTelemetry SDK.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent_trace_otel.delivery.ledger import Ledger
from agent_trace_otel.delivery.lost import close_lost, seconds_until_lost
from agent_trace_otel.delivery.lost_story import GRACE
from agent_trace_otel.delivery.otlp import shown_url, target_name
from agent_trace_otel.delivery.outbox import Outbox
from agent_trace_otel.delivery.post import Connection, Delays, Verdict
from agent_trace_otel.delivery.sender import LockedError, RefusesAllError, Sender, UnavailableError
from agent_trace_otel.delivery.standing import standings
from agent_trace_otel.errors import StoreError
from agent_trace_otel.store.folder import EVENTS
from agent_trace_otel.store.reader import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent_trace_otel.delivery.protobuf import Item
    from agent_trace_otel.delivery.span_ids import SpanIds
    from agent_trace_otel.delivery.target import Target

PATIENCE: Final = 30.0
"""Seconds that a back end may take nothing before a run ends."""
_TAIL: Final = 64 * 1024
_END: Final = b'{"event_type":"session_end"'


@dataclass(slots=True)
class ShipReport:
    """What a run came to.

    ``closed``: spans that a dead process had left open. ``delivered``: taken in this run, ``cut`` of them shortened.
    ``set_aside``: refused in this run. ``waiting``: not taken, to be sent another time. ``unreadable``: lines passed
    over. ``reason``: why not all was taken, on one line.
    """

    url: str
    closed: int = 0
    delivered: int = 0
    cut: int = 0
    set_aside: int = 0
    waiting: int = 0
    unreadable: int = 0
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the back end has everything that was to be sent."""
        return not self.set_aside and not self.waiting and not self.reason

    def __str__(self) -> str:
        """Return the report as one line for people."""
        cut = f" ({self.cut:,} cut, whole in the folder)" if self.cut else ""
        parts = [f"{self.delivered:,} spans delivered{cut}"]
        parts += [f"{self.closed:,} closed for processes that died"] if self.closed else []
        parts += [f"{self.set_aside:,} set aside (agent-trace ship --failed)"] if self.set_aside else []
        parts += [f"{self.waiting:,} still to be sent"] if self.waiting else []
        parts += [f"{self.unreadable:,} unreadable lines passed over"] if self.unreadable else []
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.url}: {', '.join(parts)}{reason}"


class Shipper:
    """Sends sessions to one back end over one connection.

    Args:
        target: the back end.
        unsampled_too: whether spans are sent that sampling kept back.
        patience: seconds that the back end may take nothing before `ship` gives up.
        timeout: seconds for a connection and for an answer.
        grace: how many seconds of silence are enough to close what a dead process left open in a session.
        say: is told, in one line, what a person should know while it goes on.
        sleep: waits a number of seconds.
    """

    def __init__(  # noqa: PLR0913 - what a run depends on
        self,
        target: Target,
        *,
        unsampled_too: bool = False,
        patience: float = PATIENCE,
        timeout: float | None = None,
        grace: Callable[[Path], float] = lambda _: GRACE,
        say: Callable[[str], object] = lambda _: None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.report = ShipReport(shown_url(target.url))
        self._target, self._name = target, target_name(target.url)
        self._unsampled_too, self._patience = unsampled_too, patience
        self.say = say
        self._grace, self._sleep = grace, sleep
        self._connection = Connection(target, timeout=timeout)
        self.fresh = Sender(target, self._connection)
        self._again = Sender(target, self._connection, tries_again=True)
        self._delays = Delays()
        self._has_said = False

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def ship(self, folders: Iterable[Path], progress: Callable[[int], object] = lambda _: None) -> ShipReport:
        """Send what waits in some sessions, what was set aside before once more, and say what became of it.

        Args:
            folders: the sessions.
            progress: is told how many bytes of spans.jsonl are done with, piece by piece.

        Raises:
            OSError: a folder can't be read, or its ledger not written.
        """
        left = list(folders)
        try:
            while left:
                if left[0].exists():  # or somebody has removed it meanwhile
                    self._ship_one(left[0], progress)
                del left[0]
        except UnavailableError as error:
            self.report.reason = str(error)
        self.sum_up()
        if left:
            self.report.waiting += sum(self.waiting_in(folder) for folder in left)
        return self.report

    def _ship_one(self, folder: Path, progress: Callable[[int], object]) -> None:
        outbox, told = self.outbox(folder), 0
        is_closed = not is_over(folder) and self.close_if_lost(folder, GRACE)
        for begins, batch in outbox.batches():
            # a call may have been left open by a session that is over; only then is there something to send, too
            is_closed = is_closed or self.close_if_lost(folder, GRACE)
            self._send(self.fresh, outbox.ledger, batch)
            progress(begins - told)
            told = begins
        progress(outbox.offset - told)
        self.report.unreadable += outbox.unreadable
        if len(outbox.ledger.set_aside):
            self._try_again(self.outbox(folder, set_aside=self.fresh.refused))

    def _try_again(self, outbox: Outbox) -> None:
        """Send what was set aside in an earlier run once more."""
        try:
            for _, batch in outbox.batches():
                self._send(self._again, outbox.ledger, batch)
        except RefusesAllError as error:
            self.report.reason = self.report.reason or str(error)  # what was not tried stays set aside

    def close_if_lost(self, folder: Path, patience: float) -> bool:
        """Close what a dead process left open, after so many seconds at most."""
        wait = seconds_until_lost(folder, self._grace(folder))
        if wait is not None and wait <= patience:
            self._sleep(wait)
            try:
                self.report.closed += close_lost(folder, self._grace(folder))
            except (OSError, StoreError) as error:
                self.say(f"could not close what is open in {folder.name}: {error}")
        return True

    def outbox(self, folder: Path, *, set_aside: SpanIds | None = None) -> Outbox:
        """Return what a session has to send, as its ledger is now; ``set_aside`` as `Outbox` takes it."""
        ledger = Ledger(folder, self._name)
        ledger.refresh()
        return Outbox(
            ledger, max_bytes=self._target.max_body_bytes, unsampled_too=self._unsampled_too, set_aside=set_aside
        )

    def _send(self, sender: Sender, ledger: Ledger, batch: list[Item]) -> None:
        """Send a batch, waiting for a back end that is away for as long as patience goes."""
        deadline = float("inf")
        while (away := self._try(sender, ledger, batch)) is not None:
            now = time.monotonic()
            wait = self._delays.next(away.answer.wait)
            deadline = min(deadline, now + self._patience)
            if away.answer.verdict is Verdict.NEVER or now + wait > deadline:
                raise away
            if not self._has_said:
                self.say(f"{self.report.url}: {away}; trying again for {self._patience:g} s")
                self._has_said = True
            self._sleep(wait)
        self._delays.reset()

    def _try(self, sender: Sender, ledger: Ledger, batch: list[Item]) -> UnavailableError | None:
        try:
            sender.send(ledger, batch)
        except LockedError as error:
            self.report.waiting += sum(ledger.is_waiting(item.span_id) for item in batch)
            self.report.reason = self.report.reason or str(error)
        except UnavailableError as error:
            return error
        return None

    def sum_up(self) -> None:
        """Bring the report up to date with what was sent."""
        for sent in (self._again.sent, self.fresh.sent):
            self.report.delivered += sent.delivered
            self.report.cut += sent.cut
            self.report.set_aside += sent.set_aside
            self.report.reason = self.report.reason or sent.reason

    def waiting_in(self, folder: Path) -> int:
        """Return how many spans of a session are neither taken nor set aside."""
        return standings(folder, [self._name], unsampled_too=self._unsampled_too)[self._name].waiting


def is_over(folder: Path) -> bool:
    """Tell whether a session has ended, and its timeline says so as well: on a full disk only one of them may."""
    if Session(str(folder)).ended_at is None:
        return False
    with contextlib.suppress(OSError), (folder / EVENTS).open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        return _END in file.read()
    return False
