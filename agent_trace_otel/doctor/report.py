"""The whole report of doctor: every section, in the order in which people ask, for people and for programs.

Comes in: what the command line asks for, the environment, the working directory. Goes out: sections; text with what is
wrong first; JSON. Called by the doctor command.
"""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

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
    settings = look_at_settings(environ, asked)
    directory = look_at_trace_directory(trace_dir, environ)
    sections = [section_of_settings(settings)]
    if settings.target is not None and sends and (settings.sending or asked is not None):
        sections.append(section_of_back_end(look_at_back_end(settings.target)))
    return [
        *sections,
        section_of_trace_directory(directory),
        section_of_deliveries(look_at_deliveries(directory.folders, settings.target)),
        section_of_hooks(look_at_hooks(environ, here)),
        section_of_recorder(look_at_recorder(environ), time.time()),
        section_of_libraries(look_at_libraries(environ, tries=tries)),
    ]


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
