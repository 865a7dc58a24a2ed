"""Session folders -> one back end: what it has not acknowledged, with the ids and times it was recorded with.

Comes in: session folders and a `Target`. Goes out: requests, notes in the folders' ledgers, and a `ShipReport`. Called
by the commands `ship` and `import`; loads requests and protobuf, and no part of the OpenTelemetry SDK.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent_trace_otel.delivery.ledger import Ledger
from agent_trace_otel.delivery.otlp import shown_url, target_name
from agent_trace_otel.delivery.outbox import Outbox
from agent_trace_otel.delivery.post import Connection, Delays, Verdict
from agent_trace_otel.delivery.sender import LockedError, Sender, UnavailableError
from agent_trace_otel.delivery.standing import standings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent_trace_otel.delivery.protobuf import Item
    from agent_trace_otel.delivery.target import Target

PATIENCE: Final = 30.0
"""Seconds that a back end may take nothing before a run ends."""
_POLL_SECONDS: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_MAX_LEDGERS: Final = 64


@dataclass(slots=True)
class ShipReport:
    """What a run came to.

    ``delivered``: taken in this run, ``cut`` of them shortened. ``set_aside``: refused in this run. ``waiting``: not
    taken, to be sent another time. ``unreadable``: lines passed over. ``reason``: why not all was taken, on one line.
    """

    url: str
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
        say: Callable[[str], object] = lambda _: None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.report = ShipReport(shown_url(target.url))
        self._target, self._name = target, target_name(target.url)
        self._unsampled_too, self._patience = unsampled_too, patience
        self._say, self._sleep = say, sleep
        self._connection = Connection(target, timeout=timeout)
        self._fresh = Sender(target, self._connection)
        self._again = Sender(target, self._connection, tries_again=True)
        self._delays = Delays()
        self._has_said = False

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def ship(self, folders: Iterable[Path]) -> ShipReport:
        """Send what waits in some sessions, what was set aside before once more, and say what became of it.

        Raises:
            OSError: a folder can't be read, or its ledger not written.
        """
        left = list(folders)
        try:
            while left:
                self._ship_one(left[0])
                del left[0]
        except UnavailableError as error:
            self.report.reason = str(error)
        self._sum_up()
        if left:
            self.report.waiting += sum(self._waiting_in(folder) for folder in left)
        return self.report

    def follow(self, folders: Callable[[], Iterable[Path]], *, until: Callable[[], bool]) -> ShipReport:
        """Send what comes, in the sessions that ``folders`` names each time it is asked, until it is told to end.

        A back end that is away is waited for. What is set aside stays so.

        Raises:
            OSError: a folder can't be read, or its ledger not written.
        """
        outboxes: OrderedDict[Path, Outbox] = OrderedDict()
        offsets: dict[Path, int] = {}
        delays, is_away = Delays(longest=_LONGEST_PAUSE), False
        while True:
            is_last = until()
            pause = 0.0 if is_last else _POLL_SECONDS
            try:
                for folder in folders():
                    outbox = outboxes.get(folder)
                    if outbox is None:
                        outbox = outboxes[folder] = self._outbox(folder)
                        outbox.offset = offsets.get(folder, 0)
                    outboxes.move_to_end(folder)
                    if len(outboxes) > _MAX_LEDGERS:
                        oldest, gone = outboxes.popitem(last=False)
                        offsets[oldest] = gone.offset
                    if outbox.has_more() and self._send_new(outbox):
                        delays.reset()
                        if is_away:
                            self._say(f"{self.report.url} takes spans again")
                            is_away = False
            except UnavailableError as error:
                pause = delays.next(error.answer.wait)
                if not is_away:
                    self._say(f"{self.report.url} takes no spans, so they wait: {error}")
                    is_away = True
                self.report.reason = str(error) if is_last else ""
            if is_last:
                break
            self._sleep(pause)
        self._sum_up()
        self.report.waiting = sum(self._waiting_in(folder) for folder in folders())
        return self.report

    def _ship_one(self, folder: Path) -> None:
        outbox = self._outbox(folder, set_aside=True)
        if len(outbox.ledger.set_aside):
            for _, batch in outbox.batches():
                self._send(self._again, outbox.ledger, batch)
        outbox = self._outbox(folder)
        for _, batch in outbox.batches():
            self._send(self._fresh, outbox.ledger, batch)
        self.report.unreadable += outbox.unreadable

    def _outbox(self, folder: Path, *, set_aside: bool = False) -> Outbox:
        ledger = Ledger(folder, self._name)
        ledger.refresh()
        return Outbox(
            ledger, max_bytes=self._target.max_body_bytes, unsampled_too=self._unsampled_too, set_aside=set_aside
        )

    def _send_new(self, outbox: Outbox) -> bool:
        """Send what is new in a session; False if there was nothing."""
        outbox.ledger.refresh()
        sent = False
        for begins, batch in outbox.batches():
            try:
                self._fresh.send(outbox.ledger, batch)
            except (UnavailableError, LockedError) as error:
                outbox.offset = begins
                if isinstance(error, UnavailableError):
                    raise
                break
            sent = True
        return sent

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
                self._say(f"{self.report.url}: {away}; trying again for {self._patience:g} s")
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

    def _sum_up(self) -> None:
        for sent in (self._again.sent, self._fresh.sent):
            self.report.delivered += sent.delivered
            self.report.cut += sent.cut
            self.report.set_aside += sent.set_aside
            self.report.reason = self.report.reason or sent.reason

    def _waiting_in(self, folder: Path) -> int:
        return standings(folder, [self._name], unsampled_too=self._unsampled_too)[self._name].waiting
