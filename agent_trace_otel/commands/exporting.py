"""Commands that hand a session on: to other programs, to people without this one, to a back end."""

from __future__ import annotations

import os

from agent_trace_otel.commands.output import say, say_notes, session_of, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from agent_trace_otel.store.reader import Session


def export(arguments: argparse.Namespace) -> int:
    """Write a session for other programs, or send it."""
    from agent_trace_otel.commands import option_values

    session = session_of(arguments)
    if arguments.format == "otlp":
        return _export_otlp(session, arguments)
    option_values.refuse(arguments, ("endpoint", "to", "header", "service_name"), "needs --format otlp")
    if arguments.format == "html":
        return _export_html(session, arguments)
    if arguments.format == "perfetto":
        return _export_perfetto(session, arguments)
    from agent_trace_otel.replay import tables
    from agent_trace_otel.store.index import SessionIndex

    pieces = {
        "csv": tables.events_as_csv,
        "json": tables.events_as_json,
        "ndjson": tables.events_as_ndjson,
    }[arguments.format]
    with SessionIndex(session.events_path) as index:
        write(pieces(index), arguments.output)
        say_notes(session, index)
    return 0


def _export_html(session: Session, arguments: argparse.Namespace) -> int:
    from agent_trace_otel.replay.html.page import page
    from agent_trace_otel.store.index import SessionIndex

    with SessionIndex(session.events_path) as index:
        session.recount(index)
        write(page(session, index), arguments.output)
        say_notes(session, index)
    return 0


def _export_perfetto(session: Session, arguments: argparse.Namespace) -> int:
    from agent_trace_otel.replay.perfetto import as_chrome_trace
    from agent_trace_otel.replay.progress import Progress
    from agent_trace_otel.store.index import SessionIndex

    with SessionIndex(session.events_path) as index:
        session.recount(index)
        with Progress("exporting", unit="pieces") as progress:
            write(progress.each(as_chrome_trace(session, index)), arguments.output)
        say_notes(session, index)
    return 0


def _export_otlp(session: Session, arguments: argparse.Namespace) -> int:
    from agent_trace_otel.commands import option_values, targets
    from agent_trace_otel.delivery import otlp
    from agent_trace_otel.errors import StoreError
    from agent_trace_otel.replay.terminal import one_line

    service_name = arguments.service_name or os.environ.get("OTEL_SERVICE_NAME") or None
    if not os.path.exists(session.spans_path):
        msg = f"no spans.jsonl in {session.folder}: no span has ended there; what had begun is in events.ndjson alone"
        raise StoreError(msg)
    if not targets.is_named(arguments):
        import json

        option_values.refuse(arguments, ("header",), "needs --endpoint or --to")
        request = otlp.collect_request(session.spans_path, service_name)
        write(json.dumps(request, separators=(",", ":")) + "\n", arguments.output)
        return 0
    option_values.refuse(arguments, ("output",), "can't be used with --endpoint or --to")
    target = targets.target_of(arguments)
    say(f"sending {session.session_id} to {otlp.shown_url(target.url)}")
    report = otlp.send_file(session.spans_path, target, service_name=service_name)
    if not report.ok:
        say(str(report))
        return 1
    write(one_line(str(report), None) + "\n")
    return 0
