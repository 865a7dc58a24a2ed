"""The spans of one session that one back end has not acknowledged, read from spans.jsonl in batches.

Comes in: a session folder's ledger. Goes out: batches of spans in file order, a line in memory at a time. Called by
`shipping` and `live_sender`; what it hands out is not noted anywhere until somebody has sent it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent_trace_otel.delivery.protobuf import Item, items_of_request
from agent_trace_otel.store.folder import SPANS
from agent_trace_otel.store.index import open_regular
from agent_trace_otel.store.span_heads import SpanHead, heads_in, is_sampled
from agent_trace_otel.store.spans_file import after_tear, parse_line

if TYPE_CHECKING:
    from agent_trace_otel.delivery.ledger import Ledger
    from agent_trace_otel.delivery.span_ids import SpanIds

MAX_SPANS: Final = 512  # the SDK's own batch size


class Outbox:
    """Reads on from ``offset``, so the file may grow between two readings.

    Args:
        ledger: of the session and the back end; its ``delivered`` and ``set_aside`` are asked, `refresh` is the
            caller's.
        max_bytes: of a batch as protobuf.
        unsampled_too: whether spans are sent that sampling kept back.
        set_aside: None for what waits; else what was set aside is wanted and nothing else, without these.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        max_bytes: int,
        unsampled_too: bool = False,
        set_aside: SpanIds | None = None,
    ) -> None:
        self.offset = 0
        """Up to where batches were handed out; put it back to the ``offset`` of a batch that was not sent."""
        self.unreadable = 0
        """Lines passed over, spans in them not known."""
        self._end = 0
        self.ledger = ledger
        self._path = Path(ledger.folder) / SPANS
        self._max_bytes = max_bytes
        self._unsampled_too, self._set_aside = unsampled_too, set_aside

    def has_more(self) -> bool:
        """Tell whether the file has grown beyond what was read."""
        try:
            return self._path.stat().st_size > self.offset
        except OSError:
            return False

    def batches(self, max_spans: int = MAX_SPANS) -> Iterator[tuple[int, list[Item]]]:
        """Yield (offset, batch of at most so many spans) until the file ends; a missing file has none.

        ``offset`` is where the batch begins. A last line that is not whole yet is left for the next time.

        Raises:
            OSError: the file can't be read.
        """
        batch: list[Item] = []
        envelopes: set[str] = set()
        taken: set[int] = set()
        begins, size = self.offset, 0
        for start, item in self._items():
            added = item.size + sum(len(text) for text in item.envelope if text not in envelopes)
            if batch and (len(batch) >= max_spans or size + added > self._max_bytes):
                # a line of several spans may be in two batches: what was sent of it is known by then
                self.offset = start
                yield begins, batch
                batch, size, begins = [], 0, start
                envelopes.clear()
                taken.clear()
                added = item.size + sum(map(len, item.envelope))
            if item.span_id not in taken:
                taken.add(item.span_id)
                batch.append(item)
                envelopes.update(item.envelope)
                size += added
        self.offset = self._end
        if batch:
            yield begins, batch

    def _items(self) -> Iterator[tuple[int, Item]]:
        """Yield (start of its line, span) of every span that is wanted; ``_end`` follows the lines."""
        self._end = self.offset
        try:
            file = open_regular(str(self._path))
        except FileNotFoundError:
            return
        with file:
            file.seek(self._end)
            for line in file:
                heads = heads_in(line)
                if not heads and not line.endswith(b"\n"):
                    return
                start, self._end = self._end, self._end + len(line)
                wanted = {head.span_id for head in heads if self._is_wanted(head)}
                if wanted:
                    yield from ((start, item) for item in self._parsed(line) if item.span_id in wanted)
                elif not heads and not line.isspace():
                    self.unreadable += 1

    def _parsed(self, line: bytes) -> list[Item]:
        for text in (line, after_tear(line)):
            with contextlib.suppress(ValueError):
                return items_of_request(parse_line(text))
        self.unreadable += 1
        return []

    def _is_wanted(self, head: SpanHead) -> bool:
        if not self._unsampled_too and not is_sampled(head):
            return False
        if self._set_aside is None:
            return self.ledger.is_waiting(head.span_id)
        return (
            head.span_id in self.ledger.set_aside
            and head.span_id not in self.ledger.delivered
            and head.span_id not in self._set_aside
        )
