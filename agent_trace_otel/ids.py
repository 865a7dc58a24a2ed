"""Ids handed to our id generator for the one span that is started next in this context."""

from __future__ import annotations

from contextvars import ContextVar

ids_of_next_span: ContextVar[tuple[int, int]] = ContextVar("agent_trace_ids_of_next_span", default=(0, 0))
"""(trace id, span id); 0 means random."""
