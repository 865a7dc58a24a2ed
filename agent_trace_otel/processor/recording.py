"""The processors that record in this process: who writes what, and word to all of them.

Called by `processor` (which adds itself), `exporter`, and `point_events` (for events that are told at once).
"""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent_trace_otel.processor.session_processor import SessionSpanProcessor

_processors: weakref.WeakSet[SessionSpanProcessor] = weakref.WeakSet()
_made = 0
_told: OrderedDict[int, Path] | None = None
_MAX_TOLD = 100_000


def add(processor: SessionSpanProcessor) -> None:
    """Count a new processor among those that record."""
    global _made  # noqa: PLW0603 - of the process, as the processors are
    _processors.add(processor)
    _made += 1


def are_several() -> bool:
    """Tell whether there is or was another processor; every span asks, so this is a number and no set."""
    return _made > 1


def is_told_by_another(asking: SessionSpanProcessor, span_id: int) -> bool:
    """Tell whether another processor on the same provider, ours beside the user's, tells an open span there already."""
    return any(other.is_open(span_id) for other in _others(asking))


def remember_told() -> None:
    """Begin to remember which spans are told while they run; an exporter asks."""
    global _told  # noqa: PLW0603 - as above
    if _told is None:
        _told = OrderedDict()


def tell(span_id: int, trace_dir: Path) -> None:
    """Note that a span was told, within bounds; nothing where no exporter asks."""
    if _told is not None:
        _told[span_id] = trace_dir
        if len(_told) > _MAX_TOLD:
            _told.popitem(last=False)


def is_told(span_id: int, trace_dir: Path) -> bool:
    """Tell whether a processor has written a span already, into the same trace directory, while it ran."""
    return _told is not None and _told.get(span_id) == trace_dir


def _others(asking: SessionSpanProcessor) -> list[SessionSpanProcessor]:
    where = asking.settings.trace_dir
    return [other for other in tuple(_processors) if other is not asking and other.settings.trace_dir == where]


def is_recorded(span_id: int) -> bool:
    """Tell whether an open span is one of those that are written."""
    return any(processor.is_open(span_id) for processor in tuple(_processors))


def announce_event(span_id: int, name: str, attributes: Mapping[str, Any], time_ns: int) -> None:
    """Tell the processors that a span event was logged."""
    for processor in tuple(_processors):
        processor.on_event(span_id, name, attributes, time_ns)


def forget() -> None:
    """Begin anew, for tests."""
    global _made, _told  # noqa: PLW0603 - as above
    _processors.clear()
    _made = 0
    _told = None


def _after_fork_in_child() -> None:
    for processor in tuple(_processors):
        processor.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
