"""Spans of a program -> a file of samples, a span a line: what an instrumentation says at the start and at the end.

Used by the programs beside this file; ``python record.py NAME`` runs them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

_CHANGING = (
    "gen_ai.response.time_to_first_chunk",
    "server.port",
    "url.full",
    "exception.stacktrace",
    "code.line.number",
)


class Samples(SpanProcessor):
    """Keeps all spans of a provider; ids are numbered in order, so that a recording is the same the next time."""

    def __init__(self) -> None:
        self._spans: list[dict[str, Any]] = []
        self._begun: dict[int, tuple[int, dict[str, Any]]] = {}

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Note what is known at the start."""
        self._begun[span.context.span_id] = (len(self._begun) + 1, dict(span.attributes or {}))

    def on_end(self, span: ReadableSpan) -> None:
        """Note the whole span."""
        number, at_start = self._begun[span.context.span_id]
        parent = self._begun.get(span.parent.span_id) if span.parent is not None else None
        scope = span.instrumentation_scope
        self._spans.append(
            {
                "id": number,
                "parent": parent[0] if parent is not None else None,
                "scope": scope.name if scope is not None else "",
                "name": span.name,
                "kind": span.kind.name,
                "status": span.status.status_code.name,
                "known_at_start": sorted(at_start),
                "attributes": _plain(dict(span.attributes or {})),
                "events": [[event.name, _plain(dict(event.attributes or {}))] for event in span.events],
            }
        )

    def write(self) -> None:
        """Write the samples to the file that the first argument names."""
        lines = [json.dumps(span, ensure_ascii=False) for span in self._spans]
        Path(sys.argv[1]).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def provider(samples: Samples) -> TracerProvider:
    """Return a provider, made the global one, whose spans are kept."""
    from opentelemetry import trace

    made = TracerProvider()
    made.add_span_processor(samples)
    trace.set_tracer_provider(made)
    return made


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name not in _CHANGING
    }
