"""--inject-traceparent: a request's bytes -> the same with the trace context of the span that the recording gives it.

Called by the proxies. The recording child starts that span; both sides know its id because they derive it from the
session's id and a key, which the proxy makes here and tells the child before the request.
"""

from __future__ import annotations

import os
import secrets

from agent_trace_otel import identity
from agent_trace_otel.capture.mcp.context import splice

KIND = "mcp"
"""The kind of `identity.derived_span_id`."""

_SAMPLED = "01"  # W3C Trace Context, section 3.2.2.5


class Injector:
    """Names the session, so it is made before the recording child starts, and injects into what it is given.

    Where TRACEPARENT names a span and nothing names a session, that span is what is injected.
    """

    def __init__(self) -> None:
        """Read the environment; a session that nothing names is named there."""
        parent = os.environ.get("TRACEPARENT", "") if identity.context_of_environment() else ""
        session_id = identity.named_in_environment()
        if session_id is None and not parent:
            session_id = os.environ[identity.SESSION_ID_VARIABLE] = identity.new_id()
        self._session_id = session_id
        self._parent = parent.strip() or f"00-{identity.trace_id_of(session_id or ''):032x}-{0:016x}-{_SAMPLED}"
        self._state = os.environ.get("TRACESTATE", "") if parent else ""

    def inject(self, message: bytes) -> tuple[bytes, str] | None:
        """Return the bytes to send and the key of the request's span, empty if it has none of its own.

        None if the message is to pass as it is.
        """
        traceparent, key = self._parent, ""
        if self._session_id is not None:
            key = secrets.token_hex(8)
            version, trace_id, _, flags = self._parent.split("-")[:4]
            span_id = identity.derived_span_id(self._session_id, KIND, key)
            traceparent = f"{version}-{trace_id}-{span_id:016x}-{flags}"
        sent = splice(message, traceparent, self._state)
        return None if sent is None else (sent, key)
