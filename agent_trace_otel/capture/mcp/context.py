"""Trace context in MCP messages (SEP-414: ``params._meta.traceparent``): read from a request, or put into its bytes.

Called by `session` (to read), `stdio` and `http` (to splice, when --inject-traceparent asks for it). Pure.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from agent_trace_otel.capture.mcp.messages import JSON

_NAMES = ("traceparent", "tracestate")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_COLON = re.compile(rb"\s*:\s*")
_MAX_SPLICED = 1 << 20  # a longer message passes as it is: the sender waits while it is looked at


def parent_of(meta: JSON) -> SpanContext | None:
    """Return the span that a request's ``_meta`` names as its parent (W3C Trace Context), None if it names none."""
    carrier = {name: value for name in _NAMES if isinstance(value := meta.get(name), str)}
    if "traceparent" not in carrier:
        return None
    from opentelemetry import context as context_api
    from opentelemetry import trace as trace_api
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    ctx = TraceContextTextMapPropagator().extract(carrier, context_api.Context())
    found = trace_api.get_current_span(ctx).get_span_context()
    return found if found.is_valid else None


def splice(message: bytes, traceparent: str, tracestate: str = "") -> bytes | None:
    """Return a request with a trace context put into its ``params._meta``, every other byte as it was.

    Args:
        message: one JSON-RPC message, with or without the white space around it.
        traceparent: as W3C Trace Context writes it.
        tracestate: the same; empty for none.

    Returns:
        None if the message is to pass as it is: no request, a batch, a context of the client's own, something odd.
    """
    if len(message) > _MAX_SPLICED or b'"method"' not in message:
        return None
    try:
        value: Any = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    request = cast("dict[str, Any]", value)
    params = request.get("params", {})
    if not isinstance(request.get("method"), str) or request.get("id") is None or not isinstance(params, dict):
        return None
    meta = cast("dict[str, Any]", params).get("_meta", {})
    if not isinstance(meta, dict) or any(name in meta for name in _NAMES):
        return None
    members = {"traceparent": traceparent, **({"tracestate": tracestate} if tracestate else {})}
    wanted = json.dumps(members, separators=(",", ":")).encode()[1:-1]
    return _put(message, wanted, has_params="params" in request, has_meta="_meta" in params)


def _put(message: bytes, wanted: bytes, *, has_params: bool, has_meta: bool) -> bytes | None:
    path: tuple[bytes, ...] = (b'"params"', b'"_meta"') if has_meta else (b'"params"',) if has_params else ()
    brace = _opening_brace(message, path)
    if brace is None:
        return None
    if not has_meta:
        wanted = b'"_meta":{' + wanted + b"}"
    if not has_params:
        wanted = b'"params":{' + wanted + b"}"
    rest = message[brace + 1 :]
    comma = b"" if rest.lstrip()[:1] == b"}" else b","
    return message[: brace + 1] + wanted + comma + rest


def _opening_brace(message: bytes, path: tuple[bytes, ...]) -> int | None:
    """Return where the object at a path of member names begins; None if a name is there twice or is spelled oddly."""
    found = -1
    depth = matched = 0
    for token in _TOKEN.finditer(message):
        sign = token[0][:1]
        if sign in b"{[":
            depth += 1
            if found < 0 and not path:
                return token.start()
        elif sign in b"]}":
            depth -= 1
            matched = min(matched, max(depth - 1, 0))
        elif depth == matched + 1 and matched < len(path) and token[0] == path[matched]:
            colon = _COLON.match(message, token.end())
            if colon is None:
                continue
            if message[colon.end() : colon.end() + 1] != b"{":
                return None
            matched += 1
            if matched == len(path):
                if found >= 0:
                    return None
                found = colon.end()
    return found if found >= 0 else None
