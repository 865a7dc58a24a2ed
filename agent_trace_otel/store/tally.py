"""Counts for meta.json, read from events.ndjson from any offset on.

Comes in: the path of an events.ndjson and the offset reached last time. Goes out: what the lines after it add, and the
offset to go on from. Called by the writer, which keeps meta.json right when several processes append to one session.

It runs beside traced code, so it parses as little as it can: lines in our key order (agent-strace's too) are known by
how they begin and end, and only what models were asked and answered, errors and foreign lines are parsed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from agent_trace_otel.store.events import EVENT_TYPES
from agent_trace_otel.store.lines import read_data, read_head, tokens_of
from agent_trace_otel.store.repeated import Repeated


@dataclass(slots=True)
class Tally:
    """What some lines hold: calls, errors and tokens as meta.json counts them.

    ``offset`` is the byte after the last whole line that was counted; hand it to `tally` to count what came later.
    """

    tool_calls: int = 0
    llm_requests: int = 0
    errors: int = 0
    total_tokens: int = 0
    offset: int = 0


def tally(path: str | Path, offset: int = 0, repeated: Repeated | None = None) -> Tally:
    """Count the lines of ``path`` after ``offset``; a call that is told twice counts once.

    Unreadable lines count nothing. A last line that is still without its newline counts if it is whole; if it is not,
    the returned offset stays before it. An event written twice is counted twice: telling would cost a set of ids.

    Args:
        path: an events.ndjson.
        offset: bytes already counted, as an earlier Tally said.
        repeated: takes the calls, for a caller who goes on counting later and takes off the surplus then.

    Returns:
        The counts of the lines after ``offset`` alone, to be added to earlier ones.

    Raises:
        OSError: the file can't be read.
    """
    found = Tally(offset=offset)
    calls = Repeated() if repeated is None else repeated
    with Path(path).open("rb") as file:  # `open` is gone when a generator is ended at the very exit
        file.seek(offset)
        for line in file:
            # a line cut off by a full disk begins like a whole one, so its end is looked at as well
            if line.endswith(b"}}\n"):
                if line.startswith(_TOOL_CALL):
                    found.tool_calls += 1
                    calls.call(line)
                elif not line.startswith(_COUNTS_NOTHING) or (calls.knows_tools and line.startswith(_TOOL_RESULT)):
                    _count_parsed(line, found, calls)
            elif not _count_parsed(line, found, calls) and not line.endswith(b"\n"):
                break
            found.offset += len(line)
    if repeated is None:
        _take_off(found, calls)
    return found


def less(counted: Tally, repeated: Repeated) -> Tally:
    """Return counts without those of calls that are told twice."""
    found = replace(counted)
    _take_off(found, repeated)
    return found


def _take_off(found: Tally, calls: Repeated) -> None:
    surplus = calls.surplus()
    found.tool_calls -= surplus.tool_calls
    found.llm_requests -= surplus.llm_requests
    found.errors -= surplus.errors
    found.total_tokens -= surplus.tokens


def _count_parsed(line: bytes, found: Tally, calls: Repeated) -> bool:
    """Add what one line of any form holds; False when it holds no event."""
    head = read_head(line)
    if head is None:
        return False
    event_type, at, event_id, parent_id = head[:4]
    match event_type:
        case b"tool_call":
            found.tool_calls += 1
            calls.call(line)
        case b"tool_result":
            calls.result(parent_id or b"", float(at))
        case b"llm_request":
            found.llm_requests += 1
            calls.ask(event_id, line)
        case b"error":
            found.errors += 1
            calls.fail(parent_id or b"", float(at))
        case b"llm_response":
            tokens = tokens_of(read_data(line))
            found.total_tokens += tokens
            calls.answer(parent_id or b"", line, tokens)
        case _:
            pass
    return True


def _beginning(event_type: str) -> bytes:
    return f'{{"event_type":"{event_type}",'.encode("ascii")


_TOOL_CALL = _beginning("tool_call")
_TOOL_RESULT = _beginning("tool_result")
_COUNTS_NOTHING = tuple(
    _beginning(name) for name in sorted(EVENT_TYPES - {"tool_call", "llm_request", "llm_response", "error"})
)
