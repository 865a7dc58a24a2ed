"""The command that takes old sessions away."""

from __future__ import annotations

import os

from agent_trace_otel.commands.output import say, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from agent_trace_otel.retention.deciding import Verdict
    from agent_trace_otel.retention.removing import Removed


def prune(arguments: argparse.Namespace) -> int:
    """Remove sessions that are too old or too much, and tell what stays."""
    import time

    from agent_trace_otel.commands import option_values
    from agent_trace_otel.errors import UsageError
    from agent_trace_otel.replay.progress import Progress
    from agent_trace_otel.replay.sizes import size
    from agent_trace_otel.retention import deciding, looking, removing
    from agent_trace_otel.store.reader import find_trace_dir, session_folders

    if os.unlink not in os.supports_dir_fd:
        msg = "prune needs a POSIX system: remove session folders by hand here"
        raise UsageError(msg)
    wish = deciding.Wish(
        option_values.older_than(arguments), option_values.max_size(arguments), arguments.undelivered_too
    )
    targets, untold = _targets(), _untold()
    trace_dir = find_trace_dir(arguments.trace_dir)
    for path in () if arguments.dry_run else removing.put_back_left_behind(trace_dir):
        say(f"put back {os.path.basename(path)}, which a prune that was killed had set aside")
    folders, refused = session_folders(trace_dir)
    with Progress("looking", total=len(folders), unit="sessions") as progress:
        found = [looking.look_at(folder, targets, untold) for folder in progress.each(folders)]
    sessions = [one for one in found if one is not None]
    verdicts = deciding.decide(sessions, wish, time.time())
    going = [verdict for verdict in verdicts if verdict.goes]
    done = removing.Removed(gone=[one.session.folder for one in going])
    if not arguments.dry_run:
        done = removing.remove({one.session.folder: one.session.snapshot for one in going})
    write(_told(verdicts, done, time.time(), is_dry=arguments.dry_run))
    gone = sum(one.session.bytes for one in going if one.session.folder in done.gone)
    left = sum(one.bytes for one in sessions) - gone
    verb = "would be removed" if arguments.dry_run else "removed"
    write(f"{len(done.gone):,} of {len(found):,} sessions {verb}, {size(gone)}; {size(left)} left in {trace_dir}\n")
    if refused + len(found) - len(sessions):
        say(f"left alone {refused + len(found) - len(sessions)} folders that are links, another user's, or no sessions")
    undelivered = sum(not one.goes and one.is_about_delivery for one in verdicts)
    if undelivered:
        say(f"kept {undelivered} for spans that a back end has not got: agent-trace ship --all, or --undelivered-too")
    for folder, why in done.failed.items():
        say(f"{folder}: {why}")
    if wish.max_bytes is not None and left > wish.max_bytes:
        say(f"still more than {size(wish.max_bytes)}: what is left is running, undelivered or could not be removed")
        return 1
    return 1 if done.failed else 0


def _targets() -> list[str]:
    """Return the name of the configured back end: what it has not got is kept, even if nothing was ever sent there."""
    from agent_trace_otel import config
    from agent_trace_otel.delivery.configured import configured_url
    from agent_trace_otel.delivery.otlp import target_name

    url = configured_url(config.load())
    return [target_name(url)] if url is not None else []


def _untold() -> frozenset[str]:
    """Return the sessions that a recorder of hooks has more to tell of."""
    from pathlib import Path

    from agent_trace_otel.capture.hooks import state
    from agent_trace_otel.capture.hooks.intake.journal import untold_sessions

    return frozenset(untold_sessions(Path(state.directory()) / state.JOURNALS))


def _told(verdicts: Sequence[Verdict], done: Removed, now: float, *, is_dry: bool) -> Iterator[str]:
    """Yield a line for each session that a limit asked to go."""
    from agent_trace_otel.replay.durations import age
    from agent_trace_otel.replay.sizes import size
    from agent_trace_otel.replay.terminal import one_line

    gone, alive = set(done.gone), set(done.alive)
    for verdict in verdicts:
        session, folder = verdict.session, verdict.session.folder
        if not verdict.goes:
            what, why = "kept", verdict.why
        elif folder in gone:
            what, why = "would go" if is_dry else "removed", verdict.why
        elif folder in alive:
            what, why = "kept", "it has come alive"
        elif folder in done.not_empty:
            what, why = "emptied", f"other files are in its folder: {', '.join(done.not_empty[folder])}"
        else:
            what, why = "kept", done.failed.get(folder, "")
        facts = f"{age(now - session.last):>5}  {size(session.bytes):>7}"
        yield f"{what:<9}  {session.session_id[:36]:<36}  {facts}  {one_line(why, None)}\n"
