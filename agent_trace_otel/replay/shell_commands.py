"""A shell's command line -> what it does: exploring, editing, testing, ... and with which program.

Comes in: the command as an agent gave it. Goes out: an activity of `activities` and the program that earns it. Pure;
called by `tool_calls`.

No shell is imitated: a line is cut into simple commands where a shell would cut it, quotes and here-documents kept
whole, and of each the program is looked up. What is substituted, looped over or defined is not followed.
"""

from __future__ import annotations

import re

from agent_trace_otel.replay.activities import (
    EDITING,
    EDITING_OPTIONS,
    EXPLORING,
    KEEP_THEIR_NAME,
    PRINTERS,
    PROGRAMS,
    RUNNING,
    STRONGEST,
    SUBCOMMANDS,
    TESTING,
    WRAPPERS,
    WRAPPERS_OF_TWO,
)

_LONGEST = 4000  # characters that are looked at; a longer line is a script, and says what it does in its beginning
_HERE_DOCUMENT = re.compile(r"<<-?\s*(['\"]?)(\w+)\1([^\n]*)\n.*?(?:^\s*\2\s*$|\Z)", re.DOTALL | re.MULTILINE)
_WORD = re.compile(
    r"(?P<end>[;&|\n()]+)|(?P<file>(?<![\d&<])>{1,2}(?![>&])\s*(?!/dev/null)\S)|[<>]+&?\d*"
    r"|(?:'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|[^\s;&|()<>'\"\\])+|['\"\\]",
    re.DOTALL,
)
_ASSIGNMENT = re.compile(r"\w+=")
_TEST_NAME = re.compile(r"(?:\A|[._-])(?:run-?)?tests?(?:[._-]|\Z)", re.IGNORECASE)
_POSIX_SHELLS = frozenset(("bash", "sh", "zsh", "dash"))
_INTERPRETERS = _POSIX_SHELLS | {"python", "python3", "node", "ruby", "perl", "php", "deno", "tsx", "ts-node"}
_RUNS_TEXT = re.compile(r"-[a-z]*c\Z")
_NONE: tuple[str, ...] = ()
_PROGRAM_WIDTH = 40


def activity_of(command: str) -> tuple[str, str]:
    """Return what a command line does and the program that does it; the strongest of its commands speaks for all.

    ``activity_of("cd app && pytest -q | tail -3")`` is ``("testing", "pytest")``.
    """
    found = [_of_words(words, writes=writes) for words, writes in _simple_commands(command)]
    return min(found, key=lambda one: STRONGEST.index(one[0])) if found else (RUNNING, "")


def _simple_commands(command: str) -> list[tuple[list[str], bool]]:
    """Return the words of each simple command, and whether its output goes to a file."""
    text = _HERE_DOCUMENT.sub(r" \3\n", command[:_LONGEST])
    commands: list[tuple[list[str], bool]] = []
    words: list[str] = []
    writes = False
    for match in _WORD.finditer(text):
        if match["end"]:
            commands.append((words, writes))
            words, writes = [], False
        elif match["file"]:
            writes = True
        elif match[0][0] not in "<>" and (word := match[0].strip("'\"")):
            words.append(word)
    commands.append((words, writes))
    return [(words, writes) for words, writes in commands if words and words[0] not in _NO_PROGRAM]


def _of_words(words: list[str], *, writes: bool) -> tuple[str, str]:
    words = _unwrapped(words)
    if not words:
        return (EDITING if writes else RUNNING), ""
    program, options = words[0].rpartition("/")[2], [word for word in words[1:] if word.startswith("-")]
    word = next((word for word in words[1:] if not word.startswith("-")), "")
    if program in _POSIX_SHELLS and word and any(_RUNS_TEXT.match(option) for option in options):
        return activity_of(word)
    if f"{program}:{word.partition(':')[0]}" in SUBCOMMANDS:
        return SUBCOMMANDS[f"{program}:{word.partition(':')[0]}"], f"{program} {word}"[:_PROGRAM_WIDTH]
    script = word.rpartition("/")[2] if program in _INTERPRETERS else program
    if script in _WITH_SUBCOMMANDS and script != program:
        return _of_words([script, *words[words.index(word) + 1 :]], writes=writes)
    activity = PROGRAMS.get(program, RUNNING)
    if activity == RUNNING and _TEST_NAME.search(script):
        return TESTING, script[:_PROGRAM_WIDTH]
    if writes and (activity == EXPLORING or program in PRINTERS):
        return EDITING, program
    if any(option.startswith(EDITING_OPTIONS.get(program, _NONE)) for option in options):
        return EDITING, program
    return activity, program[:_PROGRAM_WIDTH]


def _unwrapped(words: list[str]) -> list[str]:
    """Return a simple command from its program on: without variables, and without what only runs another program."""
    while words:
        first = words[0].rpartition("/")[2]
        pair = f"{first}:{words[1]}" if len(words) > 1 else ""
        if _ASSIGNMENT.match(words[0]):
            words = words[1:]
        elif pair in KEEP_THEIR_NAME:
            return [first, *words[2:]]
        elif pair in WRAPPERS_OF_TWO:
            words = _without_options(words[2:])
        elif first in WRAPPERS and len(words) > 1:
            words = _without_options(words[1:])[WRAPPERS[first] :]
        else:
            return words
    return words


def _without_options(words: list[str]) -> list[str]:
    return words[next((at for at, word in enumerate(words) if not word.startswith("-")), len(words)) :]


_NO_PROGRAM = frozenset(("cd", "pushd", "popd", "export", "set", "source", ".", "true", "wait", "sleep", "fi", "done"))
_WITH_SUBCOMMANDS = frozenset(("manage.py",))
