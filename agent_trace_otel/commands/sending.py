"""The command that sends what a back end has not acknowledged."""

from __future__ import annotations

import os

from agent_trace_otel.commands.output import say, session_of, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from agent_trace_otel.delivery.shipping import Shipper, ShipReport

_RECORDERS_GRACE = 60.0
"""Seconds: a recorder looks every ten whether a client is gone, and tells the end better than we could."""


def ship(arguments: argparse.Namespace) -> int:
    """Send what waits in one session or in all, once or for as long as spans come."""
    from agent_trace_otel.commands import option_values

    if arguments.session is not None:
        option_values.refuse(arguments, ("all",), "and an ID can't both be meant")
    if arguments.failed:
        option_values.refuse(arguments, ("follow", "unsampled_too"), "can't be used with --failed")
        return _list_failed(arguments)
    from contextlib import ExitStack

    from agent_trace_otel.commands.targets import target_of
    from agent_trace_otel.delivery.shipping import Shipper
    from agent_trace_otel.replay.progress import Progress

    target = target_of(arguments)
    folders = _folders(arguments)
    with ExitStack() as stack:
        shipper = Shipper(target, unsampled_too=arguments.unsampled_too, grace=_grace(), say=say)
        stack.callback(shipper.close)
        if arguments.follow:
            report = _follow(shipper, folders, ends_with_session=arguments.session is not None)
        else:
            found = folders()
            progress = stack.enter_context(Progress("sending", total=sum(map(_bytes_of, found)), unit="bytes"))
            report = shipper.ship(found, progress=progress.advance)
    if not report.ok:
        say(str(report))
        return 1
    write(f"{report}\n")
    return 0


def _folders(arguments: argparse.Namespace) -> Callable[[], list[Path]]:
    """Return what names the sessions that are meant, anew each time it is asked."""
    from pathlib import Path

    from agent_trace_otel.errors import SessionNotFoundError
    from agent_trace_otel.store.reader import find_trace_dir, session_folders

    def every() -> list[Path]:
        try:
            trace_dir = find_trace_dir(arguments.trace_dir)
        except SessionNotFoundError:
            if arguments.follow:
                return []  # it is made with the first session
            raise
        return [Path(folder) for folder in sorted(session_folders(trace_dir)[0])]

    if arguments.all or (arguments.follow and arguments.session is None):
        return every
    only = [Path(session_of(arguments).folder)]
    return lambda: only


def _bytes_of(folder: Path) -> int:
    try:
        return os.path.getsize(folder / "spans.jsonl")
    except OSError:
        return 0


def _grace() -> Callable[[Path], float]:
    """Return what says how long a dead session must be silent: longer while a recorder has more to tell of it."""
    from pathlib import Path

    from agent_trace_otel.capture.hooks import state
    from agent_trace_otel.capture.hooks.intake.journal import untold_sessions
    from agent_trace_otel.delivery.lost_story import GRACE

    untold = untold_sessions(Path(state.directory()) / state.JOURNALS)
    return lambda folder: _RECORDERS_GRACE if folder.name in untold else GRACE


def _follow(shipper: Shipper, folders: Callable[[], list[Path]], *, ends_with_session: bool) -> ShipReport:
    """Send until the first SIGINT or SIGTERM, or until the one session is over."""
    import signal
    from threading import Event

    from agent_trace_otel.delivery.following import Following
    from agent_trace_otel.delivery.shipping import is_over

    ended = Event()

    def until() -> bool:
        return ended.is_set() or (ends_with_session and all(is_over(folder) for folder in folders()))

    def end(*_: object) -> None:
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return Following(shipper, ended.wait).run(folders, until)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _list_failed(arguments: argparse.Namespace) -> int:
    """List the spans that were set aside: session, span, back end, reason."""
    from agent_trace_otel.commands.targets import is_named, target_of
    from agent_trace_otel.delivery.ledger import PARTIAL, Ledger
    from agent_trace_otel.delivery.otlp import target_name
    from agent_trace_otel.delivery.standing import targets_in
    from agent_trace_otel.replay.terminal import one_line

    only = target_name(target_of(arguments).url) if is_named(arguments) else None
    found = 0
    for folder in _folders(arguments)():
        for target in targets_in(folder):
            if only not in (None, target):
                continue
            for failure in Ledger(folder, target).failures():
                found += 1
                maybe = "perhaps " if failure.kind == PARTIAL else ""
                line = f"{os.path.basename(folder)} {failure.span_id:016x} {target}: {maybe}{failure.reason}"
                write(one_line(line, None) + "\n")
    if not found:
        say("nothing is set aside")
    return 0
