"""What a view could not show, said in one line each.

Comes in: a Session and its index. Goes out: lines for stderr. Called by every reading command.
"""

from __future__ import annotations

from agent_trace_otel.replay.terminal import one_line
from agent_trace_otel.replay.text import SYMBOLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import Session

_NAMED = 5
_NAME_WIDTH = 40


def notes(session: Session, index: SessionIndex) -> Iterator[str]:
    """Yield a line for each thing that is wrong with a folder but did not stop the reader."""
    if session.meta_problem:
        yield f"{session.meta_problem}: counted from events.ndjson instead"
    if index.torn:
        yield "left out the last line, which is torn"
    if index.unreadable:
        yield f"left out {index.unreadable} unreadable {'line' if index.unreadable == 1 else 'lines'}"
    if index.repeated:
        yield f"left out {index.repeated} {'event' if index.repeated == 1 else 'events'} written twice"
    unknown = sorted(set(index.event_types) - set(SYMBOLS))
    if unknown:
        number = sum(map(index.count, unknown))
        names = ", ".join(one_line(name, _NAME_WIDTH) for name in unknown[:_NAMED])
        more = ", …" if len(unknown) > _NAMED else ""
        yield f"{number} {'event' if number == 1 else 'events'} of unknown type: {names}{more}"
