"""A session and what the user asked to see of it -> the pieces of text to write, in order.

Comes in: a session, its index, a selection. Goes out: text, made when it is asked for, so that a long session is never
in memory. Called by the replay command, which knows where it is written to.
"""

from __future__ import annotations

import functools

from agent_trace_otel.replay.timeline import timeline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agent_trace_otel.replay.text import TextReplay
    from agent_trace_otel.replay.timeline import Entry, Selection
    from agent_trace_otel.replay.tree_text import TreeText
    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import Session


def entries_shown(
    session: Session,
    index: SessionIndex,
    selection: Selection,
    view: TextReplay,
    pace: tuple[float, float] | None = None,
) -> Iterator[str]:
    """Return the text of each entry that is selected; with ``pace``, speed and longest pause, each at its time."""
    import time

    now = time.time() if session.state == "running" else None
    entries = timeline(index, selection, now, span_parents=_span_parents(session))
    if pace is not None:
        from agent_trace_otel.replay.play import paced

        return map(view.entry, paced(entries, speed=pace[0], max_idle=pace[1]))
    if view.shows_all and selection.takes_every_kind:
        return _with_notes(session, index, selection, view, entries)
    return map(view.entry, entries)


def tree_shown(session: Session, index: SessionIndex, selection: Selection, drawn: TreeText) -> Iterator[str]:
    """Return the lines of a session's tree, none when nothing is selected."""
    from agent_trace_otel.replay.tree import Tree

    tree = Tree(index, selection, _span_parents(session))
    return drawn.lines(tree, index) if tree.top else iter(())


def arriving_shown(session: Session, index: SessionIndex, selection: Selection, view: TextReplay) -> Iterator[str]:
    """Yield the text of each entry that is selected, when it comes, until the session is over; ``index`` grows."""
    from agent_trace_otel.replay.follow import followed

    arriving = followed(session, index)
    yield from map(view.entry, timeline(index, selection, span_parents=_span_parents(session), arriving=arriving))


def _with_notes(
    session: Session, index: SessionIndex, selection: Selection, view: TextReplay, entries: Iterator[Entry]
) -> Iterator[str]:
    from agent_trace_otel.replay.span_notes import SpanNote, span_notes, with_notes

    since, until = selection.span(index)
    first = index.timestamps[index.order[0]] if len(index) else session.started_at
    notes = [note for note in span_notes(session.spans_path, first) if since <= first + note.offset <= until]
    for item in with_notes(entries, notes):
        yield view.note(item) if isinstance(item, SpanNote) else view.entry(item)


def _span_parents(session: Session) -> Callable[[], Mapping[str, str]]:
    """Return what tells which span stands under which: read when first asked for, and once."""

    @functools.cache
    def read() -> Mapping[str, str]:
        from agent_trace_otel.replay.span_parents import span_parents

        return span_parents(session.spans_path)

    return read
