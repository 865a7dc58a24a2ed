"""`agent-trace import`: transcripts that a user names, or all there are -> sessions in trace directories.

Comes in: paths, and how to record. Goes out: what each transcript has added, or one line that says why it could not be
imported; one that is broken keeps no other from being imported. Called by `cli`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from agent_trace_otel import config
from agent_trace_otel.capture.hooks.dialects.registry import CLAUDE_CODE
from agent_trace_otel.capture.importing.session_import import Added, SessionImport
from agent_trace_otel.capture.importing.transcripts import Transcript, client_directory, look_at, transcripts_in
from agent_trace_otel.errors import AgentTraceError, SessionNotFoundError
from agent_trace_otel.pipeline import SeparatePipeline

_SILENT_SECONDS: Final = 24 * 3600.0
"""After so long without a word, a client that has not said that it exits is taken for gone."""
_KINDS: Final = (("turn", "turn"), ("agent", "sub-agent"), ("tool", "tool call"), ("chat", "model call"))


def find(paths: Sequence[Path], since: float) -> tuple[list[Transcript], list[str]]:
    """Return the transcripts that paths stand for, the oldest session first, and what is wrong with the others.

    Args:
        paths: files and directories; none means those that the client itself keeps.
        since: unix seconds; a session that was not written to since then is left out.

    Raises:
        SessionNotFoundError: the client keeps none.
    """
    if not paths:
        paths = [client_directory()]
        if not paths[0].is_dir():
            msg = f"no transcripts of Claude Code: there is no {paths[0]} (CLAUDE_CONFIG_DIR names another place)"
            raise SessionNotFoundError(msg)
    files: dict[Path, None] = {}
    found: list[Transcript] = []
    problems: list[str] = []
    for path in paths:
        with _noting(problems):
            files |= dict.fromkeys(file.absolute() for file in transcripts_in(path))
    for file in files:
        with _noting(problems):
            found.append(look_at(file))
    taken = [transcript for transcript in found if transcript.changed() >= since]
    return sorted(taken, key=lambda transcript: transcript.first_ns), problems


@contextmanager
def _noting(problems: list[str]) -> Generator[None, None, None]:
    try:
        yield
    except AgentTraceError as error:
        problems.append(str(error))


def import_each(
    transcripts: Iterable[Transcript],
    *,
    trace_dir: str | None = None,
    redact: bool | None = None,
    is_dry: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Added | str]:
    """Import transcripts one after the other; yield what each has added, or why it could not be imported.

    Nothing is sent anywhere. Where a session goes: ``trace_dir``, else AGENT_TRACE_DIR or the config file's, else
    .agent-traces in the directory that the client was started in, if it is still there, else in this one.

    Args:
        transcripts: what to import; a fork finds its origin only if that comes first.
        trace_dir: where all sessions go.
        redact: False writes secrets as they are.
        is_dry: whether to count only.
        progress: called with the number of bytes that were read since it was called last.
    """
    settings = config.load(trace_dir=Path(trace_dir) if trace_dir else None, redact=redact)
    settings = replace(settings, sending=False)
    pipeline = None if is_dry else SeparatePipeline(settings, settings.service_name or CLAUDE_CODE.name)
    try:
        for transcript in transcripts:
            is_over = time.time() - transcript.changed() > _SILENT_SECONDS
            store = _store(settings, transcript.cwd)
            try:
                yield SessionImport(transcript, store, pipeline, is_over=is_over, progress=progress).run()
            except (AgentTraceError, OSError) as error:
                yield f"{transcript.path}: {error}"
            except Exception as error:  # noqa: BLE001 - what one version of the client wrote must not stop all others
                yield f"{transcript.path}: not understood ({type(error).__name__}: {error})"
    finally:
        if pipeline is not None:
            pipeline.shutdown()


def shown(added: Added, *, is_dry: bool = False) -> str:
    """Return one line that says what an import has added."""
    counts = [
        f"{added.spans[kind]} {name}{'' if added.spans[kind] == 1 else 's'}"
        for kind, name in _KINDS
        if added.spans[kind]
    ]
    new = ", ".join(counts) or ("nothing happened in it" if added.spans else "nothing new")
    notes = [
        "would be added" if is_dry and counts else "",
        "still open" if added.is_open and not added.is_recorded else "",
        "hooks record it just now" if added.is_recorded else "",
        f"{added.unreadable} unreadable lines" if added.unreadable else "",
    ]
    return "; ".join([f"{added.session_id}  {new}", *filter(None, notes)])


def _store(settings: config.Settings, cwd: str) -> Path:
    if settings.has_trace_dir:
        return settings.trace_dir
    project = Path(cwd)
    is_there = bool(cwd) and project.is_absolute() and project.is_dir()
    return (project if is_there else Path.cwd()) / config.DEFAULT_TRACE_DIR
