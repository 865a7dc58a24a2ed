"""Requests of a running program: ended spans, or what a session folder still has -> the back end and the ledgers.

Comes in: batches of ended spans with their folders; folders of which not all was acknowledged. Goes out: an `Outcome`
each. Called by `live_sender` in its thread; loads requests, protobuf and the SDK's encoder.

A batch is sent whole or not at all. Whatever is not taken (too large, refused, away) is left to the folder, from which
`sender` sends it in parts.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from agent_trace_otel import guard
from agent_trace_otel.delivery.cutting import has_long_value
from agent_trace_otel.delivery.ledger import PARTIAL, Ledger
from agent_trace_otel.delivery.otlp import target_name
from agent_trace_otel.delivery.outbox import Outbox
from agent_trace_otel.delivery.post import Answer, Connection, Verdict
from agent_trace_otel.delivery.sender import LockedError, Sender, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from agent_trace_otel.delivery.live_sender import Ended
    from agent_trace_otel.delivery.target import Target

_MAX_FOLDERS: Final = 32
"""Ledgers that one request holds, and with them descriptors."""
_MAX_OUTBOXES: Final = 64
_LOCK_SECONDS: Final = 1.0
_TRACE_FLAGS: Final = 0xFF


@dataclass(slots=True)
class Outcome:
    """What became of what was to be sent."""

    sent: int = 0
    """Spans of requests that were answered."""
    left: set[Path] = field(default_factory=set[Path])
    """Folders with spans that have to be sent again."""
    reason: str = ""
    """Why not all was taken."""
    away: Answer | None = None
    """What the back end said when it took nothing at all."""
    is_locked: bool = False
    """Whether another process is sending spans of the same session."""
    is_done: bool = False
    """Whether a folder has nothing more to send."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The spans of one session in a request.

    Without a folder if none holds them, without a ledger if it can't be held.
    """

    folder: Path | None
    ledger: Ledger | None
    spans: list[Ended]

    def note(self, answer: Answer) -> None:
        if self.ledger is None:
            return
        span_ids = [ended.context.span_id for ended in self.spans]
        try:
            if answer.verdict is Verdict.TAKEN:
                self.ledger.note_delivered(span_ids)
            else:
                self.ledger.note_failed(span_ids, PARTIAL, answer.reason)
        except OSError as error:
            guard.report("note what a back end has acknowledged", error)


class LivePosting:
    """One back end, as one process sends to it.

    Args:
        target: the back end.
        timeout: seconds for one request, None for that of the environment.
    """

    def __init__(self, target: Target, timeout: float | None) -> None:
        self._target, self._name = target, target_name(target.url)
        self._connection = Connection(target, timeout=timeout)
        self._sender = Sender(target, self._connection, lock_seconds=_LOCK_SECONDS)
        self._outboxes: OrderedDict[Path, Outbox] = OrderedDict()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def send(self, batch: Sequence[Ended]) -> Outcome:
        """Send ended spans, but those that another process has delivered meanwhile."""
        outcome = Outcome()
        by_folder: dict[Path | None, list[Ended]] = {}
        for ended in batch:
            by_folder.setdefault(ended.folder, []).append(ended)
        folders = sorted(by_folder, key=str)  # in one order, so that two processes never wait for each other
        for first in range(0, len(folders), _MAX_FOLDERS):
            some = folders[first : first + _MAX_FOLDERS]
            if outcome.away is not None:
                outcome.left.update(folder for folder in some if folder is not None)
                continue
            with ExitStack() as locks:
                parts = [self._part(folder, by_folder[folder], locks, outcome) for folder in some]
                self._send_parts([part for part in parts if part.spans], outcome)
        return outcome

    def _part(self, folder: Path | None, spans: list[Ended], locks: ExitStack, outcome: Outcome) -> _Part:
        """Hold a folder's ledger; return what has to be sent of the spans, none if another process is at it."""
        if folder is None:
            return _Part(None, None, spans)
        ledger = self._outbox(folder).ledger
        try:
            is_held = locks.enter_context(ledger.held(_LOCK_SECONDS))
        except OSError as error:  # the folder was removed, or the disk is full: sending goes on
            guard.report("note what a back end has acknowledged", error)
            return _Part(folder, None, spans)
        if not is_held:
            outcome.left.add(folder)
            outcome.is_locked = True
            return _Part(folder, ledger, [])
        return _Part(folder, ledger, [ended for ended in spans if ledger.is_waiting(ended.context.span_id)])

    def _send_parts(self, parts: Sequence[_Part], outcome: Outcome) -> None:
        spans = [ended for part in parts for ended in part.spans]
        if not spans:
            return
        folders = {part.folder for part in parts if part.folder is not None}
        if outcome.away is not None:
            outcome.left |= folders
            return
        request = _encoded(spans)
        if request.ByteSize() > self._target.max_body_bytes and len(spans) > 1:
            for half in _halves(parts):
                self._send_parts(half, outcome)
            return
        if folders and self._is_too_large(request):
            outcome.left |= folders
            return
        answer = self._connection.post(request.SerializeToString())
        if answer.verdict in (Verdict.TAKEN, Verdict.PARTIAL):
            outcome.sent += len(spans)
            for part in parts:
                part.note(answer)
        else:
            outcome.left |= folders
        if answer.verdict in (Verdict.LATER, Verdict.NEVER):
            outcome.away = answer
        if outcome.away is not None or answer.verdict is Verdict.PARTIAL or (answer.reason and not folders):
            outcome.reason = outcome.reason or answer.reason

    def send_again(self, folder: Path, most: int) -> Outcome:
        """Send at most so many of the spans that a folder has and the back end has not acknowledged."""
        outcome = Outcome()
        outbox, sent = self._outbox(folder), self._sender.sent
        begins, set_aside = outbox.offset, sent.set_aside
        try:
            outbox.ledger.refresh()
            outcome.is_done = True
            for begins, batch in outbox.batches(most):  # noqa: B007 - put back if it can't be sent
                outcome.is_done = False
                self._sender.send(outbox.ledger, batch)
                outcome.sent = len(batch)
                break
        except UnavailableError as error:
            outbox.offset, outcome.away, outcome.reason = begins, error.answer, str(error)
        except LockedError:
            outbox.offset, outcome.is_locked = begins, True
        except OSError as error:
            guard.report("send the spans of a session folder", error)
            outcome.is_done = True
        if sent.set_aside > set_aside:
            outcome.reason, sent.reason = sent.reason, ""
        return outcome

    def _outbox(self, folder: Path) -> Outbox:
        outbox = self._outboxes.get(folder)
        if outbox is None:
            ledger = Ledger(folder, self._name)
            outbox = self._outboxes[folder] = Outbox(ledger, max_bytes=self._target.max_body_bytes)
            if len(self._outboxes) > _MAX_OUTBOXES:
                self._outboxes.popitem(last=False)
        self._outboxes.move_to_end(folder)
        return outbox

    def _is_too_large(self, request: ExportTraceServiceRequest) -> bool:
        """Tell whether something has to be cut before it is sent."""
        largest, longest = self._target.max_span_bytes, self._target.max_attribute_chars
        if request.ByteSize() > self._target.max_body_bytes:
            return True
        spans = (span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans)
        return (largest is not None or longest is not None) and any(
            (largest is not None and span.ByteSize() > largest)
            or (longest is not None and has_long_value(span, longest))
            for span in spans
        )


def _halves(parts: Sequence[_Part]) -> tuple[list[_Part], list[_Part]]:
    """Return the same spans in two lists of parts, the first half and the second."""
    left = sum(len(part.spans) for part in parts) // 2
    first: list[_Part] = []
    second: list[_Part] = []
    for part in parts:
        at = min(left, len(part.spans))
        left -= at
        first.append(_Part(part.folder, part.ledger, part.spans[:at]))
        second.append(_Part(part.folder, part.ledger, part.spans[at:]))
    return [part for part in first if part.spans], [part for part in second if part.spans]


def _encoded(batch: Sequence[Ended]) -> ExportTraceServiceRequest:
    """Return the request; the SDK's encoder leaves out the W3C trace flags, which spans.jsonl has."""
    request = encode_spans([ended.span for ended in batch])
    by_id = {ended.context.span_id.to_bytes(8, "big"): ended for ended in batch}
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                ended = by_id[span.span_id]
                span.flags |= ended.context.trace_flags & _TRACE_FLAGS
                if span.links:
                    for link, told in zip(span.links, ended.span.links, strict=True):
                        link.flags |= told.context.trace_flags & _TRACE_FLAGS
    return request
