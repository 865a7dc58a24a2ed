"""Where the spans of a session are: how many each back end has acknowledged, how many are set aside, how many wait.

Comes in: a session folder. Goes out: figures by the name of each back end (`otlp.target_name`). Called by doctor, prune
and `ship`; loads no part of OpenTelemetry.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent_trace_otel.delivery.ledger import DELIVERED, FAILED, SUFFIX, Ledger
from agent_trace_otel.delivery.span_ids import SpanIds
from agent_trace_otel.store.folder import SPANS
from agent_trace_otel.store.span_heads import heads_in, is_sampled


def targets_in(folder: str | os.PathLike[str]) -> list[str]:
    """Return the names of the back ends that a session has a ledger for, sorted."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        for path in Path(folder).iterdir():
            name = path.name.removesuffix(SUFFIX)
            for prefix in (DELIVERED, FAILED):
                if name.startswith(prefix) and name != path.name:
                    found.add(name.removeprefix(prefix))
    return sorted(found)


@dataclass(slots=True)
class Standing:
    """Where the sampled spans of one session are with one back end; the numbers add up to the spans there are."""

    delivered: int = 0
    set_aside: int = 0
    waiting: int = 0

    @property
    def undelivered(self) -> int:
        """How many it has not acknowledged."""
        return self.set_aside + self.waiting


def standings(
    folder: str | os.PathLike[str], targets: Sequence[str] = (), *, unsampled_too: bool = False
) -> Mapping[str, Standing]:
    """Return where a session's spans are, by the name of each back end that has a ledger there or is in ``targets``.

    Spans that are not sampled are not sent, so they count only when they are asked for. A span that the folder holds
    twice counts once.
    """
    ledgers = [Ledger(folder, target) for target in dict.fromkeys([*targets_in(folder), *targets])]
    found = {ledger.target: Standing() for ledger in ledgers}
    if not ledgers:
        return found
    seen = SpanIds()
    for ledger in ledgers:
        with contextlib.suppress(OSError):
            ledger.refresh()
    with contextlib.suppress(OSError), (Path(folder) / SPANS).open("rb") as lines:
        for line in lines:
            for head in heads_in(line):
                if not (unsampled_too or is_sampled(head)) or not seen.add(head.span_id):
                    continue
                for ledger in ledgers:
                    standing = found[ledger.target]
                    if head.span_id in ledger.delivered:
                        standing.delivered += 1
                    elif head.span_id in ledger.set_aside:
                        standing.set_aside += 1
                    else:
                        standing.waiting += 1
    return found


def undelivered(folder: str | os.PathLike[str], targets: Sequence[str] = ()) -> dict[str, int]:
    """Return how many sampled spans each back end has not acknowledged, set aside ones included.

    A session has a ledger for every back end that it was ever to be sent to; ``targets`` names others to ask about,
    such as the one that is configured now.
    """
    return {target: standing.undelivered for target, standing in standings(folder, targets).items()}
