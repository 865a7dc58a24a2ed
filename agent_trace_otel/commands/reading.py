"""Commands that look at session folders."""

from __future__ import annotations

import sys

from agent_trace_otel.commands.output import paged, say, say_notes, session_of, write, write_at_once, write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from agent_trace_otel.replay.text import TextReplay
    from agent_trace_otel.replay.timeline import Selection
    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import Session


def list_sessions(arguments: argparse.Namespace) -> int:
    """List the sessions of a trace directory."""
    from agent_trace_otel.commands import option_values
    from agent_trace_otel.replay import listing, terminal
    from agent_trace_otel.store.reader import find_trace_dir

    since = option_values.since(arguments)
    trace_dir = find_trace_dir(arguments.trace_dir)
    every, refused = listing.sessions_newest_first(trace_dir)
    sessions = [one for one in every if one.started_at >= since and (one.errors or not arguments.errors)]
    if arguments.json:
        write(listing.as_json(sessions))
    elif sessions:
        width, colour = terminal.columns_of(sys.stdout), terminal.wants_colour(sys.stdout)
        write(listing.table(sessions, id_length=listing.unambiguous(every), width=width, colour=colour))
    else:
        those = " with errors" * arguments.errors + f" since {arguments.since}" * (arguments.since is not None)
        say(f"no sessions{those} in {trace_dir}")
    if refused:
        say(f"left out {refused} folders that are symlinks or another user's")
    return 0


def replay(arguments: argparse.Namespace) -> int:
    """Replay a session, as it was or as it happens."""
    from agent_trace_otel.commands import option_values

    selection, pace = option_values.selection(arguments), option_values.pace(arguments)
    if arguments.follow:
        option_values.refuse(arguments, ("live", "tree"), "can't be used with --follow")
        _follow(arguments, selection)
    elif arguments.tree:
        option_values.refuse(arguments, ("live",), "can't be used with --tree")
        _show_tree(session_of(arguments), arguments, selection)
    else:
        show(session_of(arguments), arguments, selection, pace)
    return 0


def show(
    session: Session, arguments: argparse.Namespace, selection: Selection, pace: tuple[float, float] | None
) -> None:
    """Write a replay."""
    from agent_trace_otel.replay.showing import entries_shown
    from agent_trace_otel.store.index import SessionIndex

    view = _view(arguments)
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        _write_session(session, index, view, entries_shown(session, index, selection, view, pace), is_live=bool(pace))


def _show_tree(session: Session, arguments: argparse.Namespace, selection: Selection) -> None:
    from agent_trace_otel.replay.showing import tree_shown
    from agent_trace_otel.replay.terminal import columns_of, wants_colour
    from agent_trace_otel.replay.tree_text import TreeText
    from agent_trace_otel.store.index import SessionIndex

    colour = wants_colour(sys.stdout, no_colour=arguments.no_color)
    drawn = TreeText(columns_of(sys.stdout), colour=colour, full=arguments.full)
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        _write_session(session, index, _view(arguments), tree_shown(session, index, selection, drawn))


def _follow(arguments: argparse.Namespace, selection: Selection) -> None:
    from agent_trace_otel.replay.follow import session_to_follow
    from agent_trace_otel.replay.showing import arriving_shown
    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import Session

    session = session_to_follow(arguments.trace_dir, arguments.session, say)
    view = _view(arguments)
    with SessionIndex(session.events_path, grows=True) as index:
        write_at_once(arriving_shown(session, index, selection, view))
        session = Session(session.folder)  # as meta.json has it by now
        session.recount(index)
        write(view.ending(session, index.open_calls()))
        write("\n" + view.summary(session))
        say_notes(session, index)


def _write_session(
    session: Session, index: SessionIndex, view: TextReplay, pieces: Iterator[str], *, is_live: bool = False
) -> None:
    """Write what is shown of a session between its summary and its ending; long, on a terminal, through a pager."""
    first = next(pieces, "")
    with paged(is_wanted=not is_live):
        write(view.summary(session))
        write(first)
        if is_live:
            write_at_once(pieces)
        else:
            write(pieces)
        write(view.ending(session, index.open_calls()))
    if not first and len(index):
        say("no event matches; agent-trace stats names the tools there are")
    say_notes(session, index)


def _view(arguments: argparse.Namespace) -> TextReplay:
    from agent_trace_otel.replay import terminal
    from agent_trace_otel.replay.text import TextReplay

    colour = terminal.wants_colour(sys.stdout, no_colour=arguments.no_color)
    return TextReplay(terminal.columns_of(sys.stdout), colour=colour, full=arguments.full)


def stats(arguments: argparse.Namespace) -> int:
    """Count a session's calls, errors, tokens and cost."""
    from agent_trace_otel.replay import costs, stats, stats_table, terminal
    from agent_trace_otel.store.index import SessionIndex

    session = session_of(arguments)
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        found = stats.figures(session, index)
        if arguments.json:
            import json

            write(json.dumps(found, indent=2) + "\n")
        else:
            width, colour = terminal.columns_of(sys.stdout), terminal.wants_colour(sys.stdout)
            write(stats_table.lines(session, found, width=width, colour=colour))
        say_notes(session, index)
        if hint := costs.hint(found["cost"]):
            say(hint)
    return 0


def explain(arguments: argparse.Namespace) -> int:
    """Tell a session's story in short."""
    from agent_trace_otel.replay.explain import facts, lines
    from agent_trace_otel.replay.terminal import columns_of, wants_colour
    from agent_trace_otel.store.index import SessionIndex

    session = session_of(arguments)
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        found = facts.explanation(session, index)
        if arguments.json:
            write_json(found)
        else:
            width, colour = columns_of(sys.stdout), wants_colour(sys.stdout, no_colour=arguments.no_color)
            with paged(is_wanted=True):
                write(lines.lines(session, found, width=width, colour=colour, full=arguments.full))
        say_notes(session, index)
    return 0


def diff(arguments: argparse.Namespace) -> int:
    """Compare two sessions."""
    from agent_trace_otel.replay.diff import differences, lines
    from agent_trace_otel.replay.terminal import columns_of, wants_colour
    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import find_session, find_trace_dir

    trace_dir = find_trace_dir(arguments.trace_dir)
    a, b = find_session(trace_dir, arguments.a), find_session(trace_dir, arguments.b)
    with SessionIndex(a.events_path) as index_of_a, SessionIndex(b.events_path) as index_of_b:
        a.recount(index_of_a)
        b.recount(index_of_b)
        found = differences.comparison(differences.Side(a, index_of_a), differences.Side(b, index_of_b))
        if arguments.json:
            write_json(found)
        else:
            width, colour = columns_of(sys.stdout), wants_colour(sys.stdout, no_colour=arguments.no_color)
            with paged(is_wanted=True):
                write(lines.lines(found, width=width, colour=colour, full=arguments.full))
        say_notes(a, index_of_a)
        say_notes(b, index_of_b)
    return 0


def inspect(arguments: argparse.Namespace) -> int:
    """Write everything that is known of a session as JSON."""
    from agent_trace_otel.replay.tables import document
    from agent_trace_otel.store.index import SessionIndex

    session = session_of(arguments)
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        write(document(session, index))
        say_notes(session, index)
    return 0


def redact(arguments: argparse.Namespace) -> int:
    """Tell what redaction would withhold from a file."""
    from agent_trace_otel import config
    from agent_trace_otel.replay.redaction import report

    if arguments.file == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    else:
        with open(arguments.file, "rb") as file:
            text = file.read().decode("utf-8", "replace")
    write(report(text, config.load().redactor()))
    return 0


def completion(arguments: argparse.Namespace) -> int:
    """Write what a shell needs to complete our command lines."""
    from agent_trace_otel.commands import grammar, targets
    from agent_trace_otel.replay.completion import SCRIPTS, candidates

    if not arguments.words:
        write(SCRIPTS[arguments.shell])
        return 0
    words = arguments.words[arguments.words[:1] == ["--"] :]
    known = {"--to": targets.names()} if words[-2:-1] == ["--to"] else {}
    write(f"{word}\t{meaning}\n" for word, meaning in candidates(grammar.parser(words), words, known))
    return 0
