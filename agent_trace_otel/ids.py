"""Ids: of sessions, those that several processes must agree on, and those of the one span that is started next.

Pure but for `ids_of_next_span`. Called by `identity`, and by `agent-trace run`, which has no time for more.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from contextvars import ContextVar
from functools import lru_cache

ids_of_next_span: ContextVar[tuple[int, int] | None] = ContextVar("agent_trace_ids_of_next_span", default=None)
"""(trace id, span id); a trace id of 0 means a random one, None that both are random."""

_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
# Windows, "Naming Files, Paths, and Namespaces": names of devices, with any suffix, and a dot at the end, which is lost
_NO_WINDOWS_NAME = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9])(?:\.|\Z)|.*\.\Z", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def new_id() -> str:
    """Return a new session id: a random UUID (RFC 9562, version 4)."""
    number = int.from_bytes(os.urandom(16), "big") & ~(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62
    digits = f"{number:032x}"  # the uuid module takes longer to load than `agent-trace run` takes to start a program
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def folder_name(session_id: str) -> str:
    """Return the id itself if it is safe as a folder name, else 32 hex digits of its SHA-256."""
    if _FOLDER_NAME.match(session_id) and not (sys.platform == "win32" and _NO_WINDOWS_NAME.match(session_id)):
        return session_id
    return hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@lru_cache(maxsize=1024)
def trace_id_of(session_id: str) -> int:
    """Return the session's trace id: its UUID when it is one (and not nil), else the first 16 bytes of its SHA-256."""
    if _UUID.match(session_id):
        as_uuid = int(session_id.replace("-", ""), 16)
    else:
        import uuid

        try:
            as_uuid = uuid.UUID(session_id).int
        except ValueError:
            as_uuid = 0
    return as_uuid or int.from_bytes(_digest(session_id)[:16], "big")


def derived_span_id(session_id: str, kind: str, key: str) -> int:
    """Return the span id that every process agrees on.

    Args:
        session_id: the session's id.
        kind: run, turn, tool, agent or chat.
        key: the run's number, the turn's first prompt_id, the tool_use_id, the agent_id, the message.id.
    """
    return int.from_bytes(_digest(f"{session_id}\0{kind}\0{key}")[:8], "big") or 1


def derived_trace_id(session_id: str, key: str) -> int:
    """Return the trace id of one turn when AGENT_TRACE_TRACE_PER=turn."""
    return int.from_bytes(_digest(f"{session_id}\0turn\0{key}")[:16], "big") or 1


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
