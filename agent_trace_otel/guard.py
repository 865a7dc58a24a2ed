"""Our failure is never the user's: it is logged once for each place, swallowed and counted.

Called wherever capture code meets the user's program. Warnings go to the logger ``agent_trace_otel``; nothing is ever
printed.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("agent_trace_otel")

failures: Counter[str] = Counter()
"""How often each place failed in this process; `agent-trace doctor` and tests read it."""

on_first: Callable[[str, BaseException], None] | None = None
"""Is told the first failure of each place, too; `agent-trace run` keeps it where doctor finds it."""

_lock = threading.RLock()
"""Reentrant, as are all locks on the way of a traced call: a signal handler or a finalizer may be traced too, and run
while its own thread is in here."""


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 - a thread of the parent may have held it
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def report(place: str, error: BaseException) -> None:
    """Count a failure of ours; log the first one of each place as a warning, the rest at debug level.

    Args:
        place: what was being done, in words that fit after "could not", such as "write the session folder".
        error: what went wrong.
    """
    try:
        with _lock:
            failures[place] += 1
            first = failures[place] == 1
        level = logging.WARNING if first else logging.DEBUG
        logger.log(
            level, "could not %s: %s: %s", place, type(error).__name__, error, exc_info=logger.level == logging.DEBUG
        )
        if first and on_first is not None:
            on_first(place, error)
    except Exception:  # noqa: BLE001, S110 - a log handler or __str__ of the user's may raise; there is nobody left to tell
        pass


def guarded(place: str) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Return a decorator that turns any exception of the function into a report and the result None."""

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - that is the purpose
                report(place, error)
                return None

        return wrapper

    return decorate
