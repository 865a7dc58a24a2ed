"""Finished spans -> session folders, for programs whose OpenTelemetry is set up by environment variables.

``OTEL_TRACES_EXPORTER=agent_traces`` names it (entry point group opentelemetry_traces_exporter). An exporter sees a
span only when it has ended, so opening events are written late; `AgentTraceSpanProcessor` writes them as calls begin.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from agent_trace_otel import guard
from agent_trace_otel.processor import recording
from agent_trace_otel.processor.session_processor import SessionSpanProcessor

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from agent_trace_otel.redact import Redactor


class FileSpanExporter(SpanExporter):
    """Writes spans to session folders; where `AgentTraceSpanProcessor` writes the same folders, it stands back.

    Args:
        trace_dir: where session folders go; default AGENT_TRACE_DIR, else ``.agent-traces`` in the current directory.
        redact: False writes values as they are; a `Redactor` brings rules of the user's own.
    """

    def __init__(
        self, trace_dir: str | os.PathLike[str] | None = None, *, redact: bool | Redactor | None = None
    ) -> None:
        self._processor = SessionSpanProcessor(trace_dir, redact=redact)
        self._processor.is_live = False
        recording.remember_told()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write the spans of one batch."""
        lost = guard.failures.total()
        where = self._processor.settings.trace_dir
        self._processor.record([span for span in spans if not recording.is_told(_span_id(span), where)])
        return SpanExportResult.SUCCESS if guard.failures.total() == lost else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Nothing is held back."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the SDK's interface
        """Nothing is held back."""
        return True


def _span_id(span: ReadableSpan) -> int:
    ids = span.context
    return 0 if ids is None else ids.span_id
