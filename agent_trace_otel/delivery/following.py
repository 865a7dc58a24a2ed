"""Sessions that are being recorded -> one back end, as their spans end, until somebody says that it is enough.

Comes in: what names the sessions, anew in each round, and a `Shipper`. Goes out: what it sends, and its report. Called
by the command `ship --follow`.

Looking twice a second costs a system call a session; only a file that has grown is read, from where it was left.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent_trace_otel.delivery.post import Delays
from agent_trace_otel.delivery.sender import LockedError, UnavailableError
from agent_trace_otel.delivery.shipping import Shipper, ShipReport, is_over
from agent_trace_otel.store.folder import SPANS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent_trace_otel.delivery.outbox import Outbox

_POLL_SECONDS: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_MAX_OUTBOXES: Final = 64
_BETWEEN_LOOKS: Final = 10.0
"""Seconds between two looks at whether the process of a session still lives."""


class Following:
    """Sends what comes. A back end that is away is waited for; what is set aside stays so.

    Args:
        shipper: sends and reports.
        sleep: waits a number of seconds, or less.
    """

    def __init__(self, shipper: Shipper, sleep: Callable[[float], object] = time.sleep) -> None:
        self._shipper = shipper
        self._sleep = sleep
        self._outboxes: OrderedDict[Path, Outbox] = OrderedDict()
        self._settled: dict[Path, int] = {}
        """Up to where a session's file was read and sent."""
        self._looked: dict[Path, float] = {}
        self._delays = Delays(longest=_LONGEST_PAUSE)
        self._is_away = False

    def run(self, folders: Callable[[], Iterable[Path]], until: Callable[[], bool]) -> ShipReport:
        """Send until it is told to end; what there is by then is sent still.

        Args:
            folders: names the sessions.
            until: whether this round is the last one.

        Raises:
            OSError: a ledger can't be written.
        """
        report = self._shipper.report
        while True:
            is_last = until()
            away = self._round(folders())
            if is_last:
                break
            self._sleep(_POLL_SECONDS if away is None else self._delays.next(away.answer.wait))
        report.reason = "" if away is None else str(away)
        self._shipper.sum_up()
        report.waiting = sum(self._shipper.waiting_in(folder) for folder in folders())
        return report

    def _round(self, folders: Iterable[Path]) -> UnavailableError | None:
        for folder in folders:
            if not folder.exists():  # somebody has removed it meanwhile
                continue
            self._look(folder)
            if not self._has_grown(folder):
                continue
            try:
                is_sent = self._send_new(folder)
            except UnavailableError as error:
                if not self._is_away:
                    self._shipper.say(f"{self._shipper.report.url} takes no spans, they wait: {error}")
                self._is_away = True
                return error
            if is_sent:
                self._delays.reset()
                if self._is_away:
                    self._shipper.say(f"{self._shipper.report.url} takes spans again")
                self._is_away = False
        return None

    def _look(self, folder: Path) -> None:
        now = time.monotonic()
        if now - self._looked.get(folder, -_BETWEEN_LOOKS) >= _BETWEEN_LOOKS:
            self._looked[folder] = now
            if not is_over(folder):
                self._shipper.close_if_lost(folder, 0.0)

    def _has_grown(self, folder: Path) -> bool:
        try:
            return (folder / SPANS).stat().st_size > self._settled.get(folder, 0)
        except OSError:
            return False

    def _send_new(self, folder: Path) -> bool:
        """Send what is new in a session; False if there was nothing."""
        outbox = self._outbox(folder)
        outbox.ledger.refresh()
        is_sent, begins = False, outbox.offset
        try:
            for begins, batch in outbox.batches():  # noqa: B007 - put back if it can't be sent
                self._shipper.fresh.send(outbox.ledger, batch)
                is_sent = True
        except LockedError:
            outbox.offset = begins
        except UnavailableError:
            outbox.offset = begins
            raise
        finally:
            self._settled[folder] = outbox.offset
        return is_sent

    def _outbox(self, folder: Path) -> Outbox:
        outbox = self._outboxes.get(folder)
        if outbox is None:
            outbox = self._outboxes[folder] = self._shipper.outbox(folder)
            outbox.offset = self._settled.get(folder, 0)
            if len(self._outboxes) > _MAX_OUTBOXES:
                self._outboxes.popitem(last=False)
        self._outboxes.move_to_end(folder)
        return outbox
