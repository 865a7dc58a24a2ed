"""What was typed so far -> what may come next; and the scripts with which shells ask.

Comes in: the command line's grammar, the words before the cursor. Goes out: one candidate a line, a tab and what it
means after it; nothing where a file is wanted, which every shell knows best. Called by the completion command.
"""

from __future__ import annotations

import argparse
import os
from typing import cast

from agent_trace_otel.errors import AgentTraceError
from agent_trace_otel.replay.terminal import one_line
from agent_trace_otel.store.reader import find_trace_dir, session_folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_SESSION = frozenset({"ID", "A", "B"})
_TRACE_DIR = "--trace-dir"

# Each asks with the words up to the cursor, the last one perhaps begun. Where there is no answer, files are offered.
SCRIPTS = {
    "bash": """\
# agent-trace completion for bash: source <(agent-trace completion bash)
_agent_trace() {
    local IFS=$'\\n'
    COMPREPLY=($(agent-trace completion bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1))
}
complete -o default -F _agent_trace agent-trace
""",
    "zsh": """\
#compdef agent-trace
# agent-trace completion for zsh: source <(agent-trace completion zsh), after compinit
_agent_trace() {
    local -a found
    local line
    for line in "${(@f)$(agent-trace completion zsh -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -n $line ]] && found+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
    done
    if (( $#found )); then _describe agent-trace found; else _files; fi
}
compdef _agent_trace agent-trace
""",
    "fish": """\
# agent-trace completion for fish: agent-trace completion fish | source
function __agent_trace
    set -l words (commandline -opc) (commandline -ct)
    agent-trace completion fish -- $words[2..] 2>/dev/null
end
complete -c agent-trace -f -n 'test -n "$(__agent_trace)"' -a '(__agent_trace)'
""",
}


def candidates(
    parser: argparse.ArgumentParser, words: Sequence[str], known: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[tuple[str, str]]:
    """Yield what may stand in the place of the last word, with what it means.

    Args:
        parser: the grammar; the commands among the words have their options.
        known: option -> values that the grammar leaves open, each with what it means.
        words: what was typed after the program's name; the last one is empty when nothing of it was typed yet.
    """
    *before, begun = words or [""]
    command, trace_dir = _command(before)
    commands = _subparsers(parser)
    current = parser if command is None else commands.get(command)
    if current is None or "--" in before:
        return
    value = _value_of(current, before[-1] if before else "")
    found: Iterable[tuple[str, str]]
    if value is not None and before[-1] in (known or {}):
        found = (known or {})[before[-1]].items()
    elif value is not None:
        found = _values(value, trace_dir)
    elif begun.startswith("-"):
        given = set(before)
        actions = [action for action in _actions(current) if not given.intersection(action.option_strings)]
        found = ((flag, action.help or "") for action in actions for flag in action.option_strings)
    elif command is None:
        found = ((name, sub.description or "") for name, sub in commands.items())
    else:
        operands = [action for action in _actions(current) if not action.option_strings]
        found = (pair for action in operands for pair in _values(action, trace_dir))
    for word, meaning in found:
        if word.startswith(begun) and meaning != argparse.SUPPRESS:
            yield word, one_line(meaning.replace("%%", "%"), None)


def _command(before: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the command among the words, and the trace directory that is named before it."""
    trace_dir: str | None = None
    words = iter(before)
    for word in words:
        if word == _TRACE_DIR:
            trace_dir = next(words, None)
        elif word.startswith(f"{_TRACE_DIR}="):
            trace_dir = word.partition("=")[2]
        elif not word.startswith("-"):
            return word, trace_dir
    return None, trace_dir


def _value_of(parser: argparse.ArgumentParser, word: str) -> argparse.Action | None:
    """Return the option whose value comes after a word, None if none does."""
    for action in _actions(parser):
        if word in action.option_strings and action.nargs != 0:
            return action
    return None


def _values(action: argparse.Action, trace_dir: str | None) -> Iterator[tuple[str, str]]:
    if action.choices is not None:
        return ((str(choice), "") for choice in action.choices)
    return _sessions(trace_dir) if action.metavar in _SESSION else iter(())


def _sessions(trace_dir: str | None) -> Iterator[tuple[str, str]]:
    try:
        folders = session_folders(find_trace_dir(trace_dir))[0]
    except AgentTraceError:  # there is none, and a key press is no place to say so
        return
    for folder in sorted(folders):
        yield os.path.basename(folder), "session"


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return parser._actions  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - argparse has no other way to ask


def _subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the commands by name: of all actions only theirs has choices that are parsers."""
    commands: dict[str, argparse.ArgumentParser] = {}
    for action in _actions(parser):
        choices = cast("object", action.choices)
        if isinstance(choices, dict):
            commands = cast("dict[str, argparse.ArgumentParser]", choices)
    return commands
