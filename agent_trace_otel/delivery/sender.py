"""Spans of one session -> one back end, and what became of each -> the ledger.

Comes in: batches of spans as they are in spans.jsonl. Goes out: requests, each under the ledger's lock and without what
others have delivered meanwhile, and notes in the ledger. Called by `shipping` and, for what could not be sent at once,
by `live_sender`.

What an answer means (DESIGN: nothing lost on the way out):

    taken                  the span ids are noted as delivered
    partial success        noted as failed, not sent again by itself: OTLP forbids it and names no spans
    too large, refused     the batch is halved until the one span is found; that is cut, then set aside with the reason
    not now, never         nothing is noted; `UnavailableError` says why, the same batch can be given again
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent_trace_otel.delivery.cutting import cut, with_short_values
from agent_trace_otel.delivery.ledger import PARTIAL, REFUSED
from agent_trace_otel.delivery.post import Answer, Verdict
from agent_trace_otel.delivery.protobuf import request_of
from agent_trace_otel.delivery.span_ids import SpanIds
from agent_trace_otel.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent_trace_otel.delivery.ledger import Ledger
    from agent_trace_otel.delivery.post import Connection
    from agent_trace_otel.delivery.protobuf import Item
    from agent_trace_otel.delivery.target import Target

_SMALL: Final = 4096
"""Bytes below which cutting a span helps nobody."""
_MOST_REFUSALS: Final = 8
"""Single spans refused in a row, and none taken: then it is not about the spans."""
_LOCK_SECONDS: Final = 30.0


class UnavailableError(DeliveryError):
    """The back end takes nothing now, or never will."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.reason)
        self.answer = answer


class RefusesAllError(UnavailableError):
    """The back end refuses span after span, so it is not about the spans."""


class LockedError(DeliveryError):
    """Another process is sending the session's spans and does not come to an end."""


@dataclass(slots=True)
class Sent:
    """What became of the spans that were given to a `Sender`; ``reason`` is that of the first one not taken."""

    delivered: int = 0
    cut: int = 0
    set_aside: int = 0
    reason: str = ""


class Sender:
    """Sends batches, one session at a time.

    Args:
        target: the back end.
        connection: to it.
        tries_again: whether spans that are set aside are what is sent. A person wants to know which of them it is, so
            a batch that is refused in part is halved, too.
        lock_seconds: how long another sender of the same session is waited for.
    """

    def __init__(
        self,
        target: Target,
        connection: Connection,
        *,
        tries_again: bool = False,
        lock_seconds: float = _LOCK_SECONDS,
    ) -> None:
        self.sent = Sent()
        self.refused = SpanIds()
        """What it has set aside."""
        self.tries_again = tries_again
        self._connection = connection
        self._largest = min(target.max_span_bytes or target.max_body_bytes, target.max_body_bytes)
        self._longest_value = target.max_attribute_chars
        self._lock_seconds = lock_seconds
        self._refusals = 0

    def send(self, ledger: Ledger, batch: Sequence[Item]) -> None:
        """Send a batch, in parts if need be.

        Raises:
            UnavailableError: the back end takes nothing just now; what is noted is noted.
            LockedError: another process holds the session's lock for too long.
            OSError: the ledger can't be read or written.
        """
        fitting = [self._fitting(item) for item in batch]
        answer = self._post(ledger, fitting)
        if answer is None or answer.verdict is Verdict.TAKEN:
            self.sent.cut += sum(item is not whole for item, whole in zip(fitting, batch, strict=True))
            return
        if answer.verdict is Verdict.PARTIAL and not (self.tries_again and len(batch) > 1):
            return
        if len(batch) > 1:
            middle = len(batch) // 2
            self.send(ledger, batch[:middle])
            self.send(ledger, batch[middle:])
        else:
            self._send_cut(ledger, batch[0], answer)

    def _fitting(self, item: Item) -> Item:
        if self._longest_value is not None:
            item = with_short_values(item, self._longest_value)
        room = self._largest - sum(map(len, item.envelope)) if item.size > self._largest // 2 else item.size
        return item if item.size <= room else cut(item, max(room, _SMALL // 4))

    def _send_cut(self, ledger: Ledger, item: Item, answer: Answer) -> None:
        """Send the one span that was refused, shorter each time; set it aside in the end."""
        shares = (4, 16, item.size) if answer.verdict is Verdict.TOO_LARGE else (4,)
        for size in sorted({max(item.size // share, _SMALL) for share in shares}, reverse=True):
            if size < item.size:
                again = self._post(ledger, [cut(item, size)])
                if again is None or again.verdict is Verdict.PARTIAL:
                    return
                if again.verdict is Verdict.TAKEN:
                    self.sent.cut += 1
                    return
        self._refusals += 1
        if self._refusals >= _MOST_REFUSALS:
            reason = f"it refuses every span: {answer.reason}"
            raise RefusesAllError(Answer(Verdict.NEVER, reason, answer.status))
        self._under_lock(ledger, lambda: self._note_failed(ledger, [item.span_id], REFUSED, answer.reason))

    def _post(self, ledger: Ledger, batch: Sequence[Item]) -> Answer | None:
        """Send one request without what is settled already; None if that was all of it."""
        found: list[Answer] = []
        self._under_lock(ledger, lambda: found.extend(self._post_held(ledger, batch)))
        return found[0] if found else None

    def _post_held(self, ledger: Ledger, batch: Sequence[Item]) -> list[Answer]:
        wanted = [item for item in batch if self._is_wanted(ledger, item.span_id)]
        if not wanted:
            return []
        answer = self._connection.post(request_of(wanted).SerializeToString())
        if answer.verdict in (Verdict.LATER, Verdict.NEVER):
            raise UnavailableError(answer)
        span_ids = [item.span_id for item in wanted]
        if answer.verdict is Verdict.TAKEN:
            self._refusals = 0
            self.sent.delivered += len(span_ids)
            ledger.note_delivered(span_ids)
        elif answer.verdict is Verdict.PARTIAL and not (self.tries_again and len(batch) > 1):
            self._refusals = 0
            self._note_failed(ledger, span_ids, PARTIAL if len(span_ids) > 1 else REFUSED, answer.reason)
        return [answer]

    def _is_wanted(self, ledger: Ledger, span_id: int) -> bool:
        return span_id not in ledger.delivered if self.tries_again else ledger.is_waiting(span_id)

    def _note_failed(self, ledger: Ledger, span_ids: Sequence[int], kind: str, reason: str) -> None:
        self.sent.set_aside += len(span_ids)
        self.refused.update(span_ids)
        self.sent.reason = self.sent.reason or reason
        ledger.note_failed(span_ids, kind, reason)

    def _under_lock(self, ledger: Ledger, act: Callable[[], None]) -> None:
        with ledger.held(self._lock_seconds) as is_held:
            if not is_held:
                msg = f"another process is sending the spans of {ledger.folder.name}"
                raise LockedError(msg)
            act()
