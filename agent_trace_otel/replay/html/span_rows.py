"""Spans -> rows of the page, each with its detail.

Comes in: the spans of a SpansFile. Goes out: (Row, detail) pairs in no order. Pure; called by `page`.
"""

from __future__ import annotations

from agent_trace_otel import semconv
from agent_trace_otel.dialects import LEAST_EXACT
from agent_trace_otel.replay.html.details import of_span
from agent_trace_otel.replay.html.readable import parsed
from agent_trace_otel.replay.html.rows import Row, plain, told_by
from agent_trace_otel.store.lines import as_text, is_list, is_number, is_object, text_of
from agent_trace_otel.store.span_events import kind_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from agent_trace_otel.replay.html.details import Detail
    from agent_trace_otel.replay.recorded_spans import RecordedSpan


def span_rows(spans: Iterable[RecordedSpan]) -> Iterator[tuple[Row, Detail]]:
    """Yield a row for each span."""
    for span in spans:
        get = span.told.get
        kind: str = kind_of(span.told)
        if kind in ("agent", "resource") and get(semconv.MCP_METHOD_NAME) is not None:
            kind = "mcp"
        elif kind == "agent" and get(semconv.SCOPE) == semconv.SCOPE_TURN:
            kind = "turn"
        elif span.announces:
            kind = "generic"
        row = Row(span.span, span.parent, kind, span.start, span.end)
        outcome = get(semconv.OUTCOME)
        row.outcome = outcome if isinstance(outcome, str) and outcome != semconv.OUTCOME_OK else ""
        row.failed = span.failed
        if row.failed and not row.outcome:
            row.outcome = semconv.OUTCOME_ERROR
        if kind == "model":
            row.tokens = sum(
                value
                for value in (get(semconv.USAGE_INPUT_TOKENS), get(semconv.USAGE_OUTPUT_TOKENS))
                if isinstance(value, int) and value > 0
            )
        cost = get(semconv.SESSION_COST if kind == "session" else semconv.COST)
        row.cost = float(cost) if is_number(cost) else 0.0
        same = get(semconv.DUPLICATES)
        row.same = tuple(filter(_is_text, same)) if is_list(same) else ()
        row.is_rough = LEAST_EXACT in span.dialects
        if kind == "tool":
            row.over_mcp = get(semconv.MCP_METHOD_NAME) is not None
            row.arguments = get(semconv.TOOL_CALL_ARGUMENTS)
        name, summary = _said_by(kind, span)
        row.say(name or span.name or kind, " · ".join(filter(None, (summary, span.message if row.failed else ""))))
        yield row, of_span(span)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _said_by(kind: str, span: RecordedSpan) -> tuple[str, str]:
    """Return name and summary."""
    get = span.told.get

    def text(name: str) -> str:
        value = get(name)
        return "" if value is None else as_text(value)

    if kind == "tool":
        name = text(semconv.TOOL_NAME)
        return name, told_by(name, get(semconv.TOOL_CALL_ARGUMENTS))
    if kind == "model":
        model = text(semconv.RESPONSE_MODEL) or text(semconv.REQUEST_MODEL)
        return model, _first_said(get(semconv.OUTPUT_MESSAGES))
    if kind == "session":
        command = get(semconv.PROCESS_COMMAND_ARGS)
        return text(semconv.AGENT_NAME), " ".join(map(as_text, command)) if is_list(command) else ""
    if kind in ("turn", "agent"):
        return text(semconv.AGENT_NAME), _first_said(get(semconv.INPUT_MESSAGES))
    return span.name, ""


def _first_said(messages: Any) -> str:  # noqa: ANN401 - JSON
    """Return the first text of some messages; without one, the names of the tools they call."""
    found = parsed(messages) if isinstance(messages, str) else messages
    tools: list[str] = []
    for message in found if is_list(found) else ():
        parts = message.get("parts") if is_object(message) else None
        for part in parts if is_list(parts) else ():
            if not is_object(part):
                continue
            if part.get("type") == "text" and text_of(part, "content").strip():
                return plain(text_of(part, "content"))
            if part.get("type") == "tool_call":
                tools.append(text_of(part, "name"))
    return f"→ {', '.join(tools)}" if tools else ""
