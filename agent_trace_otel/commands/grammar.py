"""The command line's grammar: its commands and their options.

Comes in: argv. Goes out: a parser, whose Namespace `option_values` reads. Called by `cli`, and to complete a line.
"""

from __future__ import annotations

import argparse
import functools
import sys

from agent_trace_otel.commands.option_values import LONGEST_PAUSE
from agent_trace_otel.replay.terminal import columns_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXPORT_FORMATS = ("json", "csv", "ndjson", "otlp", "html", "perfetto")
_HELP_WIDTH = 100


def parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """Return the grammar for some arguments; a parsed Namespace names its command in ``command``.

    Only commands that occur in ``argv`` get their options: making all of them takes longer than a small replay.
    """
    top = argparse.ArgumentParser(
        prog="agent-trace",
        formatter_class=_Help,
        description="strace for AI agents: replay, count and export what an agent did.",
        epilog="Sessions lie in .agent-traces, looked for here and in the directories above. ID is any unambiguous "
        "beginning of a session's id; without one the newest session is meant.",
        allow_abbrev=False,
    )
    top.add_argument("--trace-dir", metavar="DIR", help="where sessions are (default: AGENT_TRACE_DIR, .agent-traces)")
    top.add_argument("--version", action=_Version, help="show the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (text, add_options) in _COMMANDS.items():
        description = f"{text[0].upper()}{text[1:]}."
        command = commands.add_parser(
            name,
            help=text,
            description=description,
            epilog=f"Example: agent-trace {_EXAMPLES[name]}" if name in _EXAMPLES else None,
            formatter_class=_Help,
            allow_abbrev=False,
        )
        if name in argv:
            add_options(command)
    return top


class _Help(argparse.HelpFormatter):
    """Help as wide as the terminal; argparse makes one for every option, and would load shutil to ask it."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=min(columns_of(sys.stdout), _HELP_WIDTH))


class _Version(argparse.Action):
    """--version, without loading the package's metadata for every other command."""

    def __init__(self, option_strings: list[str], **given: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, default=argparse.SUPPRESS, nargs=0, help=given.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from agent_trace_otel import __version__

        sys.stdout.write(f"agent-trace {__version__}\n")
        parser.exit()


def _demo(command: argparse.ArgumentParser) -> None:
    command.add_argument("--full", action="store_true", help="cut nothing: whole arguments, results and responses")
    command.add_argument("--no-color", action="store_true", help="plain text; NO_COLOR does the same")


def _doctor(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="as JSON")
    command.add_argument("--no-send", action="store_true", help="send no test span to the back end")
    command.add_argument("--libraries", action="store_true", help="import each library and try what can be patched")
    _back_end(command, "send the test span")


def _list(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="as JSON")
    command.add_argument("--errors", action="store_true", help="only sessions with errors")
    command.add_argument("--since", metavar="T", help="only sessions begun since: 30m, 2h, 3d, 1w ago, or a date")


def _replay(command: argparse.ArgumentParser) -> None:
    _session(command)
    command.add_argument("--filter", metavar="TYPE,..", help="only events of these types, such as tool_call,error")
    command.add_argument("--tool", metavar="NAME", help="only calls of this tool and what closed them; * and ? match")
    command.add_argument("--errors", action="store_true", help="only errors and the calls that they closed")
    command.add_argument("--grep", metavar="RE", help="only events whose data matches this regular expression")
    command.add_argument("--from", dest="since", metavar="T", help="begin there: 90s, 2m30s after the start, or 14:32")
    command.add_argument("--to", dest="until", metavar="T", help="end there")
    command.add_argument("--tree", action="store_true", help="as a tree: turns, their calls, sub-agents")
    command.add_argument("--follow", action="store_true", help="what comes: of a session that runs, or the next")
    command.add_argument("--live", action="store_true", help="with the pauses that lay between the events")
    command.add_argument("--speed", metavar="X", help="with --live: so many times faster")
    command.add_argument("--max-idle", metavar="S", help=f"with --live: no longer pause (default: {LONGEST_PAUSE:g} s)")
    _demo(command)


def _stats(command: argparse.ArgumentParser) -> None:
    _session(command)
    command.add_argument("--json", action="store_true", help="as JSON")


def _export(command: argparse.ArgumentParser) -> None:
    _session(command)
    command.add_argument("--format", choices=EXPORT_FORMATS, default="json", help="the format (default: json)")
    command.add_argument("-o", "--output", metavar="FILE", help="write to a file (default: stdout)")
    _back_end(command, "with otlp: send it")
    command.add_argument("--service-name", metavar="NAME", help="with otlp: service.name instead of the recorded one")


def _explain(command: argparse.ArgumentParser) -> None:
    _session(command)
    _told_briefly(command)


def _diff(command: argparse.ArgumentParser) -> None:
    command.description = f"{command.description} Exits with 0 whether they differ or not."
    command.add_argument("a", metavar="A", help="beginning of the first session's id")
    command.add_argument("b", metavar="B", help="beginning of the other one's")
    _told_briefly(command)


def _setup(command: argparse.ArgumentParser) -> None:
    from agent_trace_otel.capture.hooks.setup.agents import AGENTS

    first = next(iter(AGENTS))
    command.add_argument("agent", metavar="AGENT", nargs="?", choices=AGENTS, default=first, help=", ".join(AGENTS))
    scope = command.add_mutually_exclusive_group()
    choice = functools.partial(scope.add_argument, dest="scope", action="store_const", default="project")
    choice("--global", const="user", help="your own settings, for every project (default: those of this project)")
    choice("--local", const="local", help="your own settings in this project")
    command.add_argument("--write", action="store_true", help="merge the hooks into the settings file, with a backup")
    command.add_argument("--remove", action="store_true", help="take our hooks out of the settings file again")
    command.add_argument("--portable", action="store_true", help="register agent-trace by name, not by its place")
    _back_end(command, "send spans")
    command.add_argument("--service-name", metavar="NAME", help="service.name of the spans")
    redact = command.add_mutually_exclusive_group()
    redact.add_argument("--redact", action="store_true", default=None, help="withhold secrets (the default)")
    redact.add_argument("--no-redact", dest="redact", action="store_false", help="store and send secrets as they are")


def _hook(command: argparse.ArgumentParser) -> None:
    command.add_argument("words", metavar="EVENT", nargs="*", help="such as PreToolUse; its payload is on stdin")


def _record_http(command: argparse.ArgumentParser) -> None:
    from agent_trace_otel.capture.mcp.http.proxy import DEFAULT_BIND, DEFAULT_PORT

    command.add_argument("url", metavar="URL", help="the server's, such as https://example.com/mcp")
    port = f"port to listen on, 0 for any (default: {DEFAULT_PORT})"
    command.add_argument("--port", metavar="N", type=int, default=DEFAULT_PORT, help=port)
    bind = f"address to listen on (default: {DEFAULT_BIND})"
    command.add_argument("--bind", metavar="ADDRESS", default=DEFAULT_BIND, help=bind)
    command.add_argument("--name", metavar="N", default="", help="the session's name (default: the server's host)")
    command.add_argument("--no-redact", action="store_true", help="store and send secrets as they are")
    repeated = functools.partial(command.add_argument, action="append", default=[])
    repeated("--header", metavar='"K: V"', help="send it to the server; never recorded")
    repeated("--allow-host", metavar="H", help="answer to this Host too; without it only to this machine's own names")
    repeated("--allow-origin", metavar="O", help="let pages of this origin in, such as https://app.example")
    command.add_argument("--inject-traceparent", action="store_true", help="join traces: put traceparent into requests")
    command.add_argument("--rewrite-oauth", action="store_true", help="let OAuth clients take the proxy for the server")


def _collect(command: argparse.ArgumentParser) -> None:
    from agent_trace_otel.capture.collect.collector import DEFAULT_BIND, DEFAULT_PORT

    port = f"port to listen on, 0 for any (default: {DEFAULT_PORT})"
    command.add_argument("--port", metavar="N", type=int, default=DEFAULT_PORT, help=port)
    bind = f"address to listen on (default: {DEFAULT_BIND})"
    command.add_argument("--bind", metavar="ADDRESS", default=DEFAULT_BIND, help=bind)
    command.add_argument("--endpoint", metavar="URL", help="pass spans on to it, such as http://tempo:4318")
    command.add_argument("--to", metavar="NAME", help="pass spans on to a back end by its name, such as honeycomb")
    repeated = functools.partial(command.add_argument, action="append", default=[])
    repeated("--header", metavar='"K: V"', help="send it to the back end; never recorded")
    command.add_argument("--no-redact", action="store_true", help="store and send secrets as they are")
    repeated("--allow-host", metavar="H", help="answer to this Host too; without it only to this machine's own names")
    repeated("--allow-origin", metavar="O", help="let pages of this origin in, such as https://app.example")


def _record(command: argparse.ArgumentParser) -> None:
    _recorded_session(command)
    command.add_argument(
        "--inject-traceparent", action="store_true", help="join traces: put a trace context into each request's _meta"
    )
    command.add_argument("-v", "--verbose", action="store_true", help="say on stderr what becomes of the recording")
    command.add_argument("server", metavar="COMMAND", nargs=argparse.REMAINDER, help="the server's command line")


def _run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", metavar="N", default="", help="the session's name (default: the program's)")
    listed = functools.partial(command.add_argument, metavar="NAME,..", action="append", default=[])
    listed("--only", help="trace these libraries and no others, such as openai,mcp")
    listed("--skip", help="don't trace these")
    command.add_argument("--files", action="store_true", help="tell of files under the working directory as well")
    command.add_argument("--subprocesses", action="store_true", help="make each child process a span as well")
    command.add_argument(
        "--no-redact", dest="redact", action="store_false", default=None, help="store and send secrets as they are"
    )
    command.add_argument("program", metavar="COMMAND", nargs=argparse.REMAINDER, help="the program's command line")


def _redact(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="text, JSON or JSON lines; - reads standard input")


def _completion(command: argparse.ArgumentParser) -> None:
    command.add_argument("shell", metavar="SHELL", choices=("bash", "zsh", "fish"), help="bash, zsh or fish")
    command.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)  # with which the scripts ask


def _ship(command: argparse.ArgumentParser) -> None:
    _session(command)
    command.add_argument("--all", action="store_true", help="every session of the trace directory")
    _back_end(command, "send it")
    command.add_argument("--follow", action="store_true", help="go on as spans come; without an ID in every session")
    command.add_argument("--failed", action="store_true", help="only list what was set aside, and why")
    command.add_argument("--unsampled-too", action="store_true", help="send what sampling kept back as well")


def _prune(command: argparse.ArgumentParser) -> None:
    command.description = (
        f"{command.description} Running sessions stay, and those with spans that a back end has not acknowledged."
    )
    command.add_argument("--older-than", metavar="AGE", help="remove what ended longer ago: 12h, 30d, 8w")
    command.add_argument("--max-size", metavar="SIZE", help="remove the oldest until no more is left: 500MB, 2GB")
    command.add_argument("--undelivered-too", action="store_true", help="also what no back end has got")
    command.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def _import(command: argparse.ArgumentParser) -> None:
    command.add_argument("paths", metavar="PATH", nargs="*", help="a transcript, or a directory of a project's")
    command.add_argument("--discover", action="store_true", help="all that Claude Code keeps in ~/.claude/projects")
    command.add_argument("--since", metavar="T", help="only sessions written to since: 30m, 2h, 3d, 1w ago, or a date")
    command.add_argument("--dry-run", action="store_true", help="only say what would be added")
    command.add_argument("--no-redact", action="store_true", help="store and send secrets as they are")
    _back_end(command, "send what is new")


def _back_end(command: argparse.ArgumentParser, what: str) -> None:
    """Add the options that name a back end.

    Args:
        command: gets them.
        what: what is sent, as the beginning of a sentence.
    """
    command.add_argument(
        "--to",
        metavar="NAME",
        help=f"{what} to this back end: datadog, honeycomb:eu, ...; its key from the environment",
    )
    command.add_argument("--endpoint", metavar="URL", help=f"{what} there, such as http://localhost:4318")
    command.add_argument("--header", metavar='"K: V"', action="append", default=[], help="with it: send this header")


def _session(command: argparse.ArgumentParser) -> None:
    command.add_argument("session", metavar="ID", nargs="?", help="beginning of an id (default: the newest session)")


def _told_briefly(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="as JSON, with everything in it")
    command.add_argument("--full", action="store_true", help="leave nothing out, cut nothing")
    command.add_argument("--no-color", action="store_true", help="plain text; NO_COLOR does the same")


def _recorded_session(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", metavar="N", default="", help="the session's name (default: the server's)")
    command.add_argument(
        "--no-redact", dest="redact", action="store_false", default=None, help="store and send secrets as they are"
    )


_EXAMPLES = {
    "collect": "collect --port 4318",
    "completion": "completion bash > ~/.local/share/bash-completion/completions/agent-trace",
    "demo": "demo --full",
    "diff": "diff 201da364 5e551017",
    "doctor": "doctor --json",
    "explain": "explain 201da364",
    "export": "export 201da364 --format otlp --endpoint http://localhost:4318",
    "hook": "hook PreToolUse < payload.json",
    "inspect": "inspect 201da364 | jq .open_calls",
    "list": "list --errors --json",
    "prune": "prune --older-than 30d --dry-run",
    "record": "record --name files -- npx -y @modelcontextprotocol/server-filesystem .",
    "import": "import --discover --since 1w",
    "record-http": "record-http https://example.com/mcp --port 3100",
    "redact": "redact server.log",
    "replay": "replay --tool Bash --errors, or replay --follow",
    "run": "run -- python agent.py",
    "setup": "setup claude-code --write",
    "ship": "ship --all --endpoint http://localhost:4318",
    "stats": "stats 201da364 --json",
}


_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "demo": ("record an offline agent into the trace directory and replay it", _demo),
    "doctor": ("show what is configured, what is recorded, what is wrong, and whether the back end answers", _doctor),
    "list": ("list the sessions, newest first", _list),
    "replay": ("show a session as it happened", _replay),
    "stats": ("count a session: calls, errors, latencies and tokens per tool and model", _stats),
    "explain": ("tell a session's story: its course, its failures, what its answer rests on", _explain),
    "diff": ("show where two sessions part, and what each did that the other did not", _diff),
    "inspect": ("show a session whole, as one JSON document", _session),
    "export": ("turn a session into another format, or send it to a back end", _export),
    "ship": ("send what a back end has not acknowledged yet", _ship),
    "prune": ("remove old sessions, and what is too much", _prune),
    "import": ("make sessions of the transcripts that Claude Code has kept", _import),
    "setup": ("print the hook settings of a coding agent, or merge them into its settings file", _setup),
    "hook": ("handle one hook event of a coding agent (what setup registers)", _hook),
    "collect": ("receive spans of any program over OTLP, into session folders and on to a back end", _collect),
    "record-http": ("record what is said to an MCP server over HTTP: clients speak to a port here", _record_http),
    "record": ("run an MCP server over stdio and record what passes: record -- COMMAND...", _record),
    "run": ("run a Python program with its libraries traced: run -- COMMAND...", _run),
    "redact": ("tell what redaction would withhold from a file, and why", _redact),
    "completion": ("print the script that completes commands, options and ids in a shell", _completion),
}
