"""Times as people read them: offsets, durations, ages.

Comes in: seconds or milliseconds. Goes out: short text. Pure; called by every view.
"""

from __future__ import annotations

from functools import cache

_MINUTE, _HOUR = 60, 3600
_ENDINGS = ("th", "st", "nd", "rd", *["th"] * 6)  # of ordinal numbers, by their last digit
_TEENS = (11, 12, 13)
_AGES = (("y", 31_557_600), ("d", 86_400), ("h", _HOUR), ("m", _MINUTE))


def offset(since_start: float) -> str:
    """Return a time since the start, in seconds: ``+  3.55s``, from a minute on ``+1m52.54s``."""
    if since_start < _MINUTE - 0.005:  # as rounded
        return f"+{since_start:6.2f}s"
    minutes, rest = divmod(int(since_start * 100 + 0.5), _MINUTE * 100)
    return f"+{minutes}m{_of_minute(rest)}"


@cache
def _of_minute(hundredths: int) -> str:
    """Return the seconds of a minute; there are not many, and a long session has each of them often."""
    return f"{hundredths / 100:05.2f}s"


def milliseconds(duration: float) -> str:
    """Return a duration in milliseconds: ``51ms``, from a second on ``3.60s``, from a minute on ``1m52.54s``."""
    if duration < 999.5:  # noqa: PLR2004 - a second, as rounded
        return f"{duration:.0f}ms" if duration >= 1 else "<1ms"
    return seconds(duration / 1000)


def seconds(duration: float) -> str:
    """Return a duration in seconds: ``3.60s``, from a minute on ``1m52.54s``."""
    return offset(duration)[1:].lstrip()


def brief(duration: float) -> str:
    """Return a duration in seconds in at most two units: ``0.35s``, ``42.5s``, ``1m52s``, ``3h05m``."""
    if duration < 9.995:  # noqa: PLR2004 - ten, as rounded
        return f"{duration:.2f}s"
    if duration < _MINUTE - 0.05:
        return f"{duration:.1f}s"
    minutes, rest = divmod(round(duration), _MINUTE)
    return f"{minutes}m{rest:02}s" if minutes < _MINUTE else f"{minutes // 60}h{minutes % 60:02}m"


def age(since: float) -> str:
    """Return how many seconds ago something was, in its largest unit, rounded down: ``12s``, ``5m``, ``3h``, ``9d``."""
    for unit, size in _AGES:
        if since >= size:
            return f"{int(since / size)}{unit}"
    return f"{max(0, int(since))}s"


def nth(number: int) -> str:
    """Return an ordinal number: ``1st``, ``2nd``, ``3rd``, ``11th``, ``22nd``."""
    return f"{number}th" if number % 100 in _TEENS else f"{number}{_ENDINGS[number % 10]}"
