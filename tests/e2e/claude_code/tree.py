"""Session folders -> one text: each span a line under its parent, what was said above what was done.

Called by ``test_claude_code``, which compares it with the reviewed text of the scenario in ``trees``. Ids, times and
paths are left out; what happened at once is sorted by text, so that a tree is the same in each run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_trace_otel import semconv
from agent_trace_otel.store.spans_file import read_spans

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_LONGEST = 72  # characters of a text
_HOOK = f"{semconv.HOOK_EVENT}."
_ANYWHERE = {"instructions_loaded"}  # may come before the prompt or after it


def sessions_in_order(trace_dir: Path) -> list[Path]:
    """Return the session folders, the one that started first at the head."""
    folders = [path.parent for path in trace_dir.glob("*/meta.json")]
    return sorted(folders, key=lambda folder: json.loads((folder / "meta.json").read_bytes())["started_at"])


def text_of(trace_dir: Path) -> str:
    """Return the trees of all sessions, numbered in the order they started."""
    sessions = [list(read_spans(folder / "spans.jsonl")) for folder in sessions_in_order(trace_dir)]
    names = {
        _id(span): f"session {number}" if len(sessions) > 1 else span.name
        for number, spans in enumerate(sessions, 1)
        for span in spans
    }
    texts: list[str] = []
    for number, spans in enumerate(sessions, 1):
        title = [f"session {number}"] if len(sessions) > 1 else []
        texts.append("\n".join([*title, *_Tree(spans, names).lines()]) + "\n")
    return "\n".join(texts)


def _id(span: ReadableSpan) -> int:
    assert span.context is not None
    number: int = span.context.span_id
    return number


class _Tree:
    def __init__(self, spans: list[ReadableSpan], names: Mapping[int, str]) -> None:
        self._names = names
        self._children: dict[int, list[ReadableSpan]] = {}
        self._known = {_id(span) for span in spans}
        for span in spans:
            parent = span.parent.span_id if span.parent else 0
            self._children.setdefault(parent if parent in self._known else 0, []).append(span)

    def lines(self, parent: int = 0, depth: int = 0) -> Iterator[str]:
        """Yield the lines below a span."""
        for group in _at_once(self._children.get(parent, [])):
            yield from (line for lines in sorted(self._lines_of(span, depth) for span in group) for line in lines)

    def _lines_of(self, span: ReadableSpan, depth: int) -> list[str]:
        facts = " ".join([span.name, *self._facts(span)])
        said = (f"- {what}" for what in _said(span))
        return ["  " * depth + facts, *("  " * (depth + 1) + line for line in said), *self.lines(_id(span), depth + 1)]

    def _facts(self, span: ReadableSpan) -> Iterator[str]:
        attributes: dict[str, Any] = dict(span.attributes or {})
        if scope := attributes.get(semconv.SCOPE):
            yield f"[{scope}]"
        if outcome := attributes.get(semconv.OUTCOME):
            yield str(outcome)
        if span.status.status_code.name == "ERROR":
            yield f"ERROR {attributes.get(semconv.ERROR_TYPE)}"
        if semconv.USAGE_OUTPUT_TOKENS in attributes:
            taken, given = attributes[semconv.USAGE_INPUT_TOKENS], attributes[semconv.USAGE_OUTPUT_TOKENS]
            yield f"{taken}>{given}"
        yield from attributes.get(semconv.RESPONSE_FINISH_REASONS, ())
        if (attempts := attributes.get(semconv.ATTEMPTS, 1)) > 1:
            yield f"attempts={attempts}"
        if semconv.PROCESS_EXIT_CODE in attributes:
            yield f"exit={attributes[semconv.PROCESS_EXIT_CODE]}"
        if semconv.FILE_PATH in attributes:
            yield Path(attributes[semconv.FILE_PATH]).name
        if span.parent and span.parent.span_id not in self._known:
            yield "parent=elsewhere"
        for link in span.links:
            yield f"link={self._names.get(link.context.span_id, 'elsewhere')}"


def _said(span: ReadableSpan) -> Iterator[str]:
    hooks: set[str] = set()  # which of them comes first differs
    for event in span.events:
        if event.name.startswith(_HOOK):
            hooks.add(event.name.removeprefix(_HOOK))
        elif event.name != semconv.EXCEPTION_EVENT:
            text = str((event.attributes or {}).get(semconv.TEXT, "")).partition("\n")[0]
            yield f"{event.name.removeprefix('agent_trace.')} {text[:_LONGEST]}".rstrip()
    if hooks - _ANYWHERE:
        yield f"hooks {' '.join(sorted(hooks - _ANYWHERE))}"


def _at_once(spans: Iterable[ReadableSpan]) -> Iterator[list[ReadableSpan]]:
    """Yield groups of siblings in order of time: spans that overlap, or calls with no model call between them."""
    in_order = sorted(spans, key=lambda span: span.start_time or 0)
    shows_model_calls = any(span.name.startswith(semconv.CHAT) for span in in_order)
    group: list[ReadableSpan] = []
    until = 0
    for span in in_order:
        is_of_answer = shows_model_calls and all(one.name.startswith(semconv.EXECUTE_TOOL) for one in (*group, span))
        if group and (span.start_time or 0) >= until and not is_of_answer:
            yield group
            group = []
        group.append(span)
        until = max(until, span.end_time or 0)
    if group:
        yield group
