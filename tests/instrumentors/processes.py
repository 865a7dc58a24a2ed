"""Commands to run and the spans they leave, for tests of child processes."""

from __future__ import annotations

import sys
from typing import Any

from agent_trace_otel.testing import Recorded


def python(code: str, *arguments: str) -> list[str]:
    """Return the command line of a Python process without a site."""
    return [sys.executable, "-I", "-S", "-c", code, *arguments]


def process_spans(recorded: Recorded) -> list[Any]:
    """Return the finished spans of processes; a session without any finished span has no file for them yet."""
    if not any(recorded.trace_dir.glob("*/spans.jsonl")):
        return []
    return [span for span in recorded.spans() if span.kind.name == "CLIENT"]


def only(recorded: Recorded) -> Any:
    """Return the one process's span."""
    (span,) = process_spans(recorded)
    return span
