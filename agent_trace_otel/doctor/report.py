"""The whole report of doctor: every section, in the order in which people ask, for people and for programs.

Comes in: what the command line asks for, the environment, the working directory. Goes out: sections; text with what is
wrong first; JSON. Called by the doctor command.
"""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from agent_trace_otel import __version__
from agent_trace_otel.delivery.target import Target
from agent_trace_otel.doctor.back_end import look_at_back_end, section_of_back_end
from agent_trace_otel.doctor.deliveries import look_at_deliveries, section_of_deliveries
from agent_trace_otel.doctor.hooks import look_at_hooks, section_of_hooks
from agent_trace_otel.doctor.libraries import look_at_libraries, section_of_libraries
from agent_trace_otel.doctor.recorder import look_at_recorder, section_of_recorder
from agent_trace_otel.doctor.section import Section, counted
from agent_trace_otel.doctor.settings import look_at_settings, section_of_settings
from agent_trace_otel.doctor.storage import look_at_trace_directory, section_of_trace_directory
from agent_trace_otel.replay.terminal import one_line

Facts = TypeVar("Facts")
_LABEL: Final = 12
_LONGEST_LABEL: Final = 40
_LONGEST_TITLE: Final = 17
_BOLD, _DIM, _RED, _YELLOW, _GREEN, _RESET = "\033[1m", "\033[2m", "\033[31m", "\033[33m", "\033[32m", "\033[0m"
_WELL, _NOTED, _BROKEN = "✓", "!", "✗"
_COLOURS: Final = {_WELL: _GREEN, _NOTED: _YELLOW, _BROKEN: _RED}


def examine(  # noqa: PLR0913 - a switch each
    trace_dir: str | None,
    environ: Mapping[str, str],
    here: Path,
    *,
    asked: Target | None = None,
    sends: bool = True,
    tries: bool = False,
) -> list[Section]:
    """Look at everything and return the report.

    Args:
        trace_dir: the trace directory asked for.
        environ: the environment.
        here: the working directory.
        asked: a back end to look at in place of the configured one.
        sends: whether a test span is sent to it.
        tries: whether libraries are imported, to see what of them can be patched.
    """
    sections: list[Section] = []
    settings = _look(sections, "settings", lambda: look_at_settings(environ, asked), section_of_settings)
    target = settings.target if settings is not None else None
    if settings is not None and target is not None and sends and (settings.sending or asked is not None):
        _look(sections, "back end", lambda: look_at_back_end(target), section_of_back_end)
    directory = _look(
        sections,
        "trace directory",
        lambda: look_at_trace_directory(trace_dir, environ),
        section_of_trace_directory,
    )
    folders = directory.folders if directory is not None else ()
    _look(sections, "deliveries", lambda: look_at_deliveries(folders, target), section_of_deliveries)
    _look(sections, "hooks", lambda: look_at_hooks(environ, here), section_of_hooks)
    now = time.time()
    _look(sections, "recorder", lambda: look_at_recorder(environ), lambda found: section_of_recorder(found, now))
    _look(sections, "libraries", lambda: look_at_libraries(environ, tries=tries), section_of_libraries)
    return sections


def _look(
    sections: list[Section], title: str, find: Callable[[], Facts], tell: Callable[[Facts], Section]
) -> Facts | None:
    """Add a section to the report and return its facts; what fails is a problem, and the other sections are told."""
    try:
        found = find()
        sections.append(tell(found))
    except Exception as error:  # noqa: BLE001 - a machine that is broken is what doctor is for
        problem = f"can't be looked at: {type(error).__name__}: {error}"
        sections.append(Section(title, (), {"error": problem}, (problem,)))
        return None
    return found


def as_text(sections: Sequence[Section], width: int, *, colour: bool = False) -> Iterator[str]:
    """Yield the report for people: what is wrong, then each section; wrapped, but paths are never cut.

    Args:
        sections: in the order to show.
        width: columns of a line.
        colour: whether to write ANSI colours.
    """
    problems = [(section.title, problem) for section in sections for problem in section.problems]
    notes = sum(len(section.notes) for section in sections)
    beside = f", {counted(notes, 'note')}" if notes else ""
    yield f"agent-trace {__version__}, Python {sys.version.split()[0]}\n\n"
    mark, verdict = (_BROKEN, counted(len(problems), "problem")) if problems else (_WELL, "no problems")
    yield f"{_marked(mark, colour=colour)} {_in(_BOLD, verdict + beside, colour=colour)}\n"
    for title, problem in problems:
        yield _wrapped(f"  {title:<{_LONGEST_TITLE}}", problem, width, _RED if colour else "")
    for section in sections:
        mark = _BROKEN if section.problems else _NOTED if section.notes else _WELL
        yield f"\n{_marked(mark, colour=colour)} {_in(_BOLD, section.title, colour=colour)}\n"
        room = min(max([_LABEL, *(len(label) + 1 for label, _ in section.lines)]), _LONGEST_LABEL)
        for label, text in section.lines:
            yield _wrapped(f"  {label:<{room}}", text, width)
        for text in section.notes:
            yield _wrapped(f"{_NOTED} ", text, width, _COLOURS[_NOTED] if colour else "")


def as_json(sections: Sequence[Section]) -> dict[str, Any]:
    """Return the report for programs: facts by section, and all problems and notes."""
    problems = [problem for section in sections for problem in section.problems]
    notes = [note for section in sections for note in section.notes]
    facts = {section.title.replace(" ", "_"): section.facts for section in sections}
    return {"version": __version__, "ok": not problems, "problems": problems, "notes": notes, **facts}


def _wrapped(first: str, text: str, width: int, colour: str = "") -> str:
    filled = textwrap.fill(
        one_line(text, None),
        width,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{colour}{filled}{_RESET if colour else ''}\n"


def _marked(mark: str, *, colour: bool) -> str:
    return _in(_COLOURS[mark], mark, colour=colour)


def _in(code: str, text: str, *, colour: bool) -> str:
    return f"{code}{text}{_RESET}" if colour else text
