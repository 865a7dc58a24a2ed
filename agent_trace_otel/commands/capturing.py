"""Commands that record, and that set recording up."""

from __future__ import annotations

import os
import sys

from agent_trace_otel.commands.output import say, write
from agent_trace_otel.commands.reading import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from agent_trace_otel.delivery.target import Target


def demo(arguments: argparse.Namespace) -> int:
    """Record an offline agent and replay it."""
    from pathlib import Path

    from agent_trace_otel.demo import run
    from agent_trace_otel.replay.timeline import Selection
    from agent_trace_otel.store.reader import DEFAULT_TRACE_DIR, configured_trace_dir, find_session

    named = arguments.trace_dir or os.environ.get("AGENT_TRACE_DIR") or configured_trace_dir()
    trace_dir = named or DEFAULT_TRACE_DIR
    again = f"agent-trace --trace-dir {arguments.trace_dir}" if arguments.trace_dir else "agent-trace"
    session = find_session(trace_dir, run(Path(trace_dir)))
    show(session, arguments, Selection(), None)
    write(
        "\nNext:\n"
        f"  {again} list                   every session recorded here\n"
        f"  {again} replay --errors        only what failed\n"
        f"  {again} export {session.session_id[:8]} --format otlp --endpoint http://localhost:4318\n"
    )
    return 0


def import_transcripts(arguments: argparse.Namespace) -> int:
    """Make sessions of a coding agent's transcripts."""
    from pathlib import Path

    from agent_trace_otel.capture.importing import command as importing
    from agent_trace_otel.commands import option_values, targets
    from agent_trace_otel.errors import UsageError
    from agent_trace_otel.replay.progress import Progress
    from agent_trace_otel.replay.terminal import one_line

    if bool(arguments.paths) == arguments.discover:
        msg = "import wants the paths of transcripts, or --discover for all that Claude Code keeps"
        raise UsageError(msg)
    target = targets.target_of(arguments) if targets.is_named(arguments) else None
    if target is None:
        option_values.refuse(arguments, ("header",), "needs --endpoint or --to")
    found, problems = importing.find([Path(path) for path in arguments.paths], option_values.since(arguments))
    for problem in problems:
        say(problem)
    if not found and not problems:
        say("no transcripts" + f" since {arguments.since}" * (arguments.since is not None))
    total = sum(os.path.getsize(transcript.path) for transcript in found)
    with Progress("importing", total=total, unit="bytes") as progress:
        outcomes = list(
            importing.import_each(
                found,
                trace_dir=arguments.trace_dir,
                redact=False if arguments.no_redact else None,
                is_dry=arguments.dry_run,
                progress=progress.advance,
            )
        )
    for problem in (one for one in outcomes if isinstance(one, str)):
        say(problem)
    imported = [one for one in outcomes if not isinstance(one, str)]
    for store in dict.fromkeys(added.store for added in imported):
        say(f"sessions {'would go' if arguments.dry_run else 'go'} to {store}")
    write(one_line(importing.shown(added, is_dry=arguments.dry_run), None) + "\n" for added in imported)
    is_sent = target is None or arguments.dry_run or _send([added.spans_path.parent for added in imported], target)
    return 0 if is_sent and (imported or not (found or problems)) else 1


def _send(folders: list[Path], target: Target) -> bool:
    """Send what a back end has not acknowledged of sessions that were imported; nobody writes to them any more."""
    from contextlib import closing

    from agent_trace_otel.delivery.lost_story import NEVER
    from agent_trace_otel.delivery.shipping import Shipper

    with closing(Shipper(target, patience=10.0, grace=lambda _: NEVER, say=say)) as shipper:
        report = shipper.ship(folders)
    say(str(report))
    return report.ok


def record(arguments: argparse.Namespace) -> int:
    """Pass an MCP server's streams on and record them."""
    _need_posix(arguments)
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


def run(arguments: argparse.Namespace) -> int:
    """Run a program whose Pythons trace themselves."""
    _need_posix(arguments)
    from pathlib import Path

    from agent_trace_otel import instrumentation
    from agent_trace_otel.capture.run import command as running
    from agent_trace_otel.capture.run.plan import planned
    from agent_trace_otel.commands import option_values
    from agent_trace_otel.errors import UsageError

    command = arguments.program[arguments.program[:1] == ["--"] :]
    if not command:
        msg = "run wants the program's command line: agent-trace run -- COMMAND..."
        raise UsageError(msg)
    also = [name for name in ("files", "subprocesses") if getattr(arguments, name)]
    watched = instrumentation.watched(option_values.names(arguments.only), option_values.names(arguments.skip), also)
    plan = planned(
        command,
        name=arguments.name,
        redact=arguments.redact,
        trace_dir=None if arguments.trace_dir is None else Path(arguments.trace_dir),
        watched=watched,
    )
    running.run(plan, say)


def record_http(arguments: argparse.Namespace) -> int:
    """The same for a server behind HTTP."""
    _need_posix(arguments)
    from agent_trace_otel.capture.mcp.http import proxy as http
    from agent_trace_otel.commands import option_values

    given = http.Options(
        port=arguments.port,
        bind=arguments.bind,
        name=arguments.name,
        redact=False if arguments.no_redact else None,
        trace_dir=arguments.trace_dir or "",
        headers=option_values.headers(arguments.header),
        allow_hosts=arguments.allow_host,
        allow_origins=arguments.allow_origin,
        rewrites_oauth=arguments.rewrite_oauth,
        injects_traceparent=arguments.inject_traceparent,
    )
    return http.record_http(arguments.url, given)


def _need_posix(arguments: argparse.Namespace) -> None:
    """Refuse what stands before another program and passes signals on, where there are none to pass on."""
    import signal

    if not hasattr(signal, "pthread_sigmask"):
        from agent_trace_otel.errors import UsageError

        msg = f"{arguments.command} needs a POSIX system: trace inside the program here, with instrument()"
        raise UsageError(msg)


def setup(arguments: argparse.Namespace) -> int:
    """Print or write a coding agent's hook settings."""
    from agent_trace_otel.capture.hooks.setup import command as setup
    from agent_trace_otel.capture.hooks.setup.agents import AGENTS
    from agent_trace_otel.commands import option_values
    from agent_trace_otel.errors import UsageError

    values = option_values.config_values(arguments)
    if arguments.to is not None:
        from agent_trace_otel.commands import targets

        values[("otlp", "keys")] = targets.keys_of(arguments) or None
    elif arguments.endpoint is not None:
        from agent_trace_otel.delivery.otlp import traces_url

        traces_url(arguments.endpoint)
    request = setup.Request(AGENTS[arguments.agent], arguments.scope, portable=arguments.portable, values=values)
    if arguments.remove:
        if values:
            msg = "--remove takes hooks out, and sets nothing"
            raise UsageError(msg)
        write("".join(f"{line}\n" for line in setup.remove(request)))
        return 0
    write("".join(f"{line}\n" for line in setup.write(request)) if arguments.write else setup.shown(request))
    sys.stdout.flush()
    for note in setup.notes(request, writes=arguments.write):
        say(note)
    return 0


def hook(arguments: argparse.Namespace) -> int:
    """Handle one hook event, for options before the command."""
    if arguments.trace_dir:
        os.environ["AGENT_TRACE_DIR"] = os.path.abspath(arguments.trace_dir)
    # begun anew, with `hook` as the first word: the client reads the environment that its process was given
    os.execv(sys.executable, [sys.executable, "-m", "agent_trace_otel", "hook", *arguments.words])  # noqa: S606 - ourselves


def doctor(arguments: argparse.Namespace) -> int:
    """Tell what is configured, what is recorded, and what is wrong."""
    from pathlib import Path

    from agent_trace_otel.commands import option_values, targets
    from agent_trace_otel.doctor import report
    from agent_trace_otel.replay.terminal import columns_of, wants_colour

    asked = targets.target_of(arguments) if targets.is_named(arguments) else None
    if asked is None:
        option_values.refuse(arguments, ("header",), "needs --endpoint or --to")
    sections = report.examine(
        arguments.trace_dir,
        os.environ,
        Path.cwd(),
        asked=asked,
        sends=not arguments.no_send,
        tries=arguments.libraries,
    )
    found = report.as_json(sections)
    if arguments.json:
        import json

        write(json.dumps(found, indent=2) + "\n")
    else:
        write(report.as_text(sections, columns_of(sys.stdout), colour=wants_colour(sys.stdout)))
    return 0 if found["ok"] else 1
