"""What the values of options mean: a selection, a pace, a moment, a size, headers.

Comes in: an argparse Namespace, as `grammar` makes it. Goes out: values that the room which does the work understands.
Called by commands.
"""

from __future__ import annotations

from agent_trace_otel.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from agent_trace_otel.replay.moments import Moment
    from agent_trace_otel.replay.timeline import Selection

LONGEST_PAUSE = 2.0  # seconds
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}  # seconds


def selection(values: argparse.Namespace) -> Selection:
    """Return what a replay shows.

    Raises:
        UsageError: an unknown event type, no regular expression, or no moment.
    """
    import re

    from agent_trace_otel.replay.text import SYMBOLS
    from agent_trace_otel.replay.timeline import Selection

    event_types = [name.strip() for name in (values.filter or "").split(",") if name.strip()]
    for name in event_types:
        if name not in SYMBOLS:
            from difflib import get_close_matches

            nearest = get_close_matches(name, SYMBOLS, n=1, cutoff=0)[0]
            msg = f"--filter: no event type {name!r}; did you mean {nearest}? There are {', '.join(SYMBOLS)}"
            raise UsageError(msg)
    try:
        pattern = re.compile(values.grep) if values.grep is not None else None
    except re.error as error:
        msg = f"--grep: {values.grep!r} is no regular expression: {error}"
        raise UsageError(msg) from error
    moments = _moment("--from", values.since), _moment("--to", values.until)
    return Selection(frozenset(event_types), tool=values.tool, errors=values.errors, pattern=pattern, between=moments)


def pace(values: argparse.Namespace) -> tuple[float, float] | None:
    """Return speed and longest pause in seconds, None when a replay is not live.

    Raises:
        UsageError: a value is no number above 0, or --live is missing.
    """
    if not values.live:
        if values.speed is not None or values.max_idle is not None:
            msg = "--speed and --max-idle need --live"
            raise UsageError(msg)
        return None
    speed = 1.0 if values.speed is None else _positive("--speed", values.speed, "x")
    return speed, LONGEST_PAUSE if values.max_idle is None else _positive("--max-idle", values.max_idle, "s")


def since(values: argparse.Namespace) -> float:
    """Return the unix seconds that --since means: so long ago, or a date or time; local unless it names a zone.

    Raises:
        UsageError: it is neither a duration such as 2h nor an ISO 8601 date or time.
    """
    given = values.since
    if given is None:
        return float("-inf")
    number, unit = given[:-1], given[-1:]
    try:
        if number.isdecimal() and unit in _UNITS:
            import time

            return time.time() - int(number) * _UNITS[unit]
        from datetime import datetime

        # Python 3.10 doesn't take the Z
        return datetime.fromisoformat(f"{number}+00:00" if unit in {"Z", "z"} else given).timestamp()
    except (ValueError, OverflowError):
        msg = f"--since: {given!r} is neither a duration (30m, 2h, 3d, 1w) nor a date (2026-01-31, 2026-01-31T09:00)"
        raise UsageError(msg) from None


def older_than(values: argparse.Namespace) -> float | None:
    """Return the seconds of --older-than, None without it.

    Raises:
        UsageError: it is no duration such as 30d, or neither it nor --max-size is given.
    """
    given = values.older_than
    if given is None:
        if values.max_size is None:
            msg = "prune wants --older-than 30d, --max-size 2GB, or both"
            raise UsageError(msg)
        return None
    number, unit = given[:-1], given[-1:]
    if not (number.isdecimal() and number.isascii() and unit in _UNITS):
        msg = f"--older-than: {given!r} is no duration such as 12h, 30d or 8w"
        raise UsageError(msg)
    return float(int(number) * _UNITS[unit])


def max_size(values: argparse.Namespace) -> int | None:
    """Return the bytes of --max-size, None without it.

    Raises:
        UsageError: it is no size such as 2GB.
    """
    import re

    if values.max_size is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", values.max_size.strip(), re.IGNORECASE | re.ASCII)
    if found is None:
        msg = f"--max-size: {values.max_size!r} is no size such as 500MB or 2GB"
        raise UsageError(msg)
    power = " kmgt".index(found[2].lower() or " ")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** power)


def headers(given: list[str]) -> Mapping[str, str]:
    """Return the headers of repeated --header options.

    Raises:
        UsageError: one is not of the form "Name: value"; its value is not repeated, since it may be a key.
    """
    found: dict[str, str] = {}
    for header in given:
        name, colon, value = header.partition(":")
        if not colon or not name.strip() or not (name.strip() + value).isprintable():
            msg = '--header wants "Name: value" on one line'
            raise UsageError(msg)
        found[name.strip()] = value.strip()
    return found


def config_values(values: argparse.Namespace) -> dict[tuple[str, ...], str | bool | Mapping[str, str] | None]:
    """Return what `setup` writes into the config file: (key,) or (table, key) -> value, None to take it out.

    Of a back end by its name and an endpoint, the one that was not given goes: together they'd mean another place.

    Raises:
        UsageError: a header is not of the form "Name: value".
    """
    found: dict[tuple[str, ...], str | bool | Mapping[str, str] | None] = {
        ("redact",): values.redact,
        ("service_name",): values.service_name,
        ("otlp", "to"): values.to,
        ("otlp", "endpoint"): values.endpoint,
        ("otlp", "headers"): headers(values.header) or None,
    }
    for key in [key for key, value in found.items() if value is None]:
        del found[key]
    for name in ("endpoint", "headers") if values.to else ("to",) if values.endpoint else ():
        found.setdefault(("otlp", name), None)
    return found


def names(given: list[str]) -> list[str]:
    """Return the names in comma-separated lists."""
    return [name.strip() for text in given for name in text.split(",") if name.strip()]


def refuse(values: argparse.Namespace, names: tuple[str, ...], why: str) -> None:
    """Say no to options that would do nothing.

    Raises:
        UsageError: one of them was given.
    """
    for name in names:
        if getattr(values, name):
            msg = f"--{name.replace('_', '-')} {why}"
            raise UsageError(msg)


def _moment(option: str, text: str | None) -> Moment | None:
    if text is None:
        return None
    from agent_trace_otel.replay.moments import moment

    return moment(option, text)


def _positive(option: str, text: str, unit: str) -> float:
    try:
        number = float(text.removesuffix(unit))
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:  # noqa: PLR2004 - and neither NaN nor infinity
        msg = f"{option}: {text!r} is no number above 0"
        raise UsageError(msg)
    return number
