"""A recorded session as text: its tree of spans and its timeline, for people to review and tests to compare."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent_trace_otel import semconv
from agent_trace_otel.testing import Recorded

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

_SHOWN = (
    semconv.SCOPE, semconv.RUN, semconv.PROMPT_ID, semconv.AGENT_ID, semconv.TOOL_CALL_ID, semconv.OUTCOME,
    semconv.ERROR_TYPE, semconv.FILE_PATH, semconv.LINES_READ, semconv.LINES_ADDED, semconv.LINES_REMOVED,
    semconv.PROCESS_EXECUTABLE_NAME, semconv.PROCESS_EXIT_CODE, semconv.MCP_SERVER, semconv.MCP_TOOL,
    semconv.USAGE_INPUT_TOKENS, semconv.USAGE_OUTPUT_TOKENS, semconv.USAGE_CACHE_READ_INPUT_TOKENS,
    semconv.USAGE_CACHE_WRITE_INPUT_TOKENS, semconv.RESPONSE_FINISH_REASONS, semconv.ATTEMPTS,
    semconv.SESSION_COST, semconv.START_SOURCE, semconv.END_REASON,
)  # fmt: skip
_WIDTH = 320  # of a line, once it names no directory of the tester's


def shown(recorded: Recorded, *, times: bool = True, home: str = "") -> str:
    """Return all sessions of a trace directory; without ``times`` nothing depends on a clock.

    What single calls cost is left out: prices change.
    """
    blocks: list[tuple[int, str]] = []
    for session_id in recorded.sessions():
        spans = recorded.spans(session_id)
        begins = min(span.start_time or 0 for span in spans)
        tree = _tree(spans, begins if times else None)
        events = [_event(event.event_type, event.data) for event in recorded.events(session_id)]
        meta = recorded.meta(session_id)
        numbers = f"{meta.tool_calls} calls, {meta.llm_requests} model calls, {meta.errors} errors"
        numbers += f", {meta.total_tokens} tokens"
        told = [*tree, "  timeline:", *(f"    {line}" for line in (events if times else sorted(events)))]
        blocks.append((begins, "\n".join([f"session {session_id}", f"  {numbers}", *told])))
    text = "\n".join(block for _, block in sorted(blocks))
    lines = (text.replace(home, "~") if home else text).splitlines()
    return "".join(f"{line[:_WIDTH]}\n" for line in lines)


def _tree(spans: Sequence[ReadableSpan], begins: int | None) -> list[str]:
    ids = {span.context.span_id for span in spans if span.context}
    children: dict[int, list[ReadableSpan]] = {}
    for span in spans:
        known = span.parent is not None and span.parent.span_id in ids
        children.setdefault(span.parent.span_id if known and span.parent else 0, []).append(span)
    names = {span.context.span_id: _name(span) for span in spans if span.context}
    lines: list[str] = []

    def write(span: ReadableSpan, depth: int) -> None:
        assert span.context is not None
        indent = "  " * (depth + 1)
        remote = f" (parent {span.parent.span_id:016x})" if span.parent and span.parent.span_id not in ids else ""
        when = f" [{_ms(span.start_time, begins)}..{_ms(span.end_time, begins)}]" if begins is not None else ""
        lines.append(f"{indent}{span.name}{remote}{when}")
        attributes = {name: (span.attributes or {}).get(name) for name in _SHOWN}
        told = [f"{_short(name)}={_value(value)}" for name, value in attributes.items() if value is not None]
        lines.append(f"{indent}  {span.status.status_code.name} {' '.join(told)}")
        if span.status.description:
            lines.append(f"{indent}  says {span.status.description.splitlines()[0]!r}")
        follows = [names.get(link.context.span_id, f"{link.context.span_id:016x}") for link in span.links]
        lines.extend(f"{indent}  follows {name}" for name in (follows if begins is not None else sorted(follows)))
        points = [f"* {event.name} {_brief(event.attributes or {})}" for event in span.events]
        points = [point for point in points if not point.startswith(f"* {semconv.EXCEPTION_EVENT} ")]
        lines.extend(f"{indent}  {point}" for point in (points if begins is not None else sorted(points)))
        below = children.get(span.context.span_id, [])
        order = {id(one): (one.start_time or 0, one.name) if begins is not None else _name(one) for one in below}
        for child in sorted(below, key=lambda one: order[id(one)]):  # type: ignore[arg-type,return-value]
            write(child, depth + 1)

    for root in sorted(children[0], key=lambda one: one.start_time or 0):
        write(root, 0)
    return lines


def _name(span: ReadableSpan) -> str:
    attributes = span.attributes or {}
    mine = (semconv.TOOL_CALL_ID, semconv.AGENT_ID, semconv.PROMPT_ID, semconv.RESPONSE_ID, semconv.RUN)
    return f"{span.name} {next((attributes[name] for name in mine if attributes.get(name)), '')}"


def _event(event_type: str, data: Mapping[str, Any]) -> str:
    keys = ("tool_name", "prompt", "source", "text", "model", "total_tokens", "error", "outcome", "agent")
    told = [f"{key}={_value(str(data[key]).splitlines()[0])}" for key in keys if data.get(key)]
    return f"{event_type} {' '.join(told)}".rstrip()


def _brief(attributes: Mapping[str, Any]) -> str:
    return " ".join(f"{_short(name)}={_value(value)}" for name, value in attributes.items())


def _short(name: str) -> str:
    return name.removeprefix("agent_trace.").removeprefix("gen_ai.")


def _value(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) else str(value)


def _ms(at: int | None, begins: int) -> int:
    return round(((at or begins) - begins) / 1e6)
