"""What a session has heard already: deliveries that come twice, and events that two hooks tell.

Comes in: delivery ids and events. Goes out: whether they are new. Called by `hook_session`; pure but for its memory.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import Final

from agent_trace_otel.capture.hooks.sessions.run_header import Event

_MAX_DELIVERIES: Final = 4096
_MAX_ECHOES: Final = 64
_NAMELESS: Final = "PermissionRequest"
"""The one event of a call that does not name it: two calls may be asked about in the same words."""
_ECHO_NS: Final = 2_000_000_000


class Deliveries:
    """What one session has heard."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._echoes: OrderedDict[bytes, int] = OrderedDict()
        """When each of the last events came, by its digest."""

    def is_new(self, delivery: str) -> bool:
        """Tell whether a delivery has not come before."""
        if delivery in self._ids:
            return False
        self._ids[delivery] = None
        if len(self._ids) > _MAX_DELIVERIES:
            self._ids.popitem(last=False)
        return True

    def is_echo(self, event: Event) -> bool:
        """Tell whether the same event has come just now: hooks of the user's and of the project's settings both run.

        Ask only of a client that names every call: others may say the same of two calls.
        """
        if event.name == _NAMELESS:
            return False
        told = json.dumps([event.client, event.payload], sort_keys=True)
        said = hashlib.sha256(told.encode("utf-8", "replace")).digest()[:8]
        before = self._echoes.pop(said, 0)
        self._echoes[said] = max(event.at, before)
        if len(self._echoes) > _MAX_ECHOES:
            self._echoes.popitem(last=False)
        return bool(before) and abs(event.at - before) < _ECHO_NS
