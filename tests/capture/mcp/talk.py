"""A conversation written in Python, recorded without a proxy: its copies go straight to the recording."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent_trace_otel.capture.mcp import copies
from agent_trace_otel.capture.mcp.copies import FROM_CLIENT, FROM_SERVER, Copy
from agent_trace_otel.capture.mcp.recording import Recording
from agent_trace_otel.capture.mcp.session import RecordedSession

START = 1_773_562_735_000_000_000
SECOND = 1_000_000_000


class Talk:
    """What client and server say, one message a second; over stdio unless exchanges are opened.

    Args:
        trace_dir: where the session goes.
        options: of `RecordedSession`.
    """

    def __init__(self, trace_dir: Path, *, transport: str = "pipe", **options: Any) -> None:
        self.at = START
        self.session = RecordedSession(["npx", "-y", "@x/server-demo"], START, trace_dir=trace_dir, **options)
        self.recording = Recording(self.session, transport)
        if transport == "pipe":
            self.copy(copies.OPEN)

    def copy(self, kind: int, direction: int = 0, content: bytes = b"", connection: int = 1) -> None:
        self.at += SECOND
        self.recording.take(Copy(kind, direction, connection, self.at, content))

    def facts(self, kind: int, connection: int, direction: int = 0, **facts: Any) -> None:
        self.copy(kind, direction, json.dumps(facts).encode(), connection)

    def client(self, connection: int = 1, **message: Any) -> None:
        self.copy(copies.DATA, FROM_CLIENT, _line(message), connection)

    def server(self, connection: int = 1, **message: Any) -> None:
        self.copy(copies.DATA, FROM_SERVER, _line(message), connection)

    def ends(self, exit_code: int | None = 0) -> None:
        """End as a proxy does; None is how a killed one does."""
        if exit_code is not None:
            self.facts(copies.META, copies.SESSION, exit_code=exit_code)
        self.recording.close()


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
