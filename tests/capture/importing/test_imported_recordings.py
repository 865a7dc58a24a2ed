"""Every recording of the real client: what an import of its transcripts tells is what the hooks told.

After a change that is meant, ``REVIEW=1 pytest tests/capture/importing`` writes the differences anew; read them.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import import_all
from recordings import DATA, NAMES, Recording

from agent_trace_otel import semconv
from agent_trace_otel.testing import Recorded, recording

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

DIFFERENCES = DATA / "imported"
INHERENT = {
    "clear": "no line names the session that was cleared",
    "compact": "hooks tell more of a compaction: its instructions, its summary, the agents that write it",
    "init": "a session without a transcript",
    "prompt_refused": "the transcript has a refused prompt's text in the client's own words, and no id",
    "streamed_api_error": "the hook of the second prompt overtook that of the first one's failure",
    "nested_fg": "results in a sub-agent's transcript are what the model was shown, without exit code and lines",
    "subagent": "results in a sub-agent's transcript are what the model was shown, without exit code and lines",
    "subagent_fg": "results in a sub-agent's transcript are what the model was shown, without exit code and lines",
    "traceparent": "no line tells the context that the client was started in",
}
_HOOKS_ALONE = (semconv.HOOK_EVENT, semconv.PERMISSION_REQUEST_EVENT)
_SHOWN = (
    semconv.SCOPE, semconv.RUN, semconv.PROMPT_ID, semconv.AGENT_ID, semconv.AGENT_NAME, semconv.TOOL_CALL_ID,
    semconv.OUTCOME, semconv.ERROR_TYPE, semconv.FILE_PATH, semconv.LINES_READ, semconv.LINES_ADDED,
    semconv.LINES_REMOVED, semconv.PROCESS_EXECUTABLE_NAME, semconv.PROCESS_EXIT_CODE, semconv.MCP_SERVER,
    semconv.MCP_TOOL, semconv.USAGE_INPUT_TOKENS, semconv.USAGE_OUTPUT_TOKENS, semconv.RESPONSE_FINISH_REASONS,
    semconv.ATTEMPTS, semconv.SESSION_COST, semconv.START_SOURCE, semconv.PROCESS_WORKING_DIRECTORY,
    semconv.TOOL_CALL_ARGUMENTS, semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES,
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_an_import_tells_what_the_hooks_told(name: str, tmp_path: Path, hooked: Callable[[Recording], None]) -> None:
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        by_hooks = Recording(name, tmp_path / "hooks")
        (tmp_path / "hooks" / "project").mkdir(parents=True)
        hooked(by_hooks)
        imported = _written(name, tmp_path / "import")
        import_all(imported.home)
    told, found = _told(by_hooks), _told(imported)
    lines = difflib.unified_diff(told, found, lineterm="", n=0)
    differences = "".join(f"{line}\n" for line in lines if not line.startswith(("---", "+++", "@@")))
    golden = DIFFERENCES / f"{name}.txt"
    if os.environ.get("REVIEW"):
        DIFFERENCES.mkdir(exist_ok=True)
        golden.unlink(missing_ok=True)
        if differences:
            golden.write_text(differences)
    assert differences == (golden.read_text() if golden.exists() else "")
    assert (name in INHERENT) == bool(differences)
    assert found


@pytest.mark.parametrize("name", NAMES)
def test_importing_what_was_imported_changes_nothing(name: str, tmp_path: Path) -> None:
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        imported = _written(name, tmp_path)
        first = import_all(tmp_path)
        before = _bytes(imported.store)
        again = import_all(tmp_path)
    assert all(one.spans for one in first)
    assert [(one.spans, one.is_open) for one in again] == [({}, False) for _ in first]
    assert _bytes(imported.store) == before


@pytest.mark.parametrize("name", NAMES)
def test_importing_what_hooks_recorded_adds_nothing(
    name: str, tmp_path: Path, hooked: Callable[[Recording], None]
) -> None:
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        played = Recording(name, tmp_path)
        (tmp_path / "project").mkdir(exist_ok=True)
        hooked(played)
        before = _bytes(played.store)
        added = import_all(tmp_path)
        after = _bytes(played.store)
    assert [one.spans for one in added] == [{} for _ in added]
    assert after == before


@pytest.mark.parametrize("name", NAMES)
def test_a_transcript_that_grows_is_imported_bit_by_bit(name: str, tmp_path: Path) -> None:
    with recording(tmp_path / "none", HOME=str(tmp_path)):
        at_once = _written(name, tmp_path / "once")
        import_all(at_once.home)
        growing = Recording(name, tmp_path / "growing")
        (growing.home / "project").mkdir(parents=True, exist_ok=True)
        for heard in growing.play():
            if heard.payload["hook_event_name"] in ("Stop", "PreToolUse", "PostToolBatch", "SubagentStop"):
                import_all(growing.home, is_over=False)
        import_all(growing.home)
    assert _told(growing) == _told(at_once)
    for session_id in Recorded(at_once.store).sessions():
        assert _events(growing, session_id) == _events(at_once, session_id)


def _written(name: str, home: Path) -> Recording:
    """Write all that a recording's client has left behind."""
    written = Recording(name, home)
    (home / "project").mkdir(parents=True, exist_ok=True)
    written.write_until(1 << 63)
    return written


def _told(played: Recording) -> list[str]:
    """Return what is told of every span, whose ids are the same on both ways; not when."""
    recorded = Recorded(played.store)
    lines: list[str] = []
    for session_id in recorded.sessions():
        spans = recorded.spans(session_id)
        lines += [line.replace(str(played.home), "~") for span in spans for line in _lines(span)]
    return sorted(lines)


def _lines(span: ReadableSpan) -> list[str]:
    assert span.context is not None
    me = f"{span.context.trace_id:032x}"[:8] + f" {span.name} {span.context.span_id:016x}"
    attributes = span.attributes or {}
    shown = [f"{me} {name}={_value(attributes[name])}" for name in _SHOWN if name in attributes]
    parent = f"{span.parent.span_id:016x}" if span.parent else "none"
    links = [f"{me} follows {link.context.span_id:016x}" for link in span.links]
    points = [
        f"{me} * {event.name} {dict(event.attributes or {})}"
        for event in span.events
        if not event.name.startswith(_HOOKS_ALONE) and event.name != semconv.EXCEPTION_EVENT
    ]
    return [
        f"{me} under {parent} {span.status.status_code.name} {span.status.description or ''}",
        *shown,
        *links,
        *points,
    ]


def _value(value: object) -> str:
    """Return an attribute as text; the same input may have its members in another order (seen)."""
    is_json = isinstance(value, str) and value.startswith("{")
    return json.dumps(json.loads(str(value)) if is_json else value, sort_keys=True, default=list)


def _events(played: Recording, session_id: str) -> list[tuple[str, str]]:
    return sorted((event.event_type, event.event_id) for event in Recorded(played.store).events(session_id))


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
