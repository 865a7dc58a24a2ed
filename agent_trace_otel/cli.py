"""agent-trace: the command line.

Comes in: argv. Goes out: text on stdout, one line on stderr when something is wrong, an exit code: 0 fine, 1 an error,
2 usage, 130 interrupted. Called by the console scripts and ``python -m agent_trace_otel``.

Starting up is what a user waits for most, so nothing is imported here but what finds the command; each command imports
its own.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from agent_trace_otel.replay.timeline import Selection
    from agent_trace_otel.store.index import SessionIndex
    from agent_trace_otel.store.reader import Session

_INTERRUPTED = 130  # 128 + SIGINT, as shells count
_BLOCK = 1 << 16  # characters in one write


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Raises:
        SystemExit: the arguments make no sense (2), or --help or --version was asked for (0).
    """
    from agent_trace_otel import options
    from agent_trace_otel.errors import AgentTraceError

    # a stdout that can't say an arrow or an emoji says ? instead of failing
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
    try:
        argv = sys.argv[1:] if argv is None else argv
        arguments = options.parser(argv).parse_args(argv)
        code = _COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
    except AgentTraceError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        # the reader has seen enough; without this the interpreter's own last flush would fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def _demo(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from agent_trace_otel.demo import run
    from agent_trace_otel.replay.timeline import Selection
    from agent_trace_otel.store.reader import DEFAULT_TRACE_DIR, configured_trace_dir, find_session

    named = arguments.trace_dir or os.environ.get("AGENT_TRACE_DIR") or configured_trace_dir()
    trace_dir = named or DEFAULT_TRACE_DIR
    again = f"agent-trace --trace-dir {arguments.trace_dir}" if arguments.trace_dir else "agent-trace"
    session = find_session(trace_dir, run(Path(trace_dir)))
    _show(session, arguments, Selection(), None)
    _write(
        "\nNext:\n"
        f"  {again} list                   every session recorded here\n"
        f"  {again} replay --errors        only what failed\n"
        f"  {again} export {session.session_id[:8]} --format otlp --endpoint http://localhost:4318\n"
    )
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from agent_trace_otel import doctor
    from agent_trace_otel.replay.terminal import columns_of

    sections = doctor.examine(arguments.trace_dir, os.environ, Path.cwd())
    report = doctor.as_json(sections)
    if arguments.json:
        import json

        _write(json.dumps(report, indent=2) + "\n")
    else:
        _write(doctor.as_text(sections, columns_of(sys.stdout)))
    return 0 if report["ok"] else 1


def _list(arguments: argparse.Namespace) -> int:
    from agent_trace_otel.replay import listing, terminal
    from agent_trace_otel.store.reader import find_trace_dir

    trace_dir = find_trace_dir(arguments.trace_dir)
    every, refused = listing.sessions_newest_first(trace_dir)
    sessions = [session for session in every if session.errors] if arguments.errors else every
    if arguments.json:
        _write(listing.as_json(sessions))
    elif sessions:
        colour = terminal.wants_colour(sys.stdout)
        _write(listing.table(sessions, id_length=listing.unambiguous(every), colour=colour))
    else:
        _say(f"no sessions{' with errors' * arguments.errors} in {trace_dir}")
    if refused:
        _say(f"left out {refused} folders that are symlinks or another user's")
    return 0


def _replay(arguments: argparse.Namespace) -> int:
    from agent_trace_otel import options

    selection, pace = options.selection(arguments), options.pace(arguments)
    _show(_session(arguments), arguments, selection, pace)
    return 0


def _show(
    session: Session, arguments: argparse.Namespace, selection: Selection, pace: tuple[float, float] | None
) -> None:
    import time

    from agent_trace_otel.replay import terminal
    from agent_trace_otel.replay.play import paced
    from agent_trace_otel.replay.text import TextReplay
    from agent_trace_otel.replay.timeline import timeline
    from agent_trace_otel.store.index import SessionIndex

    colour = terminal.wants_colour(sys.stdout, no_colour=arguments.no_color)
    view = TextReplay(terminal.columns_of(sys.stdout), colour=colour, full=arguments.full)
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        now = time.time() if session.state == "running" else None
        entries = timeline(index, selection, now)
        _write(view.summary(session))
        if pace is None:
            _write(map(view.entry, entries))
        else:
            for entry in paced(entries, speed=pace[0], max_idle=pace[1]):
                _write(view.entry(entry))
                sys.stdout.flush()
        if not selection.is_everything and not any(selection.takes(index, n) for n in range(len(index))):
            _say("no event matches; agent-trace stats names the tools there are")
        _write(view.ending(session, sum(map(index.is_open, range(len(index))))))
        _say_notes(session, index)


def _stats(arguments: argparse.Namespace) -> int:
    from agent_trace_otel.replay import stats, terminal
    from agent_trace_otel.store.index import SessionIndex

    session = _session(arguments)
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        found = stats.figures(session, index)
        if arguments.json:
            import json

            _write(json.dumps(found, indent=2) + "\n")
        else:
            width, colour = terminal.columns_of(sys.stdout), terminal.wants_colour(sys.stdout)
            _write(stats.table(session, found, width=width, colour=colour))
        _say_notes(session, index)
    return 0


def _inspect(arguments: argparse.Namespace) -> int:
    from agent_trace_otel.replay.tables import document
    from agent_trace_otel.store.index import SessionIndex

    session = _session(arguments)
    with SessionIndex(session.events_path) as index:
        session.recount(index)
        _write(document(session, index))
        _say_notes(session, index)
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from agent_trace_otel import options

    session = _session(arguments)
    if arguments.format == "otlp":
        return _export_otlp(session, arguments)
    options.refuse(arguments, ("endpoint", "header", "service_name"), "needs --format otlp")
    from agent_trace_otel.replay import tables
    from agent_trace_otel.store.index import SessionIndex

    pieces = {
        "csv": tables.events_as_csv,
        "json": tables.events_as_json,
        "ndjson": tables.events_as_ndjson,
    }[arguments.format]
    with SessionIndex(session.events_path) as index:
        _write(pieces(index), arguments.output)
        _say_notes(session, index)
    return 0


def _export_otlp(session: Session, arguments: argparse.Namespace) -> int:
    from agent_trace_otel import options
    from agent_trace_otel.delivery import otlp
    from agent_trace_otel.errors import StoreError
    from agent_trace_otel.replay.terminal import one_line

    service_name = arguments.service_name or os.environ.get("OTEL_SERVICE_NAME") or None
    if not os.path.exists(session.spans_path):
        msg = f"no spans.jsonl in {session.folder}: no span has ended there; what had begun is in events.ndjson alone"
        raise StoreError(msg)
    if arguments.endpoint is None:
        import json

        options.refuse(arguments, ("header",), "needs --endpoint")
        request = otlp.collect_request(session.spans_path, service_name)
        _write(json.dumps(request, separators=(",", ":")) + "\n", arguments.output)
        return 0
    options.refuse(arguments, ("output",), "can't be used with --endpoint")
    url = otlp.traces_url(arguments.endpoint)
    _say(f"sending {session.session_id} to {otlp.shown_url(url)}")
    report = otlp.send_file(session.spans_path, url, options.headers(arguments.header), service_name=service_name)
    if not report.ok:
        return _fail(str(report), 1)
    _write(one_line(str(report), None) + "\n")
    return 0


def _record(arguments: argparse.Namespace) -> int:
    from agent_trace_otel.capture.mcp import stdio
    from agent_trace_otel.errors import UsageError

    command = arguments.server[arguments.server[:1] == ["--"] :]
    if not command:
        msg = "record wants the server's command line: agent-trace record -- COMMAND..."
        raise UsageError(msg)
    stdio.record(
        command,
        name=arguments.name,
        redact=arguments.redact,
        trace_dir=arguments.trace_dir or "",
        injects=arguments.inject_traceparent,
        is_verbose=arguments.verbose,
    )


def _redact(arguments: argparse.Namespace) -> int:
    from agent_trace_otel import config
    from agent_trace_otel.replay.redaction import report

    if arguments.file == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    else:
        with open(arguments.file, "rb") as file:
            text = file.read().decode("utf-8", "replace")
    _write(report(text, config.load().redactor()))
    return 0


def _record_http(arguments: argparse.Namespace) -> int:
    from agent_trace_otel import options
    from agent_trace_otel.capture.mcp import http

    given = http.Options(
        port=arguments.port,
        bind=arguments.bind,
        name=arguments.name,
        redact=False if arguments.no_redact else None,
        trace_dir=arguments.trace_dir or "",
        headers=options.headers(arguments.header),
        allow_hosts=arguments.allow_host,
        allow_origins=arguments.allow_origin,
        rewrites_oauth=arguments.rewrite_oauth,
        injects_traceparent=arguments.inject_traceparent,
    )
    return http.record_http(arguments.url, given)


def _setup(arguments: argparse.Namespace) -> int:
    from agent_trace_otel import options
    from agent_trace_otel.capture.hooks.setup import command as setup
    from agent_trace_otel.capture.hooks.setup.agents import AGENTS
    from agent_trace_otel.errors import UsageError

    values = options.config_values(arguments)
    if arguments.endpoint is not None:
        from agent_trace_otel.delivery.otlp import traces_url

        traces_url(arguments.endpoint)
    request = setup.Request(AGENTS[arguments.agent], arguments.scope, portable=arguments.portable, values=values)
    if arguments.remove:
        if values:
            msg = "--remove takes hooks out, and sets nothing"
            raise UsageError(msg)
        _write("".join(f"{line}\n" for line in setup.remove(request)))
        return 0
    _write("".join(f"{line}\n" for line in setup.write(request)) if arguments.write else setup.shown(request))
    sys.stdout.flush()
    for note in setup.notes(request, writes=arguments.write):
        _say(note)
    return 0


def _hook(arguments: argparse.Namespace) -> int:
    if arguments.trace_dir:
        os.environ["AGENT_TRACE_DIR"] = os.path.abspath(arguments.trace_dir)
    # begun anew, with `hook` as the first word: the client reads the environment that its process was given
    os.execv(sys.executable, [sys.executable, "-m", "agent_trace_otel", "hook", *arguments.words])  # noqa: S606 - ourselves


def _session(arguments: argparse.Namespace) -> Session:
    from agent_trace_otel.store.reader import find_session, find_trace_dir

    return find_session(find_trace_dir(arguments.trace_dir), arguments.session)


def _say_notes(session: Session, index: SessionIndex) -> None:
    from agent_trace_otel.replay.notes import notes

    sys.stdout.flush()
    for note in notes(session, index):
        _say(note)


def _write(text: str | Iterable[str], path: str | None = None) -> None:
    """Write text, or pieces of it, in blocks: to a file, or to stdout when there is no path or it is ``-``."""
    pieces = (text,) if isinstance(text, str) else text
    if path not in (None, "-"):
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)
        return
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            sys.stdout.write("".join(waiting))
            waiting.clear()
            size = 0
    sys.stdout.write("".join(waiting))


def _say(message: str) -> None:
    from agent_trace_otel.replay.terminal import one_line

    sys.stderr.write(f"agent-trace: {one_line(message, None)}\n")


def _fail(message: str, code: int) -> int:
    _say(message)
    return code


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": _demo,
    "doctor": _doctor,
    "export": _export,
    "hook": _hook,
    "inspect": _inspect,
    "list": _list,
    "record-http": _record_http,
    "record": _record,
    "redact": _redact,
    "replay": _replay,
    "setup": _setup,
    "stats": _stats,
}
