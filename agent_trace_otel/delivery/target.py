"""Where spans are sent: one back end's URL, headers and limits.

Comes in: what `vendors` or an endpoint's settings say. Goes out: a `Target`, which sending, the ledger and doctor take.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MAX_BODY_BYTES: Final = 4 * 2**20
"""What collectors and gateways commonly take."""

_REFUSED: Final = frozenset({401, 403})
_SHORTEST_KEY: Final = 4
"""Shorter values of headers are numbers such as "0", and no key."""


@dataclass(frozen=True, slots=True)
class Target:
    """A back end, ready to be sent to.

    Args:
        url: the final URL, path included.
        headers: sent with every request; they hold keys and are never shown.
        vendor: its name in `vendors`, empty for any other back end.
        max_body_bytes: largest request body before compression.
        max_span_bytes: largest single span that it takes; a larger one is cut. None: no limit of its own.
        max_attribute_chars: longest attribute value that it keeps; None: no limit of its own.
        gzip: whether it takes compressed bodies.
        accepted: the status codes with which it says that it has the spans. OTLP/HTTP knows 200 alone; Datadog's own
            intake answers 202.
        key_names: variables that the keys in ``headers`` came from, to be named when a key is refused.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    vendor: str = ""
    max_body_bytes: int = MAX_BODY_BYTES
    max_span_bytes: int | None = None
    max_attribute_chars: int | None = None
    gzip: bool = False
    accepted: frozenset[int] = frozenset({200})
    key_names: tuple[str, ...] = ()

    def key_hint(self, status: int) -> str:
        """Return what to look at when a back end refuses a key, as the end of a line; empty for any other answer."""
        if status not in _REFUSED or not self.key_names:
            return ""
        return f"; the key is that of {' and '.join(self.key_names)}"

    def without_keys(self, text: str) -> str:
        """Return text without what the headers hold: a back end may repeat the key that it refuses."""
        for value in self.headers.values():
            scheme, _, credentials = value.partition(" ")
            parts = _user_and_password(credentials) if scheme.lower() == "basic" else ()
            for secret in (value, credentials, *parts):
                if len(secret) >= _SHORTEST_KEY:
                    text = text.replace(secret, "[key]")
        return text


def _user_and_password(credentials: str) -> tuple[str, ...]:
    try:
        return tuple(base64.b64decode(credentials, validate=True).decode().split(":", 1))
    except (binascii.Error, UnicodeDecodeError):
        return ()
