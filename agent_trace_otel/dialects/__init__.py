"""Spans of any instrumentation in; the same facts in the names of the GenAI convention out.

Called by `processor` for spans that are not ours and by the readers of spans.jsonl. Pure: no part of OpenTelemetry is
imported, nothing raises, the span itself is not touched, so that what no table knows is kept where it is.
"""

from __future__ import annotations

from agent_trace_otel.dialects.content import is_content
from agent_trace_otel.dialects.given import Given
from agent_trace_otel.dialects.openllmetry import LEAST_EXACT
from agent_trace_otel.dialects.reading import OURS, Reading, may_be_read, read

__all__ = ["LEAST_EXACT", "OURS", "Given", "Reading", "is_content", "may_be_read", "read"]
