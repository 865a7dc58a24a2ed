"""agent-trace: the command line.

Comes in: argv. Goes out: text on stdout, one line on stderr when something is wrong, an exit code: 0 fine, 1 an error,
2 usage, 130 interrupted. Called by the console scripts and ``python -m agent_trace_otel``.

Starting up is what a user waits for most, so nothing is imported here but what finds the command; each command imports
its own (`commands`).
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

_INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Raises:
        SystemExit: the arguments make no sense (2), or --help or --version was asked for (0).
    """
    from agent_trace_otel.commands import grammar
    from agent_trace_otel.errors import AgentTraceError

    if sys.stdout is None:  # the caller has closed it
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - to the end of the process
    # a stdout that can't say an arrow or an emoji says ? instead of failing
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
    try:
        argv = sys.argv[1:] if argv is None else argv
        arguments = grammar.parser(argv).parse_args(argv)
        code = _command(arguments.command)(arguments)
        sys.stdout.flush()
    except AgentTraceError as error:
        return _failed(str(error), error.exit_code)
    except BrokenPipeError:
        # the reader has seen enough; without this the interpreter's own last flush would fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(f"{where}{error.strerror or error}", 1)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    from importlib import import_module

    module, function = _COMMANDS[name]
    command: Callable[[argparse.Namespace], int] = getattr(
        import_module(f"agent_trace_otel.commands.{module}"), function
    )
    return command


def _failed(message: str, code: int) -> int:
    from agent_trace_otel.commands.output import say

    say(message)
    return code


_COMMANDS = {
    "collect": ("collecting", "collect"),
    "completion": ("reading", "completion"),
    "demo": ("capturing", "demo"),
    "diff": ("reading", "diff"),
    "doctor": ("capturing", "doctor"),
    "explain": ("reading", "explain"),
    "export": ("exporting", "export"),
    "hook": ("capturing", "hook"),
    "import": ("capturing", "import_transcripts"),
    "inspect": ("reading", "inspect"),
    "list": ("reading", "list_sessions"),
    "prune": ("pruning", "prune"),
    "record-http": ("capturing", "record_http"),
    "record": ("capturing", "record"),
    "run": ("capturing", "run"),
    "redact": ("reading", "redact"),
    "replay": ("reading", "replay"),
    "setup": ("capturing", "setup"),
    "ship": ("sending", "ship"),
    "stats": ("reading", "stats"),
}
"""The module of `commands` and the function in it, by the command's name."""
