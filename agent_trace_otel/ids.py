"""Ids handed to our id generator for the one span that is started next in this context."""

from __future__ import annotations

from contextvars import ContextVar

ids_of_next_span: ContextVar[tuple[int, int] | None] = ContextVar("agent_trace_ids_of_next_span", default=None)
"""(trace id, span id); a trace id of 0 means a random one, None that both are random."""
