"""What --rewrite-oauth changes: where a client finds the protected resource's metadata, and what it says it is.

A stock client refuses metadata whose `resource` does not cover the URL that it has connected to (RFC 9728, section
3.3). One URL is changed, and byte for byte nothing else. Pure; called by `http_exchange`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, cast

from agent_trace_otel.capture.mcp.http.headers import Headers

WELL_KNOWN = "/.well-known/oauth-protected-resource"
"""RFC 9728, section 3.1."""

_CHALLENGED = re.compile(r'(\bresource_metadata\s*=\s*")([^"]*)(")', re.IGNORECASE)
_RESOURCE = re.compile(rb'"resource"\s*:\s*("(?:[^"\\]|\\.)*")')


def challenged(headers: Headers, moved: Callable[[str], str]) -> Headers:
    """Return headers whose challenges' `resource_metadata` (RFC 9728, section 5.1) leads to the proxy."""

    def changed(found: re.Match[str]) -> str:
        return found[1] + moved(found[2]) + found[3]

    return [
        (name, _CHALLENGED.sub(changed, value) if name.lower() == "www-authenticate" else value)
        for name, value in headers
    ]


class Metadata:
    """Protected resource metadata on their way: gathered, and changed at their end."""

    def __init__(self, moved: Callable[[str], str]) -> None:
        """Make one for an answer.

        Args:
            moved: what to write instead of a URL.
        """
        self._moved = moved
        self._body = bytearray()

    def feed(self, piece: bytes) -> bytes:
        """Return nothing yet."""
        self._body += piece
        return b""

    def rest(self) -> bytes:
        """Return the changed body."""
        return metadata(bytes(self._body), self._moved)


def metadata(body: bytes, moved: Callable[[str], str]) -> bytes:
    """Return protected resource metadata that speaks of the proxy; a body that is none comes back as it is."""
    try:
        document = json.loads(body)
        resource = cast("dict[str, Any]", document).get("resource") if isinstance(document, dict) else None
        for found in _RESOURCE.finditer(body):
            if isinstance(resource, str) and json.loads(found[1]) == resource:
                return body[: found.start(1)] + json.dumps(moved(resource)).encode() + body[found.end(1) :]
    except (ValueError, RecursionError):  # no JSON, or the words stand inside another string
        pass
    return body
