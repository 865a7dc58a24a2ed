"""What --from and --to name: a moment of a session, by its offset or by the clock.

Comes in: the option's text. Goes out: a Moment, which a session's times turn into unix seconds. Called by
`option_values`.
"""

from __future__ import annotations

import re

from agent_trace_otel.errors import UsageError

_DAY = 86_400
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": float(_DAY)}
_OFFSET = re.compile(r"\+?(?=\d)(?:\d+(?:\.\d+)?(?:ms|[smhd]))*(?:\d+(?:\.\d+)?)?", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])?", re.ASCII)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d.*", re.DOTALL | re.ASCII)


class Moment:
    """A moment that only a session can date.

    Exactly one is set: ``offset``, seconds since the session's first event; ``clock``, seconds since midnight in the
    reader's time zone; ``time``, unix seconds.
    """

    __slots__ = ("clock", "offset", "time")

    def __init__(self, *, offset: float | None = None, clock: float | None = None, time: float | None = None) -> None:
        self.offset = offset
        self.clock = clock
        self.time = time

    def at(self, first: float, last: float) -> float:
        """Return unix seconds, for a session whose first and last events were at these.

        A clock time is of the day when the session began, or of a later one that the session lasted into.
        """
        if self.time is not None:
            return self.time
        if self.clock is None:
            return first + (self.offset or 0.0)
        import time

        day = time.localtime(first)
        while True:
            minutes, seconds = divmod(self.clock, 60)
            at = time.mktime((*day[:3], 0, int(minutes), int(seconds), 0, 0, -1)) + seconds % 1
            day = time.localtime(time.mktime((*day[:2], day[2] + 1, 0, 0, 0, 0, 0, -1)))
            if at >= first or time.mktime(day) > last:
                return at


def moment(option: str, text: str) -> Moment:
    """Read ``90s``, ``2m``, ``1h30m``, ``+1m52.54s`` (offsets), ``14:32``, ``14:32:05`` (clock) or an ISO 8601 time.

    A number alone is seconds.

    Raises:
        UsageError: it is none of these.
    """
    if _OFFSET.fullmatch(text):
        return Moment(offset=sum(float(number) * _UNITS[unit or "s"] for number, unit in _PART.findall(text)))
    clock = _CLOCK.fullmatch(text)
    if clock:
        return Moment(clock=int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3] or 0))
    if _DATE.fullmatch(text):
        from datetime import datetime

        try:
            # until Python 3.11, fromisoformat did not know Z
            return Moment(time=datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())
        except (ValueError, OverflowError):
            pass
    msg = f"{option}: {text!r} is no moment; say 90s or 2m30s after the start, or a time such as 14:32:05"
    raise UsageError(msg)
