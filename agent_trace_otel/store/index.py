"""The index of one session: where its events lie, when they were, which call each one closes.

Comes in: the path of an events.ndjson, however long, torn or still growing. Goes out: a SessionIndex of columns, one
entry an event, from which an event's data is read when somebody asks. Called by everything under replay/.

100,000 events take about 6 MiB: numbers in arrays, types and names as references to one string each. An event is known
by its ordinal, its place in the file.
"""

from __future__ import annotations

import os
import stat
from array import array

from agent_trace_otel import open_flags
from agent_trace_otel.errors import StoreError
from agent_trace_otel.store.lines import END, OVER_MCP, match_head, read_data, read_event, read_head, tokens_of
from agent_trace_otel.store.repeated import Repeated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, BinaryIO

    from typing_extensions import Self

NONE = -1  # the partner of an event that has none
_OPENING = frozenset({"tool_call", "llm_request"})
_CLOSING = frozenset({"tool_result", "llm_response", "error"})
_OF_MODELS = frozenset({"llm_request", "llm_response"})
_OVER_MCP = OVER_MCP.encode("ascii")
_TAIL = 200  # bytes at a line's end among which the mark stands
_TELLS_TOKENS = b'"total_tokens":'
_PAGE = 1 << 13


class SessionIndex:
    """The events of one file; a context manager, since it keeps the file open to read from.

    Columns, by ordinal:
        event_types: the type, known or not.
        timestamps: unix seconds.
        durations: milliseconds, NaN where the event doesn't say.
        partners: of a call the event that closed it, of a closing event the call it closes, else NONE.
        tool_names: the name, "" where only the event's data can tell.

    ``order`` is the ordinals by time, equal times in file order. ``torn``, ``unreadable`` and ``repeated`` count the
    lines left out: cut off at the end of the file, no events, and events that the file holds already. Calls that are
    told twice (`repeated`) are left out too.

    With ``grows``, `read_on` takes in what is appended later; ``order`` stays that of the beginning.

    Raises:
        StoreError: the file can't be read. A missing one is an empty one.
    """

    def __init__(self, path: str, *, grows: bool = False) -> None:
        self.event_types: list[str] = []
        self.timestamps = array("d")
        self.durations = array("d")
        self.partners = array("l")
        self.tool_names: list[str] = []
        self.torn = self.unreadable = self.repeated = 0
        self._offsets = array("q")
        self._file: BinaryIO | None = None
        self._path = path
        self._scanned = _Scanned()
        ascending = self._read()
        if not grows:
            self._leave_out(self._scanned.told_twice(self))
        ordinals = range(len(self.timestamps))
        self.order: Sequence[int] = (
            ordinals if ascending else array("l", sorted(ordinals, key=self.timestamps.__getitem__))
        )
        if not grows:
            self._scanned = _Scanned()  # the ids of a long session take more room than its columns

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self.timestamps)

    def close(self) -> None:
        """Close the file; the columns stay."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read_on(self) -> range:
        """Read the lines that were appended since; a last line without its end is left for the next time.

        Returns:
            The new ordinals, in file order.

        Raises:
            StoreError: the file can't be read.
        """
        known = len(self)
        self._read()
        return range(known, len(self))

    def line(self, ordinal: int) -> bytes:
        """Return an event's line as it was written, without its newline."""
        if self._file is None:
            return b""
        self._file.seek(self._offsets[ordinal])
        return self._file.readline().rstrip(b"\n")

    def lines(self, ordinals: Iterable[int]) -> Iterator[bytes]:
        """Yield the lines of many events: those of `line`, at half the price."""
        if self._file is None:
            return
        seek, readline, offsets = self._file.seek, self._file.readline, self._offsets
        for ordinal in ordinals:
            seek(offsets[ordinal])
            yield readline().rstrip(b"\n")

    def event(self, ordinal: int) -> dict[str, Any]:
        """Return an event's seven values by name."""
        return read_event(self.line(ordinal))

    def data(self, ordinal: int) -> dict[str, Any]:
        """Return an event's own values."""
        if self._file is None:
            return {}
        self._file.seek(self._offsets[ordinal])
        return read_data(self._file.readline())

    def tool_name(self, ordinal: int) -> str:
        """Return the tool of a call or of what closed it, "" when neither says."""
        name = self.tool_names[ordinal]
        if not name and self.partners[ordinal] != NONE:
            name = self.tool_names[self.partners[ordinal]] or _name_in(self.data(self.partners[ordinal]))
        return name or _name_in(self.data(ordinal))

    def duration_ms(self, ordinal: int) -> float | None:
        """Return how long the call took that an event closes; as it says itself, else by the two times."""
        duration = self.durations[ordinal]
        if duration == duration:  # noqa: PLR0124 - not NaN, without a call
            return duration
        call = self.partners[ordinal]
        if call == NONE or self.event_types[ordinal] not in _CLOSING:
            return None
        return (self.timestamps[ordinal] - self.timestamps[call]) * 1000

    def is_open(self, ordinal: int) -> bool:
        """Tell whether an event opens a call that nothing has closed."""
        return self.partners[ordinal] == NONE and self.event_types[ordinal] in _OPENING

    def open_calls(self) -> int:
        """Return how many calls nothing has closed."""
        return sum(map(self.is_open, range(len(self))))

    def count(self, event_type: str) -> int:
        """Return how many events are of a type."""
        return self.event_types.count(event_type)

    def of_type(self, *event_types: str) -> Iterator[int]:
        """Yield the ordinals of the events of some types, in file order."""
        return (n for n, event_type in enumerate(self.event_types) if event_type in event_types)

    def total_tokens(self) -> int:
        """Return the tokens of all model responses."""
        return sum(tokens_of(self.data(n)) for n in self.of_type("llm_response"))

    def _read(self) -> bool:
        """Read from where the last reading ended; True if the lines were in order of time already."""
        try:
            if self._file is None:
                self._file = open_regular(self._path)
            self.torn = 0
            return self._scan(self._file)
        except FileNotFoundError:
            return True
        except OSError as error:
            self.close()
            msg = f"can't read {self._path}: {error.strerror}"
            raise StoreError(msg) from error

    def _scan(self, file: BinaryIO) -> bool:  # noqa: PLR0912, PLR0915 - one loop over every line: calls cost more
        """Fill the columns; True if the lines were in order of time already."""
        types, timestamps, durations, partners = self.event_types, self.timestamps, self.durations, self.partners
        names, offsets, state = self.tool_names, self._offsets, self._scanned
        texts, seen, open_calls, early_ends = state.texts, state.seen, state.open_calls, state.early_ends
        line, offset, latest, ascending, ordinal, nan = b"", state.offset, 0.0, True, len(types), float("nan")
        file.seek(offset)
        for line in file:
            start, offset = offset, offset + len(line)
            match = match_head(line)  # what read_head does first, without the call
            head = match.groups() if match and line.endswith(END) and line.isascii() else read_head(line)
            if head is None:
                self._count_bad(line)
                continue
            raw_type, at, event_id, parent_id, duration, name = head
            if event_id:
                # an id is an event's own, but a foreign writer may give a call and its result one id
                key = raw_type + event_id
                if key in seen:
                    self.repeated += 1
                    continue
                seen.add(key)
            try:
                timestamp = float(at)
                durations.append(float(duration) if duration else nan)
            except ValueError:  # digits and dots, but no number
                self.unreadable += 1
                continue
            event_type = texts.get(raw_type) or texts.setdefault(raw_type, _text(raw_type))
            partner = NONE
            if parent_id and event_type in _CLOSING:
                partner = open_calls.pop(parent_id, NONE)
                if partner == NONE:
                    early_ends[parent_id] = ordinal
                else:
                    partners[partner] = ordinal
            elif event_type in _OPENING:
                if event_id in early_ends:
                    partner = early_ends.pop(event_id)
                    partners[partner] = ordinal
                else:
                    open_calls[event_id] = ordinal
            if event_type in _OF_MODELS:
                state.see(event_type, parent_id or event_id, line, ordinal)
            elif event_type == "tool_call" and line.find(_OVER_MCP, -_TAIL) >= 0:
                state.see(event_type, event_id, line, ordinal)
            if timestamp < latest:
                ascending = False
            latest = timestamp
            types.append(event_type)
            timestamps.append(timestamp)
            partners.append(partner)
            names.append((texts.get(name) or texts.setdefault(name, _text(name))) if name else "")
            offsets.append(start)
            ordinal += 1
        state.offset = offset - len(line) if self.torn else offset  # what is torn now may be whole the next time
        return ascending

    def _leave_out(self, calls: set[int]) -> None:
        """Take calls and what closed them out of the columns."""
        if not calls:
            return
        gone = calls | {self.partners[ordinal] for ordinal in calls}
        kept = [ordinal for ordinal in range(len(self)) if ordinal not in gone]
        moved = {before: after for after, before in enumerate(kept)}
        self.event_types = [self.event_types[ordinal] for ordinal in kept]
        self.tool_names = [self.tool_names[ordinal] for ordinal in kept]
        for name in ("timestamps", "durations", "_offsets"):
            column: array[float] = getattr(self, name)
            column[:] = array(column.typecode, [column[ordinal] for ordinal in kept])
        self.partners = array("l", [moved.get(self.partners[ordinal], NONE) for ordinal in kept])

    def _count_bad(self, line: bytes) -> None:
        if not line.endswith(b"\n"):
            self.torn += 1
        elif line.strip():  # a writer begins a new line after a torn one, which may leave an empty one
            self.unreadable += 1


class _Scanned:
    """What reading on has to know of what was read."""

    __slots__ = ("calls", "early_ends", "has_mcp", "offset", "open_calls", "opened", "seen", "texts")

    def __init__(self) -> None:
        self.calls = Repeated()
        self.has_mcp = False
        self.opened: dict[bytes, int] = {}  # of calls that may be told twice
        self.texts: dict[bytes, str] = {}  # one string for each type and name, however often it comes
        self.seen: set[bytes] = set()
        self.open_calls: dict[bytes, int] = {}
        self.early_ends: dict[bytes, int] = {}  # of several writers, the one that ends a call may be the faster
        self.offset = 0

    def see(self, event_type: str, call: bytes, line: bytes, ordinal: int) -> None:
        """Look at a model call, or a call over MCP, which may be told twice; ``call`` is its opening event's id."""
        if event_type == "llm_request":
            self.calls.ask(call, line)
            self.opened[call] = ordinal
        elif event_type == "llm_response":
            self.calls.answer(call, line, _TELLS_TOKENS in line)
        else:
            self.has_mcp = True

    def told_twice(self, index: SessionIndex) -> set[int]:
        """Return the calls to leave out; tool calls are looked at where some went over MCP."""
        if self.has_mcp:
            for ordinal in index.of_type("tool_call", "tool_result", "error"):
                line = index.line(ordinal) + b"\n"
                head = read_head(line)
                if head is None:
                    continue
                if index.event_types[ordinal] == "tool_call":
                    self.calls.call(line)
                    self.opened[head[2]] = ordinal
                else:
                    self.calls.result(head[3] or b"", index.timestamps[ordinal])
        return {self.opened[call] for call in self.calls.calls() if call in self.opened}


def open_regular(path: str) -> BinaryIO:
    """Open a file of a session folder for reading, never through a symlink.

    Raises:
        OSError: it is missing, not to be read, or no regular file.
    """
    descriptor = os.open(path, open_flags.READ)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "not a regular file", path)
    return os.fdopen(descriptor, "rb")


def read_small(path: str) -> bytes:
    """Return a small file of a session folder, at a third of the cost of a file object; a pipe reads as empty.

    Raises:
        OSError: it is missing or not to be read.
    """
    descriptor = os.open(path, open_flags.READ)
    try:
        content = part = os.read(descriptor, _PAGE)
        while len(part) == _PAGE:
            part = os.read(descriptor, _PAGE)
            content += part
    finally:
        os.close(descriptor)
    return content


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _name_in(data: dict[str, Any]) -> str:
    name = data.get("tool_name")
    return name if isinstance(name, str) else ""
