"""A recorded session as lines of spans, in the order in which they began, indented by what each hangs under."""

from __future__ import annotations

from typing import Any

from agent_trace_otel.testing import Recorded


def tree(recorded: Recorded, session_id: str | None = None) -> list[str]:
    """Return a line for each span: its name and how it ended, if not simply well."""
    spans = recorded.spans(session_id)
    known = {span.context.span_id: span for span in spans if span.context}
    lines: list[str] = []

    def depth(span: Any) -> int:
        above = known.get(span.parent.span_id) if span.parent else None
        return 0 if above is None else depth(above) + 1

    def path(span: Any) -> list[tuple[int, str]]:
        above = known.get(span.parent.span_id) if span.parent else None
        return [*(path(above) if above is not None else []), (span.start_time, span.name)]

    for span in sorted(spans, key=path):
        outcome = str((span.attributes or {}).get("agent_trace.outcome", ""))
        lines.append(f"{'  ' * depth(span)}{span.name}{'' if outcome == 'ok' else f' ({outcome})'}")
    return lines


def spans_of(recorded: Recorded, operation: str) -> list[Any]:
    """Return the spans of an operation, in the order in which they began."""
    found = [span for span in recorded.spans() if (span.attributes or {}).get("gen_ai.operation.name") == operation]
    return sorted(found, key=lambda span: span.start_time or 0)


def timeline(recorded: Recorded) -> list[str]:
    """Return the timeline in short: type, and tool or agent."""
    return [
        " ".join([event.event_type, *(str(event.data[key]) for key in ("tool_name", "agent") if event.data.get(key))])
        for event in recorded.events()
    ]
